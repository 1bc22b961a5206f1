/**
 * Services about policy: whether app passwords are allowed for everybody, a group, a user. What is set here goes before what
 * the configuration says, at once and until it is taken back.
 */

import { z } from 'zod'
import type { SessionsEnded } from './method.ts'
import { address, method } from './method.ts'

export type PolicySetting = 'allowed' | 'forbidden'

export interface PolicyView {
  readonly scope: 'all' | 'group' | 'user'
  /** The group's name or the user's address; null for everybody. */
  readonly subject: string | null
  /** What holds for it; null: nothing of its own, so what is wider says. */
  readonly appPasswords: PolicySetting | null
  /** Where that comes from: set while running, or the configuration's. */
  readonly source: 'set' | 'configured'
  /** What the configuration says about the same; null: nothing. */
  readonly configured: PolicySetting | null
}

/** What holds for one user and which setting decides it: the user's own, else those of groups (the strictest), else everybody's. */
export interface UserPolicyView {
  readonly user: string
  readonly appPasswords: PolicySetting
  readonly decidedBy: Pick<PolicyView, 'scope' | 'subject' | 'source'>
  readonly perUser: number
  /** The longest life, in milliseconds; null: for ever. */
  readonly expiryMs: number | null
  readonly protocols: readonly string[]
}

const appPasswords = z.enum(['allowed', 'forbidden', 'default'])

export const POLICY_METHODS = {
  /** Everybody, each group with a setting, each user with one. `after` is `next` of the page before. */
  'policy.list': method<{ policies: readonly PolicyView[]; next: string | null }>()(
    z.strictObject({
      after: z.string().max(320).nullable().default(null),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  'policy.show': method<UserPolicyView>()(z.strictObject({ user: address })),
  /** 'default' takes the setting back. Forbidding ends open sessions. */
  'policy.set': method<PolicyView & SessionsEnded & { readonly changed: boolean }>()(
    z.discriminatedUnion('scope', [
      z.strictObject({ scope: z.literal('all'), appPasswords }),
      z.strictObject({ scope: z.literal('group'), group: z.string().min(1).max(64), appPasswords }),
      z.strictObject({ scope: z.literal('user'), user: address, appPasswords }),
    ]),
  ),
} as const
