/**
 * Counters shared by all nodes, in Redis, fed and read beside the local ones.
 *
 * Redis is not trusted and need not be there. What it says is bounded; it can make a wrong or guessable attempt wait, as long
 * as the delays allow, and never takes away what was counted here. So an empty, forged or dead Redis forgets for the other
 * nodes only, and each of them still counts for itself. Keys are digests: nobody reads a user or an address there.
 *
 * Two keys for each lane: `:failures`, counted by rate-limiter-flexible, and `:until`, which is there while a delay is served.
 */

import type { Cluster, Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Keys } from '../../records/keys.ts'
import type { RedisLink } from '../redis.ts'
import type { LaneKey, Wait } from './lanes.ts'
import { LANES, longestDelay } from './lanes.ts'

export interface SharedCounters {
  /** Counts one failure in each lane. Answers what all nodes together have counted there; null: Redis is away. */
  count(lanes: readonly LaneKey[]): Promise<readonly number[] | null>
  /**
   * Begins the delays, milliseconds each, for all nodes. A Wait: another node is serving one already, so this attempt is one
   * of several made at once. `delaysMs` as configured: nobody waits for longer, whatever Redis says.
   */
  serve(delays: readonly (readonly [LaneKey, number])[], delaysMs: readonly number[]): Promise<Wait | null>
  /** The longest delay that a node is serving in any of these lanes. */
  look(lanes: readonly LaneKey[], delaysMs: readonly number[]): Promise<Wait | null>
  /** Forgets these lanes. */
  clear(lanes: readonly LaneKey[]): Promise<void>
}

/** Whatever Redis says, nobody is made to wait as if there were more failures than this. */
const MAX_COUNT = 1000
/** Lanes that are cleared at once. */
const CLEARED_AT_ONCE = 500

/** As the package's own script, but each failure makes the time begin anew, as it does here. */
const COUNT = `local consumed = redis.call('incrby', KEYS[1], ARGV[1])
redis.call('expire', KEYS[1], ARGV[2])
return {consumed, 1000 * ARGV[2]}`

export function createSharedCounters(redis: RedisLink, keys: Keys): SharedCounters {
  let limiter: RateLimiterRedis | null = null

  function limiterOn(client: Redis | Cluster): RateLimiterRedis {
    limiter ??= new RateLimiterRedis({
      storeClient: client,
      keyPrefix: '',
      // Counted, never refused: what a count means is said by the lanes.
      points: Number.MAX_SAFE_INTEGER,
      duration: 1,
      customIncrTtlLuaScript: COUNT,
    })
    return limiter
  }

  /** One hash tag per lane, so a cluster spreads them. */
  function name({ lane, user, block }: LaneKey): string {
    return `sp:{${keys.active.hmac('throttle', lane, block ?? '', user ?? '').toString('base64url', 0, 16)}}`
  }

  function longest(lanes: readonly LaneKey[], waits: readonly number[], delaysMs: readonly number[]): Wait | null {
    let wait: Wait | null = null
    for (const [i, { lane }] of lanes.entries()) {
      const waitMs = Math.min(waits[i] ?? 0, longestDelay(lane, delaysMs))
      if (waitMs > (wait?.waitMs ?? 0)) wait = { lane, waitMs }
    }
    return wait
  }

  return {
    async count(lanes) {
      return await redis.run(async (client) => {
        const counted = await Promise.all(
          lanes.map((key) =>
            limiterOn(client).penalty(`${name(key)}:failures`, 1, {
              customDuration: Math.ceil(LANES[key.lane].forgetMs / 1000),
            }),
          ),
        )
        return counted.map(({ consumedPoints }) =>
          Number.isFinite(consumedPoints) ? Math.min(Math.max(consumedPoints, 0), MAX_COUNT) : 0,
        )
      })
    },

    async serve(delays, delaysMs) {
      const begun = delays.filter(([, ms]) => ms >= 1)
      const lanes = begun.map(([key]) => key)
      const left = await redis.run(
        async (client) =>
          await Promise.all(
            begun.map(async ([key, ms]) => {
              const until = `${name(key)}:until`
              const first = await client.set(until, '1', 'PX', Math.floor(ms), 'NX')
              return first === null ? await client.pttl(until) : 0
            }),
          ),
      )
      return left && longest(lanes, left, delaysMs)
    },

    async look(lanes, delaysMs) {
      const left = await redis.run(
        async (client) => await Promise.all(lanes.map((key) => client.pttl(`${name(key)}:until`))),
      )
      return left && longest(lanes, left, delaysMs)
    },

    async clear(lanes) {
      for (let from = 0; from < lanes.length; from += CLEARED_AT_ONCE) {
        const part = lanes.slice(from, from + CLEARED_AT_ONCE).map(name)
        await redis.run(
          async (client) =>
            await Promise.all(part.flatMap((key) => [client.del(`${key}:failures`), client.del(`${key}:until`)])),
        )
      }
    },
  }
}
