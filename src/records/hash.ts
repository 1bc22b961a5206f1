/**
 * Password hashes: argon2id behind one interface, in a bounded pool with a bounded queue.
 *
 * A hash costs some 25 ms of a core and 19 MiB (RFC 9106; OWASP's parameters), so at most `concurrency` run at once and at
 * most `maxQueued` wait; whoever comes then gets 'ERR_HASHER_BUSY', which is a temporary failure and never a wrong password.
 * Every hash is peppered with a key of the key file (argon2's own `secret`).
 */

import type { Secret } from '../secret.ts'
import type { Key } from './keys.ts'

export type HasherErrorCode =
  /** Pool and queue are full, or there was no idle slot for a low-priority call. Temporary. */
  | 'ERR_HASHER_BUSY'
  /** More than 256 bytes to hash. */
  | 'ERR_HASHER_TOO_LONG'
  /** The stored hash is not one: that row is refused. */
  | 'ERR_HASHER_MALFORMED'

export class HasherError extends Error {
  readonly code: HasherErrorCode
  constructor(code: HasherErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'HasherError'
    this.code = code
  }
}

export interface HasherOptions {
  /** Default: one less than there are cores, at least 1. */
  readonly concurrency?: number
  /** Default 128: some 3 s of waiting at the worst on one core. */
  readonly maxQueued?: number
  readonly memoryKiB?: number
  readonly passes?: number
  readonly parallelism?: number
}

export interface VerifyOptions {
  /** Given up while it waits (the client is gone): rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** 'low': only when nothing else runs or waits, one at a time; otherwise 'ERR_HASHER_BUSY' at once. */
  readonly priority?: 'normal' | 'low'
}

export interface PasswordHasher {
  /** PHC string of the secret under the key's pepper and the current parameters. */
  hash(secret: Secret, key: Key): Promise<string>
  /** Exactly one argon2 run, except for a secret of more than 256 bytes: that is false without one. */
  verify(phc: string, secret: Secret, key: Key, options?: VerifyOptions): Promise<boolean>
  /** Whether a hash was made with other parameters than the current ones. */
  needsRehash(phc: string): boolean
  /** argon2 runs since the start, for tests and metrics. */
  readonly runs: number
  readonly running: number
  readonly queued: number
}

export function createHasher(_options: HasherOptions = {}): PasswordHasher {
  throw new Error('todo')
}
