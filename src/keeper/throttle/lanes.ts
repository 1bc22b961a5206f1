/**
 * The lanes of the throttle: what each counts, when its failures begin to cost, and how much (pure).
 *
 *   address       one v4 address or v6 /64: whoever sits there
 *   site          one v6 /48: a whole campus may share it, so it is slowed only when many fail
 *   user          one name, known or not, from wherever
 *   user-address  one name from one address
 *   factor        the second steps of one user in the portal: five tries, then delays that double (threat B12)
 *   checks        no counter: more checks from one address at the same moment than are let in
 */

import { addressBlocks, inNetworks } from '../networks.ts'

const THROTTLE_LANES = ['address', 'site', 'user', 'user-address', 'factor', 'checks'] as const
export type ThrottleLane = (typeof THROTTLE_LANES)[number]
/** The lanes that count. */
export type CountingLane = Exclude<ThrottleLane, 'checks'>

/** A delay being served in a lane. `waitMs` is what is left of it, more than 0. */
export interface Wait {
  readonly lane: ThrottleLane
  readonly waitMs: number
}

interface LaneFacts {
  /** Failures that cost nothing yet. */
  readonly allowance: number
  /** Failures are forgotten when none was added for so long. */
  readonly forgetMs: number
  /** Delay of the n-th failure (from 1) beyond the allowance. `delaysMs` as configured, not empty. */
  readonly delay: (n: number, delaysMs: readonly number[]) => number
}

/** For as long as a human would keep trying. */
const FORGET_MS = 15 * 60_000
/** A code has six digits: whoever knows the password must not get thousands of tries a day. */
const FACTOR_FORGET_MS = 24 * 60 * 60_000
const FACTOR_MAX_DELAY_MS = 15 * 60_000

const asConfigured: LaneFacts['delay'] = (n, delaysMs) => delaysMs[Math.min(n, delaysMs.length) - 1] ?? 0
/** The longest configured delay, then twice that, up to a quarter of an hour. */
const doubling: LaneFacts['delay'] = (n, delaysMs) =>
  Math.min((delaysMs.at(-1) ?? 0) * 2 ** Math.min(n - 1, 16), FACTOR_MAX_DELAY_MS)

export const LANES: Readonly<Record<CountingLane, LaneFacts>> = {
  address: { allowance: 0, forgetMs: FORGET_MS, delay: asConfigured },
  site: { allowance: 16, forgetMs: FORGET_MS, delay: asConfigured },
  user: { allowance: 0, forgetMs: FORGET_MS, delay: asConfigured },
  'user-address': { allowance: 0, forgetMs: FORGET_MS, delay: asConfigured },
  factor: { allowance: 4, forgetMs: FACTOR_FORGET_MS, delay: doubling },
}

/** What a lane with so many failures makes the last of them wait. */
export function delayOf(lane: CountingLane, failures: number, delaysMs: readonly number[]): number {
  const { allowance, delay } = LANES[lane]
  return failures <= allowance || delaysMs.length === 0 ? 0 : delay(failures - allowance, delaysMs)
}

/** A lane makes nobody wait for longer. */
export function longestDelay(lane: CountingLane, delaysMs: readonly number[]): number {
  return Math.max(lane === 'factor' ? FACTOR_MAX_DELAY_MS : 0, ...delaysMs)
}

/** One lane that an attempt goes through. */
export interface LaneKey {
  readonly lane: CountingLane
  readonly user: string | null
  /** The address block; null in lanes of a user alone. */
  readonly block: string | null
}

/** What may be tried: an app password or a primary password, or a second step of the portal. */
export type TriedStep = 'password' | 'factor'

/** The lanes of an attempt. From a trusted network there is no address lane. */
export function lanesOf(user: string, ip: string, step: TriedStep, trustedNetworks: readonly string[]): LaneKey[] {
  const { host } = addressBlocks(ip)
  const lanes: LaneKey[] =
    step === 'factor'
      ? [{ lane: 'factor', user, block: null }]
      : [
          { lane: 'user-address', user, block: host },
          { lane: 'user', user, block: null },
        ]
  return isTrusted(ip, trustedNetworks) ? lanes : [...lanes, ...lanesOfAddress(ip)]
}

/** The lanes of a user, from wherever. */
export function lanesOfUser(user: string): LaneKey[] {
  return [
    { lane: 'user', user, block: null },
    { lane: 'factor', user, block: null },
  ]
}

/** The lanes of an address, whoever it is. */
export function lanesOfAddress(ip: string): LaneKey[] {
  const { host, site } = addressBlocks(ip)
  const address: LaneKey = { lane: 'address', user: null, block: host }
  return site === null ? [address] : [address, { lane: 'site', user: null, block: site }]
}

export function isTrusted(ip: string, trustedNetworks: readonly string[]): boolean {
  return trustedNetworks.length > 0 && inNetworks(ip, trustedNetworks)
}
