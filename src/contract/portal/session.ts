/**
 * The portal's own session: who is signed in, with which factors, and making it fresh again (step-up).
 *
 * Everything here and in the other tables that takes a `session` answers ServiceError 'signed-out' when it is unknown, idle or
 * over, and 'step-up-needed' when the keeper itself has verified no factor of the person within the last five minutes.
 */

import { z } from 'zod'
import type { Language } from '../languages.ts'
import { LANGUAGES } from '../languages.ts'
import { method } from '../services/method.ts'
import type { Factor, FreshSession, Refusal, SecondStep, WebauthnJson } from './client.ts'
import { client, code, token, webauthnJson } from './client.ts'

/** 'password': somebody of ours with an authenticator app and nothing to go with it, who could not sign in again. */
export type EnrolmentStep = 'second-step' | 'recovery-codes' | 'password' | 'app-password'

export interface PortalSessionView {
  readonly user: {
    readonly id: string
    readonly address: string
    readonly name: string | null
    readonly admin: boolean
    readonly language: Language | null
    /** It has a password of ours, which `password.set` changes. */
    readonly hasPassword: boolean
  }
  /** 'enrolling': only what sets up two-step, and signing out. */
  readonly stage: 'enrolling' | 'full'
  /** While 'enrolling': what is still to do, in this order. */
  readonly enrolment: readonly EnrolmentStep[]
  readonly factors: readonly { readonly factor: Factor; readonly at: string }[]
  /** Until then methods can be changed and app passwords made; null: a step-up is needed first. */
  readonly freshUntil: string | null
  /** How this user can step up. 'provider': at the OpenID provider it signed in with. */
  readonly stepUp: readonly (SecondStep | 'provider')[]
  readonly beganAt: string
  readonly expiresAt: string
  /** What a form of this session must carry (threats H1). */
  readonly csrf: string
  /** What the policy says for this user. `allowed` false: app passwords are never mentioned (R29). */
  readonly appPasswords: {
    readonly allowed: boolean
    readonly cap: number
    readonly live: number
    readonly protocols: readonly string[]
    /** Milliseconds from creation; null: never. */
    readonly expiryMs: number | null
  }
  readonly ip: string
}

export interface OtherSession {
  /** Not the token. */
  readonly id: string
  readonly beganAt: string
  readonly seenAt: string
  readonly ip: string
  readonly agent: string | null
  readonly current: boolean
}

type StepUpAnswer = Refusal | { readonly next: 'signed-in'; readonly session: FreshSession }

export const PORTAL_SESSION_METHODS = {
  /** null: not signed in. Looking counts as being there. */
  'session.show': method<PortalSessionView | null>()(z.strictObject({ client, session: token })),
  'session.sign-out': method<null>()(z.strictObject({ session: token })),
  'session.others': method<readonly OtherSession[]>()(z.strictObject({ session: token })),
  /** All but this one. */
  'session.sign-out-others': method<{ readonly ended: number }>()(z.strictObject({ session: token })),
  'session.language': method<null>()(z.strictObject({ session: token, language: z.enum(LANGUAGES) })),
  'step-up.totp': method<StepUpAnswer>()(z.strictObject({ client, session: token, code })),
  'step-up.recovery-code': method<StepUpAnswer>()(z.strictObject({ client, session: token, code })),
  'step-up.passkey-begin': method<{ readonly options: WebauthnJson } | Refusal>()(
    z.strictObject({ client, session: token }),
  ),
  'step-up.passkey-finish': method<StepUpAnswer>()(z.strictObject({ client, session: token, response: webauthnJson })),
} as const
