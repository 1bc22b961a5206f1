/**
 * Edge ↔ keeper: may this attempt in, and as whom?
 *
 * The one question between the two processes, and the words for it (RFC 4422, RFC 9051, RFC 4954). An edge asks `admit`
 * once per attempt, says with `settle` what came of every grant, and with `ended` when the session that followed is over.
 * In the other direction the keeper ends sessions (`SessionEnder`). Both directions of one edge are one ordered channel.
 */

import type { Secret } from '../secret.ts'

export const PROTOCOL_NAMES = ['imap', 'pop3', 'smtp', 'eas'] as const
export type ProtocolName = (typeof PROTOCOL_NAMES)[number]

/** What is known of a TLS connection once its handshake is over. */
export interface TlsInfo {
  /** As Node names it: 'TLSv1.3'. */
  readonly version: string
  readonly cipher: string
  /** The server name the client sent (RFC 6066 §3), null when it sent none. */
  readonly serverName: string | null
}

/** The far end of an accepted connection, after any PROXY header has been applied. Addresses are normalised: no v4-mapped v6. */
export interface Peer {
  readonly ip: string
  readonly port: number
  /** The address and port the client connected to (from the PROXY header where there is one). */
  readonly localIp: string
  readonly localPort: number
  /** null until TLS is up. After STARTTLS the dialogue holds a new Peer. */
  readonly tls: TlsInfo | null
}

/** What a client presented. authcid proves, authzid is whom to act as ('' means the same). Names are canonical (`names.ts`). */
export type Credential =
  | { readonly kind: 'password'; readonly authcid: string; readonly authzid: string; readonly secret: Secret }
  | { readonly kind: 'bearer'; readonly authcid: string; readonly token: Secret }

/** Of a device: raw bytes stand in hexadecimal, so twice the 64 that a client may send. */
export const DEVICE_ID = /^[\x21-\x7e]{1,128}$/

/** The device that a request says it comes from (ActiveSync). It is the client's own word: good to tell devices apart, no proof. */
export interface DeviceClaim {
  /** In lower case; see DEVICE_ID. */
  readonly id: string
  /** As the client gave it, printable, at most 64 characters. */
  readonly type: string | null
  /** '14.1' */
  readonly protocolVersion: string | null
}

export interface LoginAttempt {
  readonly protocol: ProtocolName
  /** As the protocol names it, upper case: 'LOGIN' (the IMAP command), 'PLAIN', 'USER' … For the log. */
  readonly mechanism: string
  readonly credential: Credential
  readonly peer: Peer
  /** What the client said it is (IMAP ID, EHLO name, User-Agent), at most 128 printable characters, null when it said nothing. */
  readonly agent: string | null
  /** Left out where the protocol has none, or the request does not say. */
  readonly device?: DeviceClaim
}

/** How we log in upstream. Names come from the account record, never from client text. */
export type UpstreamIdentity =
  | { readonly kind: 'password'; readonly authcid: string; readonly authzid: string; readonly secret: Secret }
  | { readonly kind: 'oauth'; readonly authcid: string; readonly accessToken: Secret; readonly expiresAt: Date }

export type TlsMode = 'implicit' | 'starttls' | 'none'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Where a granted session goes. `hosts` in order of preference. */
export interface UpstreamTarget {
  /** The name in the configuration, for logs and metrics. */
  readonly name: string
  readonly hosts: readonly Endpoint[]
  readonly tls: TlsMode
  /** PEM of the only certificate authorities to trust; null: those that Node trusts. */
  readonly ca: string | null
  /** The name the certificate must carry; null: the host's own. */
  readonly serverName: string | null
  /** PROXY header to write before anything else; null: none. */
  readonly proxyProtocol: 'v1' | 'v2' | null
  readonly identity: UpstreamIdentity
  /** Tell it the client's address (IMAP ID, XCLIENT). */
  readonly trusted: boolean
  /** For protocols that are HTTP: the Host to ask for, and the path in front of the protocol's own ('' or '/SOGo'). */
  readonly http?: { readonly host: string; readonly path: string }
}

