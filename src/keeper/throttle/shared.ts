/**
 * Counters shared by all nodes, in Redis, fed and read beside the local ones.
 *
 * Redis is not trusted and need not be there: what it says is bounded, it can make a wrong or guessable attempt wait as long
 * as the delays allow and never takes away what was counted here. Keys are digests, so nobody reads a user or an address there.
 */

import type { LaneKey, Wait } from './lanes.ts'

export interface SharedCounters {
  /** Counts one failure in each lane. Answers what all nodes together have counted there; null: Redis is away. */
  count(lanes: readonly LaneKey[]): Promise<readonly number[] | null>
  /**
   * Begins the delays, milliseconds each, for all nodes. A Wait: another node is serving one already, so this attempt is one
   * of several made at once.
   */
  serve(lanes: readonly (readonly [LaneKey, number])[]): Promise<Wait | null>
  /** The longest delay that another node is serving in any of these lanes. */
  look(lanes: readonly LaneKey[]): Promise<Wait | null>
  /** Forgets these lanes. */
  clear(lanes: readonly LaneKey[]): Promise<void>
}
