/**
 * The upstream's side of an SMTP login: from its greeting to an accepted login (RFC 5321 §4, RFC 4954).
 *
 * What it may cost and how its words are kept from the client is in `login/upstream-talk.ts`. EHLO is said again after
 * everything that may change the answer, the login included: what the upstream offers then is what the client could use.
 */

import { isIPv6 } from 'node:net'
import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import type { UpstreamSession } from '../login/protocol.ts'
import type { Sasl } from '../login/sasl.ts'
import { encodeLoginAnswer, encodePlain } from '../login/sasl.ts'
import { actsForAnother, UpstreamTalk, withoutSecret } from '../login/upstream-talk.ts'
import type { Wire } from '../net/wire.ts'
import { keywordsOf, parametersOf, parseReplyLine, xtext } from './parse.ts'

/** RFC 5321 §4.5.3.1.4; an initial response that makes AUTH longer goes in a line of its own (RFC 4954 §4). */
const MAX_COMMAND_OCTETS = 510

/** Whose session it is, and how we call ourselves. */
export interface SmtpCaller {
  readonly name: string
  readonly client: Peer
  readonly sessionId: string
}

/** An upstream without the way in: what it takes to ask what it offers. */
export type SmtpServer = Pick<UpstreamTarget, 'name' | 'tls'>

interface Reply {
  readonly code: number
  /** The text of each line. */
  readonly texts: readonly string[]
  /** The last line as it came, for messages. */
  readonly line: string
}

/**
 * Logs in as the target's identity, on a wire that was dialled for this target.
 *
 * @throws LoginFailure, WireError
 */
export async function loginUpstream(wire: Wire, target: UpstreamTarget, caller: SmtpCaller): Promise<UpstreamSession> {
  const talk = talkTo(wire, target)
  const { keywords, asClient } = await enter(talk, target, caller)
  const kept = keptTrust(keywords)[0]
  if (kept) {
    const { keyword, setting } = kept
    // XCLIENT has put the client's address in the place of ours; XFORWARD goes by ours all the same (decision 7).
    const whose = asClient && keyword === 'XCLIENT' ? `the client’s own address, ${caller.client.ip},` : 'our address'
    throw talk.failure(
      'upstream-protocol',
      `still offers ${keyword} after login, by which a client could become somebody else; take ${whose} out of ${setting} (Postfix)`,
    )
  }
  // In SMTP a server speaks when it is asked; what is there already would be taken for answers to the client's commands.
  if (wire.buffered > 0) throw talk.failure('upstream-protocol', 'answered before it was asked')
  return { capabilities: keywords, release: () => wire.release() }
}

/**
 * The same for a check, which has nobody to join to it: answers what the upstream offers whom it let in, and leaves.
 *
 * @throws LoginFailure, WireError
 */
export async function tryUpstream(wire: Wire, target: UpstreamTarget, caller: SmtpCaller): Promise<readonly string[]> {
  const talk = talkTo(wire, target)
  const { keywords } = await enter(talk, target, caller)
  talk.writeLine('QUIT')
  return keywords
}

function talkTo(wire: Wire, target: UpstreamTarget): SmtpTalk {
  return new SmtpTalk(wire, target.name, (text) => withoutSecret(text, target.identity))
}

/** From the greeting to what is offered after the login. `asClient`: the upstream was told the client's address. */
async function enter(
  talk: SmtpTalk,
  target: UpstreamTarget,
  caller: SmtpCaller,
): Promise<{ readonly keywords: readonly string[]; readonly asClient: boolean }> {
  let keywords = await talk.begin(target, caller.name)
  const offered = target.trusted ? parametersOf(keywords, 'XCLIENT') : null
  if (offered !== null) {
    await talk.mustSucceed(xclientCommand(offered, caller), 'XCLIENT', [220, 250])
    keywords = await talk.ehlo(caller.name)
  }
  await authenticate(talk, target, parametersOf(keywords, 'AUTH') ?? [])
  return { keywords: await talk.ehlo(caller.name), asClient: offered !== null }
}

