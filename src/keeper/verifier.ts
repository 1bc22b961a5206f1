/**
 * The verifier answers one question: which app password, if any, does this user's secret match?
 *
 * Order: seen logins in memory → sealed logins of level 2 → rows by selector → argon2id, at most one run per call and one
 * at a time for the same login. Then tombstones. An unknown user, a wrong secret, a disabled user and a wrong network take
 * the same path, without argon2 (invariants 6 and 9): what may not be used is treated as if it did not exist.
 *
 * A verdict says that the secret belongs to the app password and what the records were. Whether that still lets anybody in
 * is asked once more by the gate, of the store.
 */

import { timingSafeEqual } from 'node:crypto'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { normaliseAppPassword, selectorOf, tombstoneDigestOf } from '../records/app-password.ts'
import { TOMBSTONE_MS } from '../records/deletion.ts'
import type { PasswordHasher } from '../records/hash.ts'
import { HasherError } from '../records/hash.ts'
import type { Key, Keys } from '../records/keys.ts'
import type { AppPasswordRow, Store, TombstoneRow, UserRow } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { Secret } from '../secret.ts'
import type { SeenLogin, SeenLogins, VerifiedLogins } from './cache.ts'
import type { LivePolicy } from './live-policy.ts'
import type { StoreWatch } from './store-watch.ts'

export type Verified =
  /** `seen`: known from memory and trusted without asking the store, as long as it stays `valid`. */
  | {
      readonly kind: 'match'
      readonly user: UserRow
      readonly appPassword: AppPasswordRow
      readonly seen: SeenLogin | null
    }
  /** The secret was an app password of this user. */
  | { readonly kind: 'deleted'; readonly user: UserRow; readonly tombstone: TombstoneRow }
  /** `user`: whoever has that name, if anybody. */
  | { readonly kind: 'none'; readonly user: UserRow | null }

export interface Verifier {
  /** A login seen before that needs no look at anything but memory; null: ask `verify`. */
  seen(name: string, typed: Secret, ip: string): Extract<Verified, { kind: 'match' }> | null
  /**
   * @param name canonical
   * @throws StoreError when the store is needed and can't be asked; HasherError 'ERR_HASHER_BUSY'
   */
  verify(name: string, typed: Secret, ip: string): Promise<Verified>
  /**
   * Drops what is remembered of a user (null: of everybody), and of whatever is being looked up just now.
   *
   * @param epoch the user's, if it is known: sealed logins of that epoch are as good as before, and spare an argon2 run
   */
  forget(userId: string | null, epoch?: number): void
  /** When everything begun on the side is done: writes to level 2, hashes made anew. */
  idle(): Promise<void>
}

export interface VerifierOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly seen: SeenLogins
  readonly verified: VerifiedLogins
  readonly watch: StoreWatch
  /** Whether messages about changes arrive (bus). */
  readonly alive: () => boolean
  /** What `isUsable` judges by. */
  readonly policy: Pick<LivePolicy, 'isCurrent' | 'catchUp'>
  /** Whether this user could use this app password from there at all. */
  readonly isUsable: (user: UserRow, appPassword: AppPasswordRow, ip: string) => boolean
  readonly log: Log
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
}

/** How long a remembered login holds after it was last known to be true, when the store is away. */
const MAX_STALE_MS = 60_000
/** Owner of nothing: reads for it find no row and take as long as those for a user. */
const NOBODY = ''

interface Flight {
  readonly verdict: Promise<Verified>
  /** Users about whom something changed while it was under way; 'all': about everybody. */
  readonly forgotten: Set<string>
}

