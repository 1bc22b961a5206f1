/**
 * What is the same in every protocol's login upstream: lines to and from a server that nobody trusts (threats D).
 *
 * The upstream may be broken or in somebody else's hands. It gets 100 lines, 10 rounds and whatever bytes and time its wire
 * allows, and an answer that is there before its command was written ends the connection. Its own words never reach the
 * client: they go into the failure's message, for the log, without what we told it in secret.
 */

import type { UpstreamIdentity } from '../../contract/admission.ts'
import type { LoginFailureReason } from '../../contract/failure.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Leg, Wire } from '../net/wire.ts'
import type { Sasl } from './sasl.ts'
import { encodeOauthBearer, encodePlain, encodeXoauth2, OAUTHBEARER_GIVE_UP } from './sasl.ts'

/** threats D2. A login takes about five rounds and ten lines; SMTP's lists are the longest. */
const MAX_LINES = 100
const MAX_ROUNDS = 10
/** How much of an upstream's line goes into a message. */
const MAX_QUOTED_CHARS = 300

type PasswordIdentity = Extract<UpstreamIdentity, { readonly kind: 'password' }>
type TokenIdentity = Extract<UpstreamIdentity, { readonly kind: 'oauth' }>

/** Whether an identity logs in by its own name to be somebody else, for which most mechanisms have no word. */
export function actsForAnother({ authcid, authzid }: PasswordIdentity): boolean {
  return authzid !== '' && authzid !== authcid
}

/** How to show a token: in which mechanism, with what, and what to answer an upstream that asks on, so that it gives its verdict. */
export interface TokenMessage {
  readonly mechanism: 'OAUTHBEARER' | 'XOAUTH2'
  readonly message: Sasl<string>
  readonly giveUp: string
}

/**
 * One connection to an upstream: what has been used of its limits, and how one speaks to it. A protocol adds its own words
 * by extending it.
 */
export class UpstreamTalk {
  readonly #wire: Wire
  readonly #name: string
  readonly #redact: (text: string) => string
  #lines = 0
  #rounds = 0

  /**
   * @param name the upstream's, in the configuration
   * @param redact takes our secrets out of what the upstream echoes, before that becomes a failure's message
   */
  constructor(wire: Wire, name: string, redact: (text: string) => string) {
    this.#wire = wire
    this.#name = name
    this.#redact = redact
  }

