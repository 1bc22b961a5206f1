/**
 * How late timers fire in this process: the sign of a loop that something blocks (threat E7).
 */

import type { Metrics } from '../metrics.ts'
import { every } from '../pulse.ts'

/** Once a second: seen on any dashboard, and nothing to an idle process. */
const EVERY_MS = 1000

/** Observes until disposed of. */
export function watchLoopLag({ eventLoopLag }: Metrics, everyMs: number = EVERY_MS): Disposable {
  let due: number | null = null
  return every(everyMs, () => {
    const now = performance.now()
    // The first beat of a pulse that others share may come at any moment.
    if (due !== null) eventLoopLag.observe(Math.max(0, now - due) / 1000)
    due = now + everyMs
  })
}
