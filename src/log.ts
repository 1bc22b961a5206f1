/**
 * Log lines: the field names and the events, declared once.
 *
 * One JSON object a line, fields always in the order of `LOG_FIELDS` (fail2ban and friends match on text). Whatever came
 * from a client is made printable and cut here, in one place, so no caller can forget it. A `Secret` prints as a placeholder.
 */

import { inspect } from 'node:util'
import pino from 'pino'
import { createSink } from './log/sink.ts'

const LOG_EVENTS = [
  'connection_opened',
  'connection_closed',
  'login_accepted',
  'login_refused',
  'login_throttled',
  'session_ended',
  'upstream_failed',
  'app_password_created',
  'app_password_deleted',
  'user_enabled',
  'user_disabled',
  'two_step_enrolled',
  'sign_in_accepted',
  'sign_in_refused',
  'config_reloaded',
  'config_refused',
  'certificate_reloaded',
  'worker_started',
  'worker_died',
  'draining',
  'stopped',
  'started',
  'redis_lost',
  'redis_back',
  'cache_entry_refused',
  'audit_mark',
  'warning',
  'bug',
] as const
export type LogEvent = (typeof LOG_EVENTS)[number]

/** In the order they are printed, behind `time level msg service version event`. */
const LOG_FIELDS = [
  'session',
  'protocol',
  'listener',
  'remote_ip',
  'remote_port',
  'local_port',
  'tls_version',
  'user',
  'app_password',
  'app_password_name',
  'mechanism',
  'agent',
  // ActiveSync: what was asked, from which device, and how it was answered.
  'command',
  'device',
  'device_type',
  'status',
  'result',
  'reason',
  'upstream',
  'duration_ms',
  'net_in_bytes',
  'net_out_bytes',
  'error_code',
  // For operators: what happened, in words; the process it happened to; the stack of a bug.
  'detail',
  'process',
  'pid',
  'stack',
] as const
export type LogField = (typeof LOG_FIELDS)[number]
export type LogFields = { readonly [F in LogField]?: string | number | boolean | null | undefined }

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface Log {
  /** One line. Fields that are undefined or null are left out. */
  event(level: LogLevel, event: LogEvent, msg: string, fields?: LogFields): void
  /** A fault in this program: logged with its stack and counted by `bugs`. Never call it for what a peer did. */
  bug(error: unknown, msg: string, fields?: LogFields): void
  /** How many bugs have been logged by this object. A test run in which it is not 0 has failed. */
  readonly bugs: number
  /** Lines that were dropped, because nobody took them. */
  readonly lost: number
  /** Milliseconds for which nobody has taken anything although lines wait; 0: none waits. */
  readonly waitingMs: number
  setLevel(level: LogLevel): void
  /** Writes out what is buffered; call before the process exits. */
  flush(): void
}

export interface LogOptions {
  readonly level: LogLevel
  readonly version: string
  /** The process role, printed as `process` unless a line gives its own. */
  readonly process: string
  /** Where lines go; default: standard output, written asynchronously with a bounded buffer (log/sink.ts). */
  readonly destination?: {
    write(line: string): void
    flushSync?(): void
    readonly lost?: number
    readonly waitingMs?: number
  }
}

/** A log that nobody has taken for this long stands still. */
export const LOG_STANDS_MS = 2000
/** threats J1: names are cut; error details and stacks of our own may be longer. */
const MAX_FIELD = 128
const LONG_FIELDS: ReadonlySet<string> = new Set(['detail', 'stack'])
const MAX_LONG_FIELD = 4096

/**
 * Makes text from outside safe to print: controls, DEL, C1, U+2028/9 and the bidirectional overrides become `\u{hex}`,
 * and the result is cut at `max` characters, with an ellipsis for what is missing.
 */
export function printable(text: string, max: number = MAX_FIELD): string {
  const shown = text
    .slice(0, max)
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g,
      (character) => `\\u{${character.charCodeAt(0).toString(16)}}`,
    )
  if (text.length <= max && shown.length <= max) return shown
  // Cutting may leave half of a pair of surrogates.
  return `${shown.slice(0, max).toWellFormed()}…`
}

export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? createSink(1)
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    // pino writes `time` and `level` first and `msg` last; msg is passed as a field instead, to stand third.
    destination as pino.DestinationStream,
  )
  let bugs = 0

  function line(level: LogLevel, event: LogEvent, msg: string, fields: LogFields): void {
    if (!logger.isLevelEnabled(level)) return
    const record: Record<string, unknown> = {
      msg: printable(msg, MAX_LONG_FIELD),
      service: 'sallyport',
      version: options.version,
      event,
    }
    for (const field of LOG_FIELDS) {
      const value = fields[field] ?? (field === 'process' ? options.process : undefined)
      if (value === undefined || value === null) continue
      if (typeof value === 'string') {
        record[field] = LONG_FIELDS.has(field)
          ? value
              .split('\n')
              .map((part) => printable(part, MAX_LONG_FIELD))
              .join('\n')
          : printable(value)
      } else record[field] = value
    }
    logger[level](record)
  }

  return {
    event(level, event, msg, fields = {}) {
      line(level, event, msg, fields)
    },
    bug(error, msg, fields = {}) {
      bugs += 1
      const stack = error instanceof Error ? (error.stack ?? String(error)) : inspect(error)
      const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
      line('error', 'bug', msg, { error_code: code, ...fields, stack })
    },
    get bugs() {
      return bugs
    },
    get lost() {
      return destination.lost ?? 0
    },
    get waitingMs() {
      return destination.waitingMs ?? 0
    },
    setLevel(level) {
      logger.level = level
    },
    flush() {
      try {
        destination.flushSync?.()
      } catch {
        // The destination is gone or not yet open: there is nowhere left to say so.
      }
    },
  }
}
