/**
 * Log capture: the JSON lines of our own programs and objects, read back as values.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../../src/log.ts'
import { createLog } from '../../src/log.ts'

export interface LogLine {
  readonly event: string
  readonly msg: string
  readonly level: string
  readonly [field: string]: unknown
}

/** Reads JSON lines; whatever is not one (a warning of Node, a half line) is left out. */
export function parseLogLines(text: string): LogLine[] {
  const lines: LogLine[] = []
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue
    try {
      lines.push(JSON.parse(line) as LogLine)
    } catch {
      // The last line may still be on its way.
    }
  }
  return lines
}

/** An object that gets log lines and can be asked for them. */
export interface LogCapture {
  /** Hand this to what is under test. */
  readonly log: Log
  readonly text: string
  readonly lines: readonly LogLine[]
  of(event: string): readonly LogLine[]
  /** The first line that `wanted` accepts, as soon as it is there. @throws after `timeoutMs` */
  wait(event: string, wanted?: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>
}

/** A `Log` that writes into memory, at level debug. */
export function captureLog(): LogCapture {
  const chunks: string[] = []
  const log = createLog({
    level: 'debug',
    version: 'test',
    process: 'test',
    destination: {
      write(line) {
        chunks.push(line)
      },
    },
  })
  return {
    log,
    get text() {
      return chunks.join('')
    },
    get lines() {
      return parseLogLines(chunks.join(''))
    },
    of: (event) => parseLogLines(chunks.join('')).filter((line) => line.event === event),
    wait: (event, wanted, timeoutMs) => waitForLine(() => chunks.join(''), event, wanted, timeoutMs),
  }
}

/** The first line with this event that `wanted` accepts, out of text that grows. @throws after `timeoutMs` */
export async function waitForLine(
  text: () => string,
  event: string,
  wanted: (line: LogLine) => boolean = () => true,
  timeoutMs = 60_000,
): Promise<LogLine> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const candidates = text()
      .split('\n')
      .filter((line) => line.includes(`"${event}"`))
    const found = parseLogLines(candidates.join('\n')).find((line) => line.event === event && wanted(line))
    if (found) return found
    if (Date.now() > deadline) throw new Error(`no log line ${event} within ${timeoutMs} ms`)
    await delay(10)
  }
}
