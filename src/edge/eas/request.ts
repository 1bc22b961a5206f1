/**
 * One granted ActiveSync request, from its grant to its end: asked of the upstream, answered, settled once and ended once.
 *
 * A request is a session. It is in the registry from the grant until its answer is complete, so a poll that waits for 59 minutes
 * can be ended in that time: it is then answered as if nothing had happened, and the phone's next request learns the reason.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { EndReason, Grant, Outcome } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Secret } from '../../secret.ts'
import { answerPlainly, discardBody } from '../http/answers.ts'
import { headerValues, requestHeaders } from '../http/headers.ts'
import type { Exchange } from '../http/server.ts'
import { either } from '../login/either.ts'
import type { Session } from '../login/protocol.ts'
import { asLoginFailure } from '../login/serve.ts'
import { judge } from './answer.ts'
import { authorization } from './credentials.ts'
import type { EasDeps } from './handler.ts'
import { ProxyError, proxy } from './proxy.ts'
import type { EasQuery } from './query.ts'
import type { EasRecord } from './record.ts'
import {
  ANSWER_HEADERS,
  CHALLENGE,
  PING_OVER,
  RETRY_AFTER_SECONDS,
  RETRY_SOON_SECONDS,
  STATUS_OF,
  WBXML_TYPE,
} from './replies.ts'
import type { ConnectionWish } from './upstream-connection.ts'

export const ACTIVE_SYNC_PATH = '/Microsoft-Server-ActiveSync'

/** What never goes upstream: the client's credentials, and what is made anew. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'authorization',
  'host',
  'expect',
  'cookie',
  // Some frameworks believe these more than the request line: an OPTIONS, which names no device, would be a command.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
])
/** An upstream that has not refused us by then works on the request. */
const TAKEN_AFTER_MS = 5000
/** A phone whose poll comes back at once polls again at once, and its battery is empty by noon. */
const POLL_AT_LEAST_MS = 3000
/** What a front end of the upstream says when it has lost patience with it, or the upstream has vanished behind it. */
const CUT_BY_FRONT_END: ReadonlySet<number> = new Set([502, 504])
/** As long as a phone stays away that is told to: an upstream that is down hears of none more often than that. */
const POLL_WAITED_MS = Number(RETRY_AFTER_SECONDS) * 1000
const JUDGE_MS = 30_000

/** Serves one granted request. @throws whatever is a bug; the grant is settled and ended then as well */
export async function serveGranted(
  exchange: Exchange,
  grant: Grant,
  query: EasQuery | null,
  record: EasRecord,
  deps: EasDeps,
): Promise<void> {
  const { gate, sessions, metrics } = deps
  const { response } = exchange
  const session = sessions.open(grant, 'eas', exchange.peer)
  metrics.sessions.inc({ protocol: 'eas' })
  let settledAs: Outcome | null = null
  const settle = (outcome: Outcome): void => {
    if (settledAs !== null) return
    settledAs = outcome
    session.settled = true
    // Over for the keeper, which must not hear of it again while the client is kept waiting for its answer.
    if (outcome !== 'accepted') session[Symbol.dispose]()
    gate.settle(grant.id, outcome)
    if (outcome === 'accepted' && grant.deviceRefused === undefined) record.accepted()
  }
  const bytes = { in: 0, out: 0 }
  let end: EndReason = 'error'
  try {
    end = await carry({ exchange, grant, query, record, deps, session, settle, bytes })
  } finally {
    settle('failed')
    session[Symbol.dispose]()
    metrics.sessions.dec({ protocol: 'eas' })
    const whole = { reason: end, netInBytes: bytes.in, netOutBytes: bytes.out, durationMs: session.ageMs }
    if ((settledAs as Outcome | null) === 'accepted') gate.ended(grant.id, whole)
    record.over(whole, response.headersSent ? response.statusCode : 0)
  }
}

interface Carried {
  readonly exchange: Exchange
  readonly grant: Grant
  readonly query: EasQuery | null
  readonly record: EasRecord
  readonly deps: EasDeps
  readonly session: Session
  settle(outcome: Outcome): void
  readonly bytes: { in: number; out: number }
}

