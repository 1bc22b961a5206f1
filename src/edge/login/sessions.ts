/**
 * The registry of an edge's sessions, from the grant until both sockets are closed (invariant 7).
 *
 * Keyed by grant id, because that is how the keeper names a session when it ends one. Nothing of the way in is kept: no
 * upstream secret, no dialogue; some hundred bytes for as long as the session runs.
 */

import type { Grant, LiveSession, Peer, ProtocolName } from '../../contract/admission.ts'
import type { EndedBy, Session, SessionGrant } from './protocol.ts'

/**
 * An end may overtake its grant: both arrive on one ordered channel, but the code that waits for a grant goes on only after
 * everything that came with it has been read. So the ends of unknown sessions are remembered, the last ones of them. Sessions
 * that ended by themselves at the same moment fill this up as well; one packet of the channel can't hold as many.
 */
const MAX_EARLY_ENDS = 4096

export interface SessionRegistry {
  /** Enters a session; it leaves when it is disposed. One whose end came first is born with `ended` aborted. */
  open(grant: Grant, protocol: ProtocolName, peer: Peer): Session
  /** Ends the session of a grant, dialling or spliced, by default as revoked. Unknown ids are ignored. */
  end(grantId: string, reason?: EndedBy): void
  /** Ends all of them. Both sockets of each are closed soon after, not before this returns. */
  endAll(reason: EndedBy): void
  /** What there is, for a keeper that lost sight of it. */
  list(): LiveSession[]
  readonly size: number
}

export function createSessions(): SessionRegistry {
  const sessions = new Map<string, OpenSession>()
  const earlyEnds = new Set<string>()
  return {
    open(grant, protocol, peer) {
      const session = new OpenSession(grant, protocol, peer, sessions)
      sessions.set(grant.id, session)
      if (earlyEnds.delete(grant.id)) session.end('revoked')
      return session
    },
    end(grantId, reason = 'revoked') {
      const session = sessions.get(grantId)
      if (session) {
        session.end(reason)
        return
      }
      earlyEnds.add(grantId)
      for (const oldest of earlyEnds) {
        if (earlyEnds.size <= MAX_EARLY_ENDS) break
        earlyEnds.delete(oldest)
      }
    },
    endAll(reason) {
      for (const session of sessions.values()) session.end(reason)
    },
    list: () => [...sessions.values()].map((session) => session.describe()),
    get size() {
      return sessions.size
    },
  }
}

class OpenSession implements Session {
  readonly grant: SessionGrant
  readonly upstreamName: string
  readonly protocol: ProtocolName
  readonly peer: Peer
  readonly startedAt = new Date()
  settled = false
  readonly #startedMs = performance.now()
  readonly #end = new AbortController()
  readonly #sessions: Map<string, OpenSession>

  constructor({ upstream, ...grant }: Grant, protocol: ProtocolName, peer: Peer, sessions: Map<string, OpenSession>) {
    this.grant = grant
    this.upstreamName = upstream.name
    this.protocol = protocol
    this.peer = peer
    this.#sessions = sessions
  }

  get ageMs(): number {
    return performance.now() - this.#startedMs
  }

  get ended(): AbortSignal {
    return this.#end.signal
  }

  end(reason: EndedBy): void {
    this.#end.abort(reason)
  }

  describe(): LiveSession {
    const { id, userId, logName, appPassword, device } = this.grant
    return {
      grantId: id,
      userId,
      logName,
      appPassword,
      protocol: this.protocol,
      ...(device !== undefined && { device }),
      ip: this.peer.ip,
      port: this.peer.port,
      startedAt: this.startedAt.getTime(),
      settled: this.settled,
    }
  }

  [Symbol.dispose](): void {
    this.#sessions.delete(this.grant.id)
  }
}
