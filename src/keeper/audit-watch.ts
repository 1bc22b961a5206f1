/**
 * `audit: required`: nobody gets in while what they do could not be recorded (threat I-10).
 *
 * Two things record it: the log (who logged in) and the audit trail in the store (who changed what). Each second one write
 * is made to the store; a log that has not been taken for a while counts as gone. A refusal is temporary.
 */

import { LoginFailure } from '../contract/failure.ts'
import type { Log } from '../log.ts'
import { LOG_STANDS_MS } from '../log.ts'
import { every } from '../pulse.ts'
import type { Store } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { Admit } from './gate.ts'

export interface AuditWatch extends Disposable {
  /** The gate behind the demand. */
  guard(admit: Admit): Admit
}

const EVERY_MS = 1000

export function createAuditWatch(options: {
  /** Called at each use, so that a reload takes effect. */
  readonly isRequired: () => boolean
  readonly store: Store
  readonly log: Log
  readonly everyMs?: number
}): AuditWatch {
  const { isRequired, store, log } = options
  /** Why the store took no write at the last look; null: it did. */
  let broken: string | null = null
  let looking = false

  async function look(): Promise<void> {
    if (looking || !isRequired()) return
    looking = true
    const before = broken
    try {
      await store.pingWrite()
      broken = null
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      broken = error.message
    } finally {
      looking = false
    }
    if ((before === null) === (broken === null)) return
    if (broken === null) log.event('info', 'warning', 'the audit trail can be written again')
    else {
      log.event('error', 'warning', 'the audit trail can not be written and is required: nobody is let in', {
        detail: broken,
      })
    }
  }

  const pulse = every(options.everyMs ?? EVERY_MS, () => {
    look().catch((error: unknown) => log.bug(error, 'looking whether the audit trail can be written'))
  })

  return {
    guard: (admit) => async (attempt, port) => {
      if (isRequired()) {
        const why = broken ?? (log.waitingMs > LOG_STANDS_MS ? 'nobody takes the log' : null)
        if (why !== null) throw new LoginFailure('store-unavailable', `audit is required, and can't be had: ${why}`)
      }
      return await admit(attempt, port)
    },
    [Symbol.dispose]: () => pulse[Symbol.dispose](),
  }
}
