/**
 * SASL mechanisms as pure functions: octets → what they say, and back. No socket, no state, no protocol's framing.
 *
 * PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), XOAUTH2 (Google's and Microsoft's description) and OAUTHBEARER
 * (RFC 7628), each decoded for the client's side and encoded for the upstream's. Both directions answer a union: what a
 * peer sent wrong and what may not be sent are ordinary outcomes, never exceptions. A refusal never holds what was refused.
 *
 * Passwords are octets on the wire and text in here: UTF-8 where they are valid UTF-8 (RFC 4616 §2), otherwise each octet
 * is taken as Latin-1, which is what clients of before 2005 send for "é". They go upstream as UTF-8, so such a client
 * passes for one that had sent UTF-8 from the start. App passwords are ASCII and do not feel it. Names are not guessed at:
 * a name that is not UTF-8 is refused.
 */

import { Secret } from '../../secret.ts'

/** Longest base64 text of one response, in characters: an OAuth token of 8 KiB fits, with its frame. */
export const MAX_SASL_CHARS = 12 * 1024

export type SaslRefusal =
  /** Longer than MAX_SASL_CHARS. */
  | 'too-long'
  /** Not canonical base64: another alphabet, missing padding, blanks, bits set behind the last octet. */
  | 'base64'
  /** Not the fields the mechanism asks for, in number or form; a forbidden NUL ends up here, too. */
  | 'fields'
  /** A field that may not be empty is. */
  | 'empty'
  /** CR, LF, NUL or (where it separates fields) \x01 inside a field. */
  | 'control'
  /** A name that is not valid UTF-8. */
  | 'utf-8'

export type Sasl<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly why: SaslRefusal }

/** authzid '' means: the same as authcid (RFC 4616 §2). */
export interface PasswordLogin {
  readonly authzid: string
  readonly authcid: string
  readonly secret: Secret
}

/** authzid '' where the mechanism or the client gave none; then the token alone says who it is. */
export interface TokenLogin {
  readonly authzid: string
  readonly token: Secret
}

const refused = (why: SaslRefusal): { readonly ok: false; readonly why: SaslRefusal } => ({ ok: false, why })
const read = <Value>(value: Value): Sasl<Value> => ({ ok: true, value })

const EMPTY = Buffer.alloc(0)
// A byte order mark is part of a name or a password like any other character.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Octets as text, null when they are not UTF-8. */
export function utf8Text(octets: Uint8Array): string | null {
  try {
    return UTF8.decode(octets)
  } catch {
    return null
  }
}

/** A password's octets as text: UTF-8, or Latin-1 when they can't be that (see the head of this file). */
export function passwordText(octets: Buffer): string {
  return utf8Text(octets) ?? octets.toString('latin1')
}

/** Decodes one base64 response (RFC 4648 §4): canonical form only, so that one value has one spelling. */
export function decodeBase64(text: string): Sasl<Buffer> {
  if (text.length > MAX_SASL_CHARS) return refused('too-long')
  const octets = Buffer.from(text, 'base64')
  // Node skips what it does not know; only the canonical spelling survives the way back.
  return octets.toString('base64') === text ? read(octets) : refused('base64')
}

/** Decodes an initial response, where a single '=' stands for the empty one (RFC 4954 §4, RFC 4959 §3). */
export function decodeInitialResponse(text: string): Sasl<Buffer> {
  return text === '=' ? read(EMPTY) : decodeBase64(text)
}

/**
 * Decodes a PLAIN message: `authzid NUL authcid NUL passwd` (RFC 4616 §2), where no field holds NUL (there is no fourth
 * field), CR or LF. The grammar forbids an empty name or password; here they are read as what they are, a wrong one, so that
 * somebody who typed nothing hears that and not of a protocol error.
 */