/** Asks the upstream and answers the client; says how it ended. */
async function carry(carried: Carried): Promise<EndReason> {
  const { exchange, grant, query, record, deps, session, settle, bytes } = carried
  const { request, response, gone, peer } = exchange
  using first = either(session.ended, gone)
  const giveUp = first.signal
  // The charge for a login whose secret was right is not to be held for an hour of waiting.
  const taken =
    grant.verifiedBy === 'us' ? setTimeout(() => settle('accepted'), deps.takenAfterMs ?? TAKEN_AFTER_MS) : null
  try {
    const credentials = authorization(grant.upstream.identity)
    const headers = upstreamHeaders(exchange, grant, credentials)
    const wish = {
      clientSocket: request.socket,
      client: peer,
      userId: grant.userId,
      target: grant.upstream,
      authorization: credentials,
    }
    if (grant.verifiedBy === 'upstream') await judgePrimary(carried, wish, giveUp)
    if (grant.deviceRefused !== undefined) return refuseDevice(carried, grant.deviceRefused)
    exchange.wantBody()
    let refused: 'refused' | 'fault' | null = null
    let detail = ''
    const answer = await proxy(
      {
        method: request.method ?? '',
        path: `${grant.upstream.http?.path ?? ''}${ACTIVE_SYNC_PATH}${query === null ? '' : `?${query.withUser(userAt(grant))}`}`,
        headers,
        body: hasBody(request.rawHeaders) ? request : null,
      },
      {
        connections: deps.connections,
        wish,
        giveUp,
        ...(deps.headMs !== undefined && { headMs: deps.headMs }),
        ...(deps.bodyMs !== undefined && { bodyMs: deps.bodyMs }),
        onHead(status, rawHeaders) {
          const judged = judge(status, rawHeaders, ownUrl(exchange))
          if (!judged.pass) {
            refused = judged.why
            detail = judged.detail
            return null
          }
          settle('accepted')
          if (judged.remark !== null) record.upstreamFailed('upstream-protocol', judged.remark)
          response.writeHead(status, judged.headers)
          return response
        },
      },
    )
    bytes.in = answer.inBytes
    bytes.out = answer.outBytes
    if (refused !== null) {
      settle(refused === 'refused' ? 'upstream-refused' : 'failed')
      const isCutPoll =
        query?.command === 'Ping' &&
        CUT_BY_FRONT_END.has(answer.status) &&
        session.ageMs >= (deps.pollWaitedMs ?? POLL_WAITED_MS)
      const advice = isCutPoll ? ': let what stands before it wait for an hour (nginx: proxy_read_timeout 3600s)' : ''
      record.upstreamFailed(refused === 'refused' ? 'upstream-refused' : 'upstream-protocol', `${detail}${advice}`)
      if (isCutPoll) pingOver(exchange)
      else unavailable(exchange, RETRY_AFTER_SECONDS)
      return 'error'
    }
    discardBody(request)
    await finished(exchange, giveUp)
    if (session.ended.aborted) return session.ended.reason as EndReason
    return gone.aborted ? 'client-closed' : 'upstream-closed'
  } catch (error) {
    return await failed(carried, error, giveUp)
  } finally {
    if (taken !== null) clearTimeout(taken)
  }
}

/** What the client gets when there is no answer, or only half of one; and how that counts. */
async function failed(carried: Carried, error: unknown, giveUp: AbortSignal): Promise<EndReason> {
  const { exchange, grant, query, record, session, settle, deps } = carried
  const { response, gone } = exchange
  if (gone.aborted) {
    settle('client-gone')
    return 'client-closed'
  }
  const why = asLoginFailure(error, grant, session.ageMs)
  const isCut = error instanceof ProxyError
  const isEnded = session.ended.aborted
  if (!isEnded && !isCut && why === null) throw error
  if (!isEnded) {
    const reason = why?.reason ?? 'upstream-protocol'
    if (error instanceof LoginFailure && error.reason === 'upstream-refused') settle('upstream-refused')
    else settle('failed')
    if (reason === 'bad-credentials') {
      const { delayMs } = why as LoginFailure
      record.refused(why as LoginFailure, 401)
      if (delayMs > 0) await sleep(delayMs, undefined, { signal: gone }).catch(() => {})
      if (!gone.aborted) challenge(exchange)
      return gone.aborted ? 'client-closed' : 'error'
    }
    record.upstreamFailed(reason, (error as Error).message, codeOf(error))
  } else settle('failed')
  const end = isEnded ? (session.ended.reason as EndReason) : 'error'
  if (response.headersSent) {
    // Half an answer must not look like a whole one.
    response.destroy()
    return end
  }
  if (query?.command === 'Ping' && (isEnded || (isCut && !error.afterHead))) {
    const leftMs = isEnded ? 0 : (deps.pollAtLeastMs ?? POLL_AT_LEAST_MS) - session.ageMs
    if (leftMs > 0) await sleep(leftMs, undefined, { signal: gone }).catch(() => {})
    if (!gone.aborted) pingOver(exchange)
  } else unavailable(exchange, giveUp.aborted || (isCut && error.onReused) ? RETRY_SOON_SECONDS : RETRY_AFTER_SECONDS)
  return end
}

