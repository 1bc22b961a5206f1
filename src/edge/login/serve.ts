/**
 * The loop: dialogue → gate → upstream → splice. One call is one client connection, whatever its protocol.
 *
 * Each attempt gets one answer and each grant is settled once (invariant 4). A session is in the registry from its grant
 * until both sockets are closed, and ending it aborts whatever is going on by then (invariant 7). Once the splice runs,
 * nothing here holds the dialogue, the attempt, the grant or a leg: a session may last for days.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { EndReason, Gate, Grant, LoginAttempt, Outcome, Peer } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { Dialer } from '../net/dial.ts'
import { DialError } from '../net/dial.ts'
import type { SpliceEnd } from '../net/splice.ts'
import { splice } from '../net/splice.ts'
import type { Leg, Wire } from '../net/wire.ts'
import { WireError } from '../net/wire.ts'
import { either } from './either.ts'
import type { EndedBy, LoginDialogue, Protocol, Session, UpstreamSession } from './protocol.ts'
import type { ConnectionRecord, SessionRecord } from './record.ts'
import { recordConnection } from './record.ts'
import type { SessionRegistry } from './sessions.ts'

export interface ServeDeps {
  readonly gate: Gate
  readonly sessions: SessionRegistry
  readonly dialer: Dialer
  /** A session without a byte either way for this long is closed. */
  readonly idleMs: number
  /** The listener's name, for the log. */
  readonly listener: string
  readonly log: Log
  readonly metrics: Metrics
}

/** What came of one attempt. Only 'accepted' owns anything: a session, and an upstream that waits. */
type Result =
  | {
      readonly at: 'accepted'
      readonly grant: Grant
      readonly session: Session
      /** Released already: whoever has the result destroys it or joins it. */
      readonly upstream: Leg
      readonly ready: UpstreamSession
    }
  | { readonly at: 'refused'; readonly grant: Grant | null; readonly why: LoginFailure }
  | { readonly at: 'client-gone'; readonly grant: Grant }

/** A client that is in: two legs to be joined. */
interface Entered {
  readonly client: Leg
  readonly upstream: Leg
  readonly session: Session
  readonly record: SessionRecord
}

/**
 * Serves one client until its connection is over. Never rejects: whatever goes wrong ends this connection only.
 *
 * Takes over `client`: it is closed when the promise resolves.
 */
export async function serveClient(protocol: Protocol, client: Wire, peer: Peer, deps: ServeDeps): Promise<void> {
  const record = recordConnection(protocol.name, peer, deps)
  try {
    // No variable here may hold what `enter` returns: this frame lives as long as the session.
    await enter(protocol, client, peer, deps, record).then((entered) => (entered ? join(entered, deps) : undefined))
    record.closed(null)
  } catch (error) {
    // What an upstream does wrong is a LoginFailure by now, so a WireError is about the client.
    if (error instanceof WireError) record.closed(error)
    else {
      client[Symbol.dispose]()
      record.bug(error)
    }
  } finally {
    // In good order, so that last words arrive. Nothing happens here when the splice has had the socket.
    await client.end()
  }
}

/** From the greeting to an accepted login; null when the client leaves or is sent away before. */
async function enter(
  protocol: Protocol,
  client: Wire,
  peer: Peer,
  deps: ServeDeps,
  record: ConnectionRecord,
): Promise<Entered | null> {
  const dialogue = await protocol.greet(client, peer)
  for (;;) {
    // Each attempt in a frame of its own, so that its secret is not held while the next one is waited for (invariant 13).
    const result = await tryOnce(protocol, client, dialogue, deps, record)
    if (result !== 'refused') return result
  }
}

/** One attempt, from the client's command to its answer; null when the client leaves or is sent away. */
async function tryOnce(
  protocol: Protocol,
  client: Wire,
  dialogue: LoginDialogue,
  deps: ServeDeps,
  record: ConnectionRecord,
): Promise<Entered | 'refused' | null> {
  const attempt = await dialogue.next()
  if (attempt === null) return null
  const login = record.login(attempt)
  const result = await logIn(protocol, client, attempt, deps)
  if (result.at === 'client-gone') {
    record.abandoned(result.grant)
    return null
  }
  if (result.at === 'refused') {
    login.refused(result.why, result.grant)
    // Whoever hangs up, or only stops talking, during the delay must not get the answer early.
    if (!(await pause(result.why.delayMs, client.closed))) return null
    await dialogue.reject(result.why)
    login.answered()
    return 'refused'
  }
  const session = login.accepted(result.grant)
  const entered = await tellAccepted(dialogue, result, session, deps)
  login.answered()
  return entered
}

/**
 * Asks the gate, then the upstream. The grant is settled when this resolves; unless that was with 'accepted', its session
 * is out of the registry and its upstream closed.
 *
 * @throws whatever is a bug
 */
