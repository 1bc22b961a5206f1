/**
 * What a person reads when a login fails: one sentence for each reason, the same in every mail protocol.
 *
 * The code in front of it is the protocol's own and belongs to the reason; the text belongs to a language, of which there is
 * one so far. It never says more than the reason does, and a fault of ours never reads as a wrong password (invariant 11).
 */

import type { LoginFailureReason } from '../../contract/failure.ts'

/** `{protocol}` and `{portal}` are filled in; without a portal `seePortal` is left out. */
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
    'not-on-this-protocol': 'This app password may not be used for {protocol}.',
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
 * The sentence for a reason, in printable ASCII.
 *
 * @param protocol as people write it: 'IMAP'
 * @param portalUrl where users manage their app passwords, null when there is no portal
 */
export function failureText(reason: LoginFailureReason, protocol: string, portalUrl: string | null): string {
  const link =
    portalUrl !== null && isSafeUrl(portalUrl) && HELPED_BY_PORTAL.has(reason)
      ? EN.seePortal.replace('{portal}', () => portalUrl)
      : ''
  return `${EN.failures[reason].replace('{protocol}', protocol)}${link}`
}

/** Printable ASCII without blanks: nothing else may stand in a line of ours. */
function isSafeUrl(url: string): boolean {
  for (let i = 0; i < url.length; i++) {
    const code = url.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}
