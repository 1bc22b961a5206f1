/**
 * The throttle: how long a wrong guess waits, and who may not even guess. One for all protocols and the portal.
 *
 * Every attempt is charged in all of its lanes (`throttle/lanes.ts`) when it starts, so that guesses made at once don't see
 * each other's zero; what turns out right is refunded. A wrong one keeps its charge and gets a delay that grows with the
 * lane. While a lane serves a delay, further wrong attempts in it are `throttled`: guesses made at once get no more verdicts
 * than guesses made one after the other.
 *
 * An app password can't be guessed, so a right one is never refused: that would serve only an attacker. One that was used well
 * from the same place is not even counted (`known-good.ts`). A primary password or a code can be guessed: there the delay is
 * served before the check, one check at a time, and nothing exempts from it (`turns.ts`, `primary` below).
 *
 * The counters are local and synchronous, so that a login seen before waits for nobody. Those shared between nodes
 * (`shared.ts`) are asked only after a wrong attempt or before a guessable one; they can make it slower, never faster.
 */

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Metrics } from '../metrics.ts'
import type { Secret } from '../secret.ts'
import { addressBlocks } from './networks.ts'
import { createChecks } from './throttle/checks.ts'
import type { KnownGood, LoginOwner } from './throttle/known-good.ts'
import type { CountingLane, LaneKey, ThrottleLane, TriedStep, Wait } from './throttle/lanes.ts'
import { delayOf, isTrusted, lanesOf, lanesOfAddress, lanesOfUser } from './throttle/lanes.ts'
import { createRepeats } from './throttle/repeats.ts'
import type { SharedCounters } from './throttle/shared.ts'
import type { Entry } from './throttle/table.ts'
import { failuresOf, LaneTable } from './throttle/table.ts'
import { longestWait, takeTurn, waitIn } from './throttle/turns.ts'

export type { ThrottleLane, Wait } from './throttle/lanes.ts'

/** What a wrong attempt costs. `throttled`: it came while a delay was being served, and says so instead of "wrong". */
export interface Penalty {
  readonly delayMs: number
  readonly throttled: boolean
}

/** What decides an attempt. Exactly one of them does; a later one changes nothing. */
interface Decided {
  /**
   * The secret was wrong. The same wrong secret of a user from the same address block counts once; null: counted anyhow.
   * Never rejects.
   */
  failed(secret: Secret | null): Promise<Penalty>
  /** The secret was right, or nothing was judged: takes back its own charge and no other. */
  refund(): void
}

/** One attempt with a secret that may be an app password. */
export interface Charge extends Decided {
  /** Waits for a place among the checks in flight from this address. A Wait: too many wait there; refuse. */
  place(): Promise<Wait | null>
  /** The check itself is over; gives its place back. */
  checked(): void
  /**
   * Before a secret that can be guessed is judged: waits until no other one is being judged in these lanes. A Wait: a delay
   * is being served; nothing may be judged. The turn ends when the attempt is decided.
   */
  turn(): Promise<Wait | null>
  /** The delay that it costs if it is wrong, as the lanes stand now, in milliseconds. For who is told so by somebody else. */
  ifWrong(): number
  /** Known to be nobody's guess (an old phone with a deleted app password): delayed as the lane stands, not counted. */
  slowed(): Penalty
  /** The whole login came about: refunded, and known to be good from here on. */
  accepted(owner: LoginOwner): void
}

/** One attempt with a secret that can be guessed, whose turn it is. Nobody else's comes until it is decided. */
export interface GuessableCharge extends Decided {
  readonly go: true
}

/** Not now: nothing may be judged before `wait` is over. */
export interface GuessableWait {
  readonly go: false
  readonly wait: Wait
}

