/**
 * Log lines that were dropped because nobody took them: a metric, and a line when it is over (threat I-10).
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { every } from '../pulse.ts'

const EVERY_MS = 1000

/** Looks until disposed of. */
export function watchLogLoss(log: Log, { logLost }: Metrics): Disposable {
  let counted = 0
  let told = 0
  return every(EVERY_MS, () => {
    const { lost, waitingMs } = log
    if (lost > counted) logLost.inc(lost - counted)
    counted = lost
    if (lost === told || waitingMs > 0) return
    log.event('error', 'warning', `${lost - told} log lines were lost, because nobody took them`)
    told = lost
  })
}
