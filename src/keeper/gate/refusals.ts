/**
 * Logins that are not let in: what they cost, what the client is told, and what the owner reads later in the portal.
 *
 * A wrong secret keeps its charge; one that is the user's own but of no use here (deleted, expired, another protocol) is
 * slowed and not counted.
 */

import type { Config } from '../../config.ts'
import type { LoginAttempt } from '../../contract/admission.ts'
import type { LoginFailureReason } from '../../contract/failure.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Keys } from '../../records/keys.ts'
import type { TombstoneTriesBatch } from '../../records/last-use.ts'
import type { RefusedLogins, RefusedWithNotice } from '../../records/refused-logins.ts'
import { REFUSED_WITH_NOTICE } from '../../records/refused-logins.ts'
import type { AppPasswordRow, TombstoneRow, UserRow } from '../../records/store/store.ts'
import type { Secret } from '../../secret.ts'
import type { PrimaryLogin } from '../admit-primary.ts'
import { nameForLog } from '../log-names.ts'
import type { PolicyConfig } from '../policy.ts'
import { appPasswordsAllowed } from '../policy.ts'
import type { Charge } from '../throttle.ts'
import type { TypedPrimary } from '../typed-primary.ts'

/** A login whose secret is no app password of the name. */
export type Unrecognised = Omit<PrimaryLogin, 'route'>

export interface RefusalsOptions {
  /** Called at each use, so that a reload takes effect. */
  readonly config: () => PolicyConfig & Pick<Config, 'domains'>
  readonly keys: Keys
  readonly tombstoneTries: TombstoneTriesBatch
  readonly refusedLogins: RefusedLogins
  readonly typedPrimary: TypedPrimary
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
}

/** What to throw for a login that is not let in. Those that judge a secret decide its charge. */
export interface Refusals {
  /** How the name stands in the log. */
  logNameOf(name: string, user: UserRow | null): string
  /** A wrong guess, counted. */
  guessed(name: string, user: UserRow | null, secret: Secret, charge: Charge, detail: string): Promise<LoginFailure>
  /** The secret is the user's own, so nobody guessed it. */
  ownButRefused(reason: LoginFailureReason, user: UserRow, charge: Charge, detail: string): LoginFailure
  /** ActiveSync has a status and no words: its owner reads the reason in the portal. */
  noteRefused(
    attempt: LoginAttempt,
    user: UserRow,
    reason: LoginFailureReason,
    appPassword: Pick<AppPasswordRow, 'id' | 'name'> | null,
  ): void
  /** M5: the old phone. Its owner is told of it in the portal. */
  deletedButTried(
    attempt: LoginAttempt,
    user: UserRow,
    tombstone: Pick<TombstoneRow, 'name' | 'digest'>,
    charge: Charge,
  ): LoginFailure
  /** A secret that nobody is asked about: counted, and told when its delay is over. */
  refuseUnknown(login: Unrecognised): Promise<LoginFailure>
  /** Whether it is the primary password of a user who is known at this place and may have app passwords. */
  recognise(login: Unrecognised): Promise<boolean>
  /** The words for it, once both are known. */
  unknown(login: Unrecognised, isPrimary: boolean, delayMs: number): LoginFailure
}

export function createRefusals(options: RefusalsOptions): Refusals {
  const { config, keys, tombstoneTries, refusedLogins, typedPrimary, now, clock } = options

  const logNameOf = (name: string, user: UserRow | null) => nameForLog(keys, name, user, config().domains)

  async function guessed(
    name: string,
    user: UserRow | null,
    secret: Secret,
    charge: Charge,
    detail: string,
  ): Promise<LoginFailure> {
    const logName = logNameOf(name, user)
    const { delayMs, throttled } = await charge.failed(secret)
    return new LoginFailure(throttled ? 'throttled' : 'bad-credentials', detail, { delayMs, logName })
  }

  function ownButRefused(reason: LoginFailureReason, user: UserRow, charge: Charge, detail: string): LoginFailure {
    const { address: logName, language } = user
    return new LoginFailure(reason, detail, { delayMs: charge.slowed().delayMs, logName, language })
  }

  function noteRefused(
    { protocol, peer }: LoginAttempt,
    { id: userId }: UserRow,
    reason: LoginFailureReason,
    appPassword: Pick<AppPasswordRow, 'id' | 'name'> | null,
  ): void {
    if (protocol !== 'eas' || !isToldLater(reason)) return
    const which = appPassword && { id: appPassword.id, name: appPassword.name }
    refusedLogins.note({ userId, reason, appPassword: which, at: clock(), ip: peer.ip, protocol })
  }

  function deletedButTried(
    { protocol, peer }: LoginAttempt,
    user: UserRow,
    { name, digest }: Pick<TombstoneRow, 'name' | 'digest'>,
    charge: Charge,
  ): LoginFailure {
    tombstoneTries.note({ userId: user.id, digest, at: clock(), ip: peer.ip, protocol, tries: 1 })
    return ownButRefused('app-password-deleted', user, charge, `the app password "${name}" was deleted`)
  }

  async function refuseUnknown(login: Unrecognised): Promise<LoginFailure> {
    const { user, secret, charge } = login
    const { delayMs, throttled } = await charge.failed(secret)
    const since = now()
    // Asked for an unknown user, too, so that both take the same steps.
    const isPrimary = await recognise({ ...login, user: throttled ? null : user })
    // The time since then is part of the delay: nobody sees whether argon2 ran.
    const leftMs = Math.max(0, Math.round(delayMs - (now() - since)))
    return throttled
      ? new LoginFailure('throttled', whyNot(login.name, user), {
          delayMs: leftMs,
          logName: logNameOf(login.name, user),
        })
      : unknown(login, isPrimary, leftMs)
  }

  function recognise({ user, secret, attempt }: Unrecognised): Promise<boolean> {
    // Whoever may have none is not sent for one.
    const who = user !== null && appPasswordsAllowed(config(), user) ? user : null
    return typedPrimary.recognise(who, secret, attempt.peer.ip)
  }

  function unknown({ name, user, attempt }: Unrecognised, isPrimary: boolean, delayMs: number): LoginFailure {
    const logName = logNameOf(name, user)
    if (isPrimary && user) noteRefused(attempt, user, 'use-app-password', null)
    if (!isPrimary) return new LoginFailure('bad-credentials', whyNot(name, user), { delayMs, logName })
    const detail = 'the primary password, where an app password is needed'
    return new LoginFailure('use-app-password', detail, { delayMs, logName, language: user?.language ?? null })
  }

  return { logNameOf, guessed, ownButRefused, noteRefused, deletedButTried, refuseUnknown, recognise, unknown }
}

function isToldLater(reason: LoginFailureReason): reason is RefusedWithNotice {
  return (REFUSED_WITH_NOTICE as readonly LoginFailureReason[]).includes(reason)
}

/** For the log. Who typed what nobody can be called has come as the empty name (edge/login/exchange.ts). */
function whyNot(name: string, user: UserRow | null): string {
  if (name === '') {
    return 'a name that nobody can have: a domain\\ that names.windowsDomains does not list, a character that names.allow does not, or somebody else to act for'
  }
  if (user === null) return 'no such user'
  return user.enabled ? 'wrong secret, or not from here' : 'the user is disabled'
}
