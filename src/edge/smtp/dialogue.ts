/**
 * The client's side of an SMTP connection, from the greeting to an accepted login (RFC 5321 §4, RFC 4954).
 *
 * smtp-server talks, behind `line-gate.ts`; here every line is seen first. What it must not decide is decided here: TLS, the
 * list in the answer to EHLO, what a SASL message means, how much a client may do wrong, and when to close. Commands behind a
 * login in the same write stay in the wire until its verdict (threats A9).
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
  TOO_MANY_REFUSALS,
} from '../login/dialogue.ts'
import { converse, passwordCredential } from '../login/exchange.ts'
import type { Offers } from '../login/offers.ts'
import type { LoginDialogue } from '../login/protocol.ts'
import { MAX_SASL_CHARS } from '../login/sasl.ts'
import type { Leg, Wire } from '../net/wire.ts'
import { WireError } from '../net/wire.ts'
import type { Handed, LineGate, LineGates } from './line-gate.ts'
import { STAND_IN } from './line-gate.ts'
import { agentOf, MAX_COMMAND_CHARS, parseAuth, parseCommandLine } from './parse.ts'
import { ACCEPTED, CLOSING, ehloReply, NOT_NOW, READY_FOR_TLS, refusal, replyLine } from './replies.ts'

/** What a listener's SMTP needs to talk to clients. */
export interface SmtpDialogueOptions extends DialogueOptions {
  /** How we call ourselves. */
  readonly name: string
  /** What the upstreams announce. */
  readonly offers: Offers
}

/** AUTH with an initial response: that and its command. */
const MAX_FIRST_LINE_CHARS = MAX_SASL_CHARS + 256

/** What follows from a command: the next one, the end of the connection, or a login to be decided. */
type Step = 'next' | 'over' | LoginAttempt

type Waiting = Extract<Handed, { at: 'login' }>

const SYNTAX = { code: 501, enhanced: '5.5.4' } as const
const NOT_A_COMMAND = { code: 500, enhanced: '5.5.2' } as const
const SEQUENCE = { code: 503, enhanced: '5.5.1' } as const
const NOT_THERE = { code: 502, enhanced: '5.5.1' } as const

/** Greets the client and hands over the rest of the talk. */
export function greetClient(wire: Wire, peer: Peer, gates: LineGates, options: SmtpDialogueOptions): LoginDialogue {
  const dialogue = new SmtpDialogue(wire, peer, gates, options)
  dialogue.greet()
  return dialogue
}

class SmtpDialogue implements LoginDialogue {
  readonly #wire: Wire
  readonly #options: SmtpDialogueOptions
  readonly #gates: LineGates
  readonly #patience: Patience
  #gate: LineGate
  #peer: Peer
  #agent: string | null = null
  /** The login that waits for its verdict. */
  #login: Waiting | null = null
  #isOver = false

