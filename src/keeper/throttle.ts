/**
 * The throttle: how long a wrong guess waits, and who may not even guess.
 *
 * Four lanes: address (v4 /32, v6 /64), site (v6 /48), user, and user from an address. Every attempt is charged in all of
 * its lanes when it starts, so that guesses made at once don't see each other's zero; what turns out right is refunded.
 * A wrong one keeps its charge and gets a delay that grows with the lane. While a lane serves a delay, further wrong
 * attempts in it are `throttled`. A right app password is never among them: nobody can guess one, so refusing it would
 * serve only an attacker. A primary password can be guessed, so for it `wait` is asked before any check.
 *
 * The counters are local and synchronous, so that a login seen before waits for nobody. Counters shared between nodes
 * belong behind this interface, fed from the side.
 *
 * Tables are bounded. A newcomer never pushes out an entry that still counts: it shares one overflow entry instead.
 */

import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { Metrics } from '../metrics.ts'
import type { Secret } from '../secret.ts'
import { addressBlocks, inNetworks } from './networks.ts'

export const THROTTLE_LANES = ['address', 'site', 'user', 'user-address', 'checks'] as const
export type ThrottleLane = (typeof THROTTLE_LANES)[number]

/** A delay being served in a lane. `waitMs` is what is left of it. */
export interface Wait {
  readonly lane: ThrottleLane
  readonly waitMs: number
}

/** What a wrong attempt costs. `throttled`: it came while a delay was being served, and says so instead of "wrong". */
export interface Penalty {
  readonly delayMs: number
  readonly throttled: boolean
}

/** One attempt's charge. Exactly one of `failed`, `slowed` and `refund` decides it; a later one changes nothing. */
export interface Charge {
  /** 'checks': as many checks as allowed are in flight from this address. Nothing was charged; refuse at once. */
  readonly verdict: 'charged' | Wait
  /** The longest delay that was being served in any lane when the attempt started; null: none. For primary passwords. */
  readonly wait: Wait | null
  /** The check itself is over; frees its place among the checks in flight. */
  checked(): void
  /** The secret was wrong. The same wrong secret of a user from the same address block counts once. */
  failed(secret: Secret): Penalty
  /** Known to be nobody's guess (an old phone with a deleted app password): delayed as the lane stands, not counted. */
  slowed(): Penalty
  /** The secret was right, or nothing was judged: takes back its own charge and no other. */
  refund(): void
}

export interface Throttle {
  /**
   * @param user canonical name, known or not
   * @param ip as `Peer` carries it
   */
  charge(user: string, ip: string): Charge
  configure(settings: ThrottleSettings): void
}

export interface ThrottleSettings {
  /** Delay of the first, second … failure in milliseconds; the last one is for all that follow. Empty: no delays. */
  readonly delaysMs: readonly number[]
  /** CIDR blocks that have no address lane. */
  readonly trustedNetworks: readonly string[]
}

export interface ThrottleOptions extends ThrottleSettings {
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  /** Entries per lane. About 200 bytes each. */
  readonly maxEntries?: number
  /** A lane without a failure for so long is forgotten. */
  readonly forgetMs?: number
  readonly maxChecksPerAddress?: number
}

/** A failure is remembered for as long as a human would keep trying. */
const FORGET_MS = 15 * 60_000
const MAX_ENTRIES = 100_000
/** An office whose phones all come back after a restart, each waiting for the same argon2 pool. */
const MAX_CHECKS_PER_ADDRESS = 200
/** A /48 may hold a whole campus: it is slowed only when this many of its attempts failed. */
const SITE_ALLOWANCE = 16
/** Wrong secrets remembered per user and address: as many mail accounts as one badly set device has. */
const MAX_SEEN_SECRETS = 16
const DAY_MS = 24 * 60 * 60_000
/** An edge's timer may fire a little before ours says so; its client must not be throttled for that. */
const TIMER_SLACK_MS = 25

interface Entry {
  readonly lane: ThrottleLane
  readonly key: string
  count: number
  /** Monotonic; a delay is being served until then. */
  until: number
  touchedAt: number
  /** Keyed digests of wrong secrets; lane user-address only. */
  seen: number[]
}

/** One lane's entries, the one untouched for longest first. */
class LaneTable {
  readonly #entries = new Map<string, Entry>()
  readonly #overflow: Entry
  readonly #lane: ThrottleLane
  readonly #maxEntries: number
  readonly #forgetMs: number

  constructor(lane: ThrottleLane, maxEntries: number, forgetMs: number) {
    this.#lane = lane
    this.#maxEntries = maxEntries
    this.#forgetMs = forgetMs
    this.#overflow = { lane, key: '', count: 0, until: 0, touchedAt: 0, seen: [] }
  }

  get size(): number {
    return this.#entries.size
  }

