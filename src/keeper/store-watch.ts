/**
 * Whether the store answers, and until when everything that this process remembers is known to be true.
 *
 * Each look brings the policy epoch along, so a change of the policy that no message told of goes unnoticed for a second.
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { every } from '../pulse.ts'
import type { Bus } from '../records/bus.ts'
import type { Store } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { LivePolicy } from './live-policy.ts'

export interface StoreWatch extends Disposable {
  readonly up: boolean
  /**
   * Monotonic: the last moment at which the store answered and the bus was alive. What was in memory then and has not been
   * dropped since was true then: a change would have come by the bus.
   */
  readonly trueAt: number
  /** Hears of an error of the store on somebody's login, so that nobody waits for the next look. */
  failed(error: StoreError): void
}

export interface StoreWatchOptions {
  readonly store: Store
  readonly bus: Bus
  readonly policy: Pick<LivePolicy, 'catchUp'>
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => number
  readonly everyMs?: number
}

const EVERY_MS = 1000

export function createStoreWatch(options: StoreWatchOptions): StoreWatch {
  const { store, bus, policy, log, metrics, now } = options
  let up = true
  let trueAt = now()
  let looking = false
  metrics.storeUp.set(1)

  function isDown(error: StoreError): void {
    metrics.storeUp.set(0)
    if (!up) return
    up = false
    log.event('error', 'warning', 'the store does not answer', { error_code: error.code, detail: error.message })
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    const at = now()
    try {
      const policyEpoch = await store.ping()
      if (!up) log.event('info', 'warning', 'the store answers again')
      up = true
      metrics.storeUp.set(1)
      await policy.catchUp(policyEpoch)
      if (bus.alive()) trueAt = at
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      isDown(error)
    } finally {
      looking = false
    }
  }

  const pulse = every(options.everyMs ?? EVERY_MS, () => {
    look().catch((error: unknown) => log.bug(error, 'looking at the store'))
  })

  return {
    get up() {
      return up
    },
    get trueAt() {
      return trueAt
    },
    failed: isDown,
    [Symbol.dispose]: () => pulse[Symbol.dispose](),
  }
}
