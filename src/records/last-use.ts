/**
 * Last uses of app passwords, and attempts with deleted ones: written in batches, never on the path of a login.
 */

import type { LastUse, Store } from './store/store.ts'
import type { TombstoneNote } from './store/tombstones.ts'
import type { WriteBatch, WriteBatchOptions } from './write-batch.ts'
import { createWriteBatch } from './write-batch.ts'

export interface LastUseBatchOptions extends Pick<WriteBatchOptions<never>, 'flushMs' | 'onError' | 'maxWaiting'> {
  readonly store: Store
}

/** Some 4 ms of the event loop. */
const USES_A_STATEMENT = 250

/** By id of the app password. 10 s in production. */
export type LastUseBatch = WriteBatch<LastUse>

export function createLastUseBatch({ store, ...options }: LastUseBatchOptions): LastUseBatch {
  return createWriteBatch({ ...options, write: (part) => store.noteLastUsed(part), partSize: USES_A_STATEMENT })
}

export interface TombstoneTriesBatch extends AsyncDisposable {
  note(note: TombstoneNote): void
  flush(): Promise<void>
}

export function createTombstoneTriesBatch({ store, ...options }: LastUseBatchOptions): TombstoneTriesBatch {
  const batch = createWriteBatch<TombstoneNote>({
    ...options,
    merge: (earlier, later) => ({ ...later, tries: earlier.tries + later.tries }),
    write: (notes) => store.transaction((tx) => tx.noteTombstoneTries([...notes.values()])),
  })
  return {
    note: (note) => batch.note(`${note.userId} ${note.digest}`, note),
    flush: batch.flush,
    [Symbol.asyncDispose]: () => batch[Symbol.asyncDispose](),
  }
}
