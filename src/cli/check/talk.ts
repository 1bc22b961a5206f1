/**
 * A few lines of talk over a plain socket, whatever the protocol: reading by line, and what a first line may be.
 */

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import { codeOf, shakeHands, speaksTls } from './socket.ts'

/** A greeting or a capability list is one line; a server that says more is none. */
const MAX_BYTES = 64 * 1024

/** A socket read by line, inside one deadline. */
export class Talk {
  #socket: Socket
  #pending = ''
  readonly #deadline: AbortSignal

  constructor(socket: Socket, deadline: AbortSignal) {
    this.#socket = socket
    this.#deadline = deadline
  }

  get socket(): Socket {
    return this.#socket
  }

  /** Bytes received and not yet read. */
  get pending(): string {
    return this.#pending
  }

  send(line: string): void {
    this.#socket.write(`${line}\r\n`)
  }

  /** The next line without its end; null when the server closed. */
  async line(): Promise<string | null> {
    for (;;) {
      const end = this.#pending.indexOf('\n')
      if (end >= 0) {
        const line = this.#pending.slice(0, end).replace(/\r$/, '')
        this.#pending = this.#pending.slice(end + 1)
        return line
      }
      if (this.#pending.length > MAX_BYTES)
        throw new StepFailure('the server sends without end', 'Is this the right port of that server?')
      const chunk = await this.#read()
      if (chunk === null) return null
      this.#pending += chunk
    }
  }

  #read(): Promise<string | null> {
    const socket = this.#socket
    return new Promise((resolve, reject) => {
      const done = (act: () => void) => () => {
        socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError)
        this.#deadline.removeEventListener('abort', onAbort)
        socket.pause()
        act()
      }
      let data = ''
      let failure: unknown = null
      const finish = done(() => (failure === null ? resolve(data === '' ? null : data) : reject(failure)))
      const onData = (chunk: Buffer) => {
        data = chunk.toString('latin1')
        finish()
      }
      const onEnd = () => finish()
      const onError = (error: Error) => {
        failure = error
        finish()
      }
      const onAbort = () => {
        failure = this.#deadline.reason
        finish()
      }
      if (this.#deadline.aborted) return reject(this.#deadline.reason)
      socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError)
      this.#deadline.addEventListener('abort', onAbort)
      if (socket.destroyed || socket.readableEnded) return onEnd()
      socket.resume()
      return undefined
    })
  }

  /** Goes on in TLS on the same connection (after STARTTLS). */
  async startTls(target: Target, timeoutMs: number): Promise<Finding> {
    const { finding, value }: { finding: Finding; value: TLSSocket } = await shakeHands(this.#socket, target, timeoutMs)
    this.#socket = value
    return finding
  }
}

/** The greeting, whatever it is. @param tlsPort the usual port with TLS from the first byte */
export async function firstLine(talk: Talk, target: Target, tlsPort: number): Promise<string> {
  const address = talk.socket.remoteAddress ?? target.host
  try {
    const line = await orFailure(talk.line(), {
      timeout:
        target.tls === 'implicit'
          ? 'Does the server want a PROXY header (proxyProtocol)? Its log may say.'
          : `If this is a port with TLS from the first byte (${tlsPort}), set tls: implicit. Does the server want a PROXY header (proxyProtocol)?`,
    })
    if (line !== null) return line
    throw new StepFailure(
      'the server closed the connection without a word',
      'It may let only listed addresses in, or want a PROXY header (proxyProtocol): look at its log.',
    )
  } catch (error) {
    // Who waits for a ClientHello says nothing to us, or an alert, which has no end of line.
    if (target.tls !== 'implicit' && (TLS_RECORD.test(talk.pending) || (await speaksTls(address, target)))) {
      throw new StepFailure(
        'no greeting in clear text: this port speaks TLS from the first byte',
        `Set tls: implicit for it, or use the port for tls: ${target.tls} instead.`,
      )
    }
    throw error
  }
}

const OTHER_SERVERS: readonly (readonly [RegExp, string])[] = [
  [/^220[ -]/, 'an SMTP or FTP server'],
  [/^\+OK/, 'a POP3 server'],
  [/^\* /, 'an IMAP server'],
  [/^SSH-/, 'an SSH server'],
  [/^HTTP\//, 'a web server'],
]

/** RFC 8446 §5.1: an alert or a handshake. */
export const TLS_RECORD = /^[\x15\x16]\x03/

/**
 * A greeting in another language.
 *
 * @param line as it was received
 * @param ports what to say about ports when it is known which one
 */
export function notThisProtocol(line: string, protocol: string, advice: string, ports: string): StepFailure {
  const other = OTHER_SERVERS.find(([pattern]) => pattern.test(line))
  return new StepFailure(
    `no ${protocol} greeting: ${plain(line).slice(0, 200)}`,
    other === undefined ? advice : `That is ${other[1]}: the port is wrong (${ports}).`,
  )
}

/** What a read gives, or the failure of its step. */
export async function orFailure<T>(work: Promise<T>, advice: { readonly timeout: string }): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof StepFailure) throw error
    const code = codeOf(error)
    // AbortSignal.timeout aborts with a TimeoutError; its code is a number of the DOM's.
    if (error instanceof DOMException) throw new StepFailure('the server says nothing', advice.timeout)
    throw new StepFailure(`the connection broke (${code})`, advice.timeout)
  }
}
