/**
 * The device of a login, where the protocol names one (ActiveSync): whether it may come, and that it came.
 */

import type { LoginAttempt } from '../../contract/admission.ts'
import type { Log } from '../../log.ts'
import type { UserRow } from '../../records/store/store.ts'
import { StoreError } from '../../records/store/store.ts'
import type { Devices, DeviceVisit } from '../devices.ts'
import type { StoreWatch } from '../store-watch.ts'
import type { Charge } from '../throttle.ts'
import type { Refusals } from './refusals.ts'

export interface DeviceVisits {
  /** Behind an app password. null: the device is welcome, and nothing had to be read. @throws LoginFailure, StoreError */
  mayCome(attempt: LoginAttempt, user: UserRow, appPasswordId: string, charge: Charge): Promise<void> | null
  /** Behind a secret that is not judged yet: why it is not welcome; null: it is. Nothing is noted of it. @throws StoreError */
  refusal(attempt: LoginAttempt, user: UserRow): Promise<string | null>
  /** The upstream has accepted a primary password: only now is it known whose device this is. */
  note(attempt: LoginAttempt, user: UserRow): void
}

export interface DeviceVisitsOptions {
  readonly devices: Devices
  readonly watch: StoreWatch
  readonly ownButRefused: Refusals['ownButRefused']
  readonly log: Log
}

export function createDeviceVisits({ devices, watch, ownButRefused, log }: DeviceVisitsOptions): DeviceVisits {
  function mayCome(
    { device, agent, peer }: LoginAttempt,
    user: UserRow,
    appPasswordId: string,
    charge: Charge,
  ): Promise<void> | null {
    if (device === undefined) return null
    const judge = (why: string | null): void => {
      if (why !== null) throw ownButRefused('device-refused', user, charge, why)
    }
    const visit = { userId: user.id, appPasswordId, device, agent, ip: peer.ip, isProven: true }
    const verdict = devices.visit(visit)
    if (verdict instanceof Promise) return verdict.then(judge)
    judge(verdict)
    return null
  }

  async function refusal(attempt: LoginAttempt, user: UserRow): Promise<string | null> {
    const visit = visitOf(attempt, user, false)
    return visit === null ? null : await devices.visit(visit)
  }

  function visitOf({ device, agent, peer }: LoginAttempt, user: UserRow, isProven: boolean): DeviceVisit | null {
    return device ? { userId: user.id, appPasswordId: null, device, agent, ip: peer.ip, isProven } : null
  }

  function note(attempt: LoginAttempt, user: UserRow): void {
    const visit = visitOf(attempt, user, true)
    if (visit === null) return
    void Promise.resolve(devices.visit(visit)).catch((error: unknown) => {
      if (error instanceof StoreError) watch.failed(error)
      else log.bug(error, 'noting a device')
    })
  }

  return { mayCome, refusal, note }
}
