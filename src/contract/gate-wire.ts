/**
 * The words of admission.ts as plain JSON, for the channel between an edge and the keeper, and back. Pure.
 *
 * A `Secret` becomes text in the message that is sent and a Secret again in the process that receives it, and here is the only
 * place where that happens: left to itself it would cross as a placeholder, and nothing would work, rather than leak.
 * The certificates of an upstream (`ca`, tens of kilobytes) cross once per channel and are named by a number afterwards.
 */

import { IpcFailure } from '../ipc.ts'
import { Secret } from '../secret.ts'
import type { Credential, Grant, LoginAttempt, UpstreamIdentity } from './admission.ts'
import type { LoginFailureReason } from './failure.ts'
import { LOGIN_FAILURE_REASONS, LoginFailure } from './failure.ts'

/** What an edge may send: requests `resume` and `admit`, notices `settle` and `ended`. The keeper sends `end`, `ca` and `ca-gone`. */
export const GATE_ROLE = 'edge'

type WithText<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]: string }
type PasswordCredential = Extract<Credential, { readonly kind: 'password' }>
type BearerCredential = Extract<Credential, { readonly kind: 'bearer' }>

export type CredentialWire = WithText<PasswordCredential, 'secret'> | WithText<BearerCredential, 'token'>
export type AttemptWire = Omit<LoginAttempt, 'credential'> & { readonly credential: CredentialWire }

type PasswordIdentity = Extract<UpstreamIdentity, { readonly kind: 'password' }>
type OauthIdentity = Extract<UpstreamIdentity, { readonly kind: 'oauth' }>
type IdentityWire =
  | WithText<PasswordIdentity, 'secret'>
  | (Omit<OauthIdentity, 'accessToken' | 'expiresAt'> & { readonly accessToken: string; readonly expiresAt: number })

/** `ca`: a number that a `ca` notice has given to a PEM text on this channel. */
export type GrantWire = Omit<Grant, 'upstream'> & {
  readonly upstream: Omit<Grant['upstream'], 'ca' | 'identity'> & {
    readonly ca: number | null
    readonly identity: IdentityWire
  }
}

/** A PEM text in parts, the last one marked. On one channel a number stands for one text, ever: a grant on its way means what it meant. */
export interface CaNotice {
  readonly number: number
  readonly text: string
  readonly last: boolean
}

/** PEM texts that an edge keeps. When a keeper has been given more in its life, the oldest is forgotten: a `ca-gone` notice with its number. */
export const MAX_CA_TEXTS = 64
/** Characters per part: fits a frame, whatever JSON escapes. */
const CA_PART = 10_000

export function caNotices(number: number, pem: string): CaNotice[] {
  const notices: CaNotice[] = []
  for (let at = 0; at === 0 || at < pem.length; at += CA_PART) {
    notices.push({ number, text: pem.slice(at, at + CA_PART), last: at + CA_PART >= pem.length })
  }
  return notices
}

export function attemptToWire(attempt: LoginAttempt): AttemptWire {
  const { protocol, mechanism, credential, peer, agent, device } = attempt
  return {
    protocol,
    mechanism,
    peer,
    agent,
    ...(device && { device }),
    credential:
      credential.kind === 'password'
        ? { ...credential, secret: credential.secret.reveal() }
        : { ...credential, token: credential.token.reveal() },
  }
}

export function attemptFromWire(wire: AttemptWire): LoginAttempt {
  const { credential } = wire
  return {
    ...wire,
    credential:
      credential.kind === 'password'
        ? { ...credential, secret: new Secret(credential.secret) }
        : { ...credential, token: new Secret(credential.token) },
  }
}

export function grantToWire(grant: Grant, ca: number | null): GrantWire {
  const { identity } = grant.upstream
  return {
    ...grant,
    upstream: {
      ...grant.upstream,
      ca,
      identity:
        identity.kind === 'password'
          ? { ...identity, secret: identity.secret.reveal() }
          : { ...identity, accessToken: identity.accessToken.reveal(), expiresAt: identity.expiresAt.getTime() },
    },
  }
}

export function grantFromWire(wire: GrantWire, ca: string | null): Grant {
  const { identity } = wire.upstream
  return {
    ...wire,
    upstream: {
      ...wire.upstream,
      ca,
      identity:
        identity.kind === 'password'
          ? { ...identity, secret: new Secret(identity.secret) }
          : {
              ...identity,
              accessToken: new Secret(identity.accessToken),
              expiresAt: new Date(identity.expiresAt),
            },
    },
  }
}

const LOGIN_FAILURE = 'login-failure'

/** A LoginFailure as an answer. Its cause stays where it is. */
export function failureToWire({ reason, message, delayMs, logName, language }: LoginFailure): IpcFailure {
  return new IpcFailure(LOGIN_FAILURE, message, { reason, delayMs, logName, language })
}

/** The LoginFailure that the keeper meant; null when it meant none. */
export function failureFromWire(failure: IpcFailure): LoginFailure | null {
  if (failure.code !== LOGIN_FAILURE) return null
  const { reason, delayMs, logName, language } = failure.data as Omit<LoginFailure, 'reason'> & { reason: string }
  const known: readonly string[] = LOGIN_FAILURE_REASONS
  if (!known.includes(reason)) return null
  return new LoginFailure(reason as LoginFailureReason, failure.message, { delayMs, logName, language })
}
