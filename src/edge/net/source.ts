/**
 * A socket's bytes, and whose they are: one sink at a time.
 *
 * A reader listens to its socket from the first moment to the last, so there is no gap in which an error would be nobody's.
 * Wire and splice take turns as its sink. Sockets that we dial are read through Node's `onread`, which costs about 40 % less
 * CPU per byte than 'data' events: quiet ones read into one scratch buffer for the whole process and copy, busy ones read into
 * buffers from a pool.
 */

import type { OnReadOpts, Socket } from 'node:net'
import type { Pooled } from './pool.ts'
import { borrow, lendCopy, POOLED_BYTES } from './pool.ts'

export { lentBuffers } from './pool.ts'

/** Where bytes go. Called in order; nothing more comes after `closed`. */
export interface Sink {
  /** `bytes` are the sink's to keep when `release` is null; otherwise they are lent until it calls `release`, once. */
  data(bytes: Buffer, release: (() => void) | null): void
  /** The peer has finished sending. */
  end(): void
  /** The socket is gone. `error` is null when it went in good order. */
  closed(error: NodeJS.ErrnoException | null): void
}

/** As much as one read may bring; larger scratch buffers bring nothing (a plain socket hands over 64 KiB at once). */
const SCRATCH_BYTES = 64 * 1024
/** A full record (RFC 8446 §5.1), which is all that TLS brings at once. */
const RECORD_BYTES = 16 * 1024
/** A rest smaller than this is not worth another read. */
const MIN_ROOM_BYTES = 16 * 1024
/** Copies smaller than this get memory of their own: they are cheap, and a part keeps its whole buffer in use. */
const MIN_PART_BYTES = 4 * 1024

const SCRATCH = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** How the listeners, which are the same functions for all sockets, find the reader: an idle session has no closure of its own here. */
const READER = Symbol('reader')
type ReadSocket = Socket & { [READER]?: SocketReader }

export class SocketReader {
  #sink: Sink | null = null
  /** What came while there was no sink. A paused socket may bring a few reads more: TLS records that were in the same packet. */
  #kept: Buffer[] | null = null
  #pool: Pooled | null = null
  #isBusy = false
  #ended = false
  #closed = false
  #error: NodeJS.ErrnoException | null = null

  /** For `net.connect` or `tls.connect`; call `attach(socket, true)` then. */
  onread(): OnReadOpts {
    return {
      buffer: () => this.#room(),
      callback: (count, buffer) => this.#read(count, buffer as Buffer),
    }
  }

  /** Listens to a socket. It stays as it is, paused or flowing; reading starts with `socket.resume()`. */
  attach(socket: Socket, usesOnread: boolean): void {
    const read: ReadSocket = socket
    read[READER] = this
    if (!usesOnread) socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  /** Stops listening, for whoever wraps the socket (TLS). It must be listened to again at once. */
  detach(socket: Socket): void {
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('error', onError)
    socket.off('close', onClose)
  }

  /** The new owner of what comes next. What happened since `leave` is told at once: bytes, a FIN, an error, the end. */
  take(sink: Sink): void {
    this.#sink = sink
    const kept = this.#kept ?? []
    this.#kept = null
    for (const bytes of kept) sink.data(bytes, null)
    if (this.#ended) sink.end()
    if (this.#closed) sink.closed(this.#error)
  }

  /** The owner pauses the socket and goes; the next one gets whatever comes until then. */
  leave(): void {
    this.#sink = null
  }

  /** For an owner who has no use for bytes yet: they are for the next one. */
  keep(bytes: Buffer, release: (() => void) | null): void {
    this.#kept ??= []
    this.#kept.push(release ? Buffer.from(bytes) : bytes)
    release?.()
  }

  /** Called by the socket's listeners only. */
  received(bytes: Buffer, release: (() => void) | null): void {
    if (this.#sink) this.#sink.data(bytes, release)
    else this.keep(bytes, release)
  }

  /** Called by the socket's listeners only. */
  finished(): void {
    this.#ended = true
    this.#sink?.end()
  }

  /** Called by the socket's listeners only. */
  failed(error: NodeJS.ErrnoException): void {
    this.#error ??= error
  }

  /** Called by the socket's listeners only. */
  gone(): void {
    this.#closed = true
    this.#pool?.release()
    this.#pool = null
    this.#sink?.closed(this.#error)
  }

  /** Where the next read goes. */
  #room(): Buffer {
    if (this.#closed) return SCRATCH
    if (!this.#isBusy) {
      this.#pool?.release()
      this.#pool = null
      return SCRATCH
    }
    if (this.#pool && POOLED_BYTES - this.#pool.used < MIN_ROOM_BYTES) {
      this.#pool.release()
      this.#pool = null
    }
    this.#pool ??= borrow()
    return this.#pool ? this.#pool.bytes.subarray(this.#pool.used) : SCRATCH
  }

  #read(count: number, buffer: Buffer): boolean {
    // A read that was cut off by its room, or by the size of a record, says that there is more to come. The last one of a
    // download is neither, so a session that is idle after it holds no buffer of the pool.
    this.#isBusy = count === buffer.length || count === RECORD_BYTES
    const pool = this.#pool
    if (pool === null || buffer === SCRATCH) this.#copy(buffer.subarray(0, count))
    else {
      const part = pool.bytes.subarray(pool.used, pool.used + count)
      this.received(part, pool.lend(count))
    }
    return true
  }

  /** Nothing of the scratch buffer may be left with anybody: the next read of any quiet socket goes there. */
  #copy(bytes: Buffer): void {
    const copy = bytes.length < MIN_PART_BYTES ? null : lendCopy(bytes)
    if (copy) this.received(copy.bytes, copy.release)
    else this.received(Buffer.from(bytes), null)
  }
}

function onData(this: ReadSocket, bytes: Buffer): void {
  this[READER]?.received(bytes, null)
}

function onEnd(this: ReadSocket): void {
  this[READER]?.finished()
}

function onError(this: ReadSocket, error: NodeJS.ErrnoException): void {
  this[READER]?.failed(error)
}

function onClose(this: ReadSocket): void {
  this[READER]?.gone()
}
