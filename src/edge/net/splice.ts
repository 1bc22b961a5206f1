/**
 * Splice: joins two legs until either ends.
 *
 * Whatever comes from one goes to the other, unread and in order. A leg that takes less than it is sent holds the other one
 * back, so at most `HIGH_WATER_BYTES` and one read wait in memory for each direction. One slow clock per process watches idle
 * and stalled sessions, and it stops when there is none; no session has a timer of its own.
 */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Sink } from './source.ts'
import type { Leg } from './wire.ts'

export type SpliceEndReason =
  | 'client-closed'
  | 'upstream-closed'
  /** No byte either way for `idleMs`. */
  | 'idle'
  /** `end` was aborted. */
  | 'ended'
  /** One side has not taken what waits for it for ten minutes, or went on for a minute after the other had finished. */
  | 'stalled'
  | 'error'

export interface SpliceEnd {
  readonly reason: SpliceEndReason
  /** From the client to the upstream. */
  readonly netInBytes: number
  /** From the upstream to the client. */
  readonly netOutBytes: number
  /** What broke a connection, for 'error'. */
  readonly error: Error | null
}

/** Limits of all splices of a process; for tests. */
export interface SpliceLimits {
  readonly stalledMs: number
  readonly halfOpenMs: number
}

const LIMITS: SpliceLimits = { stalledMs: 10 * 60_000, halfOpenMs: 60_000 }
/** Waiting for one side at most; with one read more (256 KiB) it stays below 1 MiB (threats E1). */
const HIGH_WATER_BYTES = 512 * 1024
/** Time for the last bytes and TLS's close_notify when we cut a session. */
const CUT_MS = 250
const MAX_TICK_MS = 15_000
/** A whole TLS record (RFC 8446 §5.1) is one of many. */
const GATHER_BYTES = 16 * 1024

/**
 * Passes bytes until the session is over; both sockets are closed then. Never rejects.
 *
 * Takes both legs over. What was pending in them goes first.
 */
export function splice(
  client: Leg,
  upstream: Leg,
  idleMs: number,
  end: AbortSignal,
  limits: SpliceLimits = LIMITS,
): Promise<SpliceEnd> {
  return new Promise((resolve) => {
    new Splice(client, upstream, idleMs, end, limits, resolve).start()
  })
}

class Splice {
  readonly #in: Flow
  readonly #out: Flow
  readonly #idleMs: number
  readonly #limits: SpliceLimits
  readonly #end: AbortSignal
  readonly #resolve: (end: SpliceEnd) => void
  #reason: SpliceEndReason | null = null
  #error: Error | null = null
  #openSockets = 2
  /** Bytes taken, both ways, when the clock last looked, and for how long there were no more. */
  #movedBefore = -1
  #quietMs = 0
  #halfOpenMs = 0

