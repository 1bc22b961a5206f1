/**
 * Password hashes: argon2id behind one interface, in a bounded pool with a bounded queue.
 *
 * A hash costs some 25 ms of a core and 19 MiB (RFC 9106; OWASP's parameters), so at most `concurrency` run at once and at
 * most `maxQueued` wait; whoever comes then gets 'ERR_HASHER_BUSY', which is a temporary failure and never a wrong password.
 * Every hash is peppered with a key of the key file (argon2's own `secret`).
 */

import { availableParallelism } from 'node:os'
import argon2 from 'argon2'
import type { Secret } from '../secret.ts'
import type { Key } from './keys.ts'
import { MAX_PASSWORD_BYTES } from './primary-password.ts'

export type HasherErrorCode =
  /** Pool and queue are full, or there was no idle slot for a low-priority call. Temporary. */
  | 'ERR_HASHER_BUSY'
  /** More than 256 bytes to hash. */
  | 'ERR_HASHER_TOO_LONG'
  /** The stored hash is not one: that row is refused. */
  | 'ERR_HASHER_MALFORMED'

export class HasherError extends Error {
  readonly code: HasherErrorCode
  constructor(code: HasherErrorCode, message: string) {
    super(message)
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
}

export interface VerifyOptions {
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

/** OWASP's and this product's choice: 19 MiB, two passes, one lane. */
const DEFAULTS = { memoryKiB: 19 * 1024, passes: 2, parallelism: 1 } as const
const ARGON2_VERSION = 0x13

export function createHasher(options: HasherOptions = {}): PasswordHasher {
  const concurrency = options.concurrency ?? Math.max(1, availableParallelism() - 1)
  const maxQueued = options.maxQueued ?? 128
  const wanted: Parameters = {
    m: options.memoryKiB ?? DEFAULTS.memoryKiB,
    t: options.passes ?? DEFAULTS.passes,
    p: DEFAULTS.parallelism,
  }
  /** Starts of those who wait, oldest first. */
  const queue: (() => void)[] = []
  let running = 0
  let runs = 0

  /** Waits for a slot; the caller gives it back with `leave`. */
  async function enter(settings: VerifyOptions): Promise<void> {
    if (settings.priority === 'low' ? running > 0 : running >= concurrency && queue.length >= maxQueued) {
      throw new HasherError('ERR_HASHER_BUSY', `${running} password hashes run and ${queue.length} wait`)
    }
    if (running < concurrency) {
      running += 1
      return
    }
    await new Promise<void>((resolve) => queue.push(resolve))
  }

  /** Hands the slot to whoever has waited longest. */
  function leave(): void {
    const next = queue.shift()
    if (next) next()
    else running -= 1
  }

  async function run<T>(settings: VerifyOptions, work: () => Promise<T>): Promise<T> {
    await enter(settings)
    try {
      runs += 1
      return await work()
    } finally {
      leave()
    }
  }

  return {
    async hash(secret, key) {
      const bytes = bytesOf(secret)
      if (!bytes) throw new HasherError('ERR_HASHER_TOO_LONG', `more than ${MAX_PASSWORD_BYTES} bytes to hash`)
      try {
        return await run({}, () =>
          argon2.hash(bytes, {
            type: argon2.argon2id,
            version: ARGON2_VERSION,
            memoryCost: wanted.m,
            timeCost: wanted.t,
            parallelism: wanted.p,
            secret: key.pepper,
          }),
        )
      } finally {
        bytes.fill(0)
      }
    },

    async verify(phc, secret, key, settings = {}) {
      // Looked at first: the package would run whatever parameters a damaged row asks for.
      parametersOf(phc)
      const bytes = bytesOf(secret)
      if (!bytes) return false
      try {
        return await run(settings, () => argon2.verify(phc, bytes, { secret: key.pepper }))
      } finally {
        bytes.fill(0)
      }
    },

    needsRehash(phc) {
      const made = parametersOf(phc)
      return made.m !== wanted.m || made.t !== wanted.t || made.p !== wanted.p
    },

    get runs() {
      return runs
    },
    get running() {
      return running
    },
    get queued() {
      return queue.length
    },
  }
}

/** null: too long. The caller wipes it. */
function bytesOf(secret: Secret): Buffer | null {
  // A UTF-16 unit is at least one byte, so what is too long already is not even encoded.
  if (secret.length > MAX_PASSWORD_BYTES) return null
  const bytes = Buffer.from(secret.reveal(), 'utf8')
  return bytes.length > MAX_PASSWORD_BYTES ? null : bytes
}

interface Parameters {
  /** KiB */
  readonly m: number
  readonly t: number
  readonly p: number
}

const PHC = /^\$argon2id\$v=19\$([a-z]+=\d+(?:,[a-z]+=\d+)*)\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}$/
/** No hash of ours ever asked for more; a row that does has been tampered with. */
const MAX_MEMORY_KIB = 1024 * 1024
const MAX_PASSES = 64
const MAX_PARALLELISM = 16

/**
 * Parameters of a PHC string by name, since the order in it differs between versions of the package.
 *
 * @throws HasherError 'ERR_HASHER_MALFORMED'
 */
function parametersOf(phc: string): Parameters {
  const fields = new Map(
    PHC.exec(phc)?.[1]
      ?.split(',')
      .map((field) => field.split('=', 2) as [string, string]),
  )
  const [m, t, p] = ['m', 't', 'p'].map((name) => Number(fields.get(name)))
  if (!m || !t || !p || m > MAX_MEMORY_KIB || t > MAX_PASSES || p > MAX_PARALLELISM) {
    throw new HasherError('ERR_HASHER_MALFORMED', 'a stored password hash is not argon2id with parameters in bounds')
  }
  return { m, t, p }
}
