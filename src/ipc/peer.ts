/**
 * One end of a channel between two of our processes, once the hello is over.
 *
 * Both ends may ask and both may tell, in one order: what is sent first is handled first. An answer may overtake another
 * answer, never a notice or a request that was sent before it. Whoever is at the other end is taken for hostile: requests in
 * work, frames a second and unread output are bounded by not reading on, and a frame that breaks the rules ends the channel.
 */

import type { Socket } from 'node:net'
import { IpcError, IpcFailure } from './error.ts'
import type { FrameDecoder } from './frames.ts'
import { encodeFrame } from './frames.ts'

/** What one end does with what the other sends. */
export interface IpcHandlers {
  /** Answers a request with plain JSON. Throw `IpcFailure` to say no; anything else is a bug here and goes to `bug`. */
  request(method: string, params: unknown): Promise<unknown>
  /** Takes a notice. What it throws closes the channel ('ERR_IPC_PROTOCOL'). */
  notice(method: string, params: unknown): void
  /** The channel is over, exactly once; every pending request has been rejected with the same error. */
  closed(why: IpcError): void
  /** A handler threw something that is no IpcFailure. */
  bug(error: unknown): void
}

export interface IpcLimits {
  /** Requests of the other end in work here; over it we stop reading until one is answered. Their answers may all be held. */
  readonly inWork: number
  /** Our own requests without an answer; over it `request` rejects with 'ERR_IPC_BUSY'. */
  readonly pending: number
  /** Frames a second from the other end, on average over a burst as large; over it we read more slowly. */
  readonly framesPerSecond: number
  /** Output the other end has not read, at least 100,000; over it our requests are refused, at four times that we hang up. */
  readonly queuedBytes: number
  /** An answer may come in several frames up to this size; 0: in one only. Give it only to whom you trust. */
  readonly answerBytes: number
}

export const DEFAULT_LIMITS: IpcLimits = {
  inWork: 1024,
  pending: 8192,
  // A login is three frames; one edge process does not reach 5,000 logins a second.
  framesPerSecond: 30_000,
  queuedBytes: 4 * 1024 * 1024,
  answerBytes: 0,
}

export interface IpcPeer {
  /** Who it said it is, in its hello; proven by its key. */
  readonly name: string
  /**
   * Asks, and waits for the answer for at most `timeoutMs` (null: as long as the channel lives).
   *
   * @throws IpcFailure when the other side says no; IpcError otherwise. After an IpcError other than 'ERR_IPC_BUSY' and
   *   'ERR_IPC_TOO_LARGE' it is not known whether the other side has acted.
   */
  request(method: string, params: unknown, timeoutMs: number | null): Promise<unknown>
  /** Tells. Nothing comes back; a channel that is closed swallows it. @throws IpcError 'ERR_IPC_TOO_LARGE' */
  notify(method: string, params: unknown): void
  /**
   * Tells within 5 ms, in one write with what else is said meanwhile and still in order: for what nobody waits for. Waking
   * the other process costs both more than the frame does.
   */
  notifySoon(method: string, params: unknown): void
  /** Sends what is queued, then closes. */
  close(): void
  readonly isOpen: boolean
}

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
  readonly timer: NodeJS.Timeout | undefined
  /** Parts of a long answer so far. */
  parts: string
}

/** JSON text per part of a long answer: escaped once more it still fits a frame. */
const PART_CHARACTERS = 10_000
const MAX_METHOD = 64
const SOON_MS = 5
const MAX_ERROR_TEXT = 2048

const isId = (value: unknown): value is number => Number.isSafeInteger(value)

/** A channel after its hello, on either side; `serveIpc` and `connectIpc` make them. */
export class Connection implements IpcPeer {
  readonly name: string
  readonly #socket: Socket
  readonly #handlers: IpcHandlers
  readonly #limits: IpcLimits
  readonly #decoder: FrameDecoder
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #inWork = 0
  #open = true
  #closing = false
  #queue: Buffer[] = []
  #queueBytes = 0
  #flushing = false
  /** Runs while all that is queued may wait. */
  #soon: NodeJS.Timeout | null = null
  /** Frames the other end may still send now; filled up over time. */
  #allowance: number
  #allowanceAt = performance.now()
  #waiting: NodeJS.Timeout | null = null
  #paused = false

  /** Takes the socket over. `decoder` may hold what came behind the hello. Call `start` when the handlers may be called. */
  constructor(name: string, socket: Socket, decoder: FrameDecoder, handlers: IpcHandlers, limits: IpcLimits) {
    this.name = name
    this.#socket = socket
    this.#decoder = decoder
    this.#handlers = handlers
    this.#limits = limits
    this.#allowance = limits.framesPerSecond
  }

