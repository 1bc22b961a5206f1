/**
 * What a mail protocol is to the login loop: two dialogues, one with the client and one with the upstream.
 *
 * A protocol is a folder beside this one; `serve.ts` drives it through these types and knows none of its words. Each side
 * ends with `release()`: from then on its bytes belong to the splice and the dialogue is garbage.
 */

import type { Grant, LoginAttempt, Peer, ProtocolName, UpstreamTarget } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import type { NoRoom } from '../net/room.ts'
import type { Leg, Wire } from '../net/wire.ts'

/** The client side of one connection until it has logged in. Each attempt is answered exactly once (invariant 4). */
export interface LoginDialogue {
  /**
   * The next login the client tries; commands that are not logins are answered on the way.
   *
   * Must not be called again before the attempt has been answered. null: the client left or used up its errors, and
   * whatever there was to say has been said.
   *
   * @throws WireError when the client's connection fails or breaks a limit; it has been told, as far as it can be
   */
  next(): Promise<LoginAttempt | null>
  /** Refuses the attempt in this protocol's words. The client may try again, unless it has used up its refusals. */
  reject(why: LoginFailure): Promise<void>
  /**
   * Tells the client that it is in, as the upstream would have, and gives up the wire: what the client sent behind its
   * login command is the leg's `pending` (invariant 2). The dialogue is of no use afterwards.
   */
  accept(upstream: UpstreamSession): Promise<Leg>
}

/** An upstream that has accepted our login and is ready to be spliced. */
export interface UpstreamSession {
  /** What the upstream says it can do after the login; in IMAP the names of RFC 9051 §7.2.2, each a valid atom. */
  readonly capabilities: readonly string[]
  /** Gives up the wire: what the upstream sent behind its OK is the leg's `pending`. */
  release(): Leg
}

export interface Protocol {
  readonly name: ProtocolName
  /** What a client hears for whom there is no room, in place of the greeting or of whatever it waits for, with its end. */
  lastWords(why: NoRoom): string
  /** Says hello. The dialogue holds the wire until `accept`; whoever made the wire closes it. */
  greet(client: Wire, peer: Peer): Promise<LoginDialogue>
  /**
   * Logs in upstream as the target's identity, from its greeting on. The wire stays the caller's to dispose of until
   * `release()`.
   *
   * @param sessionId the grant's id, told to an upstream that trusts us so that both logs name the session alike
   * @throws LoginFailure 'upstream-refused' when the upstream refuses the identity, 'upstream-protocol' or
   *   'upstream-unreachable' for all else it can do wrong; WireError
   */
  login(upstream: Wire, target: UpstreamTarget, client: Peer, sessionId: string): Promise<UpstreamSession>
}

/** A grant without the way in: what a session keeps of it once it runs, so that no upstream secret outlives its login. */
export type SessionGrant = Omit<Grant, 'upstream'>

/** Why a session was ended from outside. */
export type EndedBy = 'revoked' | 'drained'

/** From the moment the grant arrives until both sockets are closed; ending one that is still dialling aborts its dial. */
export interface Session extends Disposable {
  readonly grant: SessionGrant
  /** The upstream's name in the configuration. */
  readonly upstreamName: string
  readonly protocol: ProtocolName
  readonly peer: Peer
  readonly startedAt: Date
  /** Milliseconds since then, whatever the wall clock did. */
  readonly ageMs: number
  /** Aborts when somebody else ends the session. The reason is an `EndedBy`. */
  readonly ended: AbortSignal
  /** Whether the grant has been settled; kept for a channel that has to be told again. */
  settled: boolean
}
