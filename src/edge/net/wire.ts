/**
 * Wire: a socket read by line or by exact byte count, until somebody has logged in.
 *
 * It has one byte budget, which `received.ts` keeps, and one absolute deadline, whatever is read how (threats A6, A11): a peer
 * that sends one byte a second runs out of time like any other. While nobody reads, at most 64 KiB are taken from the socket,
 * and the rest waits in the kernel: that never closes a connection. `release()` hands the socket over with what was received
 * and not read; disposing a wire that was not released destroys its socket.
 */

import type { Socket } from 'node:net'
import type { Endpoint, TlsInfo } from '../../contract/admission.ts'
import { Received } from './received.ts'
import type { Sink } from './source.ts'
import { SocketReader } from './source.ts'
import type { ClientTls, ServerTls } from './tls.ts'
import { handshake } from './tls.ts'
import { WireError } from './wire-error.ts'

export type { ServerTls } from './tls.ts'
export type { WireErrorCode } from './wire-error.ts'
export { WireError } from './wire-error.ts'

/** A socket that changes hands. Its bytes go to whoever has called `take` last. */
export interface Leg {
  readonly socket: Socket
  /** Received, and not yet read by anybody. */
  readonly pending: Buffer
  take(sink: Sink): void
}

/** Whom a wire leads to that we dialled: which of an upstream's hosts, and what its certificate must be for. */
export interface Dialled extends ClientTls {
  readonly endpoint: Endpoint
}

export interface WireOptions {
  /** How many bytes may be read before `release()`; over it: ERR_WIRE_BUDGET. */
  readonly budgetBytes: number
  /** The end of the phase; when it aborts: ERR_WIRE_DEADLINE. */
  readonly deadline: AbortSignal
  /** The reader that the socket was made with; left out: the wire makes one, and the socket has no listeners yet. */
  readonly reader?: SocketReader
  /** For a wire that we dialled: what STARTTLS has to verify is in it as well. */
  readonly dialled?: Dialled
  /** Called by `release()`. */
  readonly onRelease?: () => void
}

const MAX_LINE_BYTES = 8 * 1024
/** Taken from the socket while nobody reads. */
const READ_AHEAD_BYTES = 64 * 1024
/** Written and not taken by a peer that is still logging in; nothing we say is that long. */
const MAX_UNSENT_BYTES = 64 * 1024
const LAST_WORD_MS = 1000

/** What the one who reads waits for. */
interface Reading {
  /** Takes what it needs of what was received: undefined when there is not enough yet. */
  attempt(): string | Buffer | undefined
  resolve(value: string | Buffer | null): void
  reject(error: WireError): void
}

export class Wire implements Disposable {
  #socket: Socket
  #reader: SocketReader
  readonly #deadline: AbortSignal
  /** Made when somebody asks for it. */
  #closed: AbortController | null = null
  #isClosed = false
  #onRelease: (() => void) | null
  readonly #received: Received
  #reading: Reading | null = null
  #isPaused = false
  #isFinished = false
  #isReleased = false
  #isSecuring = false
  #isEnding = false
  #failure: WireError | null = null

  /** Whom we dialled, and what STARTTLS there has to verify; null on an accepted wire. */
  readonly dialled: Dialled | null

