/**
 * How late timers fire in this process: the sign of a loop that something blocks (threat E7).
 */

import type { Metrics } from '../metrics.ts'

/** Once a second: seen on any dashboard, and nothing to an idle process. */
const EVERY_MS = 1000

/** Observes until disposed of. */
export function watchLoopLag({ eventLoopLag }: Metrics, everyMs: number = EVERY_MS): Disposable {
  let due = performance.now() + everyMs
  const timer = setInterval(() => {
    const now = performance.now()
    eventLoopLag.observe(Math.max(0, now - due) / 1000)
    due = now + everyMs
  }, everyMs)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
