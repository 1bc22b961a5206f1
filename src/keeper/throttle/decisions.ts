/**
 * What comes of an attempt in its lanes. A wrong one keeps its charge and begins a delay that grows with the lane; a right one
 * takes back its own charge and no other.
 *
 * While a lane serves a delay, further wrong attempts in it are `throttled`: guesses made at once get no more verdicts than
 * guesses made one after the other.
 */

import type { Metrics } from '../../metrics.ts'
import type { Secret } from '../../secret.ts'
import type { Wait } from './lanes.ts'
import { delayOf } from './lanes.ts'
import { createRepeats } from './repeats.ts'
import type { SharedCounters } from './shared.ts'
import type { Entry } from './table.ts'
import { failuresOf } from './table.ts'
import type { Tables } from './tables.ts'
import { longestWait } from './turns.ts'

/** What a wrong attempt costs. `throttled`: it came while a delay was being served, and says so instead of "wrong". */
export interface Penalty {
  readonly delayMs: number
  readonly throttled: boolean
}

/** What decides an attempt. Exactly one of them does; a later one changes nothing. */
export interface Decided {
  /**
   * The secret was wrong. The same wrong secret of a user from the same address block counts once; null: counted anyhow.
   * Never rejects.
   */
  failed(secret: Secret | null): Promise<Penalty>
  /** The secret was right, or nothing was judged: takes back its own charge and no other. */
  refund(): void
}

/** The same of an attempt whose secret may be an app password. */
export interface AppPasswordDecided extends Decided {
  /** The delay that it costs if it is wrong, as the lanes stand now, in milliseconds. For who is told so by somebody else. */
  ifWrong(): number
  /** Known to be nobody's guess (an old phone with a deleted app password): delayed as the lane stands, not counted. */
  slowed(): Penalty
}

/**
 * What is common to all attempts.
 *
 * @param early charged already; null: the attempt stands in no lane so far
 * @param late charges such an attempt
 * @param endTurn called once, when the attempt is decided
 */
export type Decide = (
  user: string,
  early: readonly Entry[] | null,
  late: () => readonly Entry[],
  endTurn: () => void,
) => AppPasswordDecided

export interface DecisionsOptions {
  readonly tables: Tables
  /** Called at each use, so that a reload takes effect. */
  readonly delaysMs: () => readonly number[]
  readonly shared: SharedCounters | null
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
}

/** An edge's timer may fire a little before ours says so; its client must not be throttled for that. */
const TIMER_SLACK_MS = 25
const NOTHING: Penalty = { delayMs: 0, throttled: false }

/** From here on the attempt counts, decided or not. */
export function charged(entries: readonly Entry[]): readonly Entry[] {
  for (const entry of entries) entry.underWay += 1
  return entries
}

function takeBack(entries: readonly Entry[]): void {
  for (const entry of entries) entry.underWay -= 1
}

export function createDecisions({ tables, delaysMs, shared, metrics, now }: DecisionsOptions): Decide {
  const repeats = createRepeats(now)

  /** What the lanes make a wrong attempt wait, its own charge included. */
  function delay(entries: readonly Entry[]): number {
    return Math.max(0, ...entries.map((entry) => delayOf(entry.lane, failuresOf(entry), delaysMs())))
  }

  function throttled({ lane, waitMs }: Wait): Penalty {
    // What is left, not more: hammering must not keep a lane shut for ever.
    metrics.throttled.inc({ lane })
    return { delayMs: waitMs, throttled: true }
  }

  /** A wrong secret, counted, and the delay begins. */
  async function count(entries: readonly Entry[]): Promise<Penalty> {
    const elsewhere = delaysMs().length === 0 ? null : shared
    const counted = await elsewhere?.count(entries)
    const at = now()
    const served = longestWait(entries, at)
    const costs = entries.map((entry, i) => {
      entry.underWay -= 1
      entry.failures += 1
      entry.failedAt = at
      // Counted there and not here: by other nodes. A Redis that is empty or away takes nothing back.
      entry.elsewhere = Math.max(entry.elsewhere, (counted?.[i] ?? 0) - entry.failures)
      return { entry, ms: delayOf(entry.lane, failuresOf(entry), delaysMs()) }
    })
    if (served !== null) return throttled(served)
    for (const { entry, ms } of costs) if (ms > 0) entry.until = Math.max(entry.until, at + ms - TIMER_SLACK_MS)
    const delayMs = Math.max(0, ...costs.map(({ ms }) => ms))
    if (delayMs === 0) return NOTHING
    const delays = costs.map(({ entry, ms }) => [entry, ms - 2 * TIMER_SLACK_MS] as const)
    const there = await elsewhere?.serve(delays, delaysMs())
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

  return (user, early, late, endTurn) => {
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
      tables.leave(entries)
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
}
