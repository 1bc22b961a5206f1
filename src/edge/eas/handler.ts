/**
 * ActiveSync: who asks, and may they? Then the request goes to the upstream (`request.ts`).
 *
 * Credentials are looked at before anything else is: a phone with a wrong password must hear that, whatever else is wrong. They
 * come with every request, and each is a question to the gate, which answers from its cache.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { DeviceClaim, Gate, Grant, LoginAttempt } from '../../contract/admission.ts'
import { DEVICE_ID } from '../../contract/admission.ts'
import type { NameRules } from '../../contract/names.ts'
import type { Log } from '../../log.ts'
import { printable } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { answerPlainly } from '../http/answers.ts'
import { headerPairs, headerValues } from '../http/headers.ts'
import type { Refusal } from '../http/request.ts'
import type { Exchange } from '../http/server.ts'
import { asLoginFailure } from '../login/serve.ts'
import type { SessionRegistry } from '../login/sessions.ts'
import { presented } from './credentials.ts'
import type { EasQuery, ParsedQuery } from './query.ts'
import { parseEasQuery } from './query.ts'
import type { EasRecord } from './record.ts'
import { recordRequest } from './record.ts'
import { ANSWER_HEADERS, RETRY_AFTER_SECONDS, STATUS_OF } from './replies.ts'
import { challenge, serveGranted, unavailable } from './request.ts'
import type { UpstreamConnections } from './upstream-connection.ts'

export interface EasDeps {
  readonly gate: Gate
  readonly sessions: SessionRegistry
  readonly connections: UpstreamConnections
  /** Asked for at each request, so that a reload takes effect. */
  readonly nameRules: () => NameRules
  /** The listener's name, for the log. */
  readonly listener: string
  readonly log: Log
  readonly metrics: Metrics
  /** How long the upstream may keep silent. Default 65 min. */
  readonly headMs?: number
  /** How long a body may stand still between the two of us. Default 5 min. */
  readonly bodyMs?: number
  /** A poll that is cut earlier is answered then. Default 3 s. */
  readonly pollAtLeastMs?: number
  /** A poll that a front end of the upstream ends after this is over, not failed. Default 30 s. */
  readonly pollWaitedMs?: number
  /** When an upstream that says nothing counts as having taken the request. Default 5 s. */
  readonly takenAfterMs?: number
}

const MAX_AGENT = 128
/** Sent by browsers, and by no phone: nothing on this path is for a page (design: no mail content in the portal's origin). */
const FROM_BROWSER = /^(?:origin|cookie|sec-fetch-.*)$/

/** Answers one request on the path of ActiveSync. @throws whatever is a bug */
export async function serveEas(exchange: Exchange, deps: EasDeps): Promise<void> {
  const { request, response, peer } = exchange
  if ([...headerPairs(request.rawHeaders)].some(([lower]) => FROM_BROWSER.test(lower))) return refuse(exchange, 403)
  const shown = presented(request.rawHeaders, deps.nameRules())
  if (shown.kind === 'malformed') return refuse(exchange, 400)
  if (shown.kind === 'none') return challenge(exchange)

  const parsed = queryOf(exchange)
  const query = parsed?.ok ? parsed.query : null
  const device = query === null ? null : deviceOf(query, request.rawHeaders)
  const [agent] = headerValues(request.rawHeaders, 'user-agent')
  const attempt: LoginAttempt = {
    protocol: 'eas',
    mechanism: 'BASIC',
    credential: shown.credential,
    peer,
    agent: agent === undefined ? null : printable(agent, MAX_AGENT - 1),
    ...(device && { device }),
  }
  const record = recordRequest(attempt, query?.command ?? request.method ?? '', deps)
  const grant = await admitted(exchange, attempt, record, deps)
  if (grant === null) return
  exchange.established()

  const objection = objectionTo(request.method ?? '', parsed, device)
  if (objection !== null) {
    deps.gate.settle(grant.id, 'failed')
    record.unusable(objection.status, objection.why)
    return refuse(exchange, objection.status)
  }
  await serveGranted(exchange, grant, query, record, deps)
  if (!response.headersSent && !response.destroyed) unavailable(exchange, RETRY_AFTER_SECONDS)
}

/** Asks the gate; null: refused, and the client has been told, after the delay. */
async function admitted(
  exchange: Exchange,
  attempt: LoginAttempt,
  record: EasRecord,
  { gate }: EasDeps,
): Promise<Grant | null> {
  try {
    const grant = await gate.admit(attempt)
    record.granted(grant)
    return grant
  } catch (error) {
    const why = asLoginFailure(error)
    if (why === null) throw error
    const status = STATUS_OF[why.reason]
    record.refused(why, status)
    if (why.delayMs > 0) await sleep(why.delayMs, undefined, { signal: exchange.gone }).catch(() => {})
    if (exchange.gone.aborted) return null
    if (status === 401) challenge(exchange)
    else if (status === 403) refuse(exchange, 403)
    else if (status === 429) refuse(exchange, 429, { 'retry-after': RETRY_AFTER_SECONDS })
    else unavailable(exchange, RETRY_AFTER_SECONDS)
    return null
  }
}

/** null: there is no query, which is right for OPTIONS. */
function queryOf({ target: { query } }: Exchange): ParsedQuery | null {
  return query === null || query === '' ? null : parseEasQuery(query)
}

/** What is wrong with a request whose credentials are right; null: nothing. */
function objectionTo(method: string, parsed: ParsedQuery | null, device: DeviceClaim | null): Refusal | null {
  if (method !== 'POST' && method !== 'OPTIONS') return { status: 405, why: 'a method other than POST and OPTIONS' }
  if (parsed !== null && !parsed.ok) return { status: 400, why: `a query that is ${parsed.why}` }
  if (method === 'OPTIONS') return null
  // MS-ASHTTP §2.2.1.1.1: both are required, and a device that does not say its name could not be told from a blocked one.
  if (parsed === null) return { status: 400, why: 'no query' }
  return device === null ? { status: 400, why: 'no device' } : null
}

function deviceOf(
  { deviceId, deviceType, protocolVersion }: EasQuery,
  rawHeaders: readonly string[],
): DeviceClaim | null {
  if (deviceId === null || !DEVICE_ID.test(deviceId)) return null
  const [version] = headerValues(rawHeaders, 'ms-asprotocolversion')
  return {
    id: deviceId,
    type: deviceType === null ? null : printable(deviceType, 63),
    protocolVersion: protocolVersion ?? (version !== undefined && /^\d{1,3}\.\d$/.test(version) ? version : null),
  }
}

function refuse({ request, response }: Exchange, status: number, headers: Readonly<Record<string, string>> = {}): void {
  answerPlainly(request, response, status, {
    ...ANSWER_HEADERS,
    ...(status === 405 && { allow: 'OPTIONS, POST' }),
    ...headers,
  })
}
