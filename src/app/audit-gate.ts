/**
 * `audit: required` at an edge: who logs in is in this process's log, so nobody is let in while nobody takes it (threat I-10).
 */

import type { Gate } from '../contract/admission.ts'
import { LoginFailure } from '../contract/failure.ts'
import type { Log } from '../log.ts'
import { LOG_STANDS_MS } from '../log.ts'

/** The gate, closed while the log stands still and `isRequired`. */
export function demandLog(gate: Gate, isRequired: () => boolean, log: Log): Gate {
  return {
    async admit(attempt) {
      if (isRequired() && log.waitingMs > LOG_STANDS_MS) {
        throw new LoginFailure('busy', 'audit is required, and nobody takes the log')
      }
      return await gate.admit(attempt)
    },
    settle: (grantId, outcome) => gate.settle(grantId, outcome),
    ended: (grantId, end) => gate.ended(grantId, end),
  }
}