  constructor(
    client: Leg,
    upstream: Leg,
    idleMs: number,
    end: AbortSignal,
    limits: SpliceLimits,
    resolve: (end: SpliceEnd) => void,
  ) {
    this.#in = new Flow(this, 'client-closed', client.socket, upstream.socket)
    this.#out = new Flow(this, 'upstream-closed', upstream.socket, client.socket)
    this.#idleMs = idleMs
    this.#limits = limits
    this.#end = end
    this.#resolve = resolve
    end.addEventListener('abort', this)
    clock.add(this, Math.min(idleMs, limits.stalledMs, limits.halfOpenMs))
    this.#in.send(client.pending)
    this.#out.send(upstream.pending)
    client.take(this.#in)
    upstream.take(this.#out)
  }

  start(): void {
    if (this.#end.aborted) this.handleEvent()
    else {
      this.#in.start()
      this.#out.start()
    }
  }

  /** `end` was aborted. */
  handleEvent(): void {
    this.cut('ended')
  }

  /** One side has finished sending. */
  finished(reason: SpliceEndReason): void {
    this.#reason ??= reason
  }

  /** One socket is gone. The other gets what is still waiting for it, within its time. */
  closed(flow: Flow, error: Error | null): void {
    if (error && this.#reason === null) this.#error = error
    this.#reason ??= error ? 'error' : flow.reason
    this.#openSockets -= 1
    if (this.#openSockets > 0) {
      const other = flow === this.#in ? this.#out : this.#in
      other.closeSource(this.#limits.halfOpenMs)
      return
    }
    this.#end.removeEventListener('abort', this)
    clock.remove(this)
    this.#resolve({
      reason: this.#reason,
      netInBytes: this.#in.bytes,
      netOutBytes: this.#out.bytes,
      error: this.#error,
    })
  }

  /** Ends both sides: TLS's close first, then the sockets. */
  cut(reason: SpliceEndReason): void {
    this.#reason ??= reason
    this.#in.cutSource()
    this.#out.cutSource()
  }

  /** The clock has moved on by `ms`. */
  tick(ms: number): void {
    this.#in.look(ms)
    this.#out.look(ms)
    const moved = this.#in.taken + this.#out.taken
    const quietMs = moved === this.#movedBefore ? this.#quietMs + ms : 0
    this.#movedBefore = moved
    this.#quietMs = quietMs
    if (this.#in.isFinished !== this.#out.isFinished) this.#halfOpenMs += ms
    const isStuck = Math.max(this.#in.stuckMs, this.#out.stuckMs) >= this.#limits.stalledMs
    if (isStuck || this.#halfOpenMs > this.#limits.halfOpenMs) this.cut('stalled')
    else if (quietMs >= this.#idleMs) this.cut('idle')
  }
}

/** One direction. It is the sink of its source. */
class Flow implements Sink {
  readonly reason: 'client-closed' | 'upstream-closed'
  readonly #splice: Splice
  readonly #source: Socket
  readonly #target: Socket
  bytes = 0
  isFinished = false
  /**
   * Whether whole records of one turn of the event loop are written together. From TLS to plain text that saves a quarter of
   * the CPU, most of it system calls for single records; elsewhere it saves nothing, and between two with TLS it costs throughput.
   */
  readonly #gathers: boolean
  #isHeld = false
  /** What the target had taken when the clock last looked, and for how long it took no more although something waited. */
  taken = 0
  stuckMs = 0

  constructor(owner: Splice, reason: Flow['reason'], source: Socket, target: Socket) {
    this.#splice = owner
    this.reason = reason
    this.#source = source
    this.#target = target
    this.#gathers = source instanceof TLSSocket && !(target instanceof TLSSocket)
  }

  /** The clock has moved on by `ms`. */
  look(ms: number): void {
    const waiting = this.#target.destroyed ? 0 : this.#target.writableLength
    const taken = this.bytes - waiting
    this.stuckMs = waiting > 0 && taken === this.taken ? this.stuckMs + ms : 0
    this.taken = taken
  }

  send(bytes: Buffer): void {
    if (bytes.length > 0) this.data(bytes, null)
  }

  start(): void {
    if (!this.#isHeld && !this.#source.destroyed) this.#source.resume()
  }

  data(bytes: Buffer, release: (() => void) | null): void {
    this.bytes += bytes.length
    const target = this.#target
    if (target.destroyed || target.writableEnded) {
      release?.()
      return
    }
    if (bytes.length >= GATHER_BYTES && this.#gathers && target.writableCorked === 0) {
      target.cork()
      setImmediate(uncork, target)
    }
    const goOn = release ? target.write(bytes, release) : target.write(bytes)
    if (!goOn && !this.#isHeld && target.writableLength > HIGH_WATER_BYTES) this.#hold()
  }

  /** Reads no more until the target has taken what waits for it. An idle session does not even listen for that. */
  #hold(): void {
    this.#isHeld = true
    this.#source.pause()
    this.#target.once('drain', () => {
      this.#isHeld = false
      if (!this.#source.destroyed) this.#source.resume()
    })
  }

  end(): void {
    this.isFinished = true
    this.#splice.finished(this.reason)
    this.#target.end()
  }

  closed(error: NodeJS.ErrnoException | null): void {
    this.isFinished = true
    this.#splice.closed(this, error)
  }

  /** The other socket is gone: this one gets what is still waiting for it, and goes. */
  closeSource(drainMs: number): void {
    if (this.#source.destroyed) return
    // Nothing that it still sends can arrive anywhere.
    this.#source.resume()
    deadline(this.#source, this.#source.writableLength > 0 ? drainMs : CUT_MS)
    this.#source.destroySoon()
  }

  cutSource(): void {
    const source = this.#source
    if (source.destroyed) return
    if (source.writableLength > 0) source.destroy()
    else {
      source.resume()
      deadline(source, CUT_MS)
      source.destroySoon()
    }
  }
}

function uncork(socket: Socket): void {
  socket.uncork()
}

/** Whoever does not take the close is cut off. */
function deadline(socket: Socket, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms)
  socket.once('close', () => clearTimeout(timer))
}

/** The one timer of all splices. It ticks as often as the shortest limit among them needs, at least every 15 s. */
class Clock {
  readonly #splices = new Set<Splice>()
  #timer: NodeJS.Timeout | null = null
  #tickMs = MAX_TICK_MS

  add(splice: Splice, shortestMs: number): void {
    this.#splices.add(splice)
    const wanted = Math.max(10, Math.min(MAX_TICK_MS, Math.floor(shortestMs / 4)))
    if (this.#timer !== null && wanted >= this.#tickMs) return
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#tickMs = wanted
    this.#timer = setInterval(() => this.#tick(), wanted)
    this.#timer.unref()
  }

  remove(splice: Splice): void {
    this.#splices.delete(splice)
    if (this.#splices.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#tickMs = MAX_TICK_MS
  }

  #tick(): void {
    for (const splice of this.#splices) splice.tick(this.#tickMs)
  }
}

const clock = new Clock()
