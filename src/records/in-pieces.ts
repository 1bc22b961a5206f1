/**
 * Long work in pieces, with a turn of the event loop between two: the loop that does it is the one that logins wait for.
 */

import { setImmediate } from 'node:timers/promises'

/** One piece after the other, in order. Stops at the first rejection. */
export async function inPieces<T>(
  all: readonly T[],
  size: number,
  work: (piece: readonly T[]) => Promise<void> | void,
): Promise<void> {
  for (let from = 0; from < all.length; from += size) {
    if (from > 0) await setImmediate()
    await work(all.slice(from, from + size))
  }
}