  start(): void {
    this.#socket.on('data', (chunk: Buffer) => {
      if (!this.#open) return
      this.#decoder.push(chunk)
      this.#read()
    })
    this.#socket.on('drain', () => this.#read())
    this.#socket.on('end', () => this.#end(new IpcError('ERR_IPC_CLOSED', `${this.name} closed the channel`)))
    this.#socket.on('error', (cause) => {
      this.#end(new IpcError('ERR_IPC_CLOSED', `the channel to ${this.name} broke (${cause.message})`, { cause }))
    })
    this.#socket.on('close', () => this.#end(new IpcError('ERR_IPC_CLOSED', `the channel to ${this.name} is closed`)))
    this.#read()
    if (!this.#paused) this.#socket.resume()
  }

  get isOpen(): boolean {
    return this.#open && !this.#closing
  }

  request(method: string, params: unknown, timeoutMs: number | null): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return reject(new IpcError('ERR_IPC_CLOSED', `the channel to ${this.name} is closed`))
      if (this.#pending.size >= this.#limits.pending || this.#unread > this.#limits.queuedBytes) {
        return reject(new IpcError('ERR_IPC_BUSY', `${this.name} has too many requests waiting`))
      }
      const id = this.#nextId++
      this.#send({ q: id, m: method, p: params })
      const expire = () => {
        this.#pending.delete(id)
        reject(new IpcError('ERR_IPC_TIMEOUT', `${this.name} did not answer ${method} within ${timeoutMs} ms`))
      }
      const timer = timeoutMs === null ? undefined : setTimeout(expire, timeoutMs)
      this.#pending.set(id, { resolve, reject, timer, parts: '' })
    })
  }

  notify(method: string, params: unknown): void {
    if (this.isOpen) this.#send({ m: method, p: params })
  }

  notifySoon(method: string, params: unknown): void {
    if (this.isOpen) this.#send({ m: method, p: params }, true)
  }

  close(): void {
    if (!this.#open) return
    this.#flush()
    this.#closing = true
    this.#socket.end()
    this.#end(new IpcError('ERR_IPC_CLOSED', `the channel to ${this.name} was closed`))
  }

  #send(message: object, mayWait = false): void {
    const frame = encodeFrame(message)
    this.#queue.push(frame)
    this.#queueBytes += frame.length
    if (this.#flushing) return
    if (mayWait) {
      this.#soon ??= setTimeout(() => this.#flush(), SOON_MS)
      return
    }
    this.#flushing = true
    // What is said in one turn of the loop goes out in one write.
    process.nextTick(() => this.#flush())
  }

  /** Bytes of output that the kernel has not taken. */
  get #unread(): number {
    return this.#queueBytes + this.#socket.writableLength
  }

  #flush(): void {
    this.#flushing = false
    this.#forgetSoon()
    this.#queueBytes = 0
    if (this.#queue.length === 0 || this.#socket.destroyed) return
    const frames = this.#queue
    this.#queue = []
    const [first] = frames
    const bytes = frames.length === 1 && first ? first : Buffer.concat(frames)
    if (bytes !== first) for (const frame of frames) frame.fill(0)
    // Frames may hold secrets: nothing of them stays in our memory once the kernel has them.
    this.#socket.write(bytes, () => bytes.fill(0))
    if (this.#unread > 4 * this.#limits.queuedBytes) {
      this.#end(new IpcError('ERR_IPC_CLOSED', `${this.name} does not read what it is sent`))
    } else if (this.#paused) this.#read()
  }

  #forgetSoon(): void {
    if (this.#soon !== null) clearTimeout(this.#soon)
    this.#soon = null
  }

  /** Handles messages until the chunk is used up or a limit says: not now. */
  #read(): void {
    try {
      while (this.#open) {
        if (this.#held()) {
          if (!this.#paused) {
            this.#paused = true
            this.#socket.pause()
          }
          return
        }
        const message = this.#decoder.next()
        if (message === undefined) break
        this.#allowance -= 1
        this.#handle(message)
      }
    } catch (error) {
      const why = error instanceof IpcError ? error : null
      if (why === null) this.#handlers.bug(error)
      this.#end(why ?? new IpcError('ERR_IPC_PROTOCOL', `what ${this.name} sent could not be handled`))
      return
    }
    if (this.#paused && this.#open) {
      this.#paused = false
      this.#socket.resume()
    }
  }

  /** Whether reading has to wait; sees to it that `#read` is called again. */
  #held(): boolean {
    if (this.#inWork >= this.#limits.inWork) return true // #answer reads on
    if (this.#unread > this.#limits.queuedBytes) return true // #flush and then 'drain' read on
    if (this.#allowance >= 1) return false
    if (this.#waiting !== null) return true
    const now = performance.now()
    const rate = this.#limits.framesPerSecond
    this.#allowance = Math.min(rate, this.#allowance + ((now - this.#allowanceAt) / 1000) * rate)
    this.#allowanceAt = now
    if (this.#allowance >= 1) return false
    this.#waiting = setTimeout(
      () => {
        this.#waiting = null
        this.#read()
      },
      Math.max(1, (1000 * (1 - this.#allowance)) / rate),
    )
    return true
  }

  #handle(message: Readonly<Record<string, unknown>>): void {
    const { m: method, q: question, a: answered } = message
    if (typeof method === 'string' && method.length <= MAX_METHOD) {
      if (question === undefined) this.#handlers.notice(method, message.p)
      else if (isId(question)) this.#work(question, method, message.p)
      else throw this.#nonsense()
    } else if (isId(answered)) this.#settle(answered, message)
    else throw this.#nonsense()
  }

  #nonsense(): IpcError {
    return new IpcError('ERR_IPC_PROTOCOL', `${this.name} sent a frame that is neither request, answer nor notice`)
  }

  #work(id: number, method: string, params: unknown): void {
    this.#inWork += 1
    // An async function's first part runs at once, so requests begin in the order in which they came.
    this.#run(method, params).then(
      (result) => this.#answer(id, { r: result ?? null }),
      (error: unknown) => this.#answer(id, { e: this.#asFailure(error) }),
    )
  }

  async #run(method: string, params: unknown): Promise<unknown> {
    return this.#handlers.request(method, params)
  }

  #asFailure(error: unknown): object {
    if (error instanceof IpcFailure) {
      return { c: error.code, t: error.message.slice(0, MAX_ERROR_TEXT), d: error.data }
    }
    // Only a word crosses: a message or a stack of ours could hold anything.
    if (!(error instanceof IpcError)) this.#handlers.bug(error)
    return { c: 'internal', t: 'the request failed for a reason that is in the log', d: null }
  }

  #answer(id: number, outcome: { readonly r: unknown } | { readonly e: object }): void {
    this.#inWork -= 1
    if (this.isOpen) {
      try {
        this.#send({ a: id, ...outcome })
      } catch (error) {
        if (!('r' in outcome && error instanceof IpcError)) this.#send({ a: id, e: this.#asFailure(error) })
        else this.#sendParts(id, JSON.stringify(outcome.r))
      }
    }
    if (this.#paused) this.#read()
  }

  #sendParts(id: number, text: string): void {
    for (let at = 0; at < text.length; at += PART_CHARACTERS) {
      this.#send({ a: id, s: text.slice(at, at + PART_CHARACTERS), l: at + PART_CHARACTERS >= text.length })
    }
  }

  #settle(id: number, message: Readonly<Record<string, unknown>>): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) {
      if (id > 0 && id < this.#nextId) return // its time was over
      throw new IpcError('ERR_IPC_PROTOCOL', `${this.name} answered what was not asked`)
    }
    let result = message.r
    if (typeof message.s === 'string') {
      pending.parts += message.s
      if (pending.parts.length > this.#limits.answerBytes) {
        throw new IpcError('ERR_IPC_PROTOCOL', `${this.name} sent an answer over ${this.#limits.answerBytes} bytes`)
      }
      if (message.l !== true) return
      try {
        result = JSON.parse(pending.parts)
      } catch {
        throw new IpcError('ERR_IPC_PROTOCOL', `${this.name} sent an answer that is no JSON`)
      }
    }
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    if (message.e === undefined) pending.resolve(result)
    else {
      const failure = message.e as { readonly c?: unknown; readonly t?: unknown; readonly d?: unknown } | null
      pending.reject(new IpcFailure(String(failure?.c), String(failure?.t), failure?.d ?? null))
    }
  }

  #end(why: IpcError): void {
    if (!this.#open) return
    this.#open = false
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    this.#forgetSoon()
    if (this.#closing) {
      // Our last words are on their way; a peer that does not take them is not waited for.
      const timer = setTimeout(() => this.#socket.destroy(), 1000)
      timer.unref()
      this.#socket.once('close', () => clearTimeout(timer))
      this.#socket.resume()
    } else this.#socket.destroy()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject, timer } of pending) {
      clearTimeout(timer)
      reject(why)
    }
    this.#handlers.closed(why)
  }
}
