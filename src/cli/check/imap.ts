/**
 * IMAP up to the login: greeting, capabilities, STARTTLS. A few lines of talk over a plain socket.
 */

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import { codeOf, shakeHands } from './socket.ts'

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
      if (this.#pending.length > MAX_BYTES) throw new StepFailure('the server sends without end', NO_IMAP)
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

const NO_IMAP = 'Is this the IMAP port of that server?'

/** The first line of the server. */
export async function readGreeting(talk: Talk, target: Target): Promise<{ finding: Finding; value: string }> {
  const line = await orFailure(talk.line(), {
    timeout:
      target.tls === 'implicit'
        ? 'Does the server want a PROXY header (proxyProtocol)? Its log may say.'
        : 'If this is a port with TLS from the first byte (993), set tls: implicit. Does the server want a PROXY header (proxyProtocol)?',
  })
  if (line === null) {
    throw new StepFailure(
      'the server closed the connection without a word',
      'It may let only listed addresses in, or want a PROXY header (proxyProtocol): look at its log.',
    )
  }
  const shown = plain(line).slice(0, 200)
  if (/^\* OK\b/i.test(line)) return { finding: good(shown), value: line }
  if (/^\* PREAUTH\b/i.test(line))
    throw new StepFailure(
      shown,
      'The server takes this connection for logged in already: no login can follow. Take this machine’s address out of what it logs in by itself.',
    )
  if (/^\* BYE\b/i.test(line))
    throw new StepFailure(
      shown,
      'The server sends us away: too many connections from this address, or it is shutting down. Its log says why.',
    )
  const other = OTHER_SERVERS.find(([pattern]) => pattern.test(line))
  throw new StepFailure(
    `no IMAP greeting: ${shown}`,
    other === undefined
      ? NO_IMAP
      : `That is ${other[1]}: the port is wrong (IMAP: 993 with tls: implicit, 143 with tls: starttls).`,
  )
}

const OTHER_SERVERS: readonly (readonly [RegExp, string])[] = [
  [/^220[ -]/, 'an SMTP or FTP server'],
  [/^\+OK/, 'a POP3 server'],
  [/^SSH-/, 'an SSH server'],
  [/^HTTP\//, 'a web server'],
  [/^\x15\x03|^\x16\x03/, 'a server that speaks TLS from the first byte'],
]

/** What the server announces (RFC 9051 §6.1.1), in upper case. */
export async function askCapabilities(talk: Talk): Promise<readonly string[]> {
  talk.send('check1 CAPABILITY')
  let capabilities: readonly string[] | null = null
  for (;;) {
    const line = await orFailure(talk.line(), { timeout: NO_IMAP })
    if (line === null)
      throw new StepFailure('the server closed the connection when asked for its capabilities', NO_IMAP)
    const listed = /^\* CAPABILITY (.*)$/i.exec(line)
    if (listed) capabilities = (listed[1] ?? '').trim().toUpperCase().split(/ +/)
    else if (/^check1 OK\b/i.test(line)) {
      if (capabilities !== null) return capabilities
      throw new StepFailure(
        'the server lists no capabilities',
        'It breaks the protocol (RFC 9051 §6.1.1); sallyport can do nothing about that.',
      )
    } else if (!line.startsWith('* '))
      throw new StepFailure(`instead of its capabilities the server says: ${plain(line).slice(0, 200)}`, NO_IMAP)
  }
}

/** RFC 9051 §6.2.1. */
export async function startTls(
  talk: Talk,
  target: Target,
  capabilities: readonly string[],
  timeoutMs: number,
): Promise<Finding> {
  if (!capabilities.includes('STARTTLS')) {
    throw new StepFailure(
      'STARTTLS is not offered',
      'Give the server a certificate and turn TLS on (Dovecot: ssl = yes), or use its port with implicit TLS (tls: implicit, 993).',
    )
  }
  talk.send('check2 STARTTLS')
  const line = await orFailure(talk.line(), { timeout: 'The server hangs after STARTTLS: look at its log.' })
  if (line === null || !/^check2 OK\b/i.test(line)) {
    throw new StepFailure(
      line === null ? 'the server closed the connection at STARTTLS' : plain(line).slice(0, 200),
      'The server offers STARTTLS and does not do it: look at its log, and at its certificate.',
    )
  }
  if (talk.pending !== '')
    throw new StepFailure(
      'the server sent something behind STARTTLS, in clear',
      'Somebody on the way may be tampering; sallyport never goes on from here (RFC 9051 §6.2.1).',
    )
  return talk.startTls(target, timeoutMs)
}

/** What we can log in with. `method` is the configured identity method. */
export function judgeCapabilities(capabilities: readonly string[], method: string): Finding {
  const shown = capabilities
    .map((capability) => plain(capability))
    .join(' ')
    .slice(0, 400)
  const plainSasl = capabilities.includes('AUTH=PLAIN')
  const login = !capabilities.includes('LOGINDISABLED')
  if (method === 'authzid' && !plainSasl) {
    return bad(
      shown,
      'AUTH=PLAIN is missing, which method: authzid needs (Dovecot: auth_mechanisms = plain), or choose method: master-user.',
    )
  }
  if (!plainSasl && !login) {
    return bad(
      shown,
      'Neither AUTH=PLAIN nor LOGIN is offered: the server takes no passwords here. In clear text it should not; use tls: implicit or starttls.',
    )
  }
  if (!plainSasl)
    return good(
      shown,
      'AUTH=PLAIN is missing: LOGIN is used, which some servers do not take for long or odd passwords.',
    )
  if (!capabilities.includes('SASL-IR')) return good(shown, 'SASL-IR is missing: each login takes one round trip more.')
  return good(shown)
}

async function orFailure<T>(work: Promise<T>, advice: { readonly timeout: string }): Promise<T> {
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
