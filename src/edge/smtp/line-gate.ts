/**
 * The line gate: smtp-server on one side, our own line-by-line dialogue on the other. The one file that knows that library.
 *
 * smtp-server says what a command before the login is answered with, and in which order commands may come. It never gets the
 * socket: what a client sends behind AUTH would be stuck in its parser, and it drops what follows STARTTLS. Instead it gets a
 * stream that holds one line, and the next one only after the reply to that. Nor does it get a secret: while it leads through
 * AUTH it is handed stand-ins, and when it asks whether they are right, that question is the login (invariant 5).
 */

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { SMTPServerError } from 'smtp-server'
import { SMTPServer } from 'smtp-server'

export interface LineGateOptions {
  /** How the server calls itself. */
  readonly name: string
  /** What smtp-server reports as an error: nothing is expected. */
  readonly onError: (error: Error) => void
}

/** What came of one line. */
export type Handed =
  /** To be sent as it is, line ends included. `isOver`: the conversation ends with it. */
  | { readonly at: 'reply'; readonly reply: string; readonly isOver: boolean }
  /** The login stands to be decided. `refuse` answers with the reply; there is no other way on than that or `close`. */
  | { readonly at: 'login'; refuse(code: number, text: string): Promise<Handed> }

/** One conversation. It begins behind the greeting, and again behind STARTTLS. */
export interface LineGate {
  /** Hands over a line without its end. One at a time. */
  hand(line: string): Promise<Handed>
  close(): void
}

export interface LineGates {
  open(isSecure: boolean): LineGate
}

/** What the library is told instead of a client's name for itself, a user's name, a password or a SASL PLAIN message. */
export const STAND_IN = {
  client: 'client',
  plain: Buffer.from('\0-\0-').toString('base64'),
  login: Buffer.from('-').toString('base64'),
} as const

/** Commands that we never let through, and the ones that it knows from a different age. */
const DISABLED = ['STARTTLS', 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL']

/** Our own limits are tighter; this is for a line that came to a stop in the library. */
const MAX_LIBRARY_LINE = 64 * 1024

/** What a line comes to when there is nobody left to hear it. */
const OVER: Handed = { at: 'reply', reply: '', isOver: true }

/**
 * Conversations of each kind that stand ready, once there was one: the library takes its first line only 100 ms after a
 * conversation was begun, to catch clients that talk too soon, which is our affair. As many may begin at a moment without
 * waiting for that; they hold nothing of anybody's.
 */
export const SPARES = 32

type OnAuth = (answer: (error: SMTPServerError) => void) => void

/** One for each edge: the library's two servers have no port, and no limits of their own. */
export function createLineGates(options: LineGateOptions): LineGates {
  const waiting = new Map<string, OnAuth>()
  const kinds = { secure: kind(true), clear: kind(false) }
  let begun = 0

  function kind(isSecure: boolean): { readonly server: SMTPServer; readonly spares: LineStream[] } {
    return { server: server(isSecure), spares: [] }
  }

  function server(isSecure: boolean): SMTPServer {
    const made = new SMTPServer({
      name: options.name,
      secure: isSecure,
      // Where there is TLS, it is ours.
      secured: true,
      logger: false,
      disableReverseLookup: true,
      authMethods: ['PLAIN', 'LOGIN'],
      authRequiredMessage: isSecure ? 'Please log in first.' : 'Please use STARTTLS and log in first.',
      allowInsecureAuth: true,
      disabledCommands: DISABLED,
      hideENHANCEDSTATUSCODES: false,
      heloResponse: '%s',
      // Counting is ours as well.
      maxAllowedUnauthenticatedCommands: Number.POSITIVE_INFINITY,
      maxCommandLength: MAX_LIBRARY_LINE,
      onAuth: (_auth, session, done) => waiting.get(session.id)?.((error) => done(error)),
    })
    made.on('error', options.onError)
    return made
  }

  function begin(to: SMTPServer): LineStream {
    begun += 1
    const id = `gate-${begun}`
    const stream = new LineStream(id, waiting)
    // No address is handed on: the library has no use for one.
    const address = { remoteAddress: '0.0.0.0', remotePort: 0, localAddress: '0.0.0.0', localPort: 0 }
    // The library uses what sockets have in common with other streams, and the few things that LineStream adds.
    to.connect(stream as Duplex as Socket, { id, ...address })
    return stream
  }

  return {
    open(isSecure) {
      const { server: to, spares } = isSecure ? kinds.secure : kinds.clear
      const stream = spares.shift() ?? begin(to)
      while (spares.length < SPARES) spares.push(begin(to))
      return stream
    },
  }
}

/** What smtp-server takes for a socket. */
class LineStream extends Duplex implements LineGate {
  /** As a socket's, which the library looks at before it writes. */
  readonly readyState = 'open'
  readonly #id: string
  readonly #waiting: Map<string, OnAuth>
  readonly #greeted = Promise.withResolvers<void>()
  #hasGreeted = false
  #reply = ''
  #answer: ((handed: Handed) => void) | null = null

  constructor(id: string, waiting: Map<string, OnAuth>) {
    super({ allowHalfOpen: true })
    this.#id = id
    this.#waiting = waiting
    waiting.set(id, (answer) => this.#onAuth(answer))
  }

  async hand(line: string): Promise<Handed> {
    // A spare has been greeted long ago.
    await this.#greeted.promise
    return this.#next(() => this.push(Buffer.from(`${line}\r\n`, 'latin1')))
  }

  close(): void {
    this.#waiting.delete(this.#id)
    this.#greeted.resolve()
    this.destroy()
    this.#resolve(OVER)
  }

  /** Part of a socket: deadlines are the wire's. */
  setTimeout(): this {
    return this
  }

  override _read(): void {
    // Whoever hands over a line pushes it.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#reply += chunk.toString('latin1')
    done()
    if (!/(?:^|\n)[0-9]{3}(?: [^\n]*)?\r\n$/.test(this.#reply)) return
    const reply = this.#reply
    this.#reply = ''
    if (this.#hasGreeted) this.#resolve({ at: 'reply', reply, isOver: false })
    else {
      // The greeting is ours, and has been said.
      this.#hasGreeted = true
      this.#greeted.resolve()
    }
  }

  #onAuth(answer: (error: SMTPServerError) => void): void {
    this.#resolve({
      at: 'login',
      refuse: (code, text) => this.#next(() => answer(Object.assign(new Error(text), { responseCode: code }))),
    })
  }

  /** Does what makes the library speak, and waits for what it says. */
  async #next(act: () => void): Promise<Handed> {
    if (this.destroyed || this.writableEnded) return OVER
    const { promise, resolve } = Promise.withResolvers<Handed>()
    this.#answer = resolve
    act()
    const handed = await promise
    // It writes its last reply first and ends the stream then.
    return handed.at === 'reply' ? { ...handed, isOver: this.writableEnded || this.destroyed } : handed
  }

  #resolve(handed: Handed): void {
    const answer = this.#answer
    this.#answer = null
    answer?.(handed)
  }
}
