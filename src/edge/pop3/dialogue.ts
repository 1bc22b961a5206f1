/**
 * The client's side of a POP3 connection, from the greeting to an accepted login: the AUTHORIZATION state (RFC 1939 §4).
 *
 * Straight-line: one await per line of talk. Each command gets one reply, also the one that ends the connection, so a client
 * that sent several at once can tell which reply is whose. What stands behind a login in the same write stays in the wire
 * until its verdict (threats A9).
 */

import type { LoginAttempt, Peer } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import type { DialogueOptions } from '../login/dialogue.ts'
import {
  audienceOf,
  isForeign,
  LAST_WORDS,
  noteTlsRequired,
  Patience,
  SASL_ERRORS,
  TOO_MANY_ERRORS,
} from '../login/dialogue.ts'
import { converse, passwordCredential } from '../login/exchange.ts'
import type { LoginDialogue } from '../login/protocol.ts'
import type { PasswordLogin } from '../login/sasl.ts'
import { decodeName, decodePassword, MAX_SASL_CHARS } from '../login/sasl.ts'
import type { Leg, Wire } from '../net/wire.ts'
import { WireError } from '../net/wire.ts'
import { MAX_LINE_CHARS, parseAuth, parseCommandLine } from './parse.ts'
import { capabilitiesBeforeLogin, MECHANISMS, refusal } from './replies.ts'

/** AUTH with an initial response: that and its command. */
const MAX_FIRST_LINE_CHARS = MAX_SASL_CHARS + 256

/** What follows from a command: the next one, the end of the connection, or a login to be decided. */
type Step = 'next' | 'over' | LoginAttempt

interface CommandRule {
  /** @param rest what stands behind the keyword and its blank; null when there is no blank */
  readonly run: (dialogue: Pop3Dialogue, rest: string | null) => Step | Promise<Step>
  /** Takes no argument. */
  readonly isBare?: true
  /** A part of a login: refused without TLS where the listener demands it (threats A2). */
  readonly isLogin?: true
}

const COMMANDS: ReadonlyMap<string, CommandRule> = new Map<string, CommandRule>([
  ['CAPA', { run: (dialogue) => dialogue.capa(), isBare: true }], // RFC 2449 §5
  ['STLS', { run: (dialogue) => dialogue.stls(), isBare: true }], // RFC 2595 §4
  ['QUIT', { run: (dialogue) => dialogue.quit(), isBare: true }], // RFC 1939 §4
  ['USER', { run: (dialogue, rest) => dialogue.user(rest), isLogin: true }], // RFC 1939 §7
  ['PASS', { run: (dialogue, rest) => dialogue.pass(rest), isLogin: true }],
  ['AUTH', { run: (dialogue, rest) => dialogue.auth(rest), isLogin: true }], // RFC 5034 §4
])

/**
 * Commands of a client that is logged in. Before that they are refused but not counted as errors: a client that sent them
 * behind a login that failed did nothing wrong (threats A9).
 */
const LATER_COMMANDS: ReadonlySet<string> = new Set('STAT LIST RETR DELE NOOP RSET TOP UIDL LAST LANG UTF8'.split(' '))

/** Greets the client and hands over the rest of the talk. */
export function greetClient(wire: Wire, peer: Peer, options: DialogueOptions): LoginDialogue {
  const dialogue = new Pop3Dialogue(wire, peer, options)
  dialogue.greet()
  return dialogue
}

class Pop3Dialogue implements LoginDialogue {
  readonly #wire: Wire
  readonly #options: DialogueOptions
  readonly #patience: Patience
  #peer: Peer
  /** The name that waits for its PASS. */
  #user: string | null = null
  #isOver = false

  constructor(wire: Wire, peer: Peer, options: DialogueOptions) {
    this.#wire = wire
    this.#peer = peer
    this.#options = options
    this.#patience = new Patience(options)
  }

  /** Without the timestamp that would offer APOP (RFC 1939 §7), which needs the password in clear on our side (threats B13). */
  greet(): void {
    this.#send('+OK sallyport is ready.')
  }

  async next(): Promise<LoginAttempt | null> {
    try {
      let step: Step = this.#isOver ? 'over' : 'next'
      while (step === 'next') step = await this.#step()
      return step === 'over' ? null : step
    } catch (error) {
      if (error instanceof WireError) {
        const words = LAST_WORDS[error.code]
        // RFC 3206 §4: try again later.
        if (words) this.#send(`-ERR ${error.code === 'ERR_WIRE_GOING_DOWN' ? '[SYS/TEMP] ' : ''}${words}`)
      }
      throw error
    }
  }

  async reject(why: LoginFailure): Promise<void> {
    this.#send(refusal(why.reason, audienceOf(this.#options, why)))
    this.#isOver = this.#patience.endsWithRefusal()
  }

  async accept(): Promise<Leg> {
    // Released first: past the deadline that fails, and then the client must not have been told that it is in.
    const leg = this.#wire.release()
    leg.socket.write('+OK Logged in.\r\n')
    return leg
  }

