/**
 * Our words to a POP3 client: a response code (RFC 2449 §8, RFC 3206) for each reason of a failed login, and what we say we
 * can do before it.
 *
 * Pure tables. The sentences behind the codes are in `login/words.ts`.
 */

import type { LoginFailureReason } from '../../contract/failure.ts'
import { NO_ROOM } from '../login/dialogue.ts'
import type { Audience } from '../login/words.ts'
import { failureText } from '../login/words.ts'
import type { NoRoom } from '../net/room.ts'

/**
 * -ERR [code] for each reason. AUTH makes a client ask its user for another password, SYS/TEMP makes it try again later
 * (RFC 3206 §3, §4); no code fits a refusal for want of TLS.
 */
const CODES: Readonly<Record<LoginFailureReason, 'AUTH' | 'SYS/TEMP' | 'IN-USE' | null>> = {
  'bad-credentials': 'AUTH',
  'app-password-deleted': 'AUTH',
  'app-password-expired': 'AUTH',
  'not-on-this-protocol': 'AUTH',
  'use-app-password': 'AUTH',
  'device-refused': 'AUTH',
  'tls-required': null,
  throttled: 'SYS/TEMP',
  'too-many-sessions': 'IN-USE',
  'store-unavailable': 'SYS/TEMP',
  'keeper-unavailable': 'SYS/TEMP',
  'upstream-unreachable': 'SYS/TEMP',
  'upstream-protocol': 'SYS/TEMP',
  'upstream-refused': 'SYS/TEMP',
  'token-unavailable': 'SYS/TEMP',
  busy: 'SYS/TEMP',
}

/** The whole reply to a refused login, without its end. */
export function refusal(reason: LoginFailureReason, audience: Audience): string {
  const code = CODES[reason]
  return `-ERR ${code === null ? '' : `[${code}] `}${failureText(reason, 'POP3', audience)}`
}

/** In place of the greeting, or as the answer to whatever comes next (RFC 3206 §4: try again later). */
export function lastWords(why: NoRoom): string {
  return `-ERR [SYS/TEMP] ${NO_ROOM[why]}\r\n`
}

/** How a connection stands when it says what it can do. */
export interface Standing {
  readonly isSecure: boolean
  /** Whether STLS can be done on this listener. */
  readonly canStartTls: boolean
  /** Whether a login needs TLS. */
  readonly needsTls: boolean
}

/** RFC 5034 §4: what AUTH without a mechanism lists, for clients from before CAPA. */
export const MECHANISMS = ['PLAIN', 'LOGIN'] as const

/**
 * The capabilities before login (RFC 2449 §5, §6): those of this program, and TOP and UIDL, which are the upstream's.
 *
 * Clients ask before the login and remember: one that is not told of UIDL gives up "leave on server" or refuses to start. Every
 * POP3 server in use has both. PIPELINING is a different matter: Gmail and Exchange don't announce it, so it is left to
 * the list after the login, which is the upstream's own; whoever pipelines all the same loses nothing here. So are EXPIRE,
 * LOGIN-DELAY and whatever else only the upstream can keep.
 */
export function capabilitiesBeforeLogin(standing: Standing): readonly string[] {
  const lines = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE']
  if (!standing.isSecure && standing.canStartTls) lines.push('STLS')
  if (standing.isSecure || !standing.needsTls) lines.push('USER', `SASL ${MECHANISMS.join(' ')}`)
  return lines
}
