/**
 * Our words to an SMTP client: a code for each reason of a failed login (RFC 4954 §6, RFC 3463), and what we say we can do.
 *
 * Pure tables. The sentences behind the codes are in `login/words.ts`.
 */

import type { LoginFailureReason } from '../../contract/failure.ts'
import { NO_ROOM } from '../login/dialogue.ts'
import type { Audience } from '../login/words.ts'
import { failureText } from '../login/words.ts'
import type { NoRoom } from '../net/room.ts'

/** What a reply begins with: `535 5.7.8`. */
export interface ReplyCode {
  readonly code: number
  readonly enhanced: string
}

const WRONG: ReplyCode = { code: 535, enhanced: '5.7.8' }
/** RFC 4954 §6: a temporary failure, after which clients keep their password. */
const LATER: ReplyCode = { code: 454, enhanced: '4.7.0' }
/** 421 ends the connection (RFC 5321 §3.8). */
export const CLOSING: ReplyCode = { code: 421, enhanced: '4.7.0' }
/** The system is going down, or has too much to do (RFC 3463 §3.4). */
export const NOT_NOW: ReplyCode = { code: 421, enhanced: '4.3.2' }

const CODES: Readonly<Record<LoginFailureReason, ReplyCode>> = {
  'bad-credentials': WRONG,
  'app-password-deleted': WRONG,
  'app-password-expired': WRONG,
  'not-on-this-protocol': WRONG,
  'use-app-password': WRONG,
  'device-refused': WRONG,
  'tls-required': { code: 538, enhanced: '5.7.11' },
  throttled: LATER,
  'too-many-sessions': CLOSING,
  'store-unavailable': LATER,
  'keeper-unavailable': LATER,
  'upstream-unreachable': LATER,
  'upstream-protocol': LATER,
  'upstream-refused': LATER,
  'token-unavailable': LATER,
  busy: LATER,
}

export interface Refusal extends ReplyCode {
  readonly text: string
}

/** The reply when a login is refused. */
export function refusal(reason: LoginFailureReason, audience: Audience): Refusal {
  return { ...CODES[reason], text: failureText(reason, 'SMTP', audience) }
}

/** A reply of one line, without its end. */
export function replyLine({ code, enhanced }: ReplyCode, text: string): string {
  return `${code} ${enhanced} ${text}`
}

/** RFC 5321 §3.8: in place of the greeting, or at any time. That one address has too many is a rule and no state of the system. */
export function lastWords(why: NoRoom): string {
  return `${replyLine(why === 'connections' ? NOT_NOW : CLOSING, NO_ROOM[why])}\r\n`
}

export const ACCEPTED = replyLine({ code: 235, enhanced: '2.7.0' }, 'Authentication successful')
export const READY_FOR_TLS = replyLine({ code: 220, enhanced: '2.0.0' }, 'Ready to start TLS')

/** How a connection stands when it says what it can do. */
export interface Standing {
  readonly isSecure: boolean
  /** Whether STARTTLS can be done on this listener. */
  readonly canStartTls: boolean
  /** Whether a login needs TLS. */
  readonly needsTls: boolean
}

/**
 * What only the one who says it can keep: logging in and TLS are ours, and nobody may hand an identity on through us. Keywords
 * that begin with X are private between servers.
 */
const NOT_HANDED_ON = /^(?:AUTH|STARTTLS|X.*)$/

/** Those of an upstream's keywords that a client may be told before it is known who it is. */
export function announceable(keywords: readonly string[]): readonly string[] {
  return keywords.filter((line) => !NOT_HANDED_ON.test(line.toUpperCase().split(/[ =]/, 1)[0] ?? ''))
}

/**
 * The answer to EHLO. Clients remember it and never ask again after the login, so behind our own keywords stand those that
 * every upstream keeps (client 13).
 *
 * @param offered what all of them announce; null: not known yet. Then nothing is promised for them, not even 8BITMIME: a
 *   client without it encodes its message, which every server takes; one that relied on it in vain would lose its mail.
 */
export function ehloReply(name: string, standing: Standing, offered: readonly string[] | null): string {
  const lines = [name, ...announceable(offered ?? [])]
  // RFC 3207 §4.2: not a second time inside TLS.
  if (!standing.isSecure && standing.canStartTls) lines.push('STARTTLS')
  if (standing.isSecure || !standing.needsTls) lines.push('AUTH PLAIN LOGIN')
  return lines.map((line, i) => `250${i < lines.length - 1 ? '-' : ' '}${line}\r\n`).join('')
}

/**
 * The parameters that two upstreams keep both. SIZE is the smaller one; 0 means no limit, and without a number nobody knows
 * (RFC 1870 §4).
 */
export function mergeParameters(
  keyword: string,
  one: readonly string[],
  other: readonly string[],
): readonly string[] | null {
  if (keyword !== 'SIZE') {
    const theirs = new Set(other.map((word) => word.toUpperCase()))
    return one.filter((word) => theirs.has(word.toUpperCase()))
  }
  const [first, second] = [one[0], other[0]].map((size) => (/^[0-9]{1,15}$/.test(size ?? '') ? Number(size) : null))
  if (first == null || second == null) return []
  return [String(first === 0 || second === 0 ? first + second : Math.min(first, second))]
}