  /** Reads one command and runs it. */
  async #step(): Promise<Step> {
    const line = await this.#wire.readLine(MAX_FIRST_LINE_CHARS)
    if (line === null) return 'over'
    if (isForeign(line)) return this.#bye('This is a POP3 server.')
    if (line.includes('\0')) return this.#bye('NUL is not allowed.') // threats A7
    const command = parseCommandLine(line)
    if (line.length > MAX_LINE_CHARS && command?.name !== 'AUTH') return this.#bye('Line too long.')
    // RFC 1939 §7: PASS comes right behind its USER, or not at all.
    if (command?.name !== 'PASS') this.#user = null
    if (command === null) return this.#error('This is not a command.')
    const { name, rest } = command
    const rule = COMMANDS.get(name)
    if (!rule) {
      if (LATER_COMMANDS.has(name)) return this.#answer('-ERR Please log in first.')
      return this.#error('Unknown command.')
    }
    if (rule.isBare && (rest ?? '').trim() !== '') return this.#error('No argument is expected here.')
    if (rule.isLogin && this.#options.needsTls && !this.#peer.tls) return this.#refuseInClear(name, rest)
    return rule.run(this, rest)
  }

  capa(): Step {
    const { startTls, needsTls } = this.#options
    const capabilities = capabilitiesBeforeLogin({
      isSecure: this.#peer.tls !== null,
      canStartTls: startTls !== null,
      needsTls,
    })
    return this.#answer('+OK Capability list follows.', ...capabilities, '.')
  }

  quit(): Step {
    this.#send('+OK Bye.')
    return 'over'
  }

  async stls(): Promise<Step> {
    const { startTls } = this.#options
    if (this.#peer.tls) return this.#error('TLS is active already.')
    if (startTls === null) return this.#error('TLS is not available here.')
    // Whatever came in the clear behind the command was not sent under TLS and never counts as if it had been (invariant 3).
    if (this.#wire.buffered > 0) return this.#bye('Nothing may follow STLS.')
    this.#send('+OK Begin TLS negotiation now.')
    // threats A4: a new start. A USER from before has been forgotten like at any other command.
    this.#peer = { ...this.#peer, tls: await this.#wire.startTls(startTls) }
    return 'next'
  }

  user(rest: string | null): Step {
    if (rest === null || rest === '') return this.#error('USER takes a user name.')
    const name = decodeName(Buffer.from(rest, 'latin1'))
    if (!name.ok) return this.#error(SASL_ERRORS[name.why])
    this.#user = name.value
    // Whoever that is: who exists is nobody's business before the password (threats B1).
    return this.#answer('+OK Go ahead.')
  }

  /** A password that is not there is an empty one, and wrong, so that whoever typed nothing hears that. */
  pass(rest: string | null): Step {
    const authcid = this.#user
    this.#user = null
    if (authcid === null) return this.#error('PASS comes behind USER.')
    const secret = decodePassword(Buffer.from(rest ?? '', 'latin1'))
    if (!secret.ok) return this.#error(SASL_ERRORS[secret.why])
    return this.#attempt('USER', { authzid: '', authcid, secret: secret.value })
  }

  async auth(rest: string | null): Promise<Step> {
    // quirk: old clients ask for the mechanisms like this, as drafts of AUTH had it.
    if (rest === null || rest.trim() === '') return this.#answer('+OK Mechanisms follow.', ...MECHANISMS, '.')
    const given = parseAuth(rest)
    if (given === null) return this.#error('AUTH takes the name of a mechanism.')
    const exchange = await converse(given.mechanism, given.initialResponse, (challenge) => this.#ask(challenge))
    if (exchange.at === 'gone') return 'over'
    if (exchange.at === 'refused') return this.#error(SASL_ERRORS[exchange.why])
    return this.#attempt(given.mechanism, exchange.login)
  }

  async #ask(challenge: string): Promise<string | null> {
    this.#send(`+ ${challenge}`)
    const line = await this.#wire.readLine(MAX_SASL_CHARS)
    if (line === null || !line.includes('\0')) return line
    this.#bye('NUL is not allowed.')
    return null
  }

  #attempt(mechanism: string, login: PasswordLogin): LoginAttempt {
    const credential = passwordCredential(login, this.#options.nameRules)
    // POP3 has no command by which a program says what it is.
    return { protocol: 'pop3', mechanism, credential, peer: this.#peer, agent: null }
  }

  /**
   * threats A2: what stands in the line is neither checked nor logged. Not an error, since the client may know no better; noted
   * once for a login: at USER, and not again at the PASS that may have been sent with it.
   */
  #refuseInClear(name: string, rest: string | null): Step {
    const isQuestion = name === 'AUTH' && (rest ?? '').trim() === ''
    if (name !== 'PASS' && !isQuestion) noteTlsRequired(this.#options, 'pop3', this.#peer, name, null)
    return this.#answer(refusal('tls-required', this.#options))
  }

  /** An error of the client's: counts towards the end of the connection. */
  #error(text: string): Step {
    if (this.#patience.endsWithError()) return this.#bye(`${text} ${TOO_MANY_ERRORS}`)
    return this.#answer(`-ERR ${text}`)
  }

  #bye(text: string): 'over' {
    this.#send(`-ERR ${text}`)
    return 'over'
  }

  #answer(...lines: readonly string[]): Step {
    this.#send(...lines)
    return 'next'
  }

  #send(...lines: readonly string[]): void {
    this.#wire.write(lines.map((line) => `${line}\r\n`).join(''))
  }
}