/** Asks an upstream what it offers, without logging in. @throws LoginFailure, WireError */
export async function askUpstream(wire: Wire, server: SmtpServer, name: string): Promise<readonly string[]> {
  const talk = new SmtpTalk(wire, server.name, (text) => text)
  const keywords = await talk.begin(server, name)
  talk.writeLine('QUIT')
  return keywords
}

/** A way to hand an identity on, and the setting by which Postfix lets an address do so. */
export interface KeptTrust {
  readonly keyword: 'XCLIENT' | 'XFORWARD'
  readonly setting: string
}

const TRUST: readonly KeptTrust[] = [
  { keyword: 'XCLIENT', setting: 'smtpd_authorized_xclient_hosts' },
  { keyword: 'XFORWARD', setting: 'smtpd_authorized_xforward_hosts' },
]

/**
 * What an upstream still offers after the login and must not. Invariant 14: who may say XCLIENT may become anybody, also
 * after a login, and an upstream that listens to it from our address would listen to the client.
 */
export function keptTrust(keywords: readonly string[]): readonly KeptTrust[] {
  return TRUST.filter(({ keyword }) => parametersOf(keywords, keyword) !== null)
}

/** XCLIENT_README: what is said of a host name that nobody looked up. */
const NO_NAME = '[UNAVAILABLE]'

/**
 * Whose connection it is, for an upstream that trusts us (http://www.postfix.org/XCLIENT_README.html), as far as it wants to
 * know. Its names are taken back, because ours would stand beside the client's address. LOGIN is not among it: with that
 * Postfix takes the user for logged in, and refuses the login that proves it (docs/decisions/0007).
 */
function xclientCommand(offered: readonly string[], { client, sessionId }: SmtpCaller): string {
  const address = (ip: string): string => (isIPv6(ip) ? `IPV6:${ip}` : ip)
  const values: Readonly<Record<string, string>> = {
    NAME: NO_NAME,
    REVERSE_NAME: NO_NAME,
    ADDR: address(client.ip),
    PORT: String(client.port),
    DESTADDR: address(client.localIp),
    DESTPORT: String(client.localPort),
    PROTO: 'ESMTP',
    SESSION: sessionId,
  }
  const words = Object.entries(values).flatMap(([name, value]) =>
    offered.includes(name) ? [`${name}=${xtext(value)}`] : [],
  )
  return ['XCLIENT', ...words].join(' ')
}

/** Authenticates by the best way that is offered. */
async function authenticate(talk: SmtpTalk, target: UpstreamTarget, mechanisms: readonly string[]): Promise<void> {
  const { identity } = target
  if (identity.kind === 'oauth') {
    const { mechanism, message, giveUp } = talk.tokenMessage(identity, (name) => mechanisms.includes(name))
    return talk.sasl(mechanism, message, giveUp)
  }
  if (mechanisms.includes('PLAIN')) return talk.sasl('PLAIN', encodePlain(identity), null)
  if (actsForAnother(identity)) {
    throw talk.failure('upstream-protocol', 'does not offer AUTH PLAIN, without which nobody can act for a user')
  }
  if (mechanisms.includes('LOGIN')) return talk.login(identity.authcid, identity.secret.reveal())
  throw talk.failure('upstream-protocol', 'offers neither AUTH PLAIN nor AUTH LOGIN on this port')
}

/** How one speaks SMTP to an upstream. */
class SmtpTalk extends UpstreamTalk {
  /** From the greeting to what is offered where a login may be tried. */
  async begin(server: SmtpServer, name: string): Promise<readonly string[]> {
    const greeting = await this.#reply('the greeting')
    if (greeting.code !== 220) throw this.#refused(greeting, `greeted with ${this.quote(greeting.line)}`)
    const keywords = await this.ehlo(name)
    if (server.tls !== 'starttls') return keywords
    // Whether it is offered is not asked: an upstream that can't will say so, and one in the middle may say anything.
    await this.mustSucceed('STARTTLS', 'STARTTLS', [220])
    await this.startTls()
    return this.ehlo(name)
  }

