/**
 * The edge's side of the channel to the keeper: a `Gate` that outlives its keeper.
 *
 * When the channel breaks, open sessions go on and logins in flight wait, for 2 s in all, and ask again. What the edge tells
 * meanwhile is kept: after reconnecting it first describes its sessions as they were at the break (`resume`), and then tells
 * what became of them, so the keeper hears one history in order, whether it is the same process or a new one.
 *
 * Loaded by every edge, so no check library: the edge trusts its keeper. The keeper's side is gate-server.ts.
 */

import type { IpcPeer } from '../ipc.ts'
import { connectIpc, IpcError, IpcFailure, MAX_FRAME_BYTES } from '../ipc.ts'
import type { Log } from '../log.ts'
import type { Secret } from '../secret.ts'
import type { Gate, Grant, LiveSession, LoginAttempt, SessionEnder } from './admission.ts'
import { LoginFailure } from './failure.ts'
import type { CaNotice, GrantWire } from './gate-wire.ts'
import { attemptToWire, failureFromWire, GATE_ROLE, grantFromWire } from './gate-wire.ts'
import type { Link } from './keeper-link.ts'
import { KEEPER_WAIT_MS, linkToKeeper } from './keeper-link.ts'

export interface GateConnectionOptions {
  /** The keeper's edge.sock. */
  readonly path: string
  readonly key: Secret
  /** Unique per edge process. */
  readonly edgeId: string
  readonly ender: SessionEnder
  /** The sessions between grant and end, as the registry has them now. */
  readonly liveSessions: () => readonly LiveSession[]
  readonly log: Log
  /** How long an admit waits for a keeper that is away, in all. Default 2 s. */
  readonly waitMs?: number
}

export interface GateConnection extends Gate {
  /** Resolves at the first connection, with its resume answered. */
  readonly ready: Promise<void>
  readonly isUp: boolean
  /** Ends the channel for good. Logins in flight fail. */
  close(): void
}

/** A keeper with a full load of sessions to take over may need a while to read its store. */
const RESUME_MS = 30_000
/** Of sessions in one frame, with room for what stands around them. */
const RESUME_PART_BYTES = MAX_FRAME_BYTES - 1024
/** Two notices per session at most: more than any edge has sessions. Over it the history is given up for a fresh listing. */
const MAX_HELD_NOTICES = 100_000
/** An attempt of more than 64 KiB is no password of ours; it is slowed down like a wrong one. */
const OVERSIZED_DELAY_MS = 2000

/** Sessions that are ended in one turn of the event loop: some 3 ms. The rest of the edge's goes on. */
const ENDS_A_TURN = 25

type Notice = readonly [method: 'settle' | 'ended', params: unknown]
/** One channel, with the PEM texts that it has given numbers to. */
interface GateLink extends Link {
  readonly certificates: Map<number, string>
}
/** The sessions of an edge at the break of its channel, and what it has told since. */
interface History {
  readonly sessions: readonly LiveSession[]
  readonly notices: Notice[]
}

