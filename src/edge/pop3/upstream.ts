/**
 * The upstream's side of a POP3 login: from its greeting to an accepted login (RFC 1939 §4, RFC 2449, RFC 5034).
 *
 * What it may cost and how its words are kept from the client is in `login/upstream-talk.ts`.
 */

import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import type { UpstreamSession } from '../login/protocol.ts'
import type { Sasl } from '../login/sasl.ts'
import { encodePlain } from '../login/sasl.ts'
import { actsForAnother, isSendable, UpstreamTalk, withoutSecret, withPending } from '../login/upstream-talk.ts'
import type { Wire } from '../net/wire.ts'
import type { Capabilities, Reply } from './parse.ts'
import { parseCapabilities, parseReply } from './parse.ts'

/** Dovecot drops a connection whose hops are used up; its own proxies start at five and we are the first. */
const PROXY_TTL = 4
/** Refusals that say come back later (RFC 2449 §8.1, RFC 3206 §4). */
const BUSY_CODES: ReadonlySet<string> = new Set(['SYS/TEMP', 'IN-USE', 'LOGIN-DELAY'])
/** A server from before CAPA. */
const NONE: Capabilities = new Map()

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
  const talk = new Pop3Talk(wire, target.name, (text) => withoutSecret(text, target.identity))
  // quirk: Dovecot says so in its greeting to addresses that it trusts, to spare its proxies a CAPA.
  let takesXclient = (await talk.greeting()) === 'XCLIENT'
  if (target.tls === 'starttls') {
    // Whether it is offered is not asked: an upstream that can't will say so, and one in the middle may say anything.
    await talk.mustSucceed('STLS')
    await talk.startTls()
  }
  const capabilities = await talk.capabilities()
  takesXclient ||= capabilities.has('XCLIENT')
  if (target.trusted && takesXclient) await talk.mustSucceed(xclientCommand(client, sessionId), 'XCLIENT')
  await authenticate(talk, target, capabilities)

  let pending: Buffer = Buffer.alloc(0)
  let own = NONE
  if (takesXclient) {
    // Only here, since it costs a round: who has not offered it by now has no reason to do so after the login.
    pending = await talk.takeBuffered()
    own = await talk.capabilities()
    if (own.has('XCLIENT')) {
      throw talk.failure(
        'upstream-protocol',
        'offers XCLIENT after login, by which a client could become somebody else; switch that off',
      )
    }
  }
  return { capabilities: [...own.keys()], release: () => withPending(pending, wire.release()) }
}

/** Authenticates by the best way that is offered. */
async function authenticate(talk: Pop3Talk, target: UpstreamTarget, capabilities: Capabilities): Promise<void> {
  const { identity } = target
  const mechanisms = capabilities.get('SASL') ?? []
  // RFC 3206 §6: who announces this says AUTH whenever the credential was wrong.
  const saysWhy = capabilities.has('AUTH-RESP-CODE')
  if (identity.kind === 'oauth') {
    const { mechanism, message, giveUp } = talk.tokenMessage(identity, (name) => mechanisms.includes(name))
    return talk.sasl(mechanism, message, saysWhy, giveUp)
  }
  if (mechanisms.includes('PLAIN')) return talk.sasl('PLAIN', encodePlain(identity), saysWhy, null)
  if (capabilities !== NONE && !capabilities.has('USER')) {
    throw talk.failure('upstream-protocol', 'takes no password on this port')
  }
  if (actsForAnother(identity)) {
    throw talk.failure('upstream-protocol', 'does not offer SASL PLAIN, without which nobody can act for a user')
  }
  return talk.userPass(identity.authcid, identity.secret.reveal(), saysWhy)
}

/** Dovecot's fields; it believes them from addresses in its login_trusted_networks. */
function xclientCommand(client: Peer, sessionId: string): string {
  return `XCLIENT ADDR=${client.ip} PORT=${client.port} SESSION=${sessionId} TTL=${PROXY_TTL}`
}

/** How one speaks POP3 to an upstream. */
class Pop3Talk extends UpstreamTalk {
  /** Reads the greeting; only +OK will do (threats D1). Answers its response code. */
  async greeting(): Promise<string | null> {
    const { line, reply } = await this.#read('the greeting')
    if (reply.kind === '+OK') return reply.code
    const reason = reply.kind === '-ERR' ? 'upstream-unreachable' : 'upstream-protocol'
    throw this.failure(reason, `greeted with ${this.quote(line)}`)
  }

