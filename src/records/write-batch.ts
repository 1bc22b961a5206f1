/**
 * Notes written in batches: one write every few seconds, never on the path of whoever has something to note.
 */

import { inPieces } from './in-pieces.ts'

export interface WriteBatchOptions<V> {
  /** Writes a part of what is waiting. A rejection keeps it for the next time. */
  readonly write: (part: ReadonlyMap<string, V>) => Promise<void>
  /** Notes in such a part: what is written in one turn of the event loop. Default 50. */
  readonly partSize?: number
  /** What two notes of one key become; default: the later one. */
  readonly merge?: (earlier: V, later: V) => V
  /** From the first note to its writing. */
  readonly flushMs: number
  /** Hears why a batch could not be written. */
  readonly onError: (error: unknown) => void
  /** Notes kept while the store is away; beyond it the oldest are forgotten. Default 100,000. */
  readonly maxWaiting?: number
}

export interface WriteBatch<V> extends AsyncDisposable {
  /** Costs a map entry. */
  note(key: string, value: V): void
  /** Writes what is waiting, now. Never rejects. */
  flush(): Promise<void>
}

const MAX_WAITING = 100_000
const PART_SIZE = 50

/** Disposing it writes what is waiting and stops its timer. */
export function createWriteBatch<V>(options: WriteBatchOptions<V>): WriteBatch<V> {
  const { flushMs, onError } = options
  const merge = options.merge ?? ((_: V, later: V) => later)
  const maxWaiting = options.maxWaiting ?? MAX_WAITING
  const partSize = options.partSize ?? PART_SIZE
  let waiting = new Map<string, V>()
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

  /** Taken out first, so that the map's order is the order of noting, and the oldest goes when there are too many. */
  function put(key: string, value: V): void {
    const earlier = waiting.get(key)
    waiting.delete(key)
    waiting.set(key, earlier === undefined ? value : merge(earlier, value))
    for (const oldest of waiting.keys()) {
      if (waiting.size <= maxWaiting) return
      waiting.delete(oldest)
    }
  }

  async function write(): Promise<void> {
    const batch = waiting
    waiting = new Map()
    try {
      await inPieces([...batch], partSize, async (part) => {
        await options.write(new Map(part))
        for (const [key] of part) batch.delete(key)
      })
    } catch (error) {
      // What came meanwhile is newer.
      const newer = waiting
      waiting = batch
      for (const [key, value] of newer) put(key, value)
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
    note(key, value) {
      put(key, value)
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
