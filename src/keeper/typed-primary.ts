/**
 * The typed primary password: was it that, what somebody typed where an app password is needed (`use-app-password`)?
 *
 * Knowing it would turn the gate into a place to try primary passwords, so it is asked only for a place from which this user
 * has logged in well, three times an hour at most, never of the upstream, and only while argon2 is idle.
 */

import { LRUCache } from 'lru-cache'
import type { PasswordHasher } from '../records/hash.ts'
import { HasherError } from '../records/hash.ts'
import type { Keys } from '../records/keys.ts'
import { preparePassword } from '../records/primary-password.ts'
import type { UserRow } from '../records/store/store.ts'
import type { Secret } from '../secret.ts'
import type { KnownGood } from './throttle/known-good.ts'

export interface TypedPrimary {
  /** Whether the secret is the user's primary password, as far as it may be asked. One argon2 run at most. null: nobody's. */
  recognise(user: UserRow | null, typed: Secret, ip: string): Promise<boolean>
}

export interface TypedPrimaryOptions {
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly knownGood: KnownGood
  /** Monotonic, milliseconds. */
  readonly now: () => number
}

const PER_HOUR = 3
const HOUR_MS = 60 * 60_000
/** Users of known places only, so nobody can fill it at will. */
const MAX_USERS = 50_000

export function createTypedPrimary(options: TypedPrimaryOptions): TypedPrimary {
  const { keys, hasher, knownGood, now } = options
  const asked = new LRUCache<string, readonly number[]>({ max: MAX_USERS })

  return {
    async recognise(user, typed, ip) {
      if (user === null) return false
      const { passwordHash, passwordKeyId } = user
      if (!user.enabled || passwordHash === null || passwordKeyId === null || !knownGood.knows(user.id, ip))
        return false
      const key = keys.byId(passwordKeyId)
      const password = preparePassword(typed)
      if (key === null || password === null) return false
      const recent = (asked.get(user.id) ?? []).filter((at) => now() - at < HOUR_MS)
      if (recent.length >= PER_HOUR) return false
      asked.set(user.id, [...recent, now()])
      try {
        return await hasher.verify(passwordHash, password, key, { priority: 'low' })
      } catch (error) {
        // Busy: skipped. Malformed: nobody can have typed it.
        if (error instanceof HasherError) return false
        throw error
      }
    },
  }
}