/** Connects in the background and stays connected until `close`. */
export function connectGate(options: GateConnectionOptions): GateConnection {
  const { path, key, edgeId, ender, liveSessions, log, waitMs = KEEPER_WAIT_MS } = options
  /** Sessions that are to end, and have not been told so yet. */
  const ends: string[] = []
  /** null: taken afresh at the next resume. */
  let history: History | null = null
  const ready = Promise.withResolvers<void>()
  ready.promise.catch(() => {}) // nobody has to wait for it

  const keeper = linkToKeeper<GateLink>({
    open,
    up({ peer }) {
      for (const [method, params] of history?.notices ?? []) peer.notify(method, params)
      history = null
      ready.resolve()
    },
    down() {
      history = { sessions: liveSessions(), notices: [] }
    },
    meanwhile: 'sessions go on, logins wait',
    log,
  })

  async function open(closed: (why: IpcError) => void): Promise<GateLink> {
    const certificates = new Map<number, string>()
    const parts = new Map<number, string>()
    const peer = await connectIpc({
      path,
      role: GATE_ROLE,
      name: edgeId,
      key,
      handlers: {
        async request(method) {
          throw new IpcFailure('invalid', `an edge answers no ${method}`)
        },
        notice(method, params) {
          if (method === 'end') endSession(params as string)
          else if (method === 'ca') takeCertificates(params as CaNotice, certificates, parts)
          // A grant that names it may have come in the same read: its promise is resolved before the next turn.
          else if (method === 'ca-gone') setImmediate(() => certificates.delete(params as number))
          else throw new IpcError('ERR_IPC_PROTOCOL', `the keeper sent a notice ${method}`)
        },
        closed,
        bug: (error) => log.bug(error, 'a message of the keeper could not be handled'),
      },
    })
    try {
      await resume(peer)
    } catch (error) {
      peer.close()
      throw error
    }
    return { peer, certificates }
  }

  /** The grant that this end is for may have come in the same read: its promise is resolved before the next turn. */
  function endSession(grantId: string): void {
    if (ends.push(grantId) === 1) setImmediate(endSome)
  }

  function endSome(): void {
    for (const grantId of ends.splice(0, ENDS_A_TURN)) ender.end(grantId)
    if (ends.length > 0) setImmediate(endSome)
  }

  /** Describes the sessions; what became of them meanwhile is told when the channel is up. */
  async function resume(peer: IpcPeer): Promise<void> {
    const sessions = history?.sessions ?? liveSessions()
    history ??= { sessions, notices: [] }
    const parts = resumeParts(sessions)
    for (const [at, part] of parts.entries()) {
      await peer.request('resume', { sessions: part, last: at === parts.length - 1 }, RESUME_MS)
    }
    if (history === null)
      throw new IpcError('ERR_IPC_BUSY', 'too much was told meanwhile: the sessions are listed afresh')
  }

  async function admit(attempt: LoginAttempt): Promise<Grant> {
    let leftMs = waitMs
    for (;;) {
      const since = performance.now()
      const link = keeper.current ?? (await keeper.whenUp(leftMs))
      leftMs = Math.max(0, leftMs - (performance.now() - since))
      if (link === null) throw new LoginFailure('keeper-unavailable', `the keeper at ${path} is away`)
      try {
        // No time limit: an answer that nobody waits for would be a grant that nobody settles. A login has its own deadline.
        const wire = (await link.peer.request('admit', attemptToWire(attempt), null)) as GrantWire
        return grantFromWire(wire, certificatesOf(wire, link))
      } catch (error) {
        if (error instanceof LoginFailure) throw error
        const failure = asLoginFailure(error)
        if (failure !== null) throw failure
        if (!(error instanceof IpcError)) throw error
        // The channel broke under the question: it is asked again, of the keeper that comes back.
      }
    }
  }

  /** @throws LoginFailure rather than trust every certificate authority where one was named */
  function certificatesOf(wire: GrantWire, link: GateLink): string | null {
    const number = wire.upstream.ca
    const pem = number === null ? null : link.certificates.get(number)
    if (pem !== undefined) return pem
    tell('settle', [wire.id, 'failed'])
    throw new LoginFailure('keeper-unavailable', `the keeper named certificates that it has not sent (${number})`)
  }

  function tell(...notice: Notice): void {
    if (keeper.current) keeper.current.peer.notifySoon(notice[0], notice[1])
    else if (history !== null && !keeper.isClosed) {
      history.notices.push(notice)
      if (history.notices.length > MAX_HELD_NOTICES) history = null
    }
  }

  return {
    admit,
    settle: (grantId, outcome) => tell('settle', [grantId, outcome]),
    ended: (grantId, end) => tell('ended', [grantId, end]),
    ready: ready.promise,
    get isUp() {
      return keeper.current !== null
    },
    close() {
      keeper.close()
      ready.reject(new IpcError('ERR_IPC_CLOSED', 'the channel to the keeper was closed'))
    },
  }
}

/** As many to a frame as fit: names may be long, and escaped. One part at least. */
function resumeParts(sessions: readonly LiveSession[]): readonly (readonly LiveSession[])[] {
  const parts: LiveSession[][] = [[]]
  let bytes = 0
  for (const session of sessions) {
    const size = Buffer.byteLength(JSON.stringify(session)) + 1
    bytes += size
    if (bytes > RESUME_PART_BYTES) {
      parts.push([])
      bytes = size
    }
    parts.at(-1)?.push(session)
  }
  return parts
}

function takeCertificates(
  { number, text, last }: CaNotice,
  certificates: Map<number, string>,
  parts: Map<number, string>,
): void {
  const whole = (parts.get(number) ?? '') + text
  if (!last) parts.set(number, whole)
  else {
    parts.delete(number)
    certificates.set(number, whole)
  }
}

/** What the client is told; null: the channel broke, and the question may be asked again. */
function asLoginFailure(error: unknown): LoginFailure | null {
  if (error instanceof IpcFailure) {
    return (
      failureFromWire(error) ??
      new LoginFailure('keeper-unavailable', `the keeper failed: ${error.message}`, { cause: error })
    )
  }
  if (!(error instanceof IpcError)) return null
  if (error.code === 'ERR_IPC_BUSY') return new LoginFailure('busy', error.message, { cause: error })
  if (error.code === 'ERR_IPC_TOO_LARGE') {
    return new LoginFailure('bad-credentials', 'the attempt is too large', { delayMs: OVERSIZED_DELAY_MS })
  }
  return null
}
