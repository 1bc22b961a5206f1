/**
 * Our words to an IMAP client: one for each reason of a failed login, and what we say we can do before it.
 *
 * Pure tables. The code (RFC 5530) belongs to the reason; the text to a language, of which there is one so far. The text
 * never says more than the reason does, and a fault of ours never reads as a wrong password (invariant 11).
 */

import type { LoginFailureReason } from '../../contract/failure.ts'

/** NO [code] for each reason. ALERT is shown to people by most programs (RFC 9051 §7.1). */
const CODES: Readonly<Record<LoginFailureReason, string>> = {
  'bad-credentials': 'AUTHENTICATIONFAILED',
  'app-password-deleted': 'ALERT',
  'app-password-expired': 'ALERT',
  'not-on-this-protocol': 'ALERT',
  'use-app-password': 'ALERT',
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

/** Everything a person may read. `{portal}` is where the portal's address goes; without a portal the sentence is left out. */
interface Words {
  readonly failures: Readonly<Record<LoginFailureReason, string>>
  readonly seePortal: string
}

const UNAVAILABLE = 'The mail service is temporarily unavailable, please try again later.'
const EN: Words = {
  failures: {
    'bad-credentials': 'Authentication failed.',
    'app-password-deleted': 'This app password has been deleted.',
    'app-password-expired': 'This app password has expired.',
    'not-on-this-protocol': 'This app password may not be used for IMAP.',
    'use-app-password': 'Please use an app password instead of your account password.',
    'tls-required': 'Please switch on SSL/TLS or STARTTLS in your mail program.',
    throttled: 'Too many failed logins, please wait a while.',
    'too-many-sessions': 'Too many open connections.',
    'store-unavailable': UNAVAILABLE,
    'keeper-unavailable': UNAVAILABLE,
    'upstream-unreachable': UNAVAILABLE,
    'upstream-protocol': UNAVAILABLE,
    'upstream-refused': UNAVAILABLE,
    'token-unavailable': UNAVAILABLE,
    busy: UNAVAILABLE,
  },
  seePortal: ' See {portal}',
}

/** The reasons that the user can do something about in the portal: whoever gets one of these holds the user's own secret. */
const HELPED_BY_PORTAL: ReadonlySet<LoginFailureReason> = new Set([
  'app-password-deleted',
  'app-password-expired',
  'not-on-this-protocol',
  'use-app-password',
])

/**
 * What follows the tag when a login is refused: `NO [CODE] text`.
 *
 * @param portalUrl where users manage their app passwords, null when there is no portal
 */
export function refusal(reason: LoginFailureReason, portalUrl: string | null): string {
  const link =
    portalUrl !== null && isSafeUrl(portalUrl) && HELPED_BY_PORTAL.has(reason)
      ? EN.seePortal.replace('{portal}', () => portalUrl)
      : ''
  return `NO [${CODES[reason]}] ${EN.failures[reason]}${link}`
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

/** Printable ASCII without blanks: nothing else may stand in a line of ours. */
function isSafeUrl(url: string): boolean {
  for (let i = 0; i < url.length; i++) {
    const code = url.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}