  charge(key: string, now: number): Entry {
    let entry = this.#entries.get(key)
    if (entry) {
      this.#entries.delete(key)
    } else {
      if (this.#entries.size >= this.#maxEntries) this.#forgetOldest(now)
      if (this.#entries.size >= this.#maxEntries) entry = this.#overflow
      else entry = { lane: this.#lane, key, count: 0, until: 0, touchedAt: now, seen: [] }
    }
    if (now - entry.touchedAt > this.#forgetMs) {
      entry.count = 0
      entry.seen = []
    }
    if (entry !== this.#overflow) this.#entries.set(key, entry)
    entry.touchedAt = now
    entry.count += 1
    return entry
  }

  refund(entry: Entry, now: number): void {
    entry.count = Math.max(0, entry.count - 1)
    if (entry.count === 0 && entry.until <= now && entry.seen.length === 0 && entry !== this.#overflow) {
      if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
    }
  }

  #forgetOldest(now: number): void {
    for (const [key, entry] of this.#entries) {
      if (now - entry.touchedAt <= this.#forgetMs) return
      this.#entries.delete(key)
    }
  }
}

export function createThrottle(options: ThrottleOptions): Throttle & { readonly entries: number } {
  const { metrics, now } = options
  const maxChecks = options.maxChecksPerAddress ?? MAX_CHECKS_PER_ADDRESS
  const maxEntries = options.maxEntries ?? MAX_ENTRIES
  const forgetMs = options.forgetMs ?? FORGET_MS
  const tables = {
    address: new LaneTable('address', maxEntries, forgetMs),
    site: new LaneTable('site', maxEntries, forgetMs),
    user: new LaneTable('user', maxEntries, forgetMs),
    'user-address': new LaneTable('user-address', maxEntries, forgetMs),
  } as const
  const checks = new Map<string, number>()
  let settings: ThrottleSettings = options
  let dayKey: { key: KeyObject; since: number } | null = null

  function digest(user: string, secret: Secret): number {
    const at = now()
    if (dayKey === null || at - dayKey.since > DAY_MS) dayKey = { key: createSecretKey(randomBytes(32)), since: at }
    return createHmac('sha256', dayKey.key).update(user).update('\0').update(secret.reveal()).digest().readUInt32BE(0)
  }

  function delayOf(entry: Entry): number {
    const failures = entry.count - (entry.lane === 'site' ? SITE_ALLOWANCE : 0)
    if (failures <= 0) return 0
    const { delaysMs } = settings
    return delaysMs[Math.min(failures, delaysMs.length) - 1] ?? 0
  }

  function longestWait(entries: readonly Entry[], at: number): Wait | null {
    let wait: Wait | null = null
    for (const entry of entries) {
      const waitMs = entry.until - at
      if (waitMs > 0 && waitMs > (wait?.waitMs ?? 0)) wait = { lane: entry.lane, waitMs: Math.ceil(waitMs) }
    }
    return wait
  }

  function leaveChecks(host: string): void {
    const left = (checks.get(host) ?? 1) - 1
    if (left > 0) checks.set(host, left)
    else checks.delete(host)
  }

  return {
    configure(next) {
      settings = next
    },

    get entries() {
      return Object.values(tables).reduce((sum, table) => sum + table.size, 0)
    },

    charge(user, ip) {
      const at = now()
      const blocks = addressBlocks(ip)
      const trusted = settings.trustedNetworks.length > 0 && inNetworks(ip, settings.trustedNetworks)
      const inFlight = checks.get(blocks.host) ?? 0
      if (!trusted && inFlight >= maxChecks) {
        metrics.throttled.inc({ lane: 'checks' })
        return REFUSED
      }
      if (!trusted) checks.set(blocks.host, inFlight + 1)

      const pair = tables['user-address'].charge(`${blocks.host} ${user}`, at)
      const entries = [pair, tables.user.charge(user, at)]
      if (!trusted) {
        entries.push(tables.address.charge(blocks.host, at))
        if (blocks.site !== null) entries.push(tables.site.charge(blocks.site, at))
      }
      const wait = longestWait(entries, at)
      // The user lane only delays: an attacker elsewhere must not make the owner's typing error read "throttled".
      const refusing =
        wait === null
          ? null
          : longestWait(
              entries.filter(({ lane }) => lane !== 'user'),
              at,
            )
      let checking = !trusted
      let decided = false

      function takeBack(): void {
        for (const entry of entries) if (entry.lane !== 'checks') tables[entry.lane].refund(entry, at)
      }

      function penalty(): Penalty {
        if (refusing !== null) {
          // What is left, not more: hammering must not keep a lane shut for ever.
          metrics.throttled.inc({ lane: refusing.lane })
          return { delayMs: refusing.waitMs, throttled: true }
        }
        const failedAt = now()
        let delayMs = 0
        for (const entry of entries) {
          const own = delayOf(entry)
          if (own > 0) entry.until = Math.max(entry.until, failedAt + own - TIMER_SLACK_MS)
          if (own > delayMs) delayMs = own
        }
        return { delayMs, throttled: false }
      }

      return {
        verdict: 'charged',
        wait,
        checked() {
          if (checking) leaveChecks(blocks.host)
          checking = false
        },
        failed(secret) {
          if (decided) return { delayMs: 0, throttled: false }
          decided = true
          const mark = digest(user, secret)
          if (!pair.seen.includes(mark)) {
            pair.seen.push(mark)
            if (pair.seen.length > MAX_SEEN_SECRETS) pair.seen.shift()
            return penalty()
          }
          // Seen before: the charge goes back, and the delay stays what the earlier one made it.
          takeBack()
          return penalty()
        },
        slowed() {
          if (decided) return { delayMs: 0, throttled: false }
          decided = true
          const delayMs = Math.max(...entries.map(delayOf), 0)
          takeBack()
          return { delayMs, throttled: false }
        },
        refund() {
          if (decided) return
          decided = true
          takeBack()
        },
      }
    },
  }
}

/** An attempt that was turned away before it was charged. */
const REFUSED: Charge = {
  verdict: { lane: 'checks', waitMs: 0 },
  wait: null,
  checked() {},
  failed: () => ({ delayMs: 0, throttled: true }),
  slowed: () => ({ delayMs: 0, throttled: true }),
  refund() {},
}
