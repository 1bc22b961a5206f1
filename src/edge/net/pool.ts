/**
 * Memory for bytes on their way through: large buffers of which parts are lent out, and a bound on all of them.
 *
 * A part given to a socket's `write` is in use until that calls back, and nobody may write into it before: bytes that are
 * overwritten while they wait arrive with the right length and the wrong content. So a buffer is filled from the front, no
 * byte of it twice, until nobody holds any part of it any more.
 */

export const POOLED_BYTES = 256 * 1024
/** Buffers in use at once in one process: 32 MiB. Beyond that, bytes are copied into memory of their own. */
const MAX_IN_USE = 128
/** Free buffers kept for the next download. */
const MAX_FREE = 16

/** A pooled buffer. It goes back when its filler and the holders of all parts have released it. */
export class Pooled {
  readonly bytes: Buffer
  used = 0
  /** The one who fills it, and every part that has been lent. */
  #users = 1

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** The next `count` bytes are somebody's. Returns how to give them back, once. */
  lend(count: number): () => void {
    this.used += count
    this.#users += 1
    return () => this.release()
  }

  release(): void {
    this.#users -= 1
    if (this.#users === 0) giveBack(this.bytes)
  }

  /** Whether no part of it is held. */
  get isFree(): boolean {
    return this.#users === 1
  }
}

const free: Buffer[] = []
let inUse = 0

/** null: there are as many in use as may be. */
export function borrow(): Pooled | null {
  if (inUse >= MAX_IN_USE) return null
  inUse += 1
  return new Pooled(free.pop() ?? Buffer.allocUnsafeSlow(POOLED_BYTES))
}

function giveBack(bytes: Buffer): void {
  inUse -= 1
  if (free.length < MAX_FREE) free.push(bytes)
}

/** Where copies go, one behind the other, whoever they are for: far cheaper than memory of their own for each. */
let shelf: Pooled | null = null

/** A copy, lent until it is released; null when the pool has nothing left. @param bytes at most `POOLED_BYTES` */
export function lendCopy(bytes: Buffer): { readonly bytes: Buffer; readonly release: () => void } | null {
  if (shelf !== null && POOLED_BYTES - shelf.used < bytes.length) {
    if (shelf.isFree) shelf.used = 0
    else {
      shelf.release()
      shelf = null
    }
  }
  shelf ??= borrow()
  if (shelf === null) return null
  const at = shelf.used
  const release = shelf.lend(bytes.length)
  const copy = shelf.bytes.subarray(at, at + bytes.length)
  bytes.copy(copy)
  return { bytes: copy, release }
}

/** How many pooled buffers are in use; for tests and for whoever looks for a leak. */
export function lentBuffers(): number {
  return shelf?.isFree ? inUse - 1 : inUse
}
