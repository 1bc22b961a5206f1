/**
 * Services about two-step verification of users: invitations, and taking it away.
 */

import { z } from 'zod'
import { address, method } from './method.ts'

/** The only answers that ever hold an invitation's link. */
export interface IssuedInvitation {
  readonly user: string
  /** null: it was mailed to the user. */
  readonly url: string | null
  readonly expiresAt: string
  readonly mailed: boolean
}

export interface MethodView {
  readonly kind: 'totp' | 'passkey' | 'provider'
  readonly id: string
  readonly name: string
  readonly createdAt: string
  readonly lastUsedAt: string | null
}

const mail = z.boolean().default(false).describe('Send the link to the mailbox instead of showing it.')

export const TWO_STEP_METHODS = {
  /** A link with which the user sets up two-step; takes the place of earlier ones. 'forbidden' for who has two-step. */
  'user.invite': method<IssuedInvitation>()(z.strictObject({ address, mail })),
  /** All methods, recovery codes and portal sessions go; a new invitation comes. App passwords stay. */
  'user.reset-two-step': method<IssuedInvitation & { readonly methodsDeleted: number }>()(
    z.strictObject({ address, mail }),
  ),
} as const