  /** Takes the socket over. */
  constructor(socket: Socket, options: WireOptions) {
    this.#socket = socket
    this.dialled = options.dialled ?? null
    this.#onRelease = options.onRelease ?? null
    this.#received = new Received(options.budgetBytes)
    this.#deadline = options.deadline
    this.#reader = options.reader ?? new SocketReader()
    if (!options.reader) this.#reader.attach(socket, false)
    if (this.#sink) this.#reader.take(this.#sink)
    if (this.#deadline.aborted) this.#expire()
    else this.#deadline.addEventListener('abort', this.#expire, { once: true })
    if (!socket.destroyed) socket.resume()
  }

  /** Aborts when the peer has gone, or finished when nothing of it was left to read: nobody waits for an answer any more. */
  get closed(): AbortSignal {
    this.#closed ??= new AbortController()
    if (this.#isClosed) this.#closed.abort()
    return this.#closed.signal
  }

  /** Why it is of no use any more, although nobody may have read since: the deadline, a broken limit or connection. */
  get failure(): WireError | null {
    return this.#failure
  }

  /** Bytes received and not yet read. */
  get buffered(): number {
    return this.#received.length
  }

  /**
   * One line, without its LF and one CR before it, each octet a character (latin1). A CR elsewhere stays in it.
   * null: the peer has finished; what it sent without a line end is dropped.
   *
   * @throws WireError
   */
  async readLine(maxBytes: number = MAX_LINE_BYTES): Promise<string | null> {
    return (await this.#read(() => this.#received.takeLine(maxBytes))) as string | null
  }

  /** Exactly so many octets; null when the peer finishes before. The buffer is the caller's. @throws WireError */
  async readBytes(count: number): Promise<Buffer | null> {
    return (await this.#read(() => this.#received.takeBytes(count))) as Buffer | null
  }

  /** Writes text as UTF-8, or octets as they are. A peer that does not read what it is told breaks the wire. */
  write(text: string | Uint8Array): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    socket.write(text)
    if (socket.writableLength > MAX_UNSENT_BYTES) {
      socket.destroy()
      this.#fail(new WireError('ERR_WIRE_BUDGET', 'the peer does not read what it is told'))
    }
  }

  /** Says a last word, if any, and closes in good order; a peer that does not follow is left after a second. */
  async end(text = ''): Promise<void> {
    if (text !== '') this.write(text)
    const socket = this.#socket
    if (this.#isReleased || socket.destroyed) return
    this.#isEnding = true
    this.#received.forget()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => socket.destroy(), LAST_WORD_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    // Input that nobody reads would turn the close into a reset, and the last word would be lost.
    socket.resume()
    socket.end()
    if (this.#isFinished) socket.destroySoon()
    await promise
  }

  /**
   * Sends the peer away without waiting for it, whoever talks with it and however far that is: these are the last words, and
   * whoever reads gets ERR_WIRE_DISMISSED. false: they can't be said, in the middle of a handshake or to a peer that does not
   * read, and nothing has happened.
   */
  dismiss(words: string): boolean {
    const socket = this.#socket
    if (this.#isReleased || this.#isSecuring || this.#isEnding || socket.destroyed || socket.writableLength > 0)
      return false
    socket.write(words)
    // What the kernel has taken outlives the socket. TLS takes a moment more, and says goodbye first.
    if (socket.writableLength === 0) {
      this.#received.forget()
      socket.destroy()
    } else {
      void this.end()
      socket.destroySoon()
    }
    this.#fail(DISMISSED)
    return true
  }

  /**
   * Puts TLS on the connection, as either side. Left out on a wire that we dialled: as the client, verifying what was dialled.
   *
   * @throws WireError 'ERR_WIRE_INJECTED' when bytes are waiting already (invariant 3), 'ERR_WIRE_TLS' when the handshake
   *   fails, 'ERR_WIRE_DEADLINE'; the socket is gone then
   */
  async startTls(side: ServerTls | ClientTls | null = this.dialled): Promise<TlsInfo> {
    this.#check()
    if (side === null) throw new Error('an accepted connection needs to be told which certificates to use')
    if (this.buffered > 0) {
      throw this.#fail(new WireError('ERR_WIRE_INJECTED', `${this.buffered} bytes were waiting where TLS was to begin`))
    }
    if (this.#isFinished) throw this.#fail(new WireError('ERR_WIRE_TLS', 'the peer hung up where TLS was to begin'))
    const plain = this.#socket
    plain.pause()
    this.#reader.detach(plain)
    this.#isSecuring = true
    try {
      const secure = await handshake(plain, side, this.#deadline)
      this.#socket = secure.socket
      this.#reader = secure.reader
      this.#isPaused = false
      if (this.#sink) secure.reader.take(this.#sink)
      if (!secure.socket.destroyed) secure.socket.resume()
      return secure.info
    } catch (cause) {
      this.#isFinished = true
      this.#close()
      if (this.#deadline.aborted) throw this.#fail(LATE('the time was up before TLS was', cause))
      throw this.#fail(new WireError('ERR_WIRE_TLS', `TLS did not come about: ${(cause as Error).message}`, { cause }))
    } finally {
      this.#isSecuring = false
    }
  }

  /** Hands the socket over with what was received and not read. The deadline ends here. @throws WireError */
  release(): Leg {
    this.#check()
    this.#isReleased = true
    this.#deadline.removeEventListener('abort', this.#expire)
    this.#socket.pause()
    this.#reader.leave()
    // Whoever served the dialogue may keep this object as long as the session; then it should be small.
    this.#sink = null
    this.#closed = null
    this.#onRelease?.()
    this.#onRelease = null
    const pending = this.#received.rest()
    return new ReleasedLeg(this.#socket, this.#reader, pending)
  }

  /**
   * Gives up the socket itself, for a reader that is not ours (node:http): paused, with what was received put back, and listened
   * to by nobody, so the new owner must listen at once. The deadline ends here; that the client has logged in is the new owner's
   * to say. @throws WireError
   */
  surrender(): { readonly socket: Socket; readonly established: () => void } {
    if (this.#isFinished) throw this.#fail(new WireError('ERR_WIRE_RESET', 'the peer has hung up'))
    const onRelease = this.#onRelease ?? (() => {})
    this.#onRelease = null
    const { socket, pending } = this.release()
    this.#reader.detach(socket)
    if (pending.length > 0) socket.unshift(pending)
    return { socket, established: onRelease }
  }

  [Symbol.dispose](): void {
    if (this.#isReleased || this.#isEnding) return
    this.#deadline.removeEventListener('abort', this.#expire)
    this.#received.forget()
    this.#socket.destroy()
  }

  #sink: Sink | null = {
    data: (bytes, release) => {
      if (!this.#isEnding) this.#received.append(bytes)
      if (release) release()
      else bytes.fill(0)
      this.#serve()
      if (this.buffered >= READ_AHEAD_BYTES && this.#reading === null && !this.#isPaused) {
        this.#isPaused = true
        this.#socket.pause()
      }
    },
    end: () => {
      this.#isFinished = true
      // Commands that came before the FIN still want their answer: `printf … | nc` is a client, too.
      if (this.buffered === 0) this.#close()
      this.#serve()
    },
    closed: (error) => {
      this.#isFinished = true
      if (error)
        this.#failure ??= new WireError('ERR_WIRE_RESET', `the connection broke (${error.code ?? error.message})`, {
          cause: error,
        })
      this.#deadline.removeEventListener('abort', this.#expire)
      this.#close()
      this.#serve()
    },
  }

  readonly #expire = (): void => {
    const isDown = this.#deadline.reason === GOING_DOWN
    this.#fail(
      isDown
        ? new WireError('ERR_WIRE_GOING_DOWN', 'the server is going down')
        : LATE('the time for logging in was up'),
    )
  }

  /**
   * The first failure counts. After a broken limit the socket is left open for the dialogue's last words; whoever owns the
   * wire disposes of it.
   */
  #fail(error: WireError): WireError {
    this.#failure ??= error
    if (error.code === 'ERR_WIRE_INJECTED' || error.code === 'ERR_WIRE_TLS') this.#socket.destroy()
    this.#serve()
    return this.#failure
  }

  #close(): void {
    this.#isClosed = true
    this.#closed?.abort()
  }

  #check(): void {
    if (this.#failure) throw this.#failure
    if (this.#isReleased) throw new Error('the wire has been released')
  }

  #read(attempt: Reading['attempt']): Promise<string | Buffer | null> {
    if (this.#reading) throw new Error('the wire is being read already')
    if (this.#isReleased) throw new Error('the wire has been released')
    return new Promise((resolve, reject) => {
      this.#reading = { attempt, resolve, reject }
      this.#serve()
    })
  }

  /** Gives whoever reads what there is, or the reason why there will be nothing. */
  #serve(): void {
    const reading = this.#reading
    if (reading === null) return
    let found: string | Buffer | null | undefined
    try {
      if (this.#failure) throw this.#failure
      found = reading.attempt() ?? (this.#isFinished ? null : undefined)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#reading = null
      this.#failure ??= error
      reading.reject(error)
      return
    }
    if (found !== undefined) {
      this.#reading = null
      reading.resolve(found)
    }
    // Whoever still waits needs more than that; the budget bounds it.
    if (this.#isPaused && (this.#reading || this.buffered < READ_AHEAD_BYTES) && !this.#socket.destroyed) {
      this.#isPaused = false
      this.#socket.resume()
    }
  }
}

class ReleasedLeg implements Leg {
  readonly socket: Socket
  readonly pending: Buffer
  readonly #reader: SocketReader

  constructor(socket: Socket, reader: SocketReader, pending: Buffer) {
    this.socket = socket
    this.#reader = reader
    this.pending = pending
  }

  take(sink: Sink): void {
    this.#reader.take(sink)
  }
}

/** Why a deadline ends before its time. */
export const GOING_DOWN = 'going down'

const LATE = (message: string, cause?: unknown): WireError => new WireError('ERR_WIRE_DEADLINE', message, { cause })

/** One for all: a flood is sent away at no more cost than it has to have. */
const DISMISSED = new WireError('ERR_WIRE_DISMISSED', 'the connection made room for another one')