  /** Runs a command with a reply of one line. @throws LoginFailure unless that is +OK */
  async mustSucceed(command: string, name: string = command): Promise<void> {
    this.writeLine(command)
    const { line, reply } = await this.#read(name)
    if (reply.kind !== '+OK') throw this.failure('upstream-protocol', `answered ${this.quote(line)} to ${name}`)
  }

  /** What the upstream can do (RFC 2449 §5); NONE for one that doesn't know the command. */
  async capabilities(): Promise<Capabilities> {
    this.writeLine('CAPA')
    const { line, reply } = await this.#read('CAPA')
    if (reply.kind === '-ERR') return NONE
    if (reply.kind !== '+OK') throw this.failure('upstream-protocol', `answered ${this.quote(line)} to CAPA`)
    const lines: string[] = []
    for (;;) {
      const next = await this.readLine('the end of its capabilities')
      if (next === '.') break
      lines.push(next)
    }
    const capabilities = parseCapabilities(lines)
    if (capabilities === null) throw this.failure('upstream-protocol', `lists ${this.quote(lines.join(', '))} in CAPA`)
    return capabilities
  }

  /**
   * AUTH with one message of ours, sent when it is asked for: RFC 5034 §4 allows it in the command, but a server that was
   * written for AUTH as it was before announces the same capability and would not take it.
   *
   * @param saysWhy whether the upstream marks refusals of the credential
   * @param giveUp what to send when the upstream asks on, so that it gives its verdict; null: it must not ask on
   */
  async sasl(mechanism: string, message: Sasl<string>, saysWhy: boolean, giveUp: string | null): Promise<void> {
    const text = this.sendable(message)
    const name = `AUTH ${mechanism}`
    this.writeLine(name)
    const { line, reply } = await this.#read(name)
    if (reply.kind !== 'continuation') {
      const isBusy = reply.kind === '-ERR' && BUSY_CODES.has(reply.code ?? '')
      throw this.failure(
        isBusy ? 'upstream-unreachable' : 'upstream-protocol',
        `answered ${this.quote(line)} to ${name} before it had our credential`,
      )
    }
    this.writeLine(text)
    let verdict = await this.#read(name)
    if (verdict.reply.kind === 'continuation' && giveUp !== null) {
      this.writeLine(giveUp)
      verdict = await this.#read(name)
    }
    this.#check(verdict, name, saysWhy)
  }

  /** USER and PASS, for upstreams without AUTH PLAIN (RFC 1939 §7). */
  async userPass(user: string, secret: string, saysWhy: boolean): Promise<void> {
    // threats C3: a blank would make another name of it.
    if (!isSendable(user) || user.includes(' ') || !isSendable(secret)) {
      throw this.failure('upstream-refused', "can't be sent this user name or secret")
    }
    for (const [name, text] of [
      ['USER', user],
      ['PASS', secret],
    ] as const) {
      this.writeLine(`${name} ${Buffer.from(text, 'utf8').toString('latin1')}`)
      this.#check(await this.#read(name), name, saysWhy)
    }
  }

  /** The answer to a login. @throws LoginFailure by the kind of refusal, unless it is +OK */
  #check({ line, reply }: Answer, name: string, saysWhy: boolean): void {
    if (reply.kind === '+OK') return
    const what = `answered ${this.quote(line)} to ${name}`
    if (reply.kind === 'continuation') throw this.failure('upstream-protocol', what)
    // Without a code it was the credential, as far as anybody can tell; unless the upstream would have said so.
    if (reply.code === 'AUTH' || (reply.code === null && !saysWhy)) throw this.failure('upstream-refused', what)
    throw this.failure(BUSY_CODES.has(reply.code ?? '') ? 'upstream-unreachable' : 'upstream-protocol', what)
  }

  async #read(what: string): Promise<Answer> {
    const line = await this.readLine(what)
    const reply = parseReply(line)
    if (reply === null) throw this.failure('upstream-protocol', `sent ${this.quote(line)} instead of ${what}`)
    return { line, reply }
  }
}

interface Answer {
  readonly line: string
  readonly reply: Reply
}