export function decodePlain(octets: Buffer): Sasl<PasswordLogin> {
  const first = octets.indexOf(0)
  const second = octets.indexOf(0, first + 1)
  if (first < 0 || second < 0 || octets.indexOf(0, second + 1) >= 0) return refused('fields')
  const authzid = decodeName(octets.subarray(0, first))
  if (!authzid.ok) return authzid
  const authcid = decodeName(octets.subarray(first + 1, second))
  if (!authcid.ok) return authcid
  const secret = decodePassword(octets.subarray(second + 1))
  if (!secret.ok) return secret
  return read({ authzid: authzid.value, authcid: authcid.value, secret: secret.value })
}

/** What a LOGIN server asks, in this order; clients compare the octets. */
export const LOGIN_CHALLENGES = {
  name: Buffer.from('Username:').toString('base64'),
  password: Buffer.from('Password:').toString('base64'),
} as const

/** The first answer of LOGIN, or the user argument of a protocol's own login command. */
export function decodeName(octets: Uint8Array): Sasl<string> {
  const name = utf8Text(octets)
  if (name === null) return refused('utf-8')
  return hasLineOrNul(name) ? refused('control') : read(name)
}

/** The second answer of LOGIN, or the password argument of a protocol's own login command. */
export function decodePassword(octets: Buffer): Sasl<Secret> {
  const text = passwordText(octets)
  return hasLineOrNul(text) ? refused('control') : read(new Secret(text))
}

/** Decodes XOAUTH2's only message: `user=` name \x01 `auth=Bearer ` token \x01 \x01. */
export function decodeXoauth2(octets: Buffer): Sasl<TokenLogin> {
  const text = utf8Text(octets)
  if (text === null) return refused('utf-8')
  const [user, auth, end, rest, ...more] = text.split('\x01')
  if (user === undefined || auth === undefined || end !== '' || rest !== '' || more.length > 0) return refused('fields')
  if (!user.startsWith('user=')) return refused('fields')
  const name = user.slice('user='.length)
  if (name === '') return refused('empty')
  if (hasLineOrNul(name)) return refused('control')
  const token = bearerToken(auth)
  return token.ok ? read({ authzid: name, token: token.value }) : token
}

/**
 * Decodes OAUTHBEARER's first message (RFC 7628 §3.1): a GS2 header without channel binding, then key=value pairs that
 * each end in \x01, then one more \x01. Pairs other than `auth` (host, port) are checked for form and not used.
 */
export function decodeOauthBearer(octets: Buffer): Sasl<TokenLogin> {
  const text = utf8Text(octets)
  if (text === null) return refused('utf-8')
  const pieces = text.split('\x01')
  if (pieces.length < 4 || pieces.at(-1) !== '' || pieces.at(-2) !== '') return refused('fields')
  const authzid = gs2Name(pieces[0] ?? '')
  if (!authzid.ok) return authzid
  let auth: string | null = null
  for (const pair of pieces.slice(1, -2)) {
    const equals = pair.indexOf('=')
    if (equals < 1 || !isLetters(pair.slice(0, equals))) return refused('fields')
    if (hasLineOrNul(pair)) return refused('control')
    if (pair.slice(0, equals).toLowerCase() !== 'auth') continue
    if (auth !== null) return refused('fields')
    auth = pair
  }
  if (auth === null) return refused('fields')
  const token = bearerToken(auth)
  return token.ok ? read({ authzid: authzid.value, token: token.value }) : token
}

/** The base64 text of a PLAIN message. @see decodePlain */
export function encodePlain(login: PasswordLogin): Sasl<string> {
  const { authzid, authcid } = login
  const secret = login.secret.reveal()
  if (authcid === '' || secret === '') return refused('empty')
  if (!isSendable(authzid) || !isSendable(authcid) || !isSendable(secret)) return refused('control')
  return base64(`${authzid}\0${authcid}\0${secret}`)
}

