/**
 * Signing in to the portal (R33): local users, a directory (LDAP), OpenID providers, passkeys alone, invitations.
 *
 * A flow is one attempt to sign in, held by the keeper for ten minutes and named by its token. An app password opens none of
 * this. All of it goes through the same throttle as the mail protocols (threats H10).
 */

import { z } from 'zod'
import { method } from '../services/method.ts'
import type { FreshSession, Refusal, SignInAnswer, WebauthnJson } from './client.ts'
import { client, code, token, typedName, typedPassword, webauthnJson } from './client.ts'

export interface SignInOptions {
  /** A form for name and password: local users, or those of a directory. */
  readonly password: boolean
  readonly passkey: boolean
  /** `id` names it in `sign-in.provider-begin`; `name` is for the button. */
  readonly providers: readonly { readonly id: string; readonly name: string }[]
  readonly enrolment: 'invitation' | 'password'
}

export interface InvitationView {
  readonly user: string
  readonly name: string | null
  readonly expiresAt: string
  /** 'reset': two-step was reset, and is set up anew. */
  readonly why: 'new-user' | 'reset'
}

export const SIGN_IN_METHODS = {
  'sign-in.options': method<SignInOptions>()(z.strictObject({})),
  'sign-in.password': method<SignInAnswer>()(z.strictObject({ client, user: typedName, password: typedPassword })),
  'sign-in.totp': method<SignInAnswer>()(z.strictObject({ client, flow: token, code })),
  'sign-in.recovery-code': method<SignInAnswer>()(z.strictObject({ client, flow: token, code })),
  /** `flow` null: a passkey alone signs in (it was made with user verification, so it is two steps in one). */
  'sign-in.passkey-begin': method<{ readonly flow: string; readonly options: WebauthnJson } | Refusal>()(
    z.strictObject({ client, flow: token.nullable() }),
  ),
  'sign-in.passkey-finish': method<SignInAnswer>()(z.strictObject({ client, flow: token, response: webauthnJson })),
  /**
   * `session` null: sign in; otherwise a step-up of that session (`prompt=login`, `max_age`), or the first link of its user
   * when `link`. `url` is where the browser goes; the flow's token belongs into a cookie, to be there at the return.
   */
  'sign-in.provider-begin': method<{ readonly flow: string; readonly url: string } | Refusal>()(
    z.strictObject({
      client,
      provider: z.string().max(64),
      session: token.nullable(),
      link: z.boolean().default(false),
    }),
  ),
  /** `query`: all of the query string that the provider sent the browser back with. The keeper exchanges the code. */
  'sign-in.provider-finish': method<SignInAnswer>()(
    z.strictObject({ client, flow: token, query: z.string().max(8192) }),
  ),
  /** A logout token of a provider (OpenID Connect Back-Channel Logout §2.5): ends that person's portal sessions. */
  'sign-in.provider-logout': method<{ readonly ended: number }>()(
    z.strictObject({ provider: z.string().max(64), logoutToken: z.string().max(16_384) }),
  ),
  /** null: unknown, used or run out. Looking uses nothing up. */
  'invitation.show': method<InvitationView | null>()(z.strictObject({ client, invitation: token })),
  /** Uses it up and begins a session at stage 'enrolling'. */
  'invitation.accept': method<{ readonly next: 'signed-in'; readonly session: FreshSession } | Refusal>()(
    z.strictObject({ client, invitation: token }),
  ),
} as const
