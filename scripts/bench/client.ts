/**
 * The least that can pass for a mail client: connect, log in, fetch, leave. Light, because it shares two cores with what is
 * measured; no parsing beyond "a line that begins with my tag", or with a code.
 */

import type { Socket } from 'node:net'
import { connect } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { connect as connectTls, createSecureContext } from 'node:tls'
import type { Account } from './jobs.ts'
import { isMessageAt, MESSAGE_BYTES, messagePattern } from './jobs.ts'

/** TLS 1.3 with X25519 for every peer: otherwise versions of OpenSSL, not proxies, would be compared. */
const context: SecureContext = createSecureContext({ minVersion: 'TLSv1.3', ecdhCurve: 'X25519' })
const pattern = messagePattern()
const STALL_MS = 20_000
const LAST_LINE = /(?<=^|\n)(\d{3})(?: [^\r\n]*)?\r\n/

export interface Target {
  readonly port: number
  readonly tls: boolean
  /** A TLS session to offer. */
  readonly session?: Buffer | undefined
  /** Read plain connections into one buffer of this connection: half the cost for bulk. */
  readonly bulk?: boolean
}

const BULK_BYTES = 256 * 1024

/** One connection. Every method rejects when the peer hangs up or stalls. */
export class Client implements Disposable {
  readonly socket: Socket
  #text = ''
  #waiting: {
    readonly found: () => boolean
    readonly resolve: () => void
    readonly reject: (why: Error) => void
  } | null = null
  #sink: ((chunk: Buffer) => void) | null = null
  #failure: Error | null = null

  constructor(target: Target) {
    const { port } = target
    if (target.tls) {
      const { session } = target
      this.socket = connectTls({ port, host: '127.0.0.1', secureContext: context, rejectUnauthorized: false, session })
      this.socket.setNoDelay(true)
      this.socket.on('data', (chunk: Buffer) => this.#take(chunk))
    } else if (target.bulk) {
      const buffer = Buffer.allocUnsafeSlow(BULK_BYTES)
      const callback = (bytes: number): boolean => {
        this.#take(buffer.subarray(0, bytes))
        return true
      }
      this.socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } })
    } else {
      this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
      this.socket.on('data', (chunk: Buffer) => this.#take(chunk))
    }
    this.socket.on('error', (error) => this.#fail(error))
    this.socket.on('close', () => this.#fail(new Error('closed by the peer')))
  }

  /** Whether the handshake resumed a session. */
  get resumed(): boolean {
    return 'isSessionReused' in this.socket && (this.socket as TLSSocket).isSessionReused()
  }

  /** Waits for a complete line that begins with `prefix` and drops everything up to it. @throws when it says NO or BAD */
  async line(prefix: string): Promise<void> {
    let from = -1
    await this.#until(() => {
      from = this.#text.startsWith(prefix) ? 0 : this.#text.indexOf(`\r\n${prefix}`)
      return from >= 0 && this.#text.indexOf('\r\n', from + 1) > 0
    })
    const start = from === 0 ? 0 : from + 2
    const end = this.#text.indexOf('\r\n', start)
    const line = this.#text.slice(start, end)
    this.#text = this.#text.slice(end + 2)
    if (!line.startsWith(`${prefix}OK`)) throw new Error(`answered: ${line.replace(/\d+/g, '#').slice(0, 80)}`)
  }

  /** Waits for the last line of an SMTP reply and drops everything up to it. @throws when it has another code */
  async reply(code: number): Promise<void> {
    let found: RegExpExecArray | null = null
    await this.#until(() => {
      found = LAST_LINE.exec(this.#text)
      return found !== null
    })
    const [line = '', said] = (found as RegExpExecArray | null) ?? []
    this.#text = this.#text.slice(this.#text.indexOf(line) + line.length)
    if (said !== String(code)) throw new Error(`answered: ${line.trim().replace(/\d+/g, '#').slice(0, 80)}`)
  }

  async login([user, password]: Account): Promise<void> {
    await this.line('* ')
    this.socket.write(`a LOGIN "${user}" "${password}"\r\n`)
    await this.line('a ')
  }

  /** Logs out and waits for the end of the connection. */
  async logout(): Promise<void> {
    this.socket.write('z LOGOUT\r\n')
    await this.line('z ')
    this.socket.end()
    await this.closed()
  }

  /** Resolves when the socket is gone. */
  async closed(): Promise<void> {
    if (!this.socket.destroyed) await this.#until(() => false).catch(() => undefined)
  }

  async select(): Promise<void> {
    this.socket.write('s SELECT INBOX\r\n')
    await this.line('s ')
  }

  /** Fetches the big message and compares every octet. */
  async fetch(): Promise<void> {
    this.socket.write('f FETCH 1 BODY.PEEK[]\r\n')
    let head: Buffer | null = Buffer.alloc(0)
    let received = 0
    let wrong = false
    this.#sink = (chunk) => {
      let body = chunk
      if (head) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf('}\r\n')
        if (end < 0) return
        body = head.subarray(end + 3)
        head = null
      }
      const part = body.subarray(0, MESSAGE_BYTES - received)
      if (!isMessageAt(pattern, received, part)) wrong = true
      received += part.length
      if (received === MESSAGE_BYTES) {
        this.#sink = null
        this.#text = body.toString('latin1', part.length)
      }
    }
    await this.line('f ')
    if (wrong) throw new Error('content differs')
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #take(chunk: Buffer): void {
    if (this.#sink) this.#sink(chunk)
    else this.#text += chunk.toString('latin1')
    this.#wake()
  }

  #until(found: () => boolean): Promise<void> {
    if (found()) return Promise.resolve()
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new Error('stalled')), STALL_MS)
      this.#waiting = {
        found,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
        reject: (why) => {
          clearTimeout(timer)
          reject(why)
        },
      }
    })
  }

  #wake(): void {
    const waiting = this.#waiting
    if (!waiting || this.#sink || !waiting.found()) return
    this.#waiting = null
    waiting.resolve()
  }

  #fail(why: Error): void {
    this.#failure ??= why
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.reject(this.#failure)
    this.socket.destroy()
  }
}
