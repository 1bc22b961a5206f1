/**
 * A scripted TCP or TLS peer: the hostile or odd other side of a connection, in ten lines.
 *
 *     await using server = await scriptedServer(async (peer) => {
 *       peer.send('* OK ready\r\n')
 *       await peer.expect(/^(\S+) LOGIN /)
 *       peer.send('* BYE no\r\n')
 *       peer.end()
 *     })
 *
 * `scriptedClient` is the same object on a connection that the test opens.
 */

import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { createConnection, createServer } from 'node:net'
import type { ConnectionOptions, TlsOptions } from 'node:tls'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'

/** Long enough for a machine that is slow and busy: who waits in vain has found something. */
const DEFAULT_TIMEOUT_MS = 30_000

/** One end of a connection, read by line, by pattern or by count. Everything is latin1, so bytes survive. */
export class ScriptedPeer implements Disposable {
  #socket: Socket
  #buffered = ''
  #closed = false
  #error: Error | null = null
  #wake: (() => void) | null = null
  readonly #timeoutMs: number

  constructor(socket: Socket, timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs
    this.#socket = socket
    this.#listen()
  }

  get socket(): Socket {
    return this.#socket
  }

  /** Text received and not yet taken. */
  get buffered(): string {
    return this.#buffered
  }

  /** Whether the other side has ended or the connection broke. */
  get closed(): boolean {
    return this.#closed
  }

  #listen(): void {
    const socket = this.#socket
    socket.setNoDelay(true)
    const stop = (): void => {
      this.#closed = true
      this.#wake?.()
    }
    socket.on('data', this.#onData)
    socket.on('end', stop)
    socket.on('close', stop)
    socket.on('error', (error) => {
      this.#error = error
      stop()
    })
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#buffered += chunk.toString('latin1')
    this.#wake?.()
  }

