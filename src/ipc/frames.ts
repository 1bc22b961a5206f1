/**
 * Frames: four bytes of length (big-endian), then that many bytes of JSON in UTF-8. No sockets here.
 *
 * Frames may carry secrets, so bytes are wiped as soon as they have been read or written; what remains is garbage to the
 * collector. A byte is copied at most once however the stream is cut, so one-byte chunks cost no more than whole frames.
 */

import { IpcError } from './error.ts'

/** design: everything bounded. A grant is under 4 KiB, a page of a listing under 64. */
export const MAX_FRAME_BYTES = 64 * 1024
const HEADER_BYTES = 4

/**
 * One message as a frame.
 *
 * @throws IpcError 'ERR_IPC_TOO_LARGE' when its JSON is longer than MAX_FRAME_BYTES
 */
export function encodeFrame(message: unknown): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > MAX_FRAME_BYTES) {
    throw new IpcError('ERR_IPC_TOO_LARGE', `a message of ${length} bytes does not fit a frame of ${MAX_FRAME_BYTES}`)
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length)
  frame.writeUInt32BE(length)
  frame.write(text, HEADER_BYTES, 'utf8')
  return frame
}

/** Cuts a byte stream into frames. `push` one chunk, then call `next` until it answers null, then the next chunk. */
export class FrameDecoder {
  readonly #maxBytes: number
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  /** A frame that did not come in one chunk, filled up to `#frameBytes`. */
  #frame: Buffer | null = null
  #frameBytes = 0

  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Takes over the chunk: its bytes are wiped as they are read. All of the chunk before must have been read. */
  push(chunk: Buffer): void {
    if (this.#at < this.#chunk.length) throw new Error('a chunk was pushed before the last one was read')
    this.#chunk = chunk
    this.#at = 0
  }

  /** Whether the stream may end here: not within a frame. */
  get idle(): boolean {
    return this.#frame === null && this.#headerBytes === 0 && this.#at === this.#chunk.length
  }

  /**
   * The next message, or undefined when the chunk is used up.
   *
   * @throws IpcError 'ERR_IPC_PROTOCOL' for a length of 0 or over the limit (told by the header alone, nothing of it is
   *   held), and for what is not a JSON object. The stream is of no use after that.
   */
  next(): Readonly<Record<string, unknown>> | undefined {
    if (this.#frame === null) {
      const length = this.#readHeader()
      if (length === null) return undefined
      if (this.#chunk.length - this.#at >= length) {
        const message = parse(this.#chunk, this.#at, this.#at + length)
        this.#at += length
        return message
      }
      this.#frame = Buffer.allocUnsafe(length)
      this.#frameBytes = 0
    }
    const frame = this.#frame
    const take = Math.min(frame.length - this.#frameBytes, this.#chunk.length - this.#at)
    this.#chunk.copy(frame, this.#frameBytes, this.#at, this.#at + take)
    this.#chunk.fill(0, this.#at, this.#at + take)
    this.#frameBytes += take
    this.#at += take
    if (this.#frameBytes < frame.length) return undefined
    this.#frame = null
    return parse(frame, 0, frame.length)
  }

  #readHeader(): number | null {
    let length: number
    if (this.#headerBytes === 0 && this.#chunk.length - this.#at >= HEADER_BYTES) {
      length = this.#chunk.readUInt32BE(this.#at)
      this.#at += HEADER_BYTES
    } else {
      while (this.#headerBytes < HEADER_BYTES && this.#at < this.#chunk.length) {
        this.#header[this.#headerBytes++] = this.#chunk[this.#at++] ?? 0
      }
      if (this.#headerBytes < HEADER_BYTES) return null
      this.#headerBytes = 0
      length = this.#header.readUInt32BE(0)
    }
    if (length === 0 || length > this.#maxBytes) {
      throw new IpcError(
        'ERR_IPC_PROTOCOL',
        `a frame of ${length} bytes was announced; 1 to ${this.#maxBytes} are allowed`,
      )
    }
    return length
  }
}

function parse(bytes: Buffer, start: number, end: number): Readonly<Record<string, unknown>> {
  const text = bytes.toString('utf8', start, end)
  bytes.fill(0, start, end)
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    // The engine's message would quote the text, which may hold a secret.
    throw new IpcError('ERR_IPC_PROTOCOL', 'a frame holds no JSON')
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new IpcError('ERR_IPC_PROTOCOL', 'a frame holds no object')
  }
  return message as Readonly<Record<string, unknown>>
}
