/**
 * Counts logins between their question to the gate and their outcome, so that a drain can let them finish.
 */

import type { Gate } from '../contract/admission.ts'

export interface LoginsInFlight {
  /** The gate to hand to whoever asks. */
  readonly gate: Gate
  readonly count: number
  /** Resolves when no login is in flight, or after `ms`. */
  none(ms: number): Promise<void>
}

export function watchLogins(gate: Gate): LoginsInFlight {
  let count = 0
  let waiting: (() => void)[] = []

  function over(): void {
    // What follows the outcome, telling the client, still belongs to the login; it is done by the next turn but one.
    setImmediate(() =>
      setImmediate(() => {
        count -= 1
        if (count > 0) return
        for (const wake of waiting) wake()
        waiting = []
      }),
    )
  }

  return {
    gate: {
      async admit(attempt) {
        count += 1
        try {
          return await gate.admit(attempt)
        } catch (error) {
          over()
          throw error
        }
      },
      settle(grantId, outcome) {
        gate.settle(grantId, outcome)
        over()
      },
      ended: (grantId, end) => gate.ended(grantId, end),
    },
    get count() {
      return count
    },
    async none(ms) {
      if (count === 0) return
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        timer = setTimeout(resolve, ms)
      })
      clearTimeout(timer)
    },
  }
}
