/**
 * What every request of the portal carries: who the browser is, as far as web knows, and the token of its session or flow.
 *
 * Tokens are 128 bits or more, base64url; the keeper keeps a digest of each and nothing else. They are secrets: web holds
 * them in cookies or in the path of a one-time link and logs none.
 */

import { z } from 'zod'
import { LANGUAGES } from '../languages.ts'

/** The browser at the far end, as the https edge saw it. */
export const client = z.strictObject({
  ip: z.string().max(64),
  /** User-Agent, printable, cut. */
  agent: z.string().max(256).nullable(),
  /** What the page that asked is written in. */
  language: z.enum(LANGUAGES),
})
export type PortalClient = z.infer<typeof client>

export const token = z.string().min(16).max(128)
export const code = z.string().min(1).max(64)
export const typedName = z.string().min(1).max(254)
export const typedPassword = z.string().min(1).max(1024)
/** What a browser's WebAuthn call takes or gives (WebAuthn §5, JSON forms): opaque to web, checked by the keeper's library. */
export const webauthnJson = z.record(z.string(), z.unknown())
export type WebauthnJson = Readonly<Record<string, unknown>>

/** How somebody proved who they are. The keeper verified each itself. */
const FACTORS = ['password', 'directory', 'provider', 'totp', 'passkey', 'recovery-code', 'invitation'] as const
export type Factor = (typeof FACTORS)[number]

/** Second steps that a local or directory user can be asked for. */
export const SECOND_STEPS = ['totp', 'passkey', 'recovery-code'] as const
export type SecondStep = (typeof SECOND_STEPS)[number]

/** Why somebody is not signed in (yet). The texts are web's. */
export type Refusal =
  /** Unknown user, wrong password or code, disabled user: one answer, one time. */
  | { readonly next: 'refused'; readonly why: 'bad-credentials' }
  | { readonly next: 'refused'; readonly why: 'throttled'; readonly retryAfterMs: number }
  /** The flow is unknown, over or used: begin again. */
  | { readonly next: 'refused'; readonly why: 'flow-over' }
  /** The provider or directory signed the person in without what we ask for, or as nobody we know. */
  | { readonly next: 'refused'; readonly why: 'no-two-step' | 'not-linked' | 'provider-failed' }
  /** The password was right, but two-step is not set up: it takes an invitation link (`enrolment: invitation`). */
  | { readonly next: 'refused'; readonly why: 'needs-invitation' }

/** A session that has just begun, or has a new token after a step-up: the old token is worth nothing from now on. */
export interface FreshSession {
  readonly token: string
  /** ISO 8601; at the latest. It also ends when it is idle for 30 minutes. */
  readonly expiresAt: string
}

/** What comes after a step of signing in. */
export type SignInAnswer =
  | Refusal
  /** The first factor was right: one of these finishes it. */
  | { readonly next: 'second-step'; readonly flow: string; readonly methods: readonly SecondStep[] }
  /** Signed in. `stage` 'enrolling': two-step must be set up before anything else (R20, R21). */
  | { readonly next: 'signed-in'; readonly session: FreshSession; readonly stage: 'enrolling' | 'full' }