export interface Throttle {
  /**
   * @param user canonical name, known or not
   * @param ip as `Peer` carries it
   */
  charge(user: string, ip: string, secret: Secret): Charge
  /**
   * Before a secret that can be guessed is checked: the delay that earlier failures have earned is served here, whoever asks.
   * Check the secret only with `go`, then say what came of it, once.
   *
   *     const turn = await throttle.primary(name, ip)
   *     if (!turn.go) return refuse('throttled', turn.wait.waitMs)
   *     if (await check()) turn.refund()
   *     else await turn.failed(secret)
   *
   * The delay in `failed`'s answer need not be served by the caller: whoever comes next waits for it here.
   *
   * @param step 'factor' for a second step, in a lane of its own: five tries, then delays that double
   * @param patienceMs how long to wait at most before the answer is a Wait. Default: the longest configured delay
   */
  primary(user: string, ip: string, step?: TriedStep, patienceMs?: number): Promise<GuessableCharge | GuessableWait>
  /** What is counted now, in no order, as it is asked for. */
  list(): Iterable<LaneState>
  /** Which lanes name a user, or an address; both null: all of them. */
  filter(user: string | null, ip: string | null): (lane: LaneKey) => boolean
  /** The longest delay there is in the lanes of passwords, in milliseconds; 0: there are none. */
  readonly longestDelayMs: number
  /** Forgets what was counted of a user and of an address; both null: of everybody. Answers how many entries went. */
  clear(user: string | null, ip: string | null): Promise<number>
  configure(settings: ThrottleSettings): void
}

/** One entry of one lane. */
export interface LaneState extends LaneKey {
  readonly failures: number
  /** Left of the delay that is being served; 0: none. */
  readonly waitMs: number
  /** How long ago the last failure was. */
  readonly idleMs: number
}

export interface ThrottleSettings {
  /** Delay of the first, second … failure in milliseconds; the last one is for all that follow. Empty: no delays. */
  readonly delaysMs: readonly number[]
  /** CIDR blocks that have no address lane. */
  readonly trustedNetworks: readonly string[]
}

export interface ThrottleOptions extends ThrottleSettings {
  readonly knownGood: KnownGood
  /** null: one node only. */
  readonly shared?: SharedCounters | null
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly sleep?: (ms: number) => Promise<unknown>
  /** Entries per lane. About 300 bytes each. */
  readonly maxEntries?: number
  readonly maxChecksPerAddress?: number
  readonly maxWaitingChecksPerAddress?: number
}

const MAX_ENTRIES = 100_000
/** More than argon2 runs at once on most machines; what only reads the store is over in a millisecond. */
const MAX_CHECKS_PER_ADDRESS = 8
/** An office whose phones all come back after a restart. */
const MAX_WAITING_CHECKS = 200
/** What somebody is told to wait who finds the line too long. */
const LINE_TOO_LONG_MS = 1000
/** An edge's timer may fire a little before ours says so; its client must not be throttled for that. */
const TIMER_SLACK_MS = 25
/** Entries looked through between two turns of the event loop. */
const A_TURN = 1000
const NOTHING: Penalty = { delayMs: 0, throttled: false }

