/**
 * How late timers fire in this process: the sign of a loop that something blocks (threat E7).
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { every } from '../pulse.ts'

/** Once a second: seen on any dashboard, and nothing to an idle process. */
const EVERY_MS = 1000
/** So late everybody notices, and an operator is told. */
const TELL_MS = 200
/** Of a machine that is too small one line a minute says enough. */
const TELL_EVERY_MS = 60_000

/** Observes until disposed of. */
export function watchLoopLag({ eventLoopLag }: Metrics, log: Log, everyMs: number = EVERY_MS): Disposable {
  let due: number | null = null
  let tellFrom = Number.NEGATIVE_INFINITY
  return every(everyMs, () => {
    const now = performance.now()
    const lagMs = due === null ? null : Math.max(0, now - due)
    due = now + everyMs
    // The first beat of a pulse that others share may come at any moment.
    if (lagMs === null) return
    eventLoopLag.observe(lagMs / 1000)
    if (lagMs < TELL_MS || now < tellFrom) return
    tellFrom = now + TELL_EVERY_MS
    log.event('warn', 'warning', 'this process stood still: the machine is too busy, or something blocks it', {
      duration_ms: Math.round(lagMs),
    })
  })
}
