/**
 * The configuration profile that sets up an Apple device, `.mobileconfig` (pure): one mail account with its app password.
 *
 * It is made by the keeper and not by web, because it may be signed: what bears the organisation's signature is then always
 * a profile with one account of ours, whatever becomes of web.
 *
 * @see https://developer.apple.com/documentation/devicemanagement for the payloads Mail and ExchangeActiveSync
 */

import type { Language } from '../../contract/languages.ts'
import type { SetUpKind } from '../../contract/portal/set-up.ts'
import type { PublishedSettings } from '../../contract/published.ts'
import type { Secret } from '../../secret.ts'
import type { PlistDictionary } from './plist.ts'
import { plist } from './plist.ts'

export interface ProfileAccount {
  readonly kind: SetUpKind
  /** The address that logs in. */
  readonly user: string
  /** What sent messages say; null: the address alone. */
  readonly displayName: string | null
  /** Of the app password: 'iPhone'. */
  readonly device: string
  readonly appPasswordId: string
  readonly password: Secret
}

const WORDS: Readonly<Record<Language, (user: string, device: string) => string>> = {
  en: (user, device) =>
    `Sets up mail for ${user} on this device, with an app password of its own that is called “${device}”.`,
  nl: (user, device) =>
    `Stelt e-mail in voor ${user} op dit apparaat, met een eigen app-wachtwoord dat “${device}” heet.`,
}

/**
 * @param uuid makes a UUID; asked for twice
 * @returns null when the settings do not offer what this kind needs
 */
export function profileOf(
  settings: PublishedSettings,
  account: ProfileAccount,
  language: Language,
  uuid: () => string,
): string | null {
  const { name, host } = settings
  const { user, device, appPasswordId } = account
  const organisation = name ?? user.slice(user.lastIndexOf('@') + 1)
  // With the app password's id: a second profile for the same person is another account, not a new version of this one.
  const identifier = [...host.split('.').reverse(), 'sallyport', appPasswordId].join('.')
  const payload = account.kind === 'eas' ? activeSync(settings, account) : mail(settings, account, organisation)
  if (payload === null) return null
  const title = `${organisation} (${device})`
  return plist({
    PayloadType: 'Configuration',
    PayloadVersion: 1,
    PayloadIdentifier: identifier,
    PayloadUUID: uuid().toUpperCase(),
    PayloadDisplayName: title,
    PayloadDescription: WORDS[language](user, device),
    PayloadOrganization: organisation,
    PayloadRemovalDisallowed: false,
    PayloadContent: [
      {
        ...payload,
        PayloadVersion: 1,
        PayloadIdentifier: `${identifier}.${account.kind}`,
        PayloadUUID: uuid().toUpperCase(),
        PayloadDisplayName: title,
        PayloadOrganization: organisation,
      },
    ],
  })
}

function mail({ host, ports }: PublishedSettings, account: ProfileAccount, title: string): PlistDictionary | null {
  const [incoming] = ports.imap
  const [outgoing] = ports.smtp
  if (incoming === undefined || outgoing === undefined) return null
  const { user, displayName, password } = account
  return {
    PayloadType: 'com.apple.mail.managed',
    EmailAccountDescription: title,
    EmailAccountName: displayName ?? undefined,
    EmailAccountType: 'EmailTypeIMAP',
    EmailAddress: user,
    IncomingMailServerAuthentication: 'EmailAuthPassword',
    IncomingMailServerHostName: host,
    IncomingMailServerPortNumber: incoming.port,
    // Also for STARTTLS: the device finds out which of the two a port speaks.
    IncomingMailServerUseSSL: true,
    IncomingMailServerUsername: user,
    IncomingPassword: password.reveal(),
    OutgoingMailServerAuthentication: 'EmailAuthPassword',
    OutgoingMailServerHostName: host,
    OutgoingMailServerPortNumber: outgoing.port,
    OutgoingMailServerUseSSL: true,
    OutgoingMailServerUsername: user,
    OutgoingPassword: password.reveal(),
    OutgoingPasswordSameAsIncomingPassword: true,
  }
}

/** For iPhones and iPads; a Mac has no ActiveSync. */
function activeSync({ activeSync: url }: PublishedSettings, account: ProfileAccount): PlistDictionary | null {
  if (url === null) return null
  return {
    PayloadType: 'com.apple.eas.account',
    EmailAddress: account.user,
    Host: new URL(url).host,
    SSL: true,
    UserName: account.user,
    Password: account.password.reveal(),
  }
}