/**
 * A primary password goes to the upstream, which alone can say whether it is right. It is asked by a question that is answered at
 * once, so that no poll of an hour stands between a guess and its verdict.
 *
 * @throws LoginFailure 'upstream-refused', which means a wrong password here
 */
async function judgePrimary({ grant, deps, settle }: Carried, wish: ConnectionWish, giveUp: AbortSignal) {
  let verdict: number | null = null
  await proxy(
    {
      method: 'OPTIONS',
      path: `${grant.upstream.http?.path ?? ''}${ACTIVE_SYNC_PATH}`,
      headers: ['Host', grant.upstream.http?.host ?? '', 'Authorization', wish.authorization.reveal()],
      body: null,
    },
    {
      connections: deps.connections,
      wish,
      giveUp,
      headMs: JUDGE_MS,
      onHead(status) {
        verdict = status
        return null
      },
    },
  )
  if (verdict === 401 || verdict === 403) {
    throw new LoginFailure('upstream-refused', `${grant.upstream.name} refused the primary password (${verdict})`)
  }
  if (verdict === null || verdict >= 400) {
    throw new LoginFailure('upstream-protocol', `${grant.upstream.name} did not judge a primary password (${verdict})`)
  }
  settle('accepted')
}

/** The secret is right, and the device is not welcome. */
function refuseDevice({ exchange: { request, response }, record, grant }: Carried, why: string): EndReason {
  const failure = new LoginFailure('device-refused', why, { logName: grant.logName })
  record.refused(failure, STATUS_OF[failure.reason])
  answerPlainly(request, response, STATUS_OF[failure.reason], ANSWER_HEADERS)
  return 'revoked'
}

/** The request's own headers, end to end, under our credentials. */
function upstreamHeaders({ request, peer }: Exchange, { upstream }: Grant, credentials: Secret): string[] {
  return [
    'Host',
    upstream.http?.host ?? '',
    'Authorization',
    credentials.reveal(),
    ...requestHeaders(request.rawHeaders, NOT_SENT),
    ...(upstream.trusted ? ['X-Forwarded-For', peer.ip, 'X-Forwarded-Proto', 'https'] : []),
  ]
}

/** The user as the upstream knows it: the account's own name, whatever name we log in with. */
function userAt({ upstream: { identity }, logName }: Grant): string {
  return identity.kind === 'oauth' ? identity.authcid : logName
}

function hasBody(rawHeaders: readonly string[]): boolean {
  const [length = '0'] = headerValues(rawHeaders, 'content-length')
  return length !== '0' || headerValues(rawHeaders, 'transfer-encoding').length > 0
}

/** Where this phone has found us. */
function ownUrl({ request }: Exchange): string {
  return `https://${request.headers.host ?? ''}${ACTIVE_SYNC_PATH}`
}

/** Resolves when the answer has left, or nobody is there to take it. Who is to go does not stay by not reading the rest. */
function finished({ response }: Exchange, giveUp: AbortSignal): Promise<void> {
  if (response.closed || response.writableFinished) return Promise.resolve()
  return new Promise((resolve) => {
    const cut = () => void response.destroy()
    const over = () => {
      giveUp.removeEventListener('abort', cut)
      resolve()
    }
    response.once('finish', over)
    response.once('close', over)
    if (giveUp.aborted) cut()
    else giveUp.addEventListener('abort', cut)
  })
}

export function unavailable({ request, response }: Exchange, retryAfter: string): void {
  answerPlainly(request, response, STATUS_OF.busy, { ...ANSWER_HEADERS, 'retry-after': retryAfter })
}

export function challenge({ request, response }: Exchange): void {
  answerPlainly(request, response, 401, { ...ANSWER_HEADERS, 'www-authenticate': CHALLENGE })
}

function pingOver({ request, response }: Exchange): void {
  response.writeHead(200, { ...ANSWER_HEADERS, 'content-type': WBXML_TYPE, 'content-length': PING_OVER.length })
  response.end(PING_OVER)
  discardBody(request)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
