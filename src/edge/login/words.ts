/**
 * What a person reads when a login fails: one sentence for each reason, the same in every mail protocol.
 *
 * The code in front of it is the protocol's own and belongs to the reason; the text belongs to a language (R39). Whoever
 * has not proved to be a user hears the language of the house, so that it says nothing about who exists. It never says more than the reason does, and a fault of ours never reads as a wrong password (invariant 11).
 */

import type { LoginFailureReason } from '../../contract/failure.ts'
import type { Language } from '../../contract/languages.ts'

/** `{protocol}` and `{portal}` are filled in; without a portal `seePortal` is left out. */
interface Words {
  readonly failures: Readonly<Record<LoginFailureReason, string>>
  readonly seePortal: string
}

/** Whom a refusal is for. */
export interface Audience {
  readonly language: Language
  /** Where users manage their app passwords, null when there is no portal. */
  readonly portalUrl: string | null
}

const UNAVAILABLE = 'The mail service is temporarily unavailable, please try again later.'
const EN: Words = {
  failures: {
    'bad-credentials': 'Authentication failed.',
    'app-password-deleted': 'This app password has been deleted.',
    'app-password-expired': 'This app password has expired.',
    'not-on-this-protocol': 'This app password may not be used for {protocol}.',
    'use-app-password': 'Please use an app password instead of your account password.',
    'device-refused': 'This device may not be used.',
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

const NIET_BESCHIKBAAR = 'De maildienst is tijdelijk niet beschikbaar, probeer het later opnieuw.'
const NL: Words = {
  failures: {
    'bad-credentials': 'Aanmelden mislukt.',
    'app-password-deleted': 'Dit app-wachtwoord is verwijderd.',
    'app-password-expired': 'Dit app-wachtwoord is verlopen.',
    'not-on-this-protocol': 'Dit app-wachtwoord mag niet worden gebruikt voor {protocol}.',
    'use-app-password': 'Gebruik een app-wachtwoord in plaats van het wachtwoord van uw account.',
    'device-refused': 'Dit apparaat mag niet worden gebruikt.',
    'tls-required': 'Zet SSL/TLS of STARTTLS aan in uw mailprogramma.',
    throttled: 'Te veel mislukte aanmeldingen, wacht even.',
    'too-many-sessions': 'Te veel open verbindingen.',
    'store-unavailable': NIET_BESCHIKBAAR,
    'keeper-unavailable': NIET_BESCHIKBAAR,
    'upstream-unreachable': NIET_BESCHIKBAAR,
    'upstream-protocol': NIET_BESCHIKBAAR,
    'upstream-refused': NIET_BESCHIKBAAR,
    'token-unavailable': NIET_BESCHIKBAAR,
    busy: NIET_BESCHIKBAAR,
  },
  seePortal: ' Zie {portal}',
}

const WORDS: Readonly<Record<Language, Words>> = { en: EN, nl: NL }

/** The reasons that the user can do something about in the portal: whoever gets one of these holds the user's own secret. */
const HELPED_BY_PORTAL: ReadonlySet<LoginFailureReason> = new Set([
  'app-password-deleted',
  'app-password-expired',
  'not-on-this-protocol',
  'use-app-password',
  'device-refused',
])

/**
 * The sentence for a reason, in printable ASCII.
 *
 * @param protocol as people write it: 'IMAP'
 */
export function failureText(reason: LoginFailureReason, protocol: string, { language, portalUrl }: Audience): string {
  const { failures, seePortal } = WORDS[language]
  const link =
    portalUrl !== null && isSafeUrl(portalUrl) && HELPED_BY_PORTAL.has(reason)
      ? seePortal.replace('{portal}', () => portalUrl)
      : ''
  return `${failures[reason].replace('{protocol}', protocol)}${link}`
}

/** Printable ASCII without blanks: nothing else may stand in a line of ours. */
function isSafeUrl(url: string): boolean {
  for (let i = 0; i < url.length; i++) {
    const code = url.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}