async function logIn(protocol: Protocol, client: Wire, attempt: LoginAttempt, deps: ServeDeps): Promise<Result> {
  const { gate, sessions, dialer, metrics } = deps
  let grant: Grant
  try {
    grant = await gate.admit(attempt)
  } catch (error) {
    const why = asLoginFailure(error)
    if (why === null) throw error
    return { at: 'refused', grant: null, why }
  }
  const session = sessions.open(grant, protocol.name, attempt.peer)
  metrics.sessions.inc({ protocol: protocol.name })
  using first = either(session.ended, client.closed)
  const giveUp = first.signal
  let wire: Wire | null = null
  let outcome: Outcome = 'failed'
  try {
    giveUp.throwIfAborted()
    stillInTime(client)
    const startedAt = performance.now()
    wire = await dialer.dial(grant.upstream, attempt.peer, giveUp)
    const ready = await unless(giveUp, wire, protocol.login(wire, grant.upstream, attempt.peer, grant.id))
    stillInTime(client)
    // Here and not when the client has been told: an upstream that is gone already is still an ordinary failure.
    const upstream = ready.release()
    metrics.upstreamLoginDuration.observe({ upstream: grant.upstream.name }, (performance.now() - startedAt) / 1000)
    outcome = 'accepted'
    return { at: 'accepted', grant, session, upstream, ready }
  } catch (error) {
    const why = asLoginFailure(error, grant, session.ageMs)
    // Whatever an aborted dial or a closed wire threw, this is why.
    if (client.closed.aborted && (why || error === giveUp.reason)) {
      outcome = 'client-gone'
      return { at: 'client-gone', grant }
    }
    if (session.ended.aborted && (why || error === giveUp.reason)) {
      return {
        at: 'refused',
        grant,
        why: new LoginFailure('busy', `the session was ${session.ended.reason} meanwhile`),
      }
    }
    if (why === null) throw error
    if (error instanceof LoginFailure && error.reason === 'upstream-refused') outcome = 'upstream-refused'
    return { at: 'refused', grant, why }
  } finally {
    gate.settle(grant.id, outcome)
    session.settled = true
    if (outcome !== 'accepted') {
      wire?.[Symbol.dispose]()
      leave(session, deps)
    }
  }
}

/** A client whose time for logging in is up gets no session any more, but an answer (invariant 4). @throws LoginFailure */
function stillInTime({ failure }: Wire): void {
  if (failure) throw new LoginFailure('busy', `the client's connection: ${failure.message}`, { cause: failure })
}

/** Waits for `work` on a wire, which is closed when `giveUp` aborts. @throws the reason of `giveUp` if it has */
async function unless<T>(giveUp: AbortSignal, wire: Wire, work: Promise<T>): Promise<T> {
  const close = (): void => wire[Symbol.dispose]()
  giveUp.addEventListener('abort', close)
  try {
    if (giveUp.aborted) close()
    const value = await work
    giveUp.throwIfAborted()
    return value
  } finally {
    giveUp.removeEventListener('abort', close)
  }
}

/** Tells the client that it is in and takes both legs. From here on any error ends the connection. */
async function tellAccepted(
  dialogue: LoginDialogue,
  { session, upstream, ready }: Extract<Result, { at: 'accepted' }>,
  record: SessionRecord,
  deps: ServeDeps,
): Promise<Entered> {
  try {
    return { client: await dialogue.accept(ready), upstream, session, record }
  } catch (error) {
    upstream.socket.destroy()
    finish(session, record, { reason: 'client-closed', netInBytes: 0, netOutBytes: 0 }, deps)
    throw error
  }
}

/** Why a splice ended, in the words of the contract. */
function endReason({ reason }: SpliceEnd, session: Session): EndReason {
  return reason === 'ended' ? (session.ended.reason as EndedBy) : reason
}

/** Joins the legs until the session is over. Not async, so that no frame holds the legs and what is pending in them. */
function join({ client, upstream, session, record }: Entered, deps: ServeDeps): Promise<void> {
  return splice(client, upstream, deps.idleMs, session.ended).then((end) => {
    const { netInBytes, netOutBytes } = end
    finish(session, record, { reason: endReason(end, session), netInBytes, netOutBytes }, deps)
  })
}

/** Everything that the end of an accepted session means, once. */
function finish(
  session: Session,
  record: SessionRecord,
  end: { readonly reason: EndReason; readonly netInBytes: number; readonly netOutBytes: number },
  deps: ServeDeps,
): void {
  const whole = { ...end, durationMs: session.ageMs }
  leave(session, deps)
  record.ended(whole)
  deps.gate.ended(session.grant.id, whole)
}

function leave(session: Session, { metrics }: ServeDeps): void {
  session[Symbol.dispose]()
  metrics.sessions.dec({ protocol: session.protocol })
}

/** Serves the delay of a refusal. Whether the client has waited for it; one that is gone holds nothing. */
async function pause(delayMs: number, gone: AbortSignal): Promise<boolean> {
  if (delayMs <= 0) return true
  return sleep(delayMs, true, { signal: gone }).catch(() => false)
}

/**
 * What an error means for a login: the one place that says so. null: nobody foresaw it, and it is a bug.
 *
 * @param grant the one it was about. Where the upstream judges the client's own secret, its refusal is a wrong password, which
 *   is told when its time has come; any other refusal is temporary either way
 * @param sinceMs from that grant until now
 */
export function asLoginFailure(
  error: unknown,
  grant: Pick<Grant, 'verifiedBy' | 'refusedAfterMs'> | null = null,
  sinceMs = 0,
): LoginFailure | null {
  if (error instanceof LoginFailure) {
    if (grant?.verifiedBy !== 'upstream' || error.reason !== 'upstream-refused') return error
    const delayMs = Math.max(0, Math.round((grant.refusedAfterMs ?? 0) - sinceMs))
    return new LoginFailure('bad-credentials', error.message, { delayMs, cause: error })
  }
  if (error instanceof DialError) return new LoginFailure('upstream-unreachable', error.message, { cause: error })
  if (error instanceof WireError) {
    const reason = GONE_OR_SLOW.has(error.code) ? 'upstream-unreachable' : 'upstream-protocol'
    return new LoginFailure(reason, error.message, { cause: error })
  }
  return null
}
const GONE_OR_SLOW: ReadonlySet<WireError['code']> = new Set([
  'ERR_WIRE_DEADLINE',
  'ERR_WIRE_GOING_DOWN',
  'ERR_WIRE_RESET',
])
