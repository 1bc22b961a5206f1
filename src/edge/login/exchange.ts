/**
 * One SASL exchange with a client, whatever the protocol around it: challenges and answers in, who wants in out.
 *
 * The protocol lends a function that asks one question on its wire; the mechanisms and the names are the same for all. So
 * are the rules of whom one may act for (threats C2).
 */

import type { LoginAttempt } from '../../contract/admission.ts'
import type { NameRules } from '../../contract/names.ts'
import { canonicalName } from '../../contract/names.ts'
import type { PasswordLogin, Sasl, SaslRefusal } from './sasl.ts'
import {
  decodeBase64,
  decodeInitialResponse,
  decodeName,
  decodePassword,
  decodePlain,
  LOGIN_CHALLENGES,
} from './sasl.ts'

/** Sends a challenge (base64, '' for none) and reads the client's line; null when the client is gone or thrown out. */
export type Ask = (challenge: string) => Promise<string | null>

export type Exchange =
  | { readonly at: 'login'; readonly login: PasswordLogin }
  /** The client's error, not a guess (threats A12). */
  | { readonly at: 'refused'; readonly why: SaslRefusal | 'cancelled' | 'unsupported' }
  | { readonly at: 'gone' }

/** Cancels an exchange in every protocol (RFC 4954 §4, RFC 9051 §6.2.2, RFC 5034 §4). */
const CANCEL = '*'

/**
 * Lets a client speak one mechanism to its end.
 *
 * @param mechanism in upper case
 * @param initialResponse as it stood behind the mechanism, '=' for an empty one; null when there was none
 */
export async function converse(mechanism: string, initialResponse: string | null, ask: Ask): Promise<Exchange> {
  if (mechanism === 'PLAIN') {
    const message = initialResponse === null ? await answer(ask, '') : decodeInitialResponse(initialResponse)
    if ('at' in message) return message
    const login = message.ok ? decodePlain(message.value) : message
    return login.ok ? { at: 'login', login: login.value } : { at: 'refused', why: login.why }
  }
  if (mechanism === 'LOGIN') {
    // quirk: some clients put the user name behind the mechanism, which LOGIN never described.
    const name =
      initialResponse === null ? await answer(ask, LOGIN_CHALLENGES.name) : decodeInitialResponse(initialResponse)
    if ('at' in name) return name
    const authcid = name.ok ? decodeName(name.value) : name
    if (!authcid.ok) return { at: 'refused', why: authcid.why }
    const password = await answer(ask, LOGIN_CHALLENGES.password)
    if ('at' in password) return password
    const secret = password.ok ? decodePassword(password.value) : password
    if (!secret.ok) return { at: 'refused', why: secret.why }
    return { at: 'login', login: { authzid: '', authcid: authcid.value, secret: secret.value } }
  }
  return { at: 'refused', why: 'unsupported' }
}

async function answer(ask: Ask, challenge: string): Promise<Sasl<Buffer> | Exchange> {
  const line = await ask(challenge)
  if (line === null) return { at: 'gone' }
  return line === CANCEL ? { at: 'refused', why: 'cancelled' } : decodeBase64(line)
}

/**
 * The credential the gate is asked about.
 *
 * A name that can't be anybody's, and a wish to act for somebody else, go to the gate as well: as the empty name, which no
 * user has. So they get the words, the time and the throttling of a wrong password, and are never ignored.
 */
export function passwordCredential(login: PasswordLogin, rules: NameRules): LoginAttempt['credential'] {
  const authcid = canonicalName(login.authcid, rules)
  const authzid = login.authzid === '' ? authcid : canonicalName(login.authzid, rules)
  const isOwn = authcid.ok && authzid.ok && authzid.name === authcid.name
  return { kind: 'password', authcid: isOwn ? authcid.name : '', authzid: '', secret: login.secret }
}
