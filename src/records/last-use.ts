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
  /** Uses kept while the store is away; beyond it the oldest are forgotten. Default 100,000. */
  readonly maxWaiting?: number
}

export interface LastUseBatch extends AsyncDisposable {
  /** Costs a map entry; a later use of the same app password replaces it. */
  note(appPasswordId: string, use: LastUse): void
  /** Writes what is waiting, now. Never rejects. */
  flush(): Promise<void>
}

/** Disposing it writes what is waiting and stops its timer. */
export function createLastUseBatch(options: LastUseBatchOptions): LastUseBatch {
  const { store, flushMs, onError } = options
  const maxWaiting = options.maxWaiting ?? 100_000
  let waiting = new Map<string, LastUse>()
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<void> | null = null
  let disposed = false

  function schedule(): void {
    if (timer || disposed) return
    timer = setTimeout(() => {
      timer = null
      void flush()
    }, flushMs)
    timer.unref()
  }

  function trim(): void {
    for (const oldest of waiting.keys()) {
      if (waiting.size <= maxWaiting) return
      waiting.delete(oldest)
    }
  }

  async function write(): Promise<void> {
    const batch = waiting
    waiting = new Map()
    try {
      await store.noteLastUsed(batch)
    } catch (error) {
      // What came meanwhile is newer: it wins, and stands behind what is older.
      for (const id of waiting.keys()) batch.delete(id)
      waiting = new Map([...batch, ...waiting])
      trim()
      schedule()
      onError(error)
    }
  }

  async function flush(): Promise<void> {
    // One at a time, and whoever asks sees everything written that was noted before.
    while (writing) await writing
    if (waiting.size === 0) return
    writing = write()
    await writing.finally(() => {
      writing = null
    })
  }

  return {
    note(appPasswordId, use) {
      // Taken out first, so that the map's order is the order of use.
      waiting.delete(appPasswordId)
      waiting.set(appPasswordId, use)
      trim()
      schedule()
    },
    flush,
    async [Symbol.asyncDispose]() {
      disposed = true
      if (timer) clearTimeout(timer)
      timer = null
      await flush()
    },
  }
}