  constructor(wire: Wire, peer: Peer, gates: LineGates, options: SmtpDialogueOptions) {
    this.#wire = wire
    this.#peer = peer
    this.#gates = gates
    this.#options = options
    this.#patience = new Patience(options)
    this.#gate = gates.open(peer.tls !== null)
    // Whoever closes the connection, and whenever: the library is to forget it.
    wire.closed.addEventListener('abort', this.#close, { once: true })
  }

  readonly #close = (): void => this.#gate.close()

  greet(): void {
    this.#send(`220 ${this.#options.name} ESMTP sallyport is ready.`)
  }

  async next(): Promise<LoginAttempt | null> {
    try {
      let step: Step = this.#isOver ? 'over' : 'next'
      while (step === 'next') step = await this.#step()
      if (step !== 'over') return step
      this.#close()
      return null
    } catch (error) {
      this.#close()
      if (error instanceof WireError) {
        const words = LAST_WORDS[error.code]
        if (words) this.#send(replyLine(error.code === 'ERR_WIRE_GOING_DOWN' ? NOT_NOW : CLOSING, words))
      }
      throw error
    }
  }

  async reject(why: LoginFailure): Promise<void> {
    const login = this.#login
    this.#login = null
    const { code, enhanced, text } = refusal(why.reason, audienceOf(this.#options, why))
    if (code === CLOSING.code) {
      this.#isOver = true
      this.#send(replyLine({ code, enhanced }, text))
      return
    }
    const handed = (await login?.refuse(code, text)) ?? null
    if (handed?.at === 'reply') this.#wire.write(handed.reply)
    if (this.#patience.endsWithRefusal()) {
      this.#isOver = true
      this.#bye(TOO_MANY_REFUSALS)
    }
  }

  async accept(): Promise<Leg> {
    this.#wire.closed.removeEventListener('abort', this.#close)
    this.#close()
    // Released first: past the deadline that fails, and then the client must not have been told that it is in.
    const leg = this.#wire.release()
    leg.socket.write(`${ACCEPTED}\r\n`)
    return leg
  }

  /** Reads one command and runs it. */
  async #step(): Promise<Step> {
    const line = await this.#wire.readLine(MAX_FIRST_LINE_CHARS)
    if (line === null) return 'over'
    if (isForeign(line)) return this.#bye('This is an SMTP server.')
    if (line.includes('\0')) return this.#bye('NUL is not allowed.')
    const command = parseCommandLine(line)
    if (line.length > MAX_COMMAND_CHARS && !(command.ok && command.verb === 'AUTH')) return this.#bye('Line too long.')
    if (!command.ok) return this.#error(replyLine(NOT_A_COMMAND, command.why))
    switch (command.verb) {
      case 'EHLO':
        return this.#ehlo(command.rest)
      case 'HELO':
        this.#agent = agentOf(command.rest) ?? this.#agent
        return this.#pass(await this.#gate.hand(helloLine('HELO', command.rest)))
      case 'STARTTLS':
        return this.#startTls(command.rest)
      case 'AUTH':
        return this.#auth(command.rest)
      case 'BDAT':
        // A message follows at once (RFC 3030 §2), and must not be read as commands.
        return this.#bye('Please log in first.')
      default:
        return this.#pass(await this.#gate.hand(line))
    }
  }

  async #ehlo(name: string): Promise<Step> {
    const handed = await this.#gate.hand(helloLine('EHLO', name))
    if (handed.at !== 'reply' || !handed.reply.startsWith('250')) return this.#pass(handed)
    this.#agent = agentOf(name) ?? this.#agent
    const { startTls, needsTls } = this.#options
    const standing = { isSecure: this.#peer.tls !== null, canStartTls: startTls !== null, needsTls }
    this.#wire.write(ehloReply(this.#options.name, standing, this.#options.offers.common()))
    return 'next'
  }

  async #startTls(rest: string): Promise<Step> {
    const { startTls } = this.#options
    if (rest !== '') return this.#error(replyLine(SYNTAX, 'No argument is expected here.'))
    if (this.#peer.tls) return this.#error(replyLine(SEQUENCE, 'TLS is active already.'))
    if (startTls === null) return this.#error(replyLine(NOT_THERE, 'TLS is not available here.'))
    // Whatever came in the clear behind the command was not sent under TLS and never counts as if it had been (invariant 3).
    if (this.#wire.buffered > 0) return this.#bye('Nothing may follow STARTTLS.')
    this.#send(READY_FOR_TLS)
    // threats A4, RFC 3207 §4.2: a new start. What was said in the clear may have been anybody's.
    this.#gate.close()
    this.#gate = this.#gates.open(true)
    this.#agent = null
    const tls = await this.#wire.startTls(startTls)
    this.#peer = { ...this.#peer, tls }
    return 'next'
  }

  async #auth(rest: string): Promise<Step> {
    const { needsTls } = this.#options
    const given = parseAuth(rest)
    if (needsTls && !this.#peer.tls) {
      noteTlsRequired(this.#options, 'smtp', this.#peer, given?.mechanism ?? 'AUTH', this.#agent)
      const { text, ...code } = refusal('tls-required', this.#options)
      this.#send(replyLine(code, text))
      return 'next'
    }
    if (given === null) return this.#error(replyLine(SYNTAX, 'AUTH takes the name of a mechanism.'))
    const { mechanism, initialResponse } = given
    const standIn = mechanism === 'LOGIN' ? STAND_IN.login : STAND_IN.plain
    // What the library hears next; a client's words only when they hold no secret.
    let next = `AUTH ${mechanism}${initialResponse === null ? '' : ` ${standIn}`}`
    let hasBegun = false
    let refused: Handed | null = null
    const exchange = await converse(mechanism, initialResponse, async () => {
      const handed = await this.#gate.hand(next)
      if (handed.at !== 'reply' || !handed.reply.startsWith('334')) {
        refused = handed
        return null
      }
      hasBegun = true
      next = standIn
      this.#wire.write(handed.reply)
      const line = await this.#wire.readLine(MAX_SASL_CHARS)
      if (line === null || !line.includes('\0')) return line
      this.#bye('NUL is not allowed.')
      return null
    })
    if (refused) return this.#pass(refused)
    if (exchange.at === 'gone') return 'over'
    if (exchange.at === 'refused') {
      if (exchange.why === 'unsupported') return this.#pass(await this.#gate.hand(`AUTH ${mechanism}`))
      // It asked, so it waits for an answer.
      if (hasBegun) await this.#gate.hand('*')
      return this.#error(replyLine(SYNTAX, SASL_ERRORS[exchange.why]))
    }
    const handed = await this.#gate.hand(next)
    if (handed.at === 'reply') return this.#pass(handed)
    this.#login = handed
    const credential = passwordCredential(exchange.login, this.#options.nameRules)
    return { protocol: 'smtp', mechanism, credential, peer: this.#peer, agent: this.#agent }
  }

  /** Sends a reply of the library's on. What is no command, or makes no sense, counts; what only comes too early doesn't. */
  #pass(handed: Handed): Step {
    if (handed.at === 'login') throw new TypeError('smtp-server asked for a verdict where nobody logged in')
    this.#wire.write(handed.reply)
    if (handed.isOver) return 'over'
    const code = handed.reply.slice(0, 3)
    if (!code.startsWith('5') || code === '530') return 'next'
    return this.#patience.endsWithError() ? this.#bye(TOO_MANY_ERRORS) : 'next'
  }

  /** An error of the client's: counts towards the end of the connection. */
  #error(line: string): Step {
    this.#send(line)
    return this.#patience.endsWithError() ? this.#bye(TOO_MANY_ERRORS) : 'next'
  }

  #bye(text: string): 'over' {
    this.#send(replyLine(CLOSING, text))
    return 'over'
  }

  #send(line: string): void {
    this.#wire.write(`${line}\r\n`)
  }
}

/**
 * What the library hears of a greeting. It would refuse names that servers take: with blanks, or very long.
 *
 * quirk: scanners say `EHLO HP LaserJet 5`. The name means nothing to us but a word in the log.
 */
function helloLine(verb: 'EHLO' | 'HELO', name: string): string {
  return name === '' ? verb : `${verb} ${STAND_IN.client}`
}
