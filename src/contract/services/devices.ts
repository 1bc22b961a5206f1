/**
 * Services about devices that have come by ActiveSync.
 */

import { z } from 'zod'
import type { SessionsEnded } from './method.ts'
import { address, method } from './method.ts'

export interface DeviceView {
  readonly id: string
  readonly user: string
  readonly type: string | null
  readonly agent: string | null
  readonly protocolVersion: string | null
  /** 'waiting': new, and kept out until somebody allows it. */
  readonly state: 'allowed' | 'blocked' | 'waiting'
  /** An administrator's block is not its owner's to undo. null: it is not blocked. */
  readonly blockedBy: 'owner' | 'administrator' | null
  readonly firstSeenAt: string
  readonly lastSeenAt: string
  readonly lastIp: string
}

/** Raw bytes stand in hexadecimal, so twice the 64 that a device can send. */
export const device = z.string().min(1).max(128).toLowerCase()
const which = z.strictObject({ user: address, id: device })

export const DEVICE_METHODS = {
  /** Ordered by id; a user has a hundred at the most. */
  'device.list': method<{ readonly devices: readonly DeviceView[] }>()(z.strictObject({ user: address })),
  /** Ends its sessions, and keeps it out from now on. Its app password goes on working elsewhere. */
  'device.block': method<{ readonly device: DeviceView } & SessionsEnded>()(which),
  'device.allow': method<{ readonly device: DeviceView }>()(which),
  /** It is new when it comes again, and app passwords that were its own are nobody's. */
  'device.forget': method<{ readonly id: string; readonly user: string }>()(which),
} as const
