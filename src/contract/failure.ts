/**
 * LoginFailure and its closed list of reasons.
 *
 * Everything that can go wrong between a login command and the session becomes one of these. Each protocol words them in
 * one table typed `Record<LoginFailureReason, …>`, so a new reason does not compile until every protocol words it.
 * The public text never says more than the reason; the message of the error is for operators and goes to the log only.
 */

import type { Language } from './languages.ts'

export const LOGIN_FAILURE_REASONS = [
  /** Unknown user, wrong secret, disabled user, wrong network: one text, one time. */
  'bad-credentials',
  /** The secret is the user's own, but was deleted, has run out, or is not for this protocol: holding it proves who asks. */
  'app-password-deleted',
  'app-password-expired',
  'not-on-this-protocol',
  /** The primary password was typed where an app password is needed. */
  'use-app-password',
  /** The secret is right; the device (ActiveSync) is blocked, waits to be allowed, is one too many, or is not the secret's own. */
  'device-refused',
  'tls-required',
  'throttled',
  'too-many-sessions',
  /** From here on: our own faults or the upstream's. They must never read as a wrong password. */
  'store-unavailable',
  'keeper-unavailable',
  'upstream-unreachable',
  'upstream-protocol',
  /** The upstream refused *our* credential: the client's was right. */
  'upstream-refused',
  'token-unavailable',
  'busy',
] as const

export type LoginFailureReason = (typeof LOGIN_FAILURE_REASONS)[number]

/** What an operator, and the edge, need besides the reason. None of it is ever shown to the client. */
export interface LoginFailureContext {
  /** How long the edge waits before it words the refusal, in milliseconds. Default 0. */
  readonly delayMs?: number
  /** The name to log, as the keeper returned it: an account's name, or a keyed hash of an unknown one. Default null. */
  readonly logName?: string | null
  /** The user's language, only where the secret presented is the user's own. Default null: everybody hears the same. */
  readonly language?: Language | null
  readonly cause?: unknown
}

/** A login that did not come about, for a reason that the client can be told. */
export class LoginFailure extends Error {
  readonly reason: LoginFailureReason
  readonly delayMs: number
  readonly logName: string | null
  readonly language: Language | null

  /** `detail` is what was attempted, on what, and what came back: for the log, never for the client, never with a secret. */
  constructor(reason: LoginFailureReason, detail: string, context: LoginFailureContext = {}) {
    super(detail, context.cause === undefined ? undefined : { cause: context.cause })
    this.name = 'LoginFailure'
    this.reason = reason
    this.delayMs = context.delayMs ?? 0
    this.logName = context.logName ?? null
    this.language = context.language ?? null
  }
}

const FAULTS: ReadonlySet<LoginFailureReason> = new Set([
  'store-unavailable',
  'keeper-unavailable',
  'upstream-unreachable',
  'upstream-protocol',
  'upstream-refused',
  'token-unavailable',
  'busy',
])

/** Whether a reason is a fault of ours or of the upstream, which no client may take for a wrong password (invariant 11). */
export function isOurFault(reason: LoginFailureReason): boolean {
  return FAULTS.has(reason)
}
