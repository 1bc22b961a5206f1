/**
 * The throttle: how long a wrong guess waits, and who may not even guess. One for all protocols and the portal.
 *
 * Every attempt is charged in all of its lanes (`throttle/lanes.ts`) when it starts, so that guesses made at once don't see
 * each other's zero. What comes of it there, right or wrong, is in `throttle/decisions.ts`.
 *
 * An app password can't be guessed, so a right one is never refused: that would serve only an attacker. One that was used well
 * from the same place is not even counted (`throttle/known-good.ts`). A primary password or a code can be guessed: there the
 * delay is served before the check, one check at a time, and nothing exempts from it (`throttle/turns.ts`, `primary` below).
 *
 * The counters are local and synchronous, so that a login seen before waits for nobody. Those shared between nodes
 * (`throttle/shared.ts`) are asked only after a wrong attempt or before a guessable one; they can make it slower, never faster.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Metrics } from '../metrics.ts'
import type { Secret } from '../secret.ts'
import { addressBlocks } from './networks.ts'
import { createChecks } from './throttle/checks.ts'
import type { LaneState } from './throttle/counted.ts'
import { clearCounted, lanesNaming, listCounted } from './throttle/counted.ts'
import type { AppPasswordDecided, Decided } from './throttle/decisions.ts'
import { charged, createDecisions } from './throttle/decisions.ts'
import type { KnownGood, LoginOwner } from './throttle/known-good.ts'
import type { LaneKey, ThrottleLane, TriedStep, Wait } from './throttle/lanes.ts'
import { isTrusted, lanesOf } from './throttle/lanes.ts'
import type { SharedCounters } from './throttle/shared.ts'
import type { Entry } from './throttle/table.ts'
import { createTables } from './throttle/tables.ts'
import { takeTurn, waitIn } from './throttle/turns.ts'

/** One attempt with a secret that may be an app password. */
export interface Charge extends AppPasswordDecided {
  /** Waits for a place among the checks in flight from this address. A Wait: too many wait there; refuse. */
  place(): Promise<Wait | null>
  /** The check itself is over; gives its place back. */
  checked(): void
  /**
   * Before a secret that can be guessed is judged: waits until no other one is being judged in these lanes. A Wait: a delay
   * is being served; nothing may be judged. The turn ends when the attempt is decided.
   */
  turn(): Promise<Wait | null>
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
  /** Entries per lane, some 350 bytes each. */
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

export function createThrottle(options: ThrottleOptions): Throttle & { readonly entries: number } {
  const { knownGood, metrics, now, shared = null } = options
  const pause = options.sleep ?? sleep
  const tables = createTables(options.maxEntries ?? MAX_ENTRIES, now)
  const checks = createChecks({
    atOnce: options.maxChecksPerAddress ?? MAX_CHECKS_PER_ADDRESS,
    waiting: options.maxWaitingChecksPerAddress ?? MAX_WAITING_CHECKS,
  })
  let settings: ThrottleSettings = options
  const decide = createDecisions({ tables, delaysMs: () => settings.delaysMs, shared, metrics, now })

  const enough = (): readonly Entry[] => [] // of an attempt that was charged already
  const refused = (lane: ThrottleLane) => metrics.throttled.inc({ lane })

  function entriesOf(user: string, ip: string, step: TriedStep): Entry[] {
    return tables.take(lanesOf(user, ip, step, settings.trustedNetworks))
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
      return tables.size
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
      const decided = decide(user, entries, enter, () => endTurn?.())

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
          const { failed, refund } = decide(user, charged(entries), enough, turn.done)
          return { go: true, failed, refund }
        }
        const { waitMs, lane } = turn.wait
        if (waitMs > left || !(await waitIn(entries, () => pause(waitMs)))) {
          tables.leave(entries)
          refused(lane)
          return { go: false, wait: turn.wait }
        }
        tables.leave(entries)
        left -= waitMs
      }
    },

    filter: lanesNaming,
    list: () => listCounted(tables, now()),
    clear: (user, ip) => clearCounted(tables, shared, user, ip),
  }
}
