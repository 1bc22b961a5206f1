/**
 * Why a session that is open would not be admitted now, in the words of the audit trail (pure).
 */

import { isLive } from '../records/app-password.ts'
import type { LiveCheck } from '../records/store/store.ts'
import type { EndCause } from './ending.ts'
import type { SessionInfo } from './grants/places.ts'
import type { PolicyConfig } from './policy.ts'
import { appPasswordsAllowed, mayUsePrimaryPassword, refusalOf } from './policy.ts'
import type { RoutesConfig } from './upstream/routes.ts'
import { routeFor } from './upstream/routes.ts'

export type StayConfig = PolicyConfig & RoutesConfig

/** null: it may stay. @param live the record as it is now; null: there is no such user any more */
export function whyNot(config: StayConfig, session: SessionInfo, live: LiveCheck | null, now: Date): EndCause | null {
  if (live === null) return 'user-deleted'
  const { user, appPassword } = live
  if (session.appPassword === null) {
    if (!user.enabled) return 'user-disabled'
    if (user.enrolledAt !== null) return 'two-step-enrolled'
    if (!mayUsePrimaryPassword(config, user)) return 'configuration'
  } else {
    if (appPassword === null) return 'app-password-deleted'
    if (!isLive(appPassword, now)) return 'expired'
    if (!user.enabled) return 'user-disabled'
    if (!appPasswordsAllowed(config, user)) return 'policy'
    if (refusalOf(config, user, appPassword, session.protocol, session.ip, now) !== null) return 'app-password-narrowed'
  }
  return isServed(config, session, user.address) ? null : 'configuration'
}

/**
 * Whether there is still a way for this user, and the upstream that the session is at is still one for its protocol. A user
 * who was given another upstream keeps the session at the old one for as long as that is there.
 */
function isServed(config: StayConfig, { upstream, protocol }: SessionInfo, address: string): boolean {
  if (!routeFor(config, address, protocol).ok) return false
  if (upstream === null) return true // taken over from an edge: not known
  return Object.hasOwn(config.upstreams, upstream) && (config.upstreams[upstream]?.[protocol] ?? null) !== null
}
