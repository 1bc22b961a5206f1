/**
 * Last uses of app passwords, written in batches: one statement every few seconds, never on the path of a login.
 */

import type { LastUse, Store } from './store/store.ts'

export interface LastUseBatchOptions {
  readonly store: Store
  /** From the first use noted to its writing. 10 s in production. */
  readonly flushMs: number
  /** Hears why a batch could not be written; it is kept and tried again. */
  readonly onError: (error: unknown) => void
}

export interface LastUseBatch extends AsyncDisposable {
  /** Costs a map entry; a later use of the same app password replaces it. */
  note(appPasswordId: string, use: LastUse): void
  /** Writes what is waiting, now. Never rejects. */
  flush(): Promise<void>
}

/** Disposing it writes what is waiting and stops its timer. */
export function createLastUseBatch(_options: LastUseBatchOptions): LastUseBatch {
  throw new Error('todo')
}
