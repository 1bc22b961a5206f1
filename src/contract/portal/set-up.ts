/**
 * Setting up a device in one step (M10): a link for ten minutes, made after a step-up, that carries nothing itself. Looking at
 * it uses nothing up; consuming it, once, makes a new app password.
 */

import { z } from 'zod'
import { id, method } from '../services/method.ts'
import { client, token } from './client.ts'

export const SET_UP_KINDS = ['imap', 'eas'] as const
export type SetUpKind = (typeof SET_UP_KINDS)[number]

export interface SetUpView {
  readonly user: string
  /** What the app password will be called. */
  readonly name: string
  readonly kind: SetUpKind
  readonly expiresAt: string
}

/** A device's new app password, inside the profile that sets the device up. */
export interface SetUpProfile {
  readonly user: string
  readonly name: string
  readonly kind: SetUpKind
  readonly appPasswordId: string
  /** The whole `.mobileconfig`, signed where there is a certificate for it; base64. */
  readonly profile: string
}

export const SET_UP_METHODS = {
  /** 'step-up-needed', 'cap-reached', 'forbidden'; 'not-configured' for a kind whose servers are not offered. */
  'set-up.create': method<{ readonly token: string; readonly expiresAt: string }>()(
    z.strictObject({ client, session: token, name: z.string().min(1).max(256), kind: z.enum(SET_UP_KINDS) }),
  ),
  /** What became of the links that this person made within the last day. */
  'set-up.list': method<
    readonly {
      readonly id: string
      readonly name: string
      readonly createdAt: string
      readonly usedAt: string | null
      readonly usedIp: string | null
      readonly appPassword: string | null
    }[]
  >()(z.strictObject({ session: token })),
  'set-up.cancel': method<null>()(z.strictObject({ session: token, id })),
  /** null: unknown, used or run out. */
  'set-up.show': method<SetUpView | null>()(z.strictObject({ client, setUp: token })),
  /**
   * null: unknown, used, run out, or taken back (before or meanwhile: nothing has been made then). Otherwise it is used up now,
   * unless no app password could be made ('cap-reached', 'forbidden', 'unavailable').
   */
  'set-up.consume': method<SetUpProfile | null>()(z.strictObject({ client, setUp: token })),
} as const
