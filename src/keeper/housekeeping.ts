/**
 * What is done by the clock: deleting what has run out, saying how far the audit trail goes, counting app passwords.
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { IDEMPOTENCY_MS } from '../records/api-tokens.ts'
import { markText } from '../records/audit-chain.ts'
import { TOMBSTONE_MS } from '../records/deletion.ts'
import { LINK_MEMORY_MS } from '../records/one-time-links.ts'
import { SESSION_IDLE_MS } from '../records/portal-sessions.ts'
import type { Store } from '../records/store/store.ts'
import type { Devices } from './devices.ts'

export interface HousekeepingOptions {
  readonly store: Store
  readonly devices: Devices
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: () => Date
  /** Hears of an error of the store, and of what could not be done for it. */
  readonly onError: (error: unknown, what: string) => void
  readonly everyMs?: number
}

/** What a person has not dismissed by then is old news. */
const NOTICE_MS = 180 * 24 * 60 * 60_000
const EVERY_MS = 60 * 60_000
/** For the metric; some milliseconds with 100,000 app passwords. */
const COUNT_MS = 60_000

/** Counts, and says how far the trail goes, before it returns. Disposing of it ends all that the clock does. */
export async function startHousekeeping(options: HousekeepingOptions): Promise<Disposable> {
  const { store, devices, log, metrics, clock, onError } = options

  /** Log lines leave the machine: what the trail was cannot be undone from here. */
  async function noteAuditMark(): Promise<void> {
    try {
      const mark = await store.auditChain.mark()
      if (mark !== null) log.event('info', 'audit_mark', 'the audit trail so far', { detail: markText(mark) })
    } catch (error) {
      onError(error, 'the end of the audit trail could not be read')
    }
  }

  async function keepHouse(): Promise<void> {
    await noteAuditMark()
    try {
      await store.deleteExpiredCachedLogins(clock())
      await devices.expire()
      const before = (ms: number) => new Date(clock().getTime() - ms)
      await store.deleteTombstonesBefore(before(TOMBSTONE_MS))
      await store.people.deleteStale({
        sessions: before(0),
        seen: before(SESSION_IDLE_MS),
        links: before(LINK_MEMORY_MS),
        idempotencyKeys: before(IDEMPOTENCY_MS),
        notices: before(NOTICE_MS),
      })
    } catch (error) {
      onError(error, 'what has run out could not be deleted')
    }
  }
  const housekeeping = setInterval(keepHouse, options.everyMs ?? EVERY_MS)
  housekeeping.unref()

  async function count(): Promise<void> {
    try {
      const { live, expired } = await store.appPasswordTotals(clock())
      metrics.appPasswords.set({ state: 'live' }, live)
      metrics.appPasswords.set({ state: 'expired' }, expired)
    } catch (error) {
      onError(error, 'app passwords could not be counted')
    }
  }
  const counting = setInterval(count, COUNT_MS)
  counting.unref()
  await count()
  await noteAuditMark()

  return {
    [Symbol.dispose]() {
      clearInterval(housekeeping)
      clearInterval(counting)
    },
  }
}
