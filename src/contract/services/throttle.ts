/**
 * Services about the throttle: what slows guessing down just now, and forgetting it.
 */

import { z } from 'zod'
import { address, method } from './method.ts'

/** One lane in which somebody failed a short while ago. */
export interface ThrottleView {
  /** 'address', 'site' (a v6 /48), 'user', 'user-address' or 'factor' (second steps in the portal). */
  readonly lane: string
  /** A user's address; a name that is nobody's as a keyed hash with its domain; null in lanes of an address. */
  readonly user: string | null
  /** A v4 address or a v6 block; null in lanes of a user. */
  readonly address: string | null
  readonly failures: number
  /** Milliseconds left of the delay that is being served; 0: none. */
  readonly waitMs: number
  readonly lastFailedAt: string
}

export const THROTTLE_LIST_LIMIT = 1000
const ip = z.string().min(1).max(64)

export const THROTTLE_METHODS = {
  /** The longest waits first, then most failures first. `total`: how many there are, shown or not. */
  'throttle.list': method<{ readonly lanes: readonly ThrottleView[]; readonly total: number }>()(
    z.strictObject({
      user: address.optional(),
      address: ip.optional(),
      limit: z.number().int().min(1).max(THROTTLE_LIST_LIMIT).default(200),
    }),
  ),
  /**
   * Everything that names the user, and everything that names the address; neither: everything. Of this node and in Redis.
   * Also lets a user try again whose primary passwords the mail server or the directory has refused too often.
   */
  'throttle.clear': method<{ readonly cleared: number }>()(
    z.strictObject({ user: address.optional(), address: ip.optional() }),
  ),
} as const
