/**
 * Places for checks in flight: so many at once from one address block, a bounded number behind them, in the order they came
 * (threats B3, B5).
 *
 * What is known from memory needs no place, so a household behind one address does not feel it. Behind a restart the phones
 * of an office stand in line for a moment instead of being turned away.
 */

export interface Checks {
  /** Waits for a place. null: too many wait already. `leave` gives it back; calling it again does nothing. */
  enter(block: string): Promise<(() => void) | null>
}

interface Block {
  inFlight: number
  readonly waiting: (() => void)[]
}

export function createChecks(options: { readonly atOnce: number; readonly waiting: number }): Checks {
  const blocks = new Map<string, Block>()

  function leave(name: string, block: Block): void {
    const next = block.waiting.shift()
    if (next) {
      next() // its place goes on to the next in line
      return
    }
    block.inFlight -= 1
    if (block.inFlight === 0) blocks.delete(name)
  }

  return {
    async enter(name) {
      const own = blocks.get(name) ?? { inFlight: 0, waiting: [] }
      if (own.inFlight === 0) blocks.set(name, own)
      if (own.inFlight < options.atOnce) own.inFlight += 1
      else if (own.waiting.length >= options.waiting) return null
      else await new Promise<void>((resolve) => own.waiting.push(resolve))
      let left = false
      return () => {
        if (!left) leave(name, own)
        left = true
      }
    },
  }
}
