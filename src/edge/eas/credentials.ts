/**
 * HTTP Basic, both ways (pure; RFC 7617).
 *
 * Phones send UTF-8, Outlook sends Latin-1; names come as `user@domain`, bare, or `DOMAIN\user`. The first colon ends the name.
 */

import type { Credential, UpstreamIdentity } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { NameRules } from '../../contract/names.ts'
import { Secret } from '../../secret.ts'
import { headerValues } from '../http/headers.ts'
import { passwordCredential } from '../login/exchange.ts'
import { decodePassword, passwordText, utf8Text } from '../login/sasl.ts'
import { actsForAnother } from '../login/upstream-talk.ts'

export type Presented =
  | { readonly kind: 'credential'; readonly credential: Credential }
  /** No Authorization, or another scheme: the client is asked for Basic. */
  | { readonly kind: 'none' }
  /** Two of them, or what is no Basic: nothing to check. */
  | { readonly kind: 'malformed' }

/** A name of 254 and a password of 1024 octets, in base64, with room to spare. */
const MAX_CREDENTIALS = 4096

/** What a request presents. Whatever name is none becomes one that nobody has, so that it takes the path of a wrong password. */
export function presented(rawHeaders: readonly string[], rules: NameRules): Presented {
  const values = headerValues(rawHeaders, 'authorization')
  if (values.length === 0) return { kind: 'none' }
  const [value = ''] = values
  if (values.length > 1 || value.length > MAX_CREDENTIALS) return { kind: 'malformed' }
  const match = /^basic +([A-Za-z0-9+/]*={0,2}) *$/i.exec(value)
  if (match === null) return /^basic\b/i.test(value) ? { kind: 'malformed' } : { kind: 'none' }
  const octets = Buffer.from(match[1] ?? '', 'base64')
  const colon = octets.indexOf(':')
  if (colon < 0) return { kind: 'malformed' }
  const secret = decodePassword(octets.subarray(colon + 1))
  const nameOctets = octets.subarray(0, colon)
  const authcid = utf8Text(nameOctets) ?? passwordText(nameOctets)
  if (!secret.ok) return { kind: 'malformed' }
  return { kind: 'credential', credential: passwordCredential({ authzid: '', authcid, secret: secret.value }, rules) }
}

/**
 * How we say to an upstream who asks.
 *
 * @throws LoginFailure 'upstream-refused' for an identity that Basic can't express: another user's authority (authzid), or a name
 *   with a colon
 */
export function authorization(identity: UpstreamIdentity): Secret {
  if (identity.kind === 'oauth') return new Secret(`Bearer ${identity.accessToken.reveal()}`)
  const { authcid, secret } = identity
  if (actsForAnother(identity)) {
    throw new LoginFailure(
      'upstream-refused',
      'ActiveSync has no word for acting for somebody else (identity: authzid)',
    )
  }
  if (authcid.includes(':')) throw new LoginFailure('upstream-refused', 'HTTP Basic takes no name with a colon')
  return new Secret(`Basic ${Buffer.from(`${authcid}:${secret.reveal()}`, 'utf8').toString('base64')}`)
}
