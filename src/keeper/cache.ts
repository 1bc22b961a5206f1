/**
 * Verified logins that were seen before, so that argon2 runs once per app password and not once per login.
 *
 * Level 1 is this process's memory and holds records. Level 2 outlives a restart (Redis, or a table of the embedded store)
 * and holds sealed values: user id, app password id and the user's epoch, bound to their key and version. Whoever can write
 * level 2 can make an entry useless and nothing more (invariant 10): a bad seal is a miss and an alarm, a true but old one
 * carries an epoch that the store no longer has.
 *
 * Primary passwords are never here.
 */

import { LRUCache } from 'lru-cache'
import type { Log } from '../log.ts'
import type { AppPasswordRow, UserRow } from '../records/store/store.ts'
import type { Opened, Vault } from '../records/vault.ts'

/** A login that was verified, with the records as they were when they were last known to be true. */
export interface SeenLogin {
  readonly key: string
  user: UserRow
  appPassword: AppPasswordRow
  /** Monotonic milliseconds: when the store last said that this is so. */
  confirmedAt: number
  /** false: something about this user changed, so this must admit nobody any more. */
  valid: boolean
}

/** Level 1. */
export interface SeenLogins {
  get(key: string): SeenLogin | null
  put(key: string, user: UserRow, appPassword: AppPasswordRow, confirmedAt: number): SeenLogin
  drop(key: string): void
  /** Drops a user's logins and answers them. */
  dropUser(userId: string): readonly SeenLogin[]
  dropAll(): void
}

export function createSeenLogins(maxEntries: number): SeenLogins {
  const keysOf = new Map<string, Set<string>>()
  const cache = new LRUCache<string, SeenLogin>({
    max: maxEntries,
    dispose(login, key) {
      login.valid = false
      const keys = keysOf.get(login.user.id)
      keys?.delete(key)
      if (keys?.size === 0) keysOf.delete(login.user.id)
    },
  })
  return {
    get: (key) => cache.get(key) ?? null,
    put(key, user, appPassword, confirmedAt) {
      const login: SeenLogin = { key, user, appPassword, confirmedAt, valid: true }
      // First, because putting over an older entry disposes of that one.
      cache.set(key, login)
      const keys = keysOf.get(user.id)
      if (keys) keys.add(key)
      else keysOf.set(user.id, new Set([key]))
      return login
    },
    drop: (key) => void cache.delete(key),
    dropUser(userId) {
      const logins = [...(keysOf.get(userId) ?? [])].flatMap((key) => cache.peek(key) ?? [])
      for (const { key } of logins) cache.delete(key)
      return logins
    },
    dropAll: () => cache.clear(),
  }
}

/**
 * Where level 2 is kept: sealed text under keys that tell nothing. A store of this kind that is down or slow is an empty
 * one: `get` answers null within a fraction of a second, the others do nothing, and none of them rejects.
 */
export interface SealedLogins {
  get(key: string): Promise<string | null>
  put(key: string, value: string, ttlMs: number): Promise<void>
  delete(key: string): Promise<void>
}

/** What a level 2 entry says, once its seal is good. It admits nobody by itself: the store must say the same. */
export interface VerifiedLogin {
  readonly userId: string
  readonly appPasswordId: string
  readonly epoch: number
}

/** Level 2. */
export interface VerifiedLogins {
  get(key: string): Promise<VerifiedLogin | null>
  /** Takes as long as a `get` that finds nothing. */
  pretend(key: string): Promise<void>
  /** Returns at once; `idle` waits. */
  put(key: string, login: VerifiedLogin): void
  drop(key: string): void
  /** When all writes so far are over. */
  idle(): Promise<void>
}

const VERIFIED_LOGIN_LIFE_MS = 24 * 60 * 60_000
/** Clocks of two nodes may differ; an entry from further in the future was not made by a sane one. */
const MAX_AHEAD_MS = 5 * 60_000
const VERSION = '1'
/** Characters; ours have some 300. */
const MAX_SEALED = 4096

export function createVerifiedLogins(options: {
  readonly sealed: SealedLogins
  /** Of purpose 'cache-seal'. */
  readonly vault: Vault
  readonly log: Log
  readonly clock: () => Date
}): VerifiedLogins {
  const { sealed, vault, log, clock } = options
  const writes = new Set<Promise<void>>()

  const binding = (key: string) => ['verified-login', VERSION, key]

  function later(write: Promise<void>): void {
    writes.add(write)
    void write.finally(() => writes.delete(write))
  }

  return {
    async get(key) {
      const value = await sealed.get(key)
      if (value === null) return null
      const opened: Opened =
        value.length > MAX_SEALED ? { ok: false, why: 'malformed' } : vault.open(value, binding(key))
      if (!opened.ok) {
        log.event('error', 'cache_entry_refused', 'a cached login has a bad seal: somebody else writes to the cache', {
          error_code: opened.why,
        })
        later(sealed.delete(key))
        return null
      }
      const login = parse(opened.plain)
      const age = login === null ? Number.NaN : clock().getTime() - login.at
      if (login === null || !(age <= VERIFIED_LOGIN_LIFE_MS && age >= -MAX_AHEAD_MS)) {
        later(sealed.delete(key))
        return null
      }
      return { userId: login.userId, appPasswordId: login.appPasswordId, epoch: login.epoch }
    },
    async pretend(key) {
      await sealed.get(`${key}-`) // nobody writes there
    },
    put(key, { userId, appPasswordId, epoch }) {
      const plain = JSON.stringify([userId, appPasswordId, epoch, clock().getTime()])
      later(sealed.put(key, vault.seal(plain, binding(key)).sealed, VERIFIED_LOGIN_LIFE_MS))
    },
    drop(key) {
      later(sealed.delete(key))
    },
    async idle() {
      while (writes.size > 0) await Promise.all(writes)
    },
  }
}

function parse(plain: Buffer): (VerifiedLogin & { readonly at: number }) | null {
  // The seal says that we wrote it; another version of ours may have written something else.
  const value: unknown = JSON.parse(plain.toString('utf8'))
  if (!Array.isArray(value)) return null
  const [userId, appPasswordId, epoch, at]: readonly unknown[] = value
  if (typeof userId !== 'string' || typeof appPasswordId !== 'string') return null
  if (typeof epoch !== 'number' || typeof at !== 'number') return null
  return { userId, appPasswordId, epoch, at }
}