export function createThrottle(options: ThrottleOptions): Throttle & { readonly entries: number } {
  const { knownGood, metrics, now, shared = null } = options
  const pause = options.sleep ?? sleep
  const maxEntries = options.maxEntries ?? MAX_ENTRIES
  const table = (lane: CountingLane) => new LaneTable(lane, maxEntries)
  const tables: Readonly<Record<CountingLane, LaneTable>> = {
    address: table('address'),
    site: table('site'),
    user: table('user'),
    'user-address': table('user-address'),
    factor: table('factor'),
  }
  const checks = createChecks({
    atOnce: options.maxChecksPerAddress ?? MAX_CHECKS_PER_ADDRESS,
    waiting: options.maxWaitingChecksPerAddress ?? MAX_WAITING_CHECKS,
  })
  const repeats = createRepeats(now)
  let settings: ThrottleSettings = options

  const enough = (): readonly Entry[] => [] // of an attempt that was charged already
  const refused = (lane: ThrottleLane) => metrics.throttled.inc({ lane })

  function entriesOf(user: string, ip: string, step: TriedStep): Entry[] {
    const at = now()
    return lanesOf(user, ip, step, settings.trustedNetworks).map((key) => tables[key.lane].take(key, at))
  }

  /** From here on the attempt counts, decided or not. */
  function charged(entries: readonly Entry[]): readonly Entry[] {
    for (const entry of entries) entry.underWay += 1
    return entries
  }

  function takeBack(entries: readonly Entry[]): void {
    for (const entry of entries) entry.underWay -= 1
  }

  /** Nothing is left of entries that say nothing. */
  function leave(entries: readonly Entry[]): void {
    const at = now()
    for (const entry of entries) tables[entry.lane].leave(entry, at)
  }

  /** What the lanes make a wrong attempt wait, its own charge included. */
  function delay(entries: readonly Entry[]): number {
    return Math.max(0, ...entries.map((entry) => delayOf(entry.lane, failuresOf(entry), settings.delaysMs)))
  }

  function throttled({ lane, waitMs }: Wait): Penalty {
    // What is left, not more: hammering must not keep a lane shut for ever.
    refused(lane)
    return { delayMs: waitMs, throttled: true }
  }

  /** A wrong secret, counted, and the delay begins. */
  async function count(entries: readonly Entry[]): Promise<Penalty> {
    const elsewhere = settings.delaysMs.length === 0 ? null : shared
    const counted = await elsewhere?.count(entries)
    const at = now()
    const served = longestWait(entries, at)
    const costs = entries.map((entry, i) => {
      entry.underWay -= 1
      entry.failures += 1
      entry.failedAt = at
      // Counted there and not here: by other nodes. A Redis that is empty or away takes nothing back.
      entry.elsewhere = Math.max(entry.elsewhere, (counted?.[i] ?? 0) - entry.failures)
      return { entry, ms: delayOf(entry.lane, failuresOf(entry), settings.delaysMs) }
    })
    if (served !== null) return throttled(served)
    for (const { entry, ms } of costs) if (ms > 0) entry.until = Math.max(entry.until, at + ms - TIMER_SLACK_MS)
    const delayMs = Math.max(0, ...costs.map(({ ms }) => ms))
    if (delayMs === 0) return NOTHING
    const delays = costs.map(({ entry, ms }) => [entry, ms - 2 * TIMER_SLACK_MS] as const)
    const there = await elsewhere?.serve(delays, settings.delaysMs)
    return there ? throttled(there) : { delayMs, throttled: false }
  }

  /** Of a secret that was wrong here before: no new guess, so the lanes stay as they are. */
  function repeated(entries: readonly Entry[], pair: Entry): Penalty {
    takeBack(entries)
    const at = now()
    const served = longestWait(entries, at)
    if (served !== null) return throttled(served)
    const delayMs = delay(entries)
    if (delayMs > 0) pair.until = at + delayMs - TIMER_SLACK_MS
    return { delayMs, throttled: false }
  }

  /**
   * What is common to all attempts.
   *
   * @param late charges an attempt that stood in no lane so far
   * @param endTurn called once, when the attempt is decided
   */
  function decision(user: string, early: readonly Entry[] | null, late: () => readonly Entry[], endTurn: () => void) {
    let own = early
    const standing = (): readonly Entry[] => {
      own ??= late()
      return own
    }
    let decided = false
    const first = (): boolean => {
      const is = !decided
      decided = true
      return is
    }
    const over = (entries: readonly Entry[]): void => {
      endTurn()
      leave(entries)
    }
    return {
      async failed(secret: Secret | null): Promise<Penalty> {
        if (!first()) return NOTHING
        const entries = standing()
        const pair = entries.find(({ lane }) => lane === 'user-address')
        const again = secret !== null && pair !== undefined && repeats.isRepeat(pair, user, secret)
        const penalty = again ? repeated(entries, pair) : await count(entries)
        over(entries)
        return penalty
      },
      ifWrong: () => (decided ? 0 : delay(standing())),
      slowed(): Penalty {
        if (!first()) return NOTHING
        const entries = standing()
        const delayMs = delay(entries)
        takeBack(entries)
        over(entries)
        return { delayMs, throttled: false }
      },
      refund(): void {
        if (!first()) return
        takeBack(own ?? [])
        over(own ?? [])
      },
    }
  }

  function filter(user: string | null, ip: string | null) {
    const blocks = ip === null ? null : addressBlocks(ip)
    return (lane: LaneKey): boolean =>
      (user === null && blocks === null) ||
      (user !== null && lane.user === user) ||
      (blocks !== null && lane.block !== null && (lane.block === blocks.host || lane.block === blocks.site))
  }

  async function turnIn(entries: readonly Entry[]) {
    if (settings.delaysMs.length === 0) return { ok: true as const, done: () => {} }
    const elsewhere = await shared?.look(entries, settings.delaysMs)
    return elsewhere
      ? { ok: false as const, wait: elsewhere }
      : takeTurn(entries, now, settings.delaysMs.at(-1) ?? LINE_TOO_LONG_MS)
  }

  return {
    configure(next) {
      settings = next
    },

    get longestDelayMs() {
      return Math.max(0, ...settings.delaysMs)
    },

    get entries() {
      return Object.values(tables).reduce((sum, { size }) => sum + size, 0)
    },

    charge(user, ip, secret) {
      const mark = knownGood.mark(user, ip, secret)
      const isKnown = mark !== null && knownGood.has(mark)
      const enter = () => charged(entriesOf(user, ip, 'password'))
      // A known-good login stands in no lane until it turns out to be of no use: then it goes the way of a wrong one.
      const entries = isKnown ? null : enter()
      const line = isKnown ? mark : isTrusted(ip, settings.trustedNetworks) ? null : addressBlocks(ip).host
      let leavePlace: (() => void) | null = null
      let endTurn: (() => void) | null = null
      const decided = decision(user, entries, enter, () => endTurn?.())

      return {
        ...decided,
        async place() {
          if (line === null) return null
          leavePlace = await checks.enter(line)
          if (leavePlace !== null) return null
          refused('checks')
          return { lane: 'checks', waitMs: LINE_TOO_LONG_MS }
        },
        checked() {
          leavePlace?.()
          leavePlace = null
        },
        async turn() {
          const turn = await turnIn(entries ?? entriesOf(user, ip, 'password'))
          if (turn.ok) {
            endTurn = turn.done
            return null
          }
          refused(turn.wait.lane)
          return turn.wait
        },
        accepted(owner) {
          decided.refund()
          if (mark !== null) knownGood.note(mark, ip, owner)
        },
      }
    },

    async primary(user, ip, step = 'password', patienceMs = settings.delaysMs.at(-1) ?? 0) {
      let left = patienceMs
      for (;;) {
        const entries = entriesOf(user, ip, step)
        const turn = await turnIn(entries)
        if (turn.ok) {
          const { failed, refund } = decision(user, charged(entries), enough, turn.done)
          return { go: true, failed, refund }
        }
        const { waitMs, lane } = turn.wait
        if (waitMs > left || !(await waitIn(entries, () => pause(waitMs)))) {
          leave(entries)
          refused(lane)
          return { go: false, wait: turn.wait }
        }
        leave(entries)
        left -= waitMs
      }
    },

    filter,

    *list() {
      const at = now()
      for (const table of Object.values(tables)) {
        for (const { lane, user, block, failures, elsewhere, until, failedAt } of table.live(at)) {
          yield {
            lane,
            user,
            block,
            failures: failures + elsewhere,
            waitMs: Math.max(0, Math.ceil(until - at)),
            idleMs: at - failedAt,
          }
        }
      }
    },

    async clear(user, ip) {
      const at = now()
      const isMeant = filter(user, ip)
      const elsewhere: Entry[] = []
      let [looked, cleared] = [0, 0]
      for (const table of Object.values(tables)) {
        for (const entry of table.live(at)) {
          // Logins go on meanwhile.
          if (++looked % A_TURN === 0) await setImmediate()
          if (!isMeant(entry)) continue
          table.clear(entry, at)
          cleared += 1
          if (shared !== null) elsewhere.push(entry)
        }
      }
      // What this node never heard of may be counted there, too.
      const named = [
        ...(user === null ? [] : lanesOfUser(user)),
        ...(ip === null ? [] : lanesOfAddress(ip)),
        ...(user === null || ip === null ? [] : lanesOf(user, ip, 'password', [])),
      ]
      await shared?.clear([...elsewhere, ...named])
      return cleared
    },
  }
}
