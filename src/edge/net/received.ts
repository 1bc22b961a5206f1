/**
 * What a wire has received and nobody has read yet, cut into lines and exact counts, within one budget of bytes (threat A6).
 *
 * Memory and nothing else: no socket, no time. What has been read or is given up is overwritten, since it may have been a password.
 */

import { WireError } from './wire-error.ts'

const INITIAL_STORE_BYTES = 512
const LF = 0x0a
const CR = 0x0d

export class Received {
  #budgetBytes: number
  /** The octets stand in `#store` from `#start` to `#end`. */
  #store: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  /** Up to here there is no line end. */
  #scanned = 0

  /** @param budgetBytes how many may be taken in all; over it: ERR_WIRE_BUDGET */
  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  get length(): number {
    return this.#end - this.#start
  }

  /** Copies the octets. */
  append(bytes: Buffer): void {
    const room = this.#store.length - this.#end
    if (bytes.length > room) {
      const needed = this.length + bytes.length
      const store = needed <= this.#store.length ? this.#store : Buffer.alloc(Math.max(INITIAL_STORE_BYTES, 2 * needed))
      this.#store.copy(store, 0, this.#start, this.#end)
      if (store !== this.#store) this.#store.fill(0)
      else store.fill(0, this.length, this.#end)
      this.#scanned -= this.#start
      this.#end -= this.#start
      this.#start = 0
      this.#store = store
    }
    bytes.copy(this.#store, this.#end)
    this.#end += bytes.length
  }

  /**
   * One line, without its LF and one CR before it, each octet a character (latin1); undefined when its end has not come.
   *
   * @throws WireError 'ERR_WIRE_LINE_TOO_LONG', also when the end has not come, and 'ERR_WIRE_BUDGET'
   */
  takeLine(maxBytes: number): string | undefined {
    const at = this.#store.subarray(0, this.#end).indexOf(LF, this.#scanned)
    const before = at < 0 ? this.#end : at
    // The CR does not count, whether or not its LF has come.
    const end = before > this.#start && this.#store[before - 1] === CR ? before - 1 : before
    if (end - this.#start > maxBytes) {
      throw new WireError('ERR_WIRE_LINE_TOO_LONG', `a line is longer than ${maxBytes} bytes`)
    }
    if (at < 0) {
      this.#scanned = this.#end
      return undefined
    }
    const line = this.#store.toString('latin1', this.#start, end)
    this.#consume(at + 1)
    return line
  }

  /** Exactly so many octets, for the caller to keep; undefined when fewer have come. @throws WireError 'ERR_WIRE_BUDGET' */
  takeBytes(count: number): Buffer | undefined {
    if (count > this.#budgetBytes)
      throw new WireError('ERR_WIRE_BUDGET', `${count} bytes are more than may be read here`)
    if (this.length < count) return undefined
    const bytes = Buffer.from(this.#store.subarray(this.#start, this.#start + count))
    this.#consume(this.#start + count)
    return bytes
  }

  /** All that is left, for the caller to keep, whatever the budget. Nothing is here any more. */
  rest(): Buffer {
    const bytes = Buffer.from(this.#store.subarray(this.#start, this.#end))
    this.forget()
    return bytes
  }

  forget(): void {
    this.#store.fill(0)
    this.#store = Buffer.alloc(0)
    this.#start = 0
    this.#end = 0
    this.#scanned = 0
  }

  /** Everything before `to` has been read. */
  #consume(to: number): void {
    this.#budgetBytes -= to - this.#start
    if (this.#budgetBytes < 0) throw new WireError('ERR_WIRE_BUDGET', 'more bytes were sent than may be read here')
    this.#store.fill(0, this.#start, to)
    this.#start = to
    this.#scanned = to
    if (this.#start === this.#end) {
      this.#start = 0
      this.#end = 0
      this.#scanned = 0
    }
  }
}
