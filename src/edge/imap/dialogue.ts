/**
 * The client's side of an IMAP connection, from the greeting to an accepted login (RFC 9051 §6.1, §6.2).
 *
 * Straight-line: one await per line of talk. What a line means is said in `parse.ts`, what we say in `replies.ts`, SASL in
 * `login/sasl.ts`; here is only who speaks when. Commands behind a login in the same write stay in the wire until its
 * verdict: then they are commands of a client that is not logged in, or the upstream's (threats A9).
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
import type { LoginDialogue, UpstreamSession } from '../login/protocol.ts'
import type { PasswordLogin } from '../login/sasl.ts'
import { decodeName, decodePassword, MAX_SASL_CHARS } from '../login/sasl.ts'
import type { Leg, Wire } from '../net/wire.ts'
import { WireError } from '../net/wire.ts'
import type { LiteralMarker, Pieces } from './parse.ts'
import {
  agentOf,
  literalMarker,
  MAX_LINE_CHARS,
  MAX_LITERAL_BYTES,
  MAX_UNASKED_LITERAL_BYTES,
  parseAuthenticate,
  parseCommandLine,
  parseId,
  parseLogin,
} from './parse.ts'
import { capabilitiesAfterLogin, capabilitiesBeforeLogin, refusal } from './replies.ts'

/** AUTHENTICATE with an initial response: that and its command. */
const MAX_FIRST_LINE_CHARS = MAX_SASL_CHARS + 256

/** One command, with its literals fetched. */
interface Command {
  readonly tag: string
  readonly name: string
  readonly pieces: Pieces
}

/** What follows from a command: the next one, the end of the connection, or a login to be decided. */
type Step = 'next' | 'over' | LoginAttempt

interface CommandRule {
  readonly run: (dialogue: ImapDialogue, command: Command) => Step | Promise<Step>
  /** 'clear': not inside TLS. */
  readonly when?: 'clear'
  /** Its arguments may be literals. */
  readonly takesLiterals?: true
  /** Its arguments hold a secret: refused without TLS where the listener demands it. */
  readonly isLogin?: true
}

const COMMANDS: ReadonlyMap<string, CommandRule> = new Map<string, CommandRule>([
  ['CAPABILITY', { run: (dialogue, command) => dialogue.capability(command) }],
  ['NOOP', { run: (dialogue, command) => dialogue.noop(command) }],
  ['LOGOUT', { run: (dialogue, command) => dialogue.logout(command) }],
  ['ID', { run: (dialogue, command) => dialogue.id(command), takesLiterals: true }], // RFC 2971 §3.1
  ['STARTTLS', { run: (dialogue, command) => dialogue.startTls(command), when: 'clear' }], // RFC 9051 §6.2.1
  ['AUTHENTICATE', { run: (dialogue, command) => dialogue.authenticate(command), isLogin: true }], // §6.2.2
  ['LOGIN', { run: (dialogue, command) => dialogue.login(command), isLogin: true, takesLiterals: true }], // §6.2.3
])

/**
 * Commands of a client that is logged in. Before that they are refused but not counted as errors: a client that sent them
 * behind a login that failed did nothing wrong (threats A9).
 */
const LATER_COMMANDS: ReadonlySet<string> = new Set(
  `APPEND CHECK CLOSE COMPRESS COPY CREATE DELETE DELETEACL ENABLE EXAMINE EXPUNGE FETCH GENURLAUTH GETACL GETMETADATA
  GETQUOTA GETQUOTAROOT IDLE LIST LISTRIGHTS LSUB MOVE MYRIGHTS NAMESPACE NOTIFY RENAME REPLACE SEARCH SELECT SETACL
  SETMETADATA SETQUOTA SORT STATUS STORE SUBSCRIBE THREAD UID UNAUTHENTICATE UNSELECT UNSUBSCRIBE XLIST`.split(/\s+/),
)

/** Greets the client and hands over the rest of the talk. */
export function greetClient(wire: Wire, peer: Peer, options: DialogueOptions): LoginDialogue {
  const dialogue = new ImapDialogue(wire, peer, options)
  dialogue.greet()
  return dialogue
}

class ImapDialogue implements LoginDialogue {
  readonly #wire: Wire
  readonly #options: DialogueOptions
  readonly #patience: Patience
  #peer: Peer
  #agent: string | null = null
  /** The tag of the login that waits for its verdict. */
  #loginTag = ''
  #isOver = false

  constructor(wire: Wire, peer: Peer, options: DialogueOptions) {
    this.#wire = wire
    this.#peer = peer
    this.#options = options
    this.#patience = new Patience(options)
  }

  greet(): void {
    this.#send(`* OK [CAPABILITY ${this.#capabilities()}] sallyport is ready.`)
  }

