/**
 * The entries of all lanes, one table for each, so that a flood in one lane takes no place from another.
 */

import type { CountingLane, LaneKey } from './lanes.ts'
import type { Entry } from './table.ts'
import { LaneTable } from './table.ts'

export interface Tables {
  readonly size: number
  /** An entry for each key, made where there is none. */
  take(keys: readonly LaneKey[]): Entry[]
  /** An attempt is decided. Nothing is left of entries that say nothing any more. */
  leave(entries: readonly Entry[]): void
  /** Entries with failures or a delay. */
  live(): Iterable<Entry>
  /** Forgets what an entry has counted. */
  clear(entry: Entry): void
}

/**
 * @param maxEntries in each table
 * @param now monotonic, milliseconds
 */
export function createTables(maxEntries: number, now: () => number): Tables {
  const table = (lane: CountingLane) => new LaneTable(lane, maxEntries)
  const tables: Readonly<Record<CountingLane, LaneTable>> = {
    address: table('address'),
    site: table('site'),
    user: table('user'),
    'user-address': table('user-address'),
    factor: table('factor'),
  }
  return {
    get size() {
      return Object.values(tables).reduce((sum, { size }) => sum + size, 0)
    },
    take(keys) {
      const at = now()
      return keys.map((key) => tables[key.lane].take(key, at))
    },
    leave(entries) {
      const at = now()
      for (const entry of entries) tables[entry.lane].leave(entry, at)
    },
    *live() {
      const at = now()
      for (const each of Object.values(tables)) yield* each.live(at)
    },
    clear: (entry) => tables[entry.lane].clear(entry, now()),
  }
}
