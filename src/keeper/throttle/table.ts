/**
 * One lane's entries, bounded. A newcomer never pushes out an entry that still counts: it shares one overflow entry instead
 * (threat B11).
 */

import type { CountingLane, LaneKey } from './lanes.ts'
import { LANES } from './lanes.ts'

export interface Entry extends LaneKey {
  /** Attempts that began and are not decided yet. They count, so that guesses made at once don't see each other's zero. */
  underWay: number
  failures: number
  /** Monotonic; of the last failure. */
  failedAt: number
  /** A delay is being served until then. Monotonic. */
  until: number
  /** Failures on other nodes, when they were last asked. */
  elsewhere: number
  /** Digests of wrong secrets; lane user-address only. */
  seen: number[]
  /** Resolves when the guessable secret that is being checked has its verdict; null: none is. */
  turn: Promise<void> | null
  /** Attempts that wait for a turn. */
  waiting: number
}

/** Failures that count for the next delay, attempts under way included. */
export const failuresOf = (entry: Entry): number => entry.failures + entry.underWay + entry.elsewhere

const MAX_DROPPED = 100

export class LaneTable {
  readonly #entries = new Map<string, Entry>()
  readonly #overflow: Entry
  readonly #maxEntries: number
  readonly #forgetMs: number

  constructor(lane: CountingLane, maxEntries: number) {
    this.#maxEntries = maxEntries
    this.#forgetMs = LANES[lane].forgetMs
    this.#overflow = newEntry({ lane, user: null, block: null })
  }

  get size(): number {
    return this.#entries.size
  }

  /** The entry of a key, made when there is none. Entries stand in the order in which they were last asked for. */
  take(key: LaneKey, now: number): Entry {
    const name = nameOf(key)
    let entry = this.#entries.get(name)
    if (entry) this.#entries.delete(name)
    else {
      if (this.#entries.size >= this.#maxEntries) this.#dropForgotten(now)
      if (this.#entries.size >= this.#maxEntries) entry = this.#overflow
      else entry = newEntry(key)
    }
    this.#forget(entry, now)
    if (entry !== this.#overflow) this.#entries.set(name, entry)
    return entry
  }

  /** An attempt is decided. An entry that says nothing any more goes. */
  leave(entry: Entry, now: number): void {
    if (entry === this.#overflow || !this.#isEmpty(entry, now)) return
    const name = nameOf(entry)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
  }

  /** Entries with failures or a delay, the one asked for last at the end. The overflow entry has neither user nor block. */
  *live(now: number): Generator<Entry> {
    if (this.#counts(this.#overflow, now)) yield this.#overflow
    // What is removed or added on the way is left out or met later; a Map allows it.
    for (const entry of this.#entries.values()) if (this.#counts(entry, now)) yield entry
  }

  /** Forgets what an entry has counted. Attempts under way stay. */
  clear(entry: Entry, now: number): void {
    reset(entry)
    entry.until = 0
    this.leave(entry, now)
  }

  #counts(entry: Entry, now: number): boolean {
    this.#forget(entry, now)
    return entry.failures + entry.elsewhere > 0 || entry.until > now
  }

  #forget(entry: Entry, now: number): void {
    if (now - entry.failedAt > this.#forgetMs && entry.until <= now) reset(entry)
  }

  #isEmpty(entry: Entry, now: number): boolean {
    this.#forget(entry, now)
    const counted = entry.failures + entry.elsewhere + entry.underWay + entry.waiting
    return counted === 0 && entry.until <= now && entry.turn === null
  }

  /** From the oldest on, as far as they are of no use; a few at a time, since a login waits. */
  #dropForgotten(now: number): void {
    let dropped = 0
    for (const [name, entry] of this.#entries) {
      if (!this.#isEmpty(entry, now) || ++dropped > MAX_DROPPED) return
      this.#entries.delete(name)
    }
  }
}

function reset(entry: Entry): void {
  entry.failures = 0
  entry.elsewhere = 0
  entry.seen = []
}

function newEntry({ lane, user, block }: LaneKey): Entry {
  return {
    lane,
    user,
    block,
    underWay: 0,
    failures: 0,
    failedAt: Number.NEGATIVE_INFINITY,
    until: 0,
    elsewhere: 0,
    seen: [],
    turn: null,
    waiting: 0,
  }
}

/** Blanks stand in neither part. */
const nameOf = ({ user, block }: LaneKey): string => `${block ?? ''} ${user ?? ''}`