  async next(): Promise<LoginAttempt | null> {
    try {
      let step: Step = this.#isOver ? 'over' : 'next'
      while (step === 'next') step = await this.#step()
      return step === 'over' ? null : step
    } catch (error) {
      const words = error instanceof WireError ? LAST_WORDS[error.code] : null
      if (words) this.#send(`* BYE ${words}`)
      throw error
    }
  }

  async reject(why: LoginFailure): Promise<void> {
    this.#send(`${this.#loginTag} ${refusal(why.reason, audienceOf(this.#options, why))}`)
    this.#loginTag = '' // a part of the line with the password, which it would keep in memory (invariant 13)
    if (this.#patience.endsWithRefusal()) {
      this.#isOver = true
      this.#bye(TOO_MANY_REFUSALS)
    }
  }

  async accept(upstream: UpstreamSession): Promise<Leg> {
    const capabilities = capabilitiesAfterLogin(upstream.capabilities).join(' ')
    // Released first: past the deadline that fails, and then the client must not have been told that it is in.
    const leg = this.#wire.release()
    leg.socket.write(`${this.#loginTag} OK [CAPABILITY ${capabilities}] Logged in.\r\n`)
    return leg
  }

  /** Reads one command and runs it. */
  async #step(): Promise<Step> {
    const line = await this.#wire.readLine(MAX_FIRST_LINE_CHARS)
    if (line === null) return 'over'
    if (isForeign(line)) return this.#bye('This is an IMAP server.')
    const head = parseCommandLine(line)
    const rule = head.ok ? COMMANDS.get(head.name) : undefined
    if (line.includes('\0')) return this.#nul(head.tag)
    if (line.length > MAX_LINE_CHARS && !(head.ok && head.name === 'AUTHENTICATE')) return this.#bye('Line too long.')

