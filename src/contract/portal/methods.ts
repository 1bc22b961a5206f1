/**
 * The list on the security info page (R30–R32): second steps, recovery codes, app passwords, and what became of deleted ones.
 *
 * Reading needs a session; changing needs a fresh one ('step-up-needed' otherwise). The first second step of a session at stage
 * 'enrolling' needs no other: the invitation or the password was the proof.
 */

import { z } from 'zod'
import type { AppPasswordView, IssuedAppPassword, RevokedAppPasswords } from '../services/app-passwords.ts'
import type { SessionsEnded } from '../services/method.ts'
import { id, method, protocols } from '../services/method.ts'
import type { SessionView } from '../services/sessions.ts'
import type { FreshSession, WebauthnJson } from './client.ts'
import { client, code, token, typedPassword, webauthnJson } from './client.ts'

export interface TotpView {
  readonly id: string
  readonly name: string
  readonly createdAt: string
  readonly lastUsedAt: string | null
}

export interface PasskeyView extends TotpView {
  /** It is kept in an account in somebody's cloud, not on one device. */
  readonly synced: boolean
}

export interface MethodList {
  readonly totp: readonly TotpView[]
  readonly passkeys: readonly PasskeyView[]
  readonly recoveryCodes: { readonly left: number; readonly madeAt: string } | null
  /** Provider it is linked with, for people who sign in there. */
  readonly providers: readonly { readonly id: string; readonly name: string; readonly linkedAt: string }[]
  /** Newest first; empty and never mentioned when the policy forbids them and there are none. */
  readonly appPasswords: readonly PortalAppPassword[]
  /** Short names for scanners, on the ports that take them (M11). */
  readonly aliases: readonly AliasView[]
  readonly notices: readonly Notice[]
}

export interface AliasView {
  readonly alias: string
  readonly protocol: string
  readonly port: number
  /** What to set as From on the device; nothing is enforced. */
  readonly sender: string | null
}

export interface PortalAppPassword extends AppPasswordView {
  /** Open mail sessions right now. */
  readonly sessions: number
}

/** What the person should know. `id` dismisses it. */
export type Notice =
  /** A deleted app password is still tried: the old phone (M5). */
  | {
      readonly kind: 'deleted-still-tries'
      readonly id: string
      readonly name: string
      readonly deletedAt: string
      readonly lastTriedAt: string
      readonly ip: string
      readonly protocol: string
      readonly tries: number
    }
  /** A secret of the user's own was refused where the protocol has no words (ActiveSync). `name` null: the primary password. */
  | {
      readonly kind: 'login-refused'
      readonly id: string
      readonly reason: string
      readonly name: string | null
      readonly at: string
      readonly ip: string
      readonly protocol: string
    }
  /** A set-up link was used; `appPassword` is the one it made, to delete if it was not them. */
  | {
      readonly kind: 'set-up-used'
      readonly id: string
      readonly name: string
      readonly appPassword: string
      readonly at: string
      readonly ip: string
    }
  /** Somebody else (an administrator) did this to the account. */
  | {
      readonly kind: 'done-for-you'
      readonly id: string
      readonly what: string
      readonly name: string | null
      readonly at: string
    }
  | { readonly kind: 'recovery-codes-low'; readonly id: string; readonly left: number }
  /** The primary password was reset and `onPasswordReset` is 'ask'. */
  | { readonly kind: 'password-was-reset'; readonly id: string; readonly at: string; readonly appPasswords: number }

const name = z.string().min(1).max(256)

export const METHOD_METHODS = {
  'methods.list': method<MethodList>()(z.strictObject({ session: token })),

  /** `secret` in base32 and as otpauth:// address (for the QR code). Good for ten minutes, unconfirmed. */
  'totp.begin': method<{ readonly id: string; readonly secret: string; readonly uri: string }>()(
    z.strictObject({ session: token }),
  ),
  /** null: the code does not fit. A first method makes the recovery codes, too, to be shown once. */
  'totp.confirm': method<MethodAdded | null>()(z.strictObject({ client, session: token, id, code, name })),
  'passkey.begin': method<{ readonly options: WebauthnJson }>()(z.strictObject({ session: token })),
  'passkey.confirm': method<MethodAdded | null>()(
    z.strictObject({ client, session: token, response: webauthnJson, name }),
  ),
  /** The person's own password for the portal, first or new; ends the person's other sessions. 'invalid' says what is wrong. */
  'password.set': method<FreshSession>()(z.strictObject({ client, session: token, password: typedPassword })),
  /** A new set; the old ones are worth nothing. */
  'recovery-codes.renew': method<{ readonly codes: readonly string[] }>()(z.strictObject({ client, session: token })),
  /** 'forbidden' for the last second step: it can be replaced, not deleted. */
  'method.delete': method<null>()(
    z.strictObject({ client, session: token, kind: z.enum(['totp', 'passkey', 'provider']), id }),
  ),
  /** Ends stage 'enrolling': the person has seen recovery codes and, where allowed, the first app password. */
  'enrolment.finish': method<null>()(z.strictObject({ session: token })),
  'notice.dismiss': method<null>()(z.strictObject({ session: token, id })),

  /** 'cap-reached': show the list, oldest unused first, and come back with the name (R9). */
  'app-password.issue': method<IssuedAppPassword>()(
    z.strictObject({
      client,
      session: token,
      name,
      protocols: protocols.optional(),
      networks: z.array(z.string().max(64)).max(32).default([]),
      expiresInMs: z.number().int().positive().nullable().optional(),
    }),
  ),
  'app-password.rename': method<null>()(z.strictObject({ session: token, id, name })),
  /** Needs no step-up: taking access away is never made hard. */
  'app-password.revoke': method<RevokedAppPasswords>()(z.strictObject({ client, session: token, id })),
  'app-password.revoke-all': method<RevokedAppPasswords>()(z.strictObject({ client, session: token })),

  'mail-session.list': method<readonly SessionView[]>()(z.strictObject({ session: token })),
  'mail-session.end': method<SessionsEnded>()(z.strictObject({ client, session: token, id })),
} as const

/** A second step was added. Its session has a new token. */
export interface MethodAdded {
  readonly session: FreshSession
  /** Only when there were none before: shown once. */
  readonly recoveryCodes: readonly string[] | null
}
