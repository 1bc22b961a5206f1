/**
 * The upstream's side of an IMAP login: from its greeting to an accepted login (RFC 9051 §6.2, §7.1).
 *
 * What it may cost and how its words are kept from the client is in `login/upstream-talk.ts`; here, also, tags are random, so
 * that no answer can be sent before its command was read (threats D4).
 */

import { randomBytes } from 'node:crypto'
import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import type { UpstreamSession } from '../login/protocol.ts'
import type { Sasl } from '../login/sasl.ts'
import { encodePlain } from '../login/sasl.ts'
import { actsForAnother, isSendable, UpstreamTalk, withoutSecret, withPending } from '../login/upstream-talk.ts'
import type { Wire } from '../net/wire.ts'
import type { Response, ResponseCode } from './responses.ts'
import { capabilityNames, offers, parseResponse } from './responses.ts'

/** Dovecot drops a connection whose hops are used up; its own proxies start at five and we are the first. */
const PROXY_TTL = 4

/** Refusals that mean the credential was wrong (RFC 5530 §3); a NO without a code means that, too. Others are temporary. */
const CREDENTIAL_CODES: ReadonlySet<string> = new Set(['AUTHENTICATIONFAILED', 'AUTHORIZATIONFAILED', 'EXPIRED'])
/** Refusals that say come back later. */
const BUSY_CODES: ReadonlySet<string> = new Set(['UNAVAILABLE', 'LIMIT', 'INUSE', 'CONTACTADMIN', 'SERVERBUG'])

type Tagged = Extract<Response, { kind: 'status' }>

/** What came back for one command. */
interface Answer {
  readonly status: Tagged
  readonly line: string
  /** From an untagged CAPABILITY or a code, whichever came last; null when the upstream said nothing about it. */
  readonly capabilities: readonly string[] | null
}

/**
 * Logs in as the target's identity, on a wire that was dialled for this target.
 *
 * @throws LoginFailure, WireError
 */
export async function loginUpstream(
  wire: Wire,
  target: UpstreamTarget,
  client: Peer,
  sessionId: string,
): Promise<UpstreamSession> {
  const talk = new ImapTalk(wire, target.name, (text) => withoutSecret(text, target.identity, (x) => [escaped(x)]))
  let capabilities = await talk.greeting()
  if (target.tls === 'starttls') {
    // Whether it is offered is not asked: an upstream that can't will say so, and one in the middle may say anything.
    await talk.mustSucceed('STARTTLS')
    await talk.startTls()
    capabilities = null
  }
  capabilities ??= (await talk.mustSucceed('CAPABILITY')).capabilities
  if (capabilities === null) throw talk.failure('upstream-protocol', 'did not list its capabilities')
  if (target.trusted && offers(capabilities, 'ID')) await talk.mustSucceed(idCommand(client, sessionId), 'ID')

  const accepted = await authenticate(talk, target, capabilities)
  let pending: Buffer = Buffer.alloc(0)
  let own = accepted.capabilities
  if (own === null) ({ capabilities: own, pending } = await talk.capabilitiesAfterLogin())
  if (offers(own, 'UNAUTHENTICATE')) {
    throw talk.failure(
      'upstream-protocol',
      'offers UNAUTHENTICATE after login, by which a client could become somebody else; switch that off',
    )
  }
  return { capabilities: own, release: () => withPending(pending, wire.release()) }
}

/** Authenticates by the best way that is offered. */
async function authenticate(talk: ImapTalk, target: UpstreamTarget, capabilities: readonly string[]): Promise<Answer> {
  const { identity } = target
  const isDirect = offers(capabilities, 'SASL-IR')
  if (identity.kind === 'oauth') {
    const { mechanism, message, giveUp } = talk.tokenMessage(identity, (name) => offers(capabilities, `AUTH=${name}`))
    return talk.sasl(mechanism, message, isDirect, giveUp)
  }
  if (offers(capabilities, 'AUTH=PLAIN')) return talk.sasl('PLAIN', encodePlain(identity), isDirect, null)
  if (offers(capabilities, 'LOGINDISABLED')) throw talk.failure('upstream-protocol', 'takes no password on this port')
  if (actsForAnother(identity)) {
    throw talk.failure('upstream-protocol', 'does not offer AUTH=PLAIN, without which nobody can act for a user')
  }
  return talk.login(identity.authcid, identity.secret.reveal())
}

