/**
 * Policy: what the configuration and the live record say about an app password (pure).
 *
 * Everything is asked of the record as it is now, never of what a cache remembers, so a narrowed protocol list, a disabled
 * user or a group that may no longer have app passwords takes effect at the next login, and ends what is open.
 */

import type { ProtocolName } from '../contract/admission.ts'
import type { LoginFailureReason } from '../contract/failure.ts'
import { isLive } from '../records/app-password.ts'
import type { IssuePolicy } from '../records/app-passwords.ts'
import type { AppPasswordRow, UserRow } from '../records/store/store.ts'
import { inNetworks } from './networks.ts'

interface AppPasswordRules {
  readonly allowed: boolean
  readonly perUser: number
  readonly length: number
  /** null: never. */
  readonly expiry: number | null
  readonly protocols: readonly ProtocolName[]
}

/** The part of the configuration that is policy. */
export interface PolicyConfig {
  readonly appPasswords: AppPasswordRules
  readonly groups: Readonly<
    Record<
      string,
      {
        readonly appPasswords: {
          readonly allowed?: boolean | undefined
          readonly perUser?: number | undefined
          readonly expiry?: number | null | undefined
          readonly protocols?: readonly ProtocolName[] | undefined
        }
      }
    >
  >
  readonly primaryPassword: 'refuse' | 'until-enrolled'
}

/** What holds for one user: whether app passwords are allowed (R29), and what a new one may be. */
export interface EffectivePolicy extends IssuePolicy {
  readonly allowed: boolean
}

/** Whom a policy is asked for. */
export type PolicySubject = Pick<UserRow, 'groups' | 'appPasswords'>

/**
 * A user's own setting goes before a group's, a group's before the general one; of several groups the strictest counts.
 */
export function policyFor(config: PolicyConfig, user: PolicySubject): EffectivePolicy {
  const { groups } = user
  const general = config.appPasswords
  const exceptions = groups.flatMap((group) =>
    Object.hasOwn(config.groups, group) ? [config.groups[group]?.appPasswords ?? {}] : [],
  )
  const allowed = exceptions.flatMap((one) => one.allowed ?? [])
  const caps = exceptions.flatMap((one) => one.perUser ?? [])
  const expiries = exceptions.flatMap(({ expiry }) => (expiry === undefined ? [] : [expiry]))
  const limited = expiries.filter((expiry) => expiry !== null)
  const protocols = exceptions.flatMap((one) => (one.protocols === undefined ? [] : [one.protocols]))
  return {
    allowed: user.appPasswords ?? (allowed.length > 0 ? allowed.every(Boolean) : general.allowed),
    cap: caps.length > 0 ? Math.min(...caps) : general.perUser,
    length: general.length,
    expiryMs: expiries.length === 0 ? general.expiry : limited.length > 0 ? Math.min(...limited) : null,
    protocols:
      protocols.length === 0
        ? general.protocols
        : (protocols[0] ?? []).filter((protocol) => protocols.every((list) => list.includes(protocol))),
  }
}

/** Whose setting says whether this user may have app passwords. */
export function decidingRule(
  config: PolicyConfig,
  user: PolicySubject,
): { readonly scope: 'all' | 'user' } | { readonly scope: 'group'; readonly group: string } {
  if (user.appPasswords !== null) return { scope: 'user' }
  const settings = user.groups.flatMap((group) => {
    const allowed = Object.hasOwn(config.groups, group) ? config.groups[group]?.appPasswords.allowed : undefined
    return allowed === undefined ? [] : [{ group, allowed }]
  })
  const decides = settings.find(({ allowed }) => !allowed) ?? settings[0]
  return decides === undefined ? { scope: 'all' } : { scope: 'group', group: decides.group }
}

/** Whether app passwords are allowed for this user: the part of `policyFor` that every login asks. */
export function appPasswordsAllowed(config: PolicyConfig, user: PolicySubject): boolean {
  if (user.appPasswords !== null) return user.appPasswords
  return user.groups.length === 0 ? config.appPasswords.allowed : policyFor(config, user).allowed
}

/**
 * Whether this user could use this app password from here at all. If not, it is as if it did not exist: the same answer, in
 * the same time, as for a wrong secret (invariant 6). So this is asked before argon2.
 *
 * `ip` null: from anywhere.
 */
export function isUsable(config: PolicyConfig, user: UserRow, appPassword: AppPasswordRow, ip: string | null): boolean {
  if (!user.enabled || !appPasswordsAllowed(config, user)) return false
  return ip === null || appPassword.networks.length === 0 || inNetworks(ip, appPassword.networks)
}

/** null: may in. Otherwise the reason, which says no more than the holder of the right secret may know. */
export function refusalOf(
  config: PolicyConfig,
  user: UserRow,
  appPassword: AppPasswordRow,
  protocol: ProtocolName,
  ip: string,
  now: Date,
): LoginFailureReason | null {
  if (!isUsable(config, user, appPassword, ip)) return 'bad-credentials'
  if (!isLive(appPassword, now)) return 'app-password-expired'
  if (!appPassword.protocols.includes(protocol)) return 'not-on-this-protocol'
  return null
}

/** Whether a user may still log in with the primary password: known, enabled, and never set up two-step. */
export function mayUsePrimaryPassword(config: PolicyConfig, user: UserRow): boolean {
  return config.primaryPassword === 'until-enrolled' && user.enabled && user.enrolledAt === null
}
