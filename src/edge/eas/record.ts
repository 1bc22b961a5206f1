/**
 * What is written down of an ActiveSync request: one line and its metrics when it is over. Never a body, never a query.
 */

import type { Grant, LoginAttempt, SessionEnd } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import { isOurFault } from '../../contract/failure.ts'
import type { Log, LogFields } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { connectionFields, grantFields, recordEnd } from '../login/record.ts'

const protocol = 'eas'

export interface EasRecord {
  /** The gate, or we, refused it. */
  refused(why: LoginFailure, status: number): void
  granted(grant: Grant): void
  /** The credentials were right, and the request makes no sense: nobody was asked. */
  unusable(status: number, why: string): void
  /** The upstream has taken the request. */
  accepted(): void
  /** An operator should know: the upstream is at fault, or refuses what we are. */
  upstreamFailed(reason: string, detail: string, errorCode?: string): void
  over(end: SessionEnd, status: number): void
}

export function recordRequest(
  attempt: LoginAttempt,
  command: string,
  { log, metrics, listener }: { readonly log: Log; readonly metrics: Metrics; readonly listener: string },
): EasRecord {
  const { peer, agent, mechanism, device } = attempt
  const startedAt = performance.now()
  let fields: LogFields = {
    ...connectionFields(protocol, peer, listener),
    mechanism,
    agent,
    command,
    device: device?.id,
    device_type: device?.type,
  }
  const elapsedMs = (): number => Math.round(performance.now() - startedAt)
  return {
    refused(why, status) {
      const { reason } = why
      const isFault = isOurFault(reason)
      const result = isFault ? 'failed' : reason === 'throttled' ? 'throttled' : 'refused'
      metrics.logins.inc({ protocol, result, reason })
      metrics.loginDuration.observe({ protocol }, elapsedMs() / 1000)
      log.event(
        isFault ? 'warn' : 'info',
        reason === 'throttled' ? 'login_throttled' : 'login_refused',
        isFault ? 'login failed' : 'login refused',
        {
          ...fields,
          user: why.logName ?? fields.user,
          result,
          reason,
          status,
          detail: why.message,
          duration_ms: elapsedMs(),
        },
      )
    },
    granted(grant) {
      fields = { ...fields, ...grantFields(grant) }
    },
    unusable(status, why) {
      log.event('info', 'session_ended', 'request refused', {
        ...fields,
        status,
        detail: why,
        duration_ms: elapsedMs(),
      })
    },
    accepted() {
      metrics.logins.inc({ protocol, result: 'accepted', reason: '' })
      // A phone logs in with every request: what is worth a line is what became of it.
      log.event('debug', 'login_accepted', 'login accepted', {
        ...fields,
        result: 'accepted',
        duration_ms: elapsedMs(),
      })
    },
    upstreamFailed(reason, detail, errorCode) {
      metrics.upstreamFailures.inc({ upstream: String(fields.upstream), reason })
      log.event(
        reason === 'upstream-refused' ? 'error' : 'warn',
        'upstream_failed',
        reason === 'upstream-refused'
          ? 'the upstream refuses the credentials that are ours: phones are told to come back later'
          : 'an upstream did not answer as it should',
        { ...fields, reason, detail, error_code: errorCode, duration_ms: elapsedMs() },
      )
    },
    over(end, status) {
      recordEnd(protocol, 'request over', { ...fields, status }, end, log, metrics)
    },
  }
}