/** The names of Dovecot's fields; it believes them from addresses in its login_trusted_networks. */
function idCommand(client: Peer, sessionId: string): string {
  const fields = {
    'x-session-id': sessionId,
    'x-originating-ip': client.ip,
    'x-originating-port': String(client.port),
    'x-connected-ip': client.localIp,
    'x-connected-port': String(client.localPort),
    'x-proxy-ttl': String(PROXY_TTL),
  }
  const pairs = Object.entries(fields).map(([name, value]) => `${quoted(name)} ${quoted(value)}`)
  return `ID (${pairs.join(' ')})`
}

/** How one speaks IMAP to an upstream. */
class ImapTalk extends UpstreamTalk {
  /** Reads the greeting; only OK will do (threats D1). Answers the capabilities, if it names them. */
  async greeting(): Promise<readonly string[] | null> {
    const { line, response } = await this.#read('the greeting')
    if (response.kind === 'status' && response.tag === null) {
      if (response.status === 'OK') return capabilitiesIn(response.code)
      const reason = response.status === 'BYE' ? 'upstream-unreachable' : 'upstream-protocol'
      throw this.failure(reason, `greeted with ${this.quote(line)}`)
    }
    throw this.failure('upstream-protocol', `greeted with ${this.quote(line)}`)
  }

  /** Runs a command without a continuation. @throws LoginFailure unless its answer is OK */
  async mustSucceed(command: string, name: string = command): Promise<Answer> {
    const tag = this.#command(command)
    const { status, line, capabilities } = await this.#answer(tag, name)
    if (status.status !== 'OK') throw this.failure('upstream-protocol', `answered ${this.quote(line)} to ${name}`)
    return { status, line, capabilities }
  }

  /**
   * AUTHENTICATE with one message of ours, sent at once where SASL-IR is offered (RFC 4959).
   *
   * @param giveUp what to send when the upstream asks on, so that it gives its verdict; null: it must not ask on
   */
  async sasl(mechanism: string, message: Sasl<string>, isDirect: boolean, giveUp: string | null): Promise<Answer> {
    const text = this.sendable(message)
    const tag = this.#command(`AUTHENTICATE ${mechanism}${isDirect ? ` ${text}` : ''}`)
    if (!isDirect) {
      await this.#continuation(mechanism)
      this.writeLine(text)
    }
    return this.#verdict(tag, `AUTHENTICATE ${mechanism}`, giveUp)
  }

  /** LOGIN, for upstreams without AUTH=PLAIN (RFC 9051 §6.2.3). What can't be quoted goes as synchronising literals. */
  async login(user: string, secret: string): Promise<Answer> {
    let tag: string | null = null
    let line = 'LOGIN'
    const send = (text: string): string => {
      if (tag !== null) this.writeLine(text)
      else tag = this.#command(text)
      return tag
    }
    for (const text of [user, secret]) {
      if (!isSendable(text)) throw this.failure('upstream-refused', "can't be sent this user name or secret")
      if (isQuotable(text)) {
        line += ` ${quoted(text)}`
        continue
      }
      const octets = Buffer.from(text, 'utf8').toString('latin1')
      send(`${line} {${octets.length}}`)
      await this.#continuation('LOGIN')
      // A literal's octets and what follows them are one line of talk.
      line = octets
    }
    return this.#verdict(send(line), 'LOGIN', null)
  }

