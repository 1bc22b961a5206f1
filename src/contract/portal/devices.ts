/**
 * The person's own devices that come by ActiveSync (M6): seeing them, and keeping one out.
 *
 * Somebody else's are 'not-found'. Where new devices wait for an administrator (`eas.quarantine`), the owner can't let one in:
 * one that waits could be blocked and then allowed, which would be the way around it.
 */

import { z } from 'zod'
import type { DeviceView } from '../services/devices.ts'
import { device } from '../services/devices.ts'
import type { SessionsEnded } from '../services/method.ts'
import { method } from '../services/method.ts'
import { client, token } from './client.ts'

export interface OwnDevices {
  /** By id. */
  readonly devices: readonly DeviceView[]
  /** Whether the owner can allow one; otherwise only an administrator can. */
  readonly mayAllow: boolean
}

const which = z.strictObject({ client, session: token, id: device })

export const DEVICE_METHODS = {
  'device.list': method<OwnDevices>()(z.strictObject({ session: token })),
  /** Needs no step-up: taking access away is never made hard. */
  'device.block': method<{ readonly device: DeviceView } & SessionsEnded>()(which),
  /** 'forbidden' where new devices wait for an administrator. */
  'device.allow': method<{ readonly device: DeviceView }>()(which),
  /** It is new when it comes again, so it waits where new ones do. */
  'device.forget': method<null>()(which),
} as const