export function createVerifier(options: VerifierOptions): Verifier {
  const { store, keys, hasher, seen, verified, watch, alive, policy, isUsable, log, metrics, now, clock } = options
  const flights = new Map<string, Flight>()
  const renewing = {
    all: new Set<Promise<void>>(),
    add(work: Promise<void>): void {
      this.all.add(work)
      void work.finally(() => this.all.delete(work))
    },
  }

  const cacheKey = (name: string, value: Secret) =>
    keys.active.hmac('cache', name, value.reveal()).toString('base64url')

  /** Whether a remembered login may be used without asking the store. */
  function isTrusted(login: SeenLogin): boolean {
    if (watch.up && alive()) return policy.isCurrent
    return !watch.up && mayHold(login)
  }

  /** Whether it holds while the store is away. Not when the policy is known to be another by now. */
  function mayHold(login: SeenLogin): boolean {
    return policy.isCurrent && now() - Math.max(login.confirmedAt, watch.trueAt) <= MAX_STALE_MS
  }

  const match = (login: SeenLogin): Extract<Verified, { kind: 'match' }> => ({
    kind: 'match',
    user: login.user,
    appPassword: login.appPassword,
    seen: login,
  })

  /** Of level 1 when memory is not enough: one indexed read says whether it is still so. 'held': the store did not answer. */
  async function confirm(login: SeenLogin): Promise<'confirmed' | 'held' | 'gone'> {
    try {
      const at = now()
      const live = await store.liveCheck(login.user.id, login.appPassword.id)
      if (live !== null) await policy.catchUp(live.policyEpoch)
      if (!login.valid || live?.appPassword == null || live.user.epoch !== login.user.epoch) {
        seen.drop(login.key)
        return 'gone'
      }
      login.user = live.user
      login.appPassword = live.appPassword
      login.confirmedAt = at
      return 'confirmed'
    } catch (error) {
      if (error instanceof StoreError && login.valid && mayHold(login)) return 'held'
      throw error
    }
  }

  /** Level 2: a good seal and one indexed read. */
  async function fromVerified(name: string, key: string) {
    const login = await verified.get(key)
    if (login === null) return null
    const live = await store.liveCheck(login.userId, login.appPasswordId)
    if (live !== null) await policy.catchUp(live.policyEpoch)
    if (live?.appPassword == null || live.user.epoch !== login.epoch || live.user.address !== name) {
      verified.drop(key)
      return null
    }
    return { user: live.user, appPassword: live.appPassword }
  }

  /** The one row of the user whose digest fits, if it may be used: the only one worth an argon2 run. */
  async function candidate(owner: UserRow | null, name: string, value: Secret, ip: string) {
    let found: { row: AppPasswordRow; key: Key } | null = null
    for (const key of keys.all) {
      const selector = selectorOf(key, name, value)
      const digest = Buffer.from(tombstoneDigestOf(key, name, value))
      for (const row of await store.appPasswordsBySelector(owner?.id ?? NOBODY, selector)) {
        // 16 bits collide once in 65,536 guesses; the row's 128 bits tell those apart, too.
        const own = Buffer.from(row.tombstoneDigest)
        if (row.keyId !== key.id || own.length !== digest.length || !timingSafeEqual(own, digest)) continue
        if (owner !== null && isUsable(owner, row, ip)) found = { row, key }
      }
    }
    return found
  }

  async function tombstoneOf(owner: UserRow | null, name: string, value: Secret): Promise<TombstoneRow | null> {
    const oldest = clock().getTime() - TOMBSTONE_MS
    for (const key of keys.all) {
      const tombstone = await store.tombstone(owner?.id ?? NOBODY, tombstoneDigestOf(key, name, value))
      if (tombstone !== null && tombstone.deletedAt.getTime() > oldest) return tombstone
    }
    return null
  }

  async function hashFits(row: AppPasswordRow, value: Secret, key: Key): Promise<boolean> {
    try {
      const fits = await hasher.verify(row.hash, value, key)
      metrics.verify.inc({ path: 'argon2' })
      return fits
    } catch (error) {
      if (!(error instanceof HasherError) || error.code !== 'ERR_HASHER_MALFORMED') throw error
      log.event('error', 'warning', 'the hash of an app password can not be read', {
        app_password: row.id,
        error_code: error.code,
      })
      return false
    }
  }

  /** Hashes anew what was hashed with other parameters, while the value is at hand. No login waits for it or fails by it. */
  async function renew(row: AppPasswordRow, value: Secret, key: Key): Promise<void> {
    try {
      await store.replaceAppPasswordHash(row.id, await hasher.hash(value, key))
    } catch (error) {
      // Too busy, or the store is away: the next login of this device that needs argon2 tries again.
      if (error instanceof StoreError) watch.failed(error)
      else if (!(error instanceof HasherError)) log.bug(error, 'a hash could not be renewed', { app_password: row.id })
    }
  }

  async function look(name: string, value: Secret, key: string, ip: string, forgotten: Flight['forgotten']) {
    let known = seen.get(key)
    // Seen since the caller looked: another connection of the same phone was quicker.
    if (known !== null && isTrusted(known) && isUsable(known.user, known.appPassword, ip)) {
      metrics.verify.inc({ path: 'cache' })
      return match(known)
    }
    if (known !== null && !isTrusted(known)) {
      const answer = await confirm(known)
      if (answer === 'gone') known = null
      else if (isUsable(known.user, known.appPassword, ip)) {
        metrics.verify.inc({ path: 'cache' })
        return answer === 'held' ? match(known) : { ...match(known), seen: null }
      }
    }

    const at = now()
    function remember(user: UserRow, appPassword: AppPasswordRow): SeenLogin | null {
      // A change that came while we looked may not be in what we read.
      if (forgotten.has(user.id) || forgotten.has('all')) return null
      return seen.put(key, user, appPassword, at)
    }

    // Right but of no use from there: from here on it goes the way of a wrong one, in the same steps.
    let useless = known !== null
    const cached = known === null ? await fromVerified(name, key) : await verified.pretend(key)
    if (cached) {
      remember(cached.user, cached.appPassword)
      if (isUsable(cached.user, cached.appPassword, ip)) {
        metrics.verify.inc({ path: 'cache' })
        return { kind: 'match', ...cached, seen: null } as const
      }
      useless = true
    }

    const user = await store.userByAddress(name)
    const owner = user?.enabled && !useless ? user : null
    const found = await candidate(owner, name, value, ip)
    if (user !== null && found !== null && (await hashFits(found.row, value, found.key))) {
      verified.put(key, { userId: user.id, appPasswordId: found.row.id, epoch: user.epoch })
      remember(user, found.row)
      if (hasher.needsRehash(found.row.hash)) renewing.add(renew(found.row, value, found.key))
      return { kind: 'match', user, appPassword: found.row, seen: null } as const
    }
    if (found === null) metrics.verify.inc({ path: 'miss' })
    const tombstone = await tombstoneOf(owner, name, value)
    return user !== null && tombstone !== null
      ? ({ kind: 'deleted', user, tombstone } as const)
      : ({ kind: 'none', user } as const)
  }

  return {
    seen(name, typed, ip) {
      const value = normaliseAppPassword(typed)
      if (value === null) return null
      const login = seen.get(cacheKey(name, value))
      if (login === null || !isTrusted(login) || !isUsable(login.user, login.appPassword, ip)) return null
      metrics.verify.inc({ path: 'cache' })
      return match(login)
    },

    async verify(name, typed, ip) {
      const value = normaliseAppPassword(typed)
      if (value === null) {
        // No app password of ours looks like that, whoever types it.
        metrics.verify.inc({ path: 'miss' })
        return { kind: 'none', user: await store.userByAddress(name) }
      }
      const key = cacheKey(name, value)
      // A phone that comes back opens thirty connections at once: they share one look.
      const flightKey = `${key} ${ip}`
      const running = flights.get(flightKey)
      if (running) {
        const verdict = await running.verdict
        metrics.verify.inc({ path: verdict.kind === 'match' ? 'cache' : 'miss' })
        return verdict
      }
      const forgotten = new Set<string>()
      const verdict = look(name, value, key, ip, forgotten)
      flights.set(flightKey, { verdict, forgotten })
      try {
        return await verdict
      } finally {
        flights.delete(flightKey)
      }
    },

    forget(userId, epoch) {
      for (const { forgotten } of flights.values()) forgotten.add(userId ?? 'all')
      if (userId === null) seen.dropAll()
      else for (const { key, user } of seen.dropUser(userId)) if (user.epoch !== epoch) verified.drop(key)
    },

    async idle() {
      await Promise.all(renewing.all)
      await verified.idle()
    },
  }
}