/** The base64 text of one LOGIN answer: a name or a password. */
export function encodeLoginAnswer(text: string): Sasl<string> {
  if (text === '') return refused('empty')
  return isSendable(text) ? base64(text) : refused('control')
}

/** The base64 text of XOAUTH2's message; `authzid` is the mailbox. */
export function encodeXoauth2(login: TokenLogin): Sasl<string> {
  const token = login.token.reveal()
  if (login.authzid === '' || token === '') return refused('empty')
  if (!isSendable(login.authzid) || !isToken(token)) return refused('control')
  return base64(`user=${login.authzid}\x01auth=Bearer ${token}\x01\x01`)
}

/** The base64 text of OAUTHBEARER's first message (RFC 7628 §3.1), with the host and port that are spoken to. */
export function encodeOauthBearer(login: TokenLogin, host: string, port: number): Sasl<string> {
  const token = login.token.reveal()
  if (token === '') return refused('empty')
  if (!isSendable(login.authzid) || !isSendable(host) || !isToken(token)) return refused('control')
  // RFC 5801 §4, saslname: the only two characters that would end the field.
  const name = login.authzid.replaceAll('=', '=3D').replaceAll(',', '=2C')
  const header = name === '' ? 'n,,' : `n,a=${name},`
  return base64(`${header}\x01host=${host}\x01port=${port}\x01auth=Bearer ${token}\x01\x01`)
}

/** What a client must answer to OAUTHBEARER's error challenge before it gets the verdict (RFC 7628 §3.2.3): one \x01. */
export const OAUTHBEARER_GIVE_UP = 'AQ=='

function base64(text: string): Sasl<string> {
  const encoded = Buffer.from(text, 'utf8').toString('base64')
  return encoded.length > MAX_SASL_CHARS ? refused('too-long') : read(encoded)
}

/** `n,` or `y,` then an optional `a=` saslname then `,` (RFC 5801 §4). We do no channel binding, so `p=` is refused. */
function gs2Name(header: string): Sasl<string> {
  const [flag, name, end, ...more] = header.split(',')
  if ((flag !== 'n' && flag !== 'y') || name === undefined || end !== '' || more.length > 0) return refused('fields')
  if (name === '') return read('')
  if (!name.startsWith('a=') || name === 'a=') return refused('fields')
  const [head = '', ...escapes] = name.slice('a='.length).split('=')
  let decoded = head
  for (const piece of escapes) {
    if (piece.startsWith('2C')) decoded += `,${piece.slice(2)}`
    else if (piece.startsWith('3D')) decoded += `=${piece.slice(2)}`
    else return refused('fields')
  }
  return hasLineOrNul(decoded) ? refused('control') : read(decoded)
}

/** `auth=Bearer ` and a token; the scheme in any case (RFC 9110 §11.1). */
function bearerToken(pair: string): Sasl<Secret> {
  const scheme = 'auth=bearer '
  if (pair.slice(0, scheme.length).toLowerCase() !== scheme) return refused('fields')
  const token = pair.slice(scheme.length)
  if (token === '') return refused('empty')
  return isToken(token) ? read(new Secret(token)) : refused('control')
}

/** VCHAR only, as any bearer token is (RFC 6750 §2.1). */
function isToken(text: string): boolean {
  return everyCode(text, (code) => code > 0x20 && code < 0x7f)
}

function isLetters(text: string): boolean {
  return everyCode(text.toLowerCase(), (code) => code >= 0x61 && code <= 0x7a)
}

/** threats C3: what no emitter may send, whatever the mechanism would make of it. */
function isSendable(text: string): boolean {
  return everyCode(text, (code) => code !== 0 && code !== 1 && code !== 0x0a && code !== 0x0d)
}

function hasLineOrNul(text: string): boolean {
  return !everyCode(text, (code) => code !== 0 && code !== 0x0a && code !== 0x0d)
}

function everyCode(text: string, test: (code: number) => boolean): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!test(text.charCodeAt(i))) return false
  }
  return true
}