  /** What the upstream offers now. The name is ours, never the client's (threats F4). */
  async ehlo(name: string): Promise<readonly string[]> {
    const { texts } = await this.mustSucceed(`EHLO ${name}`, 'EHLO', [250])
    return keywordsOf(texts)
  }

  /** @throws LoginFailure unless its answer has one of these codes */
  async mustSucceed(command: string, name: string, codes: readonly number[]): Promise<Reply> {
    this.writeLine(command)
    const reply = await this.#reply(name)
    if (codes.includes(reply.code)) return reply
    throw this.#refused(reply, `answered ${this.quote(reply.line)} to ${name}`)
  }

  /**
   * AUTH with one message of ours, sent at once where a line has room for it.
   *
   * @param giveUp what to send when the upstream asks on, so that it gives its verdict; null: it must not ask on
   */
  async sasl(mechanism: string, message: Sasl<string>, giveUp: string | null): Promise<void> {
    const name = `AUTH ${mechanism}`
    const text = this.sendable(message)
    const whole = `${name} ${text}`
    if (whole.length <= MAX_COMMAND_OCTETS) this.writeLine(whole)
    else {
      this.writeLine(name)
      await this.#asked(name)
      this.writeLine(text)
    }
    return this.#verdict(name, giveUp)
  }

  /** AUTH LOGIN, for upstreams without PLAIN. */
  async login(user: string, secret: string): Promise<void> {
    const answers = [this.sendable(encodeLoginAnswer(user)), this.sendable(encodeLoginAnswer(secret))]
    this.writeLine('AUTH LOGIN')
    for (const answer of answers) {
      await this.#asked('AUTH LOGIN')
      this.writeLine(answer)
    }
    return this.#verdict('AUTH LOGIN', null)
  }

  /** Waits until the upstream asks for more. */
  async #asked(name: string): Promise<void> {
    const reply = await this.#reply(name)
    if (reply.code === 334) return
    throw this.#refused(reply, `answered ${this.quote(reply.line)} to ${name} before it had our credential`)
  }

  /** The answer to a login. @throws LoginFailure by the kind of refusal */
  async #verdict(name: string, giveUp: string | null): Promise<void> {
    let reply = await this.#reply(name)
    if (reply.code === 334 && giveUp !== null) {
      this.writeLine(giveUp)
      reply = await this.#reply(name)
    }
    if (reply.code === 235) return
    const what = `answered ${this.quote(reply.line)} to ${name}`
    // RFC 4954 §6. Some servers know no code for this but 5xx with the enhanced one.
    const isCredential = reply.code === 535 || (reply.code >= 500 && /^5\.7\.8(?: |$)/.test(reply.texts.at(-1) ?? ''))
    throw isCredential ? this.failure('upstream-refused', what) : this.#refused(reply, what)
  }

  /** A failure for a reply that is not about our credential. */
  #refused({ code }: Reply, what: string): LoginFailure {
    return this.failure(code >= 400 && code < 500 ? 'upstream-unreachable' : 'upstream-protocol', what)
  }

  /** Reads a whole reply; all of its lines have the same code (RFC 5321 §4.2.1). */
  async #reply(what: string): Promise<Reply> {
    const texts: string[] = []
    let code: number | null = null
    for (;;) {
      const line = await this.readLine(what)
      const parsed = parseReplyLine(line)
      if (parsed === null || (code !== null && parsed.code !== code)) {
        throw this.failure('upstream-protocol', `sent ${this.quote(line)} instead of ${what}`)
      }
      code = parsed.code
      texts.push(parsed.text)
      if (parsed.isLast) return { code, texts, line }
    }
  }
}
