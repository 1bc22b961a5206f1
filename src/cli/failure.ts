/**
 * How a command fails: the exit code, a stable code for programs, a sentence for people.
 */

import { ConfigError } from '../config.ts'
import type { ServiceErrorCode } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'

/** BSD's sysexits where they fit (EX_UNAVAILABLE, EX_NOPERM, EX_CONFIG). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unavailable: 69,
  'not-permitted': 77,
  configuration: 78,
  interrupted: 130,
} as const
export type ExitName = Exclude<keyof typeof EXIT, 'ok'>

/** A command that did not do what was asked. The message says what to do; `code` is for --json. */
export class CliError extends Error {
  readonly exit: ExitName
  readonly code: string
  constructor(exit: ExitName, message: string, options: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.exit = exit
    this.code = options.code ?? exit
  }
}

const SERVICE_EXITS = {
  'not-found': 'failed',
  exists: 'failed',
  invalid: 'failed',
  'cap-reached': 'failed',
  forbidden: 'not-permitted',
  'not-configured': 'configuration',
  unavailable: 'unavailable',
  'outcome-unknown': 'failed',
  throttled: 'unavailable',
  'signed-out': 'not-permitted',
  unauthorised: 'not-permitted',
  'step-up-needed': 'not-permitted',
} as const satisfies Record<ServiceErrorCode, ExitName>

/** Codes of errors from below that a person can do something about, by what to exit with. */
const CODE_EXITS: Readonly<Record<string, ExitName>> = {
  ERR_STORE_UNAVAILABLE: 'unavailable',
  ERR_STORE_LOCKED: 'unavailable',
  ERR_STORE_SCHEMA: 'configuration',
  ERR_STORE_CORRUPT: 'failed',
  ERR_KEYS_MISSING: 'configuration',
  ERR_KEYS_MODE: 'configuration',
  ERR_KEYS_FILE: 'configuration',
  ERR_KEYS_MISMATCH: 'configuration',
  ERR_IPC_PERMISSION: 'not-permitted',
  ERR_IPC_UNREACHABLE: 'unavailable',
  ERR_IPC_REFUSED: 'unavailable',
  ERR_IPC_TIMEOUT: 'unavailable',
  ERR_IPC_CLOSED: 'unavailable',
  ERR_IPC_BUSY: 'unavailable',
  ERR_IPC_PROTOCOL: 'unavailable',
  ERR_IPC_TOO_LARGE: 'failed',
  ERR_IPC_PATH: 'configuration',
  ERR_CHILD_GONE: 'failed',
  ERR_CHILD_TIMEOUT: 'failed',
  ERR_CERTIFICATE: 'configuration',
  ERR_CONFIG: 'configuration',
  EADDRNOTAVAIL: 'configuration',
  // A file where a directory is configured.
  EEXIST: 'configuration',
  ENOTDIR: 'configuration',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  EADDRINUSE: 'unavailable',
  ECONNREFUSED: 'unavailable',
  ENOSPC: 'failed',
  EROFS: 'failed',
}

/**
 * The failure that an error means; null: a fault of this program, to be shown with its stack.
 */
export function asCliError(error: unknown): CliError | null {
  if (error instanceof CliError) return error
  if (error instanceof ConfigError) {
    const exit = error.denied ? 'not-permitted' : 'configuration'
    return new CliError(exit, error.message, { cause: error })
  }
  if (error instanceof ServiceError)
    return new CliError(SERVICE_EXITS[error.code], error.message, { code: error.code, cause: error })
  const code = codeOf(error)
  if (!(error instanceof Error) || code === null) return null
  // A store that can't be opened for what stands in the way of any file is no store that is away.
  const exit = (code === 'ERR_STORE_UNAVAILABLE' ? exitOf(error.cause) : undefined) ?? CODE_EXITS[code]
  return exit === undefined ? null : new CliError(exit, error.message, { code, cause: error })
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

function exitOf(cause: unknown): ExitName | undefined {
  const code = codeOf(cause)
  return code === null ? undefined : CODE_EXITS[code]
}
