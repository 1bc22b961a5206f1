/**
 * Services about open mail sessions.
 */

import { z } from 'zod'
import type { SessionsEnded } from './method.ts'
import { address, id, method } from './method.ts'

export interface SessionView {
  readonly id: string
  readonly user: string
  readonly protocol: string
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly ip: string
  readonly startedAt: string
  readonly upstream: string | null
  /** 'connecting' until the upstream has accepted the login. */
  readonly state: 'connecting' | 'open'
}

export const SESSION_METHODS = {
  /** `after` is the id of the last session of the page before. */
  'session.list': method<{ sessions: readonly SessionView[]; next: string | null }>()(
    z.strictObject({
      user: address.optional(),
      after: z.string().nullable().default(null),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  /** At least one of the three; a session must match all that are given. */
  'session.end': method<SessionsEnded>()(
    z.strictObject({ user: address.optional(), appPassword: id.optional(), id: id.optional() }),
  ),
} as const