/**
 * One admitted attempt. `verifiedBy` 'upstream': the client's own primary password goes upstream and the upstream judges it,
 * so its refusal is a wrong password. 'us': a refusal is our fault, because the client's app password was right.
 */
export interface Grant {
  /** Random, 128 bits, unique across restarts of the keeper. */
  readonly id: string
  readonly userId: string
  /** The account's name: the only name of the user that an edge may log. */
  readonly logName: string
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly verifiedBy: 'us' | 'upstream'
  /**
   * Only where the upstream judges: when the client is told that it refused, in milliseconds from the grant. The delay of a wrong
   * guess is in it, so that a name which is judged upstream answers as late as one that nobody knows.
   */
  readonly refusedAfterMs?: number
  /**
   * Only where the upstream judges: the device may not be used, and why, for the log. The upstream is asked all the same, since only
   * whoever has the right secret is told of it.
   */
  readonly deviceRefused?: string
  /** The device that it is for; left out where the attempt named none. */
  readonly device?: string
  readonly upstream: UpstreamTarget
}

/** What came of a grant: said exactly once for each. */
export type Outcome = 'accepted' | 'upstream-refused' | 'failed' | 'client-gone'

export const END_REASONS = [
  'client-closed',
  'upstream-closed',
  'idle',
  /** One side did not take what waited for it, or went on for too long after the other had finished. */
  'stalled',
  /** The keeper ended it: its credential was deleted or narrowed, its user disabled, or an operator asked. */
  'revoked',
  /** The edge is shutting down. */
  'drained',
  'error',
  /** The edge died or its channel broke for good; said by the keeper itself. */
  'edge-gone',
] as const
export type EndReason = (typeof END_REASONS)[number]

export interface SessionEnd {
  readonly reason: EndReason
  /** Bytes from the client to the upstream, after the login. */
  readonly netInBytes: number
  /** Bytes from the upstream to the client, after the login. */
  readonly netOutBytes: number
  readonly durationMs: number
}

/** What an edge tells of a live session after its channel to the keeper broke and is back. */
export interface LiveSession {
  readonly grantId: string
  readonly userId: string
  readonly logName: string
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly protocol: ProtocolName
  /** As in its grant: a device that is blocked must find its sessions whichever keeper granted them. */
  readonly device?: string
  readonly ip: string
  readonly port: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Whether `settle` has been called for it. */
  readonly settled: boolean
}

/** The keeper, as one edge sees it. */
export interface Gate {
  /**
   * Asks for entry. Throws `LoginFailure`, with the delay to serve before the client is told.
   * A keeper that stays away for longer than 2 s is 'keeper-unavailable'.
   */
  admit(attempt: LoginAttempt): Promise<Grant>
  /** Exactly once per grant. */
  settle(grantId: string, outcome: Outcome): void
  /** Exactly once after `settle(…, 'accepted')`, and never otherwise. */
  ended(grantId: string, end: SessionEnd): void
}

/** One edge, as the keeper sees it. Called on the same ordered channel as the answers to `admit`. */
export interface SessionEnder {
  /** Ends the session of a grant, dialling or spliced; unknown ids are ignored. */
  end(grantId: string): void
}

/** The keeper's side of one edge's channel. */
export interface EdgePort extends Gate {
  /** Takes over the sessions of an edge whose channel broke; answers the grant ids that must end now. */
  resume(sessions: readonly LiveSession[]): Promise<readonly string[]>
  /** The edge is gone: settles and ends what it left open. */
  close(): void
}

/** What the keeper offers to whoever carries its channels. */
export interface GateHouse {
  /** A new edge; `ender` is how its sessions are ended, `edgeId` the id by which the supervisor speaks of it. */
  attach(ender: SessionEnder, edgeId?: string): EdgePort
}
