/**
 * What is counted now, for operators: looking at it, and forgetting some of it.
 */

import { setImmediate } from 'node:timers/promises'
import { addressBlocks } from '../networks.ts'
import type { LaneKey } from './lanes.ts'
import { lanesOf, lanesOfAddress, lanesOfUser } from './lanes.ts'
import type { SharedCounters } from './shared.ts'
import type { Entry } from './table.ts'
import type { Tables } from './tables.ts'

/** One entry of one lane. */
export interface LaneState extends LaneKey {
  readonly failures: number
  /** Left of the delay that is being served; 0: none. */
  readonly waitMs: number
  /** How long ago the last failure was. */
  readonly idleMs: number
}

/** Entries looked through between two turns of the event loop. */
const A_TURN = 1000

/** Which lanes name a user, or an address; both null: all of them. */
export function lanesNaming(user: string | null, ip: string | null): (lane: LaneKey) => boolean {
  const blocks = ip === null ? null : addressBlocks(ip)
  return (lane) =>
    (user === null && blocks === null) ||
    (user !== null && lane.user === user) ||
    (blocks !== null && lane.block !== null && (lane.block === blocks.host || lane.block === blocks.site))
}

/** In no order, as it is asked for. */
export function* listCounted(tables: Tables, at: number): Iterable<LaneState> {
  for (const { lane, user, block, failures, elsewhere, until, failedAt } of tables.live()) {
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

/** Forgets what names a user or an address, here and on all nodes. Answers how many entries went here. */
export async function clearCounted(
  tables: Tables,
  shared: SharedCounters | null,
  user: string | null,
  ip: string | null,
): Promise<number> {
  const isMeant = lanesNaming(user, ip)
  const elsewhere: Entry[] = []
  let [looked, cleared] = [0, 0]
  for (const entry of tables.live()) {
    // Logins go on meanwhile.
    if (++looked % A_TURN === 0) await setImmediate()
    if (!isMeant(entry)) continue
    tables.clear(entry)
    cleared += 1
    if (shared !== null) elsewhere.push(entry)
  }
  // What this node never heard of may be counted there, too.
  const named = [
    ...(user === null ? [] : lanesOfUser(user)),
    ...(ip === null ? [] : lanesOfAddress(ip)),
    ...(user === null || ip === null ? [] : lanesOf(user, ip, 'password', [])),
  ]
  await shared?.clear([...elsewhere, ...named])
  return cleared
}
