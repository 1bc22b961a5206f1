/**
 * Where log lines go: a file descriptor, written without ever waiting for it (threat I-10).
 *
 * What is not taken (a full disk, a reader that stands still) is kept up to a bound and then dropped and counted. An error is
 * the sink's own affair: it loses the lines it was about, and the next ones are tried again.
 */

import { write, writeSync } from 'node:fs'

export interface Sink {
  write(line: string): void
  /** Lines that were dropped. */
  readonly lost: number
  /** Milliseconds for which nothing has been taken although something waits; 0: nothing waits. */
  readonly waitingMs: number
  /** Writes what waits, for at most a moment. Before the process exits. */
  flushSync(): void
}

/** What waits beyond this is dropped: a blocked log must not eat the memory of logins. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Written at once. */
const MAX_CHUNK_BYTES = 64 * 1024
/** From a descriptor that would not take more to the next try. */
const RETRY_MS = 50
/** The last words of a process whose reader stands still are not worth a hang. */
const FLUSH_MS = 1000

export function createSink(fd: number): Sink {
  let lines: string[] = []
  let waitingBytes = 0
  let lost = 0
  /** What is being written, and how many lines of it are not out yet. */
  let chunk: Buffer | null = null
  let chunkLines = 0
  let isWriting = false
  let progressAt = 0

  /** Makes the next chunk of what waits. false: nothing waits. */
  function take(): boolean {
    if (chunk !== null) return true
    if (lines.length === 0) return false
    let bytes = 0
    let count = 0
    while (count < lines.length && (count === 0 || bytes < MAX_CHUNK_BYTES)) bytes += lines[count++]?.length ?? 0
    chunk = Buffer.from((count === lines.length ? lines : lines.slice(0, count)).join(''))
    lines = count === lines.length ? [] : lines.slice(count)
    chunkLines = count
    return true
  }

  function written(bytes: number): void {
    if (chunk === null) return
    waitingBytes -= bytes
    chunk = bytes < chunk.length ? chunk.subarray(bytes) : null
    progressAt = performance.now()
  }

  /** These lines can't be written; the next may. */
  function giveUp(): void {
    lost += chunkLines
    waitingBytes -= chunk?.length ?? 0
    chunk = null
  }

  function next(): void {
    if (isWriting || !take() || chunk === null) return
    isWriting = true
    const [mine, count] = [chunk, chunkLines]
    write(fd, mine, (error, bytes) => {
      if (chunk !== mine) {
        // A flush did not wait for it.
        if (error !== null) lost += count
        return
      }
      isWriting = false
      if (error === null) written(bytes)
      else if (isFull(error)) {
        setTimeout(next, RETRY_MS).unref()
        return
      } else giveUp()
      next()
    })
  }

  return {
    write(line) {
      const bytes = Buffer.byteLength(line)
      if (waitingBytes + bytes > MAX_WAITING_BYTES) {
        lost += 1
        return
      }
      if (waitingBytes === 0) progressAt = performance.now()
      waitingBytes += bytes
      lines.push(line)
      next()
    },
    get lost() {
      return lost
    },
    get waitingMs() {
      return waitingBytes === 0 ? 0 : performance.now() - progressAt
    },
    flushSync() {
      const until = performance.now() + FLUSH_MS
      // What a thread is writing just now is its own affair.
      if (isWriting) {
        waitingBytes -= chunk?.length ?? 0
        chunk = null
        isWriting = false
      }
      while (take() && chunk !== null && performance.now() < until) {
        try {
          written(writeSync(fd, chunk))
        } catch (error) {
          if (!isFull(error)) giveUp()
          else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
        }
      }
    },
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EBUSY')
}