  /** One line of the upstream's, latin1. @param what is waited for, for the message when it doesn't come */
  async readLine(what: string): Promise<string> {
    this.#lines += 1
    if (this.#lines > MAX_LINES) throw this.failure('upstream-protocol', `sent more than ${MAX_LINES} lines`)
    const line = await this.#wire.readLine()
    if (line === null) throw this.failure('upstream-unreachable', `closed the connection instead of ${what}`)
    return line
  }

  /**
   * Writes one line of ours (latin1), which is one round.
   *
   * threats D4: whatever has arrived by now is no answer to what is written only now.
   */
  writeLine(line: string): void {
    this.#rounds += 1
    if (this.#rounds > MAX_ROUNDS) throw this.failure('upstream-protocol', `took more than ${MAX_ROUNDS} rounds`)
    if (this.#wire.buffered > 0) throw this.failure('upstream-protocol', 'answered before it was asked')
    this.#wire.write(Buffer.from(`${line}\r\n`, 'latin1'))
  }

  /** What has arrived by now and is not to be read by us: it is the client's (threats D6). */
  async takeBuffered(): Promise<Buffer> {
    const count = this.#wire.buffered
    return (count > 0 && (await this.#wire.readBytes(count))) || Buffer.alloc(0)
  }

  /** TLS, after the upstream has agreed to it. @throws WireError, also when bytes are waiting already (invariant 3) */
  async startTls(): Promise<void> {
    if (this.#wire.dialled === null) throw new TypeError('TLS can only be started on a wire that was dialled')
    await this.#wire.startTls(this.#wire.dialled)
  }

  /** How to show the identity's token, by the best way that is offered. @throws LoginFailure when none is */
  tokenMessage(
    { authcid, accessToken }: TokenIdentity,
    isOffered: (mechanism: TokenMessage['mechanism']) => boolean,
  ): TokenMessage {
    const login = { authzid: authcid, token: accessToken }
    if (isOffered('OAUTHBEARER')) {
      const { host, port } = this.#wire.dialled?.endpoint ?? { host: '', port: 0 }
      return {
        mechanism: 'OAUTHBEARER',
        message: encodeOauthBearer(login, host, port),
        giveUp: OAUTHBEARER_GIVE_UP,
      }
    }
    if (isOffered('XOAUTH2')) return { mechanism: 'XOAUTH2', message: encodeXoauth2(login), giveUp: '' }
    throw this.failure('upstream-protocol', 'offers neither OAUTHBEARER nor XOAUTH2')
  }

  failure(reason: LoginFailureReason, what: string): LoginFailure {
    return new LoginFailure(reason, `upstream ${this.#name} ${what}`)
  }

  /** threats C3: what can't be encoded is never sent; the upstream could not accept it either. */
  sendable(message: Sasl<string>): string {
    if (message.ok) return message.value
    throw this.failure('upstream-refused', `can't be sent the credential: it is ${message.why}`)
  }

  /** An upstream's line for a message: cut, and without our secrets. */
  quote(line: string): string {
    const text = this.#redact(line)
    return JSON.stringify(text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text)
  }
}

/** So many characters in a row are a piece of a secret, and no coincidence. */
const PIECE_CHARS = 8

/**
 * A text without the identity's secret in it, in any form that we send it in: as it is, in SASL's base64, whole or in pieces,
 * because servers cut what they echo.
 *
 * @param spellings further forms in which the protocol sends a secret
 */
export function withoutSecret(
  text: string,
  identity: UpstreamIdentity,
  spellings: (secret: string) => readonly string[] = () => [],
): string {
  const secret = identity.kind === 'password' ? identity.secret.reveal() : identity.accessToken.reveal()
  const forms = [secret, Buffer.from(secret, 'utf8').toString('latin1'), ...spellings(secret), ...insideBase64(secret)]
  if (identity.kind === 'password') {
    const plain = encodePlain(identity)
    if (plain.ok) forms.unshift(plain.value)
  }
  const whole = forms.filter((form) => form !== '').reduce((rest, form) => rest.replaceAll(form, '[secret]'), text)
  return withoutPieces(whole, forms)
}

/** What a text looks like inside of any longer one in base64, which depends on where it starts; ends that mix are left out. */
function insideBase64(text: string): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const octets = Buffer.from(`${'\0'.repeat(before)}${text}`, 'utf8')
    const inside = octets.toString('base64', before === 0 ? 0 : 3, octets.length - (octets.length % 3))
    return inside.length < PIECE_CHARS ? [] : [inside]
  })
}

function withoutPieces(text: string, forms: readonly string[]): string {
  const pieces = new Set<string>()
  for (const form of forms) {
    for (let at = 0; at + PIECE_CHARS <= form.length; at++) pieces.add(form.slice(at, at + PIECE_CHARS))
  }
  let rest = ''
  let at = 0
  while (at < text.length) {
    let end = at
    // Pieces overlap: each that starts before the last one has ended belongs to it.
    for (let next = at; next <= end; next++) {
      if (pieces.has(text.slice(next, next + PIECE_CHARS))) end = next + PIECE_CHARS
    }
    rest += end > at ? '[secret]' : text[at]
    at = Math.max(end, at + 1)
  }
  return rest
}

/** A leg before whose bytes others come. */
export function withPending(first: Buffer, leg: Leg): Leg {
  if (first.length === 0) return leg
  const pending = Buffer.concat([first, leg.pending])
  return { socket: leg.socket, pending, take: (sink) => leg.take(sink) }
}

/** threats C3: no emitter sends these, whatever the encoding would make of them. */
export function isSendable(text: string): boolean {
  return text !== '' && !/[\0\x01\r\n]/.test(text)
}
