/**
 * Numbers that look random and come again with the same seed, and the choices that fuzzers make with them.
 */

export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number
  pick<T>(from: readonly T[]): T
  /** True once in `n` times. */
  oneIn(n: number): boolean
  /** Up to `max` results of `make`, joined. */
  text(max: number, make: () => string): string
  bytes(max: number): Buffer
}

/** mulberry32: 32 bits of state are enough to find a case again. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const below = (limit: number): number => next() % limit
  return {
    below,
    pick(from) {
      const value = from[below(from.length)]
      if (value === undefined) throw new RangeError('nothing to pick from')
      return value
    },
    oneIn: (n) => below(n) === 0,
    text: (max, make) => Array.from({ length: below(max + 1) }, make).join(''),
    bytes: (max) => Buffer.from(Array.from({ length: below(max + 1) }, () => below(256))),
  }
}
