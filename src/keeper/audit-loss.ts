/**
 * Counts entries of the audit trail that could not be written (threat I-10), and says so.
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { StoreError } from '../records/store/store.ts'

export interface AuditLoss {
  lost(event: string, error: StoreError): void
}

export function createAuditLoss({ log, metrics }: { readonly log: Log; readonly metrics: Metrics }): AuditLoss {
  return {
    lost(event, error) {
      metrics.auditLost.inc()
      log.event('error', 'warning', 'an entry of the audit trail could not be written and is lost', {
        reason: event,
        error_code: error.code,
        detail: error.message,
      })
    },
  }
}