  /** Waits until `take` answers something else than null. @throws on end of input or after the time limit */
  async #until<T>(take: () => T | null, what: string, timeoutMs = this.#timeoutMs): Promise<T> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const value = take()
      if (value !== null) return value
      if (this.#closed) {
        const why = this.#error ? `connection broke (${this.#error.message})` : 'other side closed'
        throw new Error(`${why} while waiting for ${what}; unread: ${JSON.stringify(this.#buffered.slice(0, 300))}`)
      }
      const left = deadline - Date.now()
      if (left <= 0)
        throw new Error(`no ${what} in ${timeoutMs} ms; unread: ${JSON.stringify(this.#buffered.slice(0, 300))}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          this.#wake = null
          resolve()
        }
      })
    }
  }

  send(text: string | Uint8Array): void {
    this.#socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** The next line without its end. */
  line(timeoutMs?: number): Promise<string> {
    return this.#until(
      () => {
        const at = this.#buffered.indexOf('\n')
        if (at < 0) return null
        const line = this.#buffered.slice(0, at).replace(/\r$/, '')
        this.#buffered = this.#buffered.slice(at + 1)
        return line
      },
      'line',
      timeoutMs,
    )
  }

  /** The next line, which must match. @throws when it does not */
  async expect(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray> {
    const line = await this.line(timeoutMs)
    const match = pattern.exec(line)
    if (!match) throw new Error(`expected ${String(pattern)}, got ${JSON.stringify(line)}`)
    return match
  }

  /** Lines up to and including the first one that matches: an IMAP answer up to its tag. */
  async linesUntil(pattern: RegExp, timeoutMs?: number): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const line = await this.line(timeoutMs)
      lines.push(line)
      if (pattern.test(line)) return lines
    }
  }

  /** Exactly `count` bytes. */
  bytes(count: number, timeoutMs?: number): Promise<Buffer> {
    return this.#until(
      () => {
        if (this.#buffered.length < count) return null
        const bytes = Buffer.from(this.#buffered.slice(0, count), 'latin1')
        this.#buffered = this.#buffered.slice(count)
        return bytes
      },
      `${count} bytes`,
      timeoutMs,
    )
  }

  /** Everything up to the end of input. */
  async rest(timeoutMs = this.#timeoutMs): Promise<string> {
    await this.untilClosed(timeoutMs)
    const rest = this.#buffered
    this.#buffered = ''
    return rest
  }

  /** Resolves with the milliseconds waited once the other side is gone. @throws after the time limit */
  async untilClosed(timeoutMs = this.#timeoutMs): Promise<number> {
    const start = performance.now()
    if (this.#closed) return 0
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`still open after ${timeoutMs} ms`)), timeoutMs)
      const previous = this.#wake
      const check = (): void => {
        previous?.()
        if (!this.#closed) {
          this.#wake = check
          return
        }
        clearTimeout(timer)
        resolve()
      }
      this.#wake = check
    })
    return performance.now() - start
  }

  /** TLS from here on, as the client. */
  async startTls(options: ConnectionOptions): Promise<void> {
    this.#socket.removeAllListeners('data')
    const secure = tlsConnect({ ...options, socket: this.#socket })
    await this.#become(secure, 'secureConnect')
  }

  /** TLS from here on, as the server. */
  async startTlsServer(pair: { readonly cert: string; readonly key: string }): Promise<void> {
    this.#socket.removeAllListeners('data')
    const secure = new TLSSocket(this.#socket, { isServer: true, secureContext: createSecureContext(pair) })
    await this.#become(secure, 'secure')
  }

  async #become(secure: TLSSocket, event: string): Promise<void> {
    secure.on('error', () => undefined)
    await once(secure, event)
    this.#socket = secure
    this.#listen()
  }

  end(text?: string): void {
    if (text !== undefined) this.send(text)
    this.#socket.end()
  }

  /** Closes with a reset where the platform can. */
  reset(): void {
    if (this.#socket instanceof TLSSocket) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}

export interface ScriptedServer extends AsyncDisposable {
  readonly port: number
  /** How many connections have come in. */
  readonly connections: number
  /** What scripts threw, in order. A test should end with this empty. */
  readonly errors: readonly unknown[]
  /** Resolves when the script of the n-th connection (from 1) is over. */
  finished(n?: number): Promise<void>
}

/** Listens on a free loopback port and runs `script` on each connection, with TLS from the start when `tls` is given. */
export async function scriptedServer(
  script: (peer: ScriptedPeer, n: number) => Promise<void> | void,
  options: {
    readonly tls?: TlsOptions
    readonly timeoutMs?: number
    readonly host?: string
    readonly port?: number
  } = {},
): Promise<ScriptedServer> {
  const errors: unknown[] = []
  const sockets = new Set<Socket>()
  const done: PromiseWithResolvers<void>[] = []
  const slot = (n: number): PromiseWithResolvers<void> => {
    done[n] ??= Promise.withResolvers<void>()
    return done[n]
  }
  let connections = 0
  const server: Server = createServer((socket) => {
    const n = ++connections
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    const play = async (): Promise<void> => {
      let stream: Socket = socket
      if (options.tls) {
        const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(options.tls) })
        secure.on('error', () => undefined)
        await once(secure, 'secure')
        stream = secure
      }
      await script(new ScriptedPeer(stream, options.timeoutMs), n)
    }
    play()
      .catch((error: unknown) => errors.push(error))
      .finally(() => slot(n).resolve())
  })
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    get connections() {
      return connections
    },
    errors,
    finished: (n = 1) => slot(n).promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Connects to a port on loopback, with TLS when `tls` is given, and hands over the peer. */
export async function scriptedClient(
  port: number,
  options: {
    readonly tls?: ConnectionOptions
    readonly timeoutMs?: number
    readonly host?: string
    readonly localAddress?: string
  } = {},
): Promise<ScriptedPeer> {
  const socket = createConnection({
    port,
    host: options.host ?? '127.0.0.1',
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  })
  await once(socket, 'connect')
  if (!options.tls) return new ScriptedPeer(socket, options.timeoutMs)
  const secure = tlsConnect({ ...options.tls, socket })
  await once(secure, 'secureConnect')
  return new ScriptedPeer(secure, options.timeoutMs)
}