  /**
   * Asks for the capabilities after the login, for upstreams that don't tell. What else the upstream sends by then is the
   * client's, and is handed back (threats D6).
   */
  async capabilitiesAfterLogin(): Promise<{ readonly capabilities: readonly string[]; readonly pending: Buffer }> {
    const kept = [await this.takeBuffered()]
    const tag = this.#command('CAPABILITY')
    let capabilities: readonly string[] | null = null
    for (;;) {
      const line = await this.readLine('CAPABILITY')
      const response = parseResponse(line)
      if (response?.kind === 'capability') capabilities = response.names
      else if (response?.kind === 'status' && response.tag === tag) {
        if (response.status === 'OK' && capabilities) return { capabilities, pending: Buffer.concat(kept) }
        throw this.failure('upstream-protocol', `answered ${this.quote(line)} to CAPABILITY after the login`)
      } else kept.push(Buffer.from(`${line}\r\n`, 'latin1'))
    }
  }

  /** The answer to a login. @throws LoginFailure by the kind of refusal */
  async #verdict(tag: string, name: string, giveUp: string | null): Promise<Answer> {
    const answer = await this.#answer(tag, name, giveUp)
    const { status, line } = answer
    if (status.status === 'OK') return answer
    const what = `answered ${this.quote(line)} to ${name}`
    if (status.status === 'BAD') throw this.failure('upstream-protocol', what)
    const code = status.code?.name ?? null
    if (code === null || CREDENTIAL_CODES.has(code)) throw this.failure('upstream-refused', what)
    throw this.failure(BUSY_CODES.has(code) ? 'upstream-unreachable' : 'upstream-protocol', what)
  }

  /** Reads up to the tagged answer. A continuation on the way is answered once with `giveUp`, if that is allowed at all. */
  async #answer(tag: string, name: string, giveUp: string | null = null): Promise<Answer> {
    let capabilities: readonly string[] | null = null
    let mayGiveUp = giveUp !== null
    for (;;) {
      const { line, response } = await this.#read(name)
      if (response.kind === 'capability') capabilities = response.names
      else if (response.kind === 'continuation') {
        if (!mayGiveUp) throw this.failure('upstream-protocol', `asked on in the middle of ${name}`)
        mayGiveUp = false
        this.writeLine(giveUp ?? '')
      } else if (response.kind === 'status') {
        if (response.tag === tag) {
          return { status: response, line, capabilities: capabilitiesIn(response.code) ?? capabilities }
        }
        this.#checkUntagged(response, line, name)
      }
    }
  }

  /** Waits until the upstream asks for more. */
  async #continuation(name: string): Promise<void> {
    for (;;) {
      const { line, response } = await this.#read(name)
      if (response.kind === 'continuation') return
      if (response.kind !== 'status') continue
      if (response.tag !== null) {
        const reason =
          response.status === 'NO' && BUSY_CODES.has(response.code?.name ?? '')
            ? 'upstream-unreachable'
            : 'upstream-protocol'
        throw this.failure(reason, `answered ${this.quote(line)} to ${name} before it had our credential`)
      }
      this.#checkUntagged(response, line, name)
    }
  }

  #checkUntagged(response: Tagged, line: string, name: string): void {
    if (response.tag !== null)
      throw this.failure('upstream-protocol', `answered ${this.quote(line)}, which nobody asked`)
    if (response.status === 'BYE') throw this.failure('upstream-unreachable', `said ${this.quote(line)} to ${name}`)
    if (response.status === 'PREAUTH') throw this.failure('upstream-protocol', `said ${this.quote(line)} to ${name}`)
  }

  async #read(what: string): Promise<{ readonly line: string; readonly response: Response }> {
    const line = await this.readLine(what)
    const response = parseResponse(line)
    if (response === null) throw this.failure('upstream-protocol', `sent ${this.quote(line)} instead of ${what}`)
    return { line, response }
  }

  /** Writes a command and returns its tag, which nobody can know before. */
  #command(text: string): string {
    const tag = `S${randomBytes(6).toString('hex')}`
    this.writeLine(`${tag} ${text}`)
    return tag
  }
}

function capabilitiesIn(code: ResponseCode | null): readonly string[] | null {
  return code?.name === 'CAPABILITY' ? capabilityNames(code.rest) : null
}

/** TEXT-CHAR (RFC 9051 §9): what may stand in a quoted string before anybody has agreed on UTF-8. */
function isQuotable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')
const quoted = (text: string): string => `"${escaped(text)}"`