    const marker = literalMarker(line)
    const refuse = this.#objection(head, rule, marker !== null)
    if (!head.ok || !rule || refuse) {
      // A literal that was not asked for is on its way and must not be read as commands.
      const skipped = await this.#literals(null, '', marker)
      if (skipped === 'over' || !refuse) return 'over'
      return refuse()
    }
    const { tag, name, rest } = head
    const before = marker === null ? rest : rest.slice(0, rest.length - (line.length - marker.before.length))
    const pieces = await this.#literals(tag, before, marker)
    if (pieces === 'next' || pieces === 'over') return pieces
    return rule.run(this, { tag, name, pieces })
  }

  /** Why a command is not run, as the answer to give; null when it may be. */
  #objection(
    head: ReturnType<typeof parseCommandLine>,
    rule: CommandRule | undefined,
    hasLiteral: boolean,
  ): (() => Step) | null {
    if (!head.ok) return () => this.#bad(head.tag, 'This is not a command.')
    const { tag, name } = head
    if (!rule) {
      if (LATER_COMMANDS.has(name)) return () => this.#answer(`${tag} BAD Please log in first.`)
      return () => this.#bad(tag, 'Unknown command.')
    }
    if (rule.when === 'clear' && this.#peer.tls) return () => this.#bad(tag, 'TLS is active already.')
    if (rule.isLogin && this.#options.needsTls && !this.#peer.tls) {
      return () => {
        noteTlsRequired(this.#options, 'imap', this.#peer, name, this.#agent)
        return this.#answer(`${tag} ${refusal('tls-required', this.#options)}`)
      }
    }
    if (hasLiteral && !rule.takesLiterals) return () => this.#bad(tag, 'No literal is expected here.')
    return null
  }

  /**
   * Fetches the literals of a command, each asked for with '+' where the client waits for that.
   *
   * @param tag the command's; null when the command is refused: then nothing is asked for nor kept, but what the client
   *   sends unasked is read away, up to the end of the command
   * @param before the first line's arguments, without the marker
   * @returns the arguments, or 'next' when the command has been refused, or 'over'
   */
  async #literals(tag: string | null, before: string, first: LiteralMarker | null): Promise<Pieces | 'next' | 'over'> {
    const pieces: (string | Buffer)[] = [before]
    for (let marker = first; marker !== null; ) {
      if (marker.synchronising) {
        if (tag === null) return 'next'
        if (marker.bytes > MAX_LITERAL_BYTES) {
          const step = this.#bad(tag, `[TOOBIG] A literal may have ${MAX_LITERAL_BYTES} bytes here.`)
          return step === 'over' ? 'over' : 'next'
        }
        this.#send('+ Go ahead.')
      } else if (marker.bytes > MAX_UNASKED_LITERAL_BYTES) {
        this.#bye('[TOOBIG] Literal too large.')
        return 'over'
      }
      const octets = marker.bytes === 0 ? Buffer.alloc(0) : await this.#wire.readBytes(marker.bytes)
      const line = octets && (await this.#wire.readLine(MAX_LINE_CHARS))
      if (octets === null || line === null) return 'over'
      if (octets.includes(0) || line.includes('\0')) {
        this.#nul(tag)
        return 'over'
      }
      marker = literalMarker(line)
      if (tag !== null) pieces.push(octets, marker?.before ?? line)
    }
    return pieces
  }

  capability({ tag, pieces }: Command): Step {
    if (!isBare(pieces)) return this.#bad(tag, 'No argument is expected here.')
    return this.#answer(`* CAPABILITY ${this.#capabilities()}`, `${tag} OK Capability completed.`)
  }

  noop({ tag, pieces }: Command): Step {
    if (!isBare(pieces)) return this.#bad(tag, 'No argument is expected here.')
    return this.#answer(`${tag} OK NOOP completed.`)
  }

  logout({ tag, pieces }: Command): Step {
    if (!isBare(pieces)) return this.#bad(tag, 'No argument is expected here.')
    this.#send('* BYE Logging out.', `${tag} OK Logout completed.`)
    return 'over'
  }

  id({ tag, pieces }: Command): Step {
    const fields = parseId(pieces)
    if (fields === null) return this.#bad(tag, 'ID takes NIL or a list of pairs.')
    // An address that a client claims for itself is never believed (threats A13): of all fields only its name is kept.
    this.#agent = agentOf(fields) ?? this.#agent
    return this.#answer('* ID ("name" "sallyport")', `${tag} OK ID completed.`)
  }

  async startTls({ tag, pieces }: Command): Promise<Step> {
    const { startTls } = this.#options
    if (!isBare(pieces)) return this.#bad(tag, 'No argument is expected here.')
    if (startTls === null) return this.#bad(tag, 'TLS is not available here.')
    // Whatever came in the clear behind the command was not sent under TLS and never counts as if it had been (invariant 3).
    if (this.#wire.buffered > 0) return this.#bye('Nothing may follow STARTTLS.')
    this.#send(`${tag} OK Begin TLS negotiation now.`)
    const tls = await this.#wire.startTls(startTls)
    // threats A4: a new start. What was said in the clear may have been anybody's.
    this.#peer = { ...this.#peer, tls }
    this.#agent = null
    return 'next'
  }

  login({ tag, pieces }: Command): Step {
    const given = parseLogin(pieces)
    if (given === null) return this.#bad(tag, 'LOGIN takes a user name and a password.')
    const user = decodeName(given.user)
    if (!user.ok) return this.#bad(tag, SASL_ERRORS[user.why])
    const secret = decodePassword(given.password)
    if (!secret.ok) return this.#bad(tag, SASL_ERRORS[secret.why])
    return this.#attempt(tag, 'LOGIN', { authzid: '', authcid: user.value, secret: secret.value })
  }

  async authenticate({ tag, pieces }: Command): Promise<Step> {
    const given = parseAuthenticate(String(pieces[0]))
    if (given === null) return this.#bad(tag, 'AUTHENTICATE takes the name of a mechanism.')
    const exchange = await converse(given.mechanism, given.initialResponse, (challenge) => this.#ask(challenge))
    if (exchange.at === 'gone') return 'over'
    if (exchange.at === 'refused') return this.#bad(tag, SASL_ERRORS[exchange.why])
    return this.#attempt(tag, given.mechanism, exchange.login)
  }

  async #ask(challenge: string): Promise<string | null> {
    this.#send(`+ ${challenge}`)
    const line = await this.#wire.readLine(MAX_SASL_CHARS)
    if (line === null || !line.includes('\0')) return line
    this.#nul(null)
    return null
  }

  #attempt(tag: string, mechanism: string, login: PasswordLogin): LoginAttempt {
    this.#loginTag = tag
    const credential = passwordCredential(login, this.#options.nameRules)
    return { protocol: 'imap', mechanism, credential, peer: this.#peer, agent: this.#agent }
  }

  #capabilities(): string {
    const { startTls, needsTls } = this.#options
    return capabilitiesBeforeLogin({
      isSecure: this.#peer.tls !== null,
      canStartTls: startTls !== null,
      needsTls,
    }).join(' ')
  }

  /** An error of the client's: counts towards the end of the connection. */
  #bad(tag: string | null, text: string): Step {
    this.#send(`${tag ?? '*'} BAD ${text}`)
    return this.#patience.endsWithError() ? this.#bye(TOO_MANY_ERRORS) : 'next'
  }

  /** threats A7: NUL is in no text, and some servers stop reading a name at it. */
  #nul(tag: string | null): Step {
    this.#send(`${tag ?? '*'} BAD NUL is not allowed.`)
    return this.#bye('NUL is not allowed.')
  }

  #bye(text: string): 'over' {
    this.#send(`* BYE ${text}`)
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

/** Only blanks may stand behind a command without arguments. */
const isBare = (pieces: Pieces): boolean => String(pieces[0]).trim() === '' && pieces.length === 1
