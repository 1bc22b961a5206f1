/**
 * Services about devices that have come by ActiveSync.
 */

import { z } from 'zod'
import type { SessionsEnded } from './method.ts'
import { address, method } from './method.ts'

/** 'waiting': new, and kept out until somebody allows it (quarantine). */
export const DEVICE_STATES = ['allowed', 'blocked', 'waiting'] as const
export type DeviceState = (typeof DEVICE_STATES)[number]

export interface DeviceView {
  readonly id: string
  readonly user: string
  readonly type: string | null
  readonly agent: string | null
  readonly protocolVersion: string | null
  readonly state: DeviceState
  /** An administrator's block is not its owner's to undo. null: it is not blocked. */
  readonly blockedBy: 'owner' | 'administrator' | null
  readonly firstSeenAt: string
  readonly lastSeenAt: string
  readonly lastIp: string
}

/** Raw bytes stand in hexadecimal, so twice the 64 that a device can send. */
export const device = z.string().min(1).max(128).toLowerCase()
const which = z.strictObject({ user: address, id: device })
const state = z.enum(DEVICE_STATES).optional()

export const DEVICE_METHODS = {
  /**
   * All devices of a user, by id: a hundred at the most. Or those of all users page by page, in the order in which they came;
   * `after` is `next` of the page before.
   */
  'device.list': method<{ readonly devices: readonly DeviceView[]; readonly next: string | null }>()(
    z.union([
      z.strictObject({ user: address, state }),
      z.strictObject({
        state,
        after: z.string().max(320).nullable().default(null),
        limit: z.number().int().min(1).max(200).default(100),
      }),
    ]),
  ),
  /** Ends its sessions, and keeps it out from now on. Its app password goes on working elsewhere. */
  'device.block': method<{ readonly device: DeviceView } & SessionsEnded>()(which),
  'device.allow': method<{ readonly device: DeviceView }>()(which),
  /** It is new when it comes again, and app passwords that were its own are nobody's. */
  'device.forget': method<{ readonly id: string; readonly user: string }>()(which),
} as const
