/**
 * What is written down of a connection: log lines and metrics, apart from the loop that they are about.
 *
 * One line for each decided login, one for each session's end; the rest is for debugging. The user's name is the one the
 * keeper returned and nothing that a client typed. What an upstream said goes into `detail`, which the log escapes.
 */

import type { Grant, LoginAttempt, Peer, ProtocolName, SessionEnd } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import { isOurFault } from '../../contract/failure.ts'
import type { Log, LogFields } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'

export interface RecordTo {
  readonly listener: string
  readonly log: Log
  readonly metrics: Metrics
}

export interface ConnectionRecord {
  login(attempt: LoginAttempt): LoginRecord
  /** The client left before its granted login had an answer. */
  abandoned(grant: Grant): void
  /** `error` is what broke the connection, null when it ended in good order. */
  closed(error: (Error & { readonly code: string }) | null): void
  /** A fault in this program ended the connection. */
  bug(error: unknown): void
}

/** One attempt. `refused` or `accepted` is said once, then `answered`. */
export interface LoginRecord {
  /** `grant` is null when the gate refused. */
  refused(why: LoginFailure, grant: Grant | null): void
  accepted(grant: Grant): SessionRecord
  answered(): void
}

export interface SessionRecord {
  ended(end: SessionEnd): void
}

/** Notes that a connection is open, and answers where the rest is noted. */
export function recordConnection(protocol: ProtocolName, peer: Peer, to: RecordTo): ConnectionRecord {
  const { log, metrics, listener } = to
  const fields = connectionFields(protocol, peer, listener)
  const openedAt = performance.now()
  let more: LogFields = {}
  log.event('debug', 'connection_opened', 'connection opened', fields)
  return {
    login: (attempt) => recordLogin(attempt, to),
    abandoned(grant) {
      more = { ...grantFields(grant), result: 'client-gone' }
    },
    closed(error) {
      log.event('debug', 'connection_closed', 'connection closed', {
        ...fields,
        ...more,
        duration_ms: Math.round(performance.now() - openedAt),
        error_code: error?.code,
        detail: error?.message,
      })
    },
    bug(error) {
      metrics.bugs.inc()
      log.bug(error, 'a fault ended a client connection', fields)
    },
  }
}

function recordLogin(attempt: LoginAttempt, { log, metrics, listener }: RecordTo): LoginRecord {
  const { protocol, mechanism, agent, peer } = attempt
  const startedAt = performance.now()
  const fields: LogFields = { ...connectionFields(protocol, peer, listener), mechanism, agent }
  const elapsedMs = (): number => Math.round(performance.now() - startedAt)
  return {
    refused(why, grant) {
      const { reason } = why
      const isFault = isOurFault(reason)
      const result = isFault ? 'failed' : reason === 'throttled' ? 'throttled' : 'refused'
      metrics.logins.inc({ protocol, result, reason })
      const more: LogFields = { reason, detail: why.message, error_code: causeCode(why), duration_ms: elapsedMs() }
      // 'busy' behind a grant is ours alone: the session was ended, or the client's time was up, while it was dialling.
      if (grant && isFault && reason !== 'busy') {
        metrics.upstreamFailures.inc({ upstream: grant.upstream.name, reason })
        log.event('warn', 'upstream_failed', 'an upstream did not take a granted login', {
          ...fields,
          ...grantFields(grant),
          ...more,
        })
      }
      log.event(
        isFault ? 'warn' : 'info',
        reason === 'throttled' ? 'login_throttled' : 'login_refused',
        isFault ? 'login failed' : 'login refused',
        { ...fields, user: why.logName, ...(grant ? grantFields(grant) : {}), result, ...more },
      )
    },
    accepted(grant) {
      metrics.logins.inc({ protocol, result: 'accepted', reason: '' })
      const about = { ...fields, ...grantFields(grant) }
      log.event('info', 'login_accepted', 'login accepted', { ...about, result: 'accepted', duration_ms: elapsedMs() })
      return recordSession(protocol, about, log, metrics)
    },
    answered() {
      metrics.loginDuration.observe({ protocol }, (performance.now() - startedAt) / 1000)
    },
  }
}

/** A function of its own, so that the record of a session holds no attempt and no grant. */
function recordSession(protocol: ProtocolName, fields: LogFields, log: Log, metrics: Metrics): SessionRecord {
  return {
    ended: (end) => recordEnd(protocol, 'session ended', fields, end, log, metrics),
  }
}

/** What is measured and logged of a session's end. A request of ActiveSync is a session, too. */
export function recordEnd(
  protocol: ProtocolName,
  what: string,
  fields: LogFields,
  { reason, netInBytes, netOutBytes, durationMs }: SessionEnd,
  log: Log,
  metrics: Metrics,
): void {
  metrics.sessionDuration.observe({ protocol }, durationMs / 1000)
  metrics.bytes.inc({ protocol, direction: 'in' }, netInBytes)
  metrics.bytes.inc({ protocol, direction: 'out' }, netOutBytes)
  log.event('info', 'session_ended', what, {
    ...fields,
    reason,
    duration_ms: Math.round(durationMs),
    net_in_bytes: netInBytes,
    net_out_bytes: netOutBytes,
  })
}

/** Of a client's connection, as every line of its login says it. */
export function connectionFields(protocol: ProtocolName, peer: Peer, listener: string): LogFields {
  return {
    protocol,
    listener,
    remote_ip: peer.ip,
    remote_port: peer.port,
    local_port: peer.localPort,
    tls_version: peer.tls?.version,
  }
}

/** What a grant adds to the line of a login. */
export function grantFields(grant: Grant): LogFields {
  return {
    session: grant.id,
    user: grant.logName,
    app_password: grant.appPassword?.id,
    app_password_name: grant.appPassword?.name,
    upstream: grant.upstream.name,
  }
}

function causeCode(why: LoginFailure): string | undefined {
  return why.cause instanceof Error && 'code' in why.cause ? String(why.cause.code) : undefined
}
