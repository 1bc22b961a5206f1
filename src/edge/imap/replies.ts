/**
 * Our words to an IMAP client: a code (RFC 5530) for each reason of a failed login, and what we say we can do before it.
 *
 * Pure tables. The sentences behind the codes are in `login/words.ts`.
 */

import type { LoginFailureReason } from '../../contract/failure.ts'
import { NO_ROOM } from '../login/dialogue.ts'
import type { Audience } from '../login/words.ts'
import { failureText } from '../login/words.ts'
import type { NoRoom } from '../net/room.ts'

/** NO [code] for each reason. ALERT is shown to people by most programs (RFC 9051 §7.1). */
const CODES: Readonly<Record<LoginFailureReason, string>> = {
  'bad-credentials': 'AUTHENTICATIONFAILED',
  'app-password-deleted': 'ALERT',
  'app-password-expired': 'ALERT',
  'not-on-this-protocol': 'ALERT',
  'use-app-password': 'ALERT',
  'device-refused': 'ALERT',
  'tls-required': 'PRIVACYREQUIRED',
  throttled: 'LIMIT',
  'too-many-sessions': 'LIMIT',
  'store-unavailable': 'UNAVAILABLE',
  'keeper-unavailable': 'UNAVAILABLE',
  'upstream-unreachable': 'UNAVAILABLE',
  'upstream-protocol': 'UNAVAILABLE',
  'upstream-refused': 'UNAVAILABLE',
  'token-unavailable': 'UNAVAILABLE',
  busy: 'UNAVAILABLE',
}

/** What follows the tag when a login is refused: `NO [CODE] text`. */
export function refusal(reason: LoginFailureReason, audience: Audience): string {
  return `NO [${CODES[reason]}] ${failureText(reason, 'IMAP', audience)}`
}

/** RFC 9051 §7.1.5: a BYE may come in place of the greeting, or at any time. */
export function lastWords(why: NoRoom): string {
  return `* BYE [UNAVAILABLE] ${NO_ROOM[why]}\r\n`
}

/** How a connection stands when it says what it can do. */
export interface Standing {
  readonly isSecure: boolean
  /** Whether STARTTLS can be done on this listener. */
  readonly canStartTls: boolean
  /** Whether a login needs TLS. */
  readonly needsTls: boolean
}

/**
 * The capabilities before login: those of this program, and nothing that only the upstream could keep (RFC 9051 §7.2.2).
 *
 * IMAP4rev2 is not among them even where the upstream has it: before the login nobody knows which upstream it will be, a
 * client that sees it here may rely on it in its very first commands, and the list in the login's OK is the upstream's own.
 */
export function capabilitiesBeforeLogin(standing: Standing): readonly string[] {
  const names = ['IMAP4rev1', 'LITERAL-', 'SASL-IR', 'ID']
  if (!standing.isSecure && standing.canStartTls) names.push('STARTTLS')
  if (!standing.isSecure && standing.needsTls) names.push('LOGINDISABLED')
  else names.push('AUTH=PLAIN', 'AUTH=LOGIN')
  return names
}

/**
 * The upstream's capabilities as the client gets them with the OK of its login: what is about logging in is over
 * (RFC 9051 §6.2.2, §6.2.3).
 */
export function capabilitiesAfterLogin(upstream: readonly string[]): readonly string[] {
  return upstream.filter((capability) => {
    const name = capability.toUpperCase()
    return name !== 'STARTTLS' && name !== 'LOGINDISABLED' && name !== 'SASL-IR' && !name.startsWith('AUTH=')
  })
}
