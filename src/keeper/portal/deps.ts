/**
 * What the handlers of the portal work with.
 */

import type { Config } from '../../config.ts'
import type { NameRules } from '../../contract/names.ts'
import type { ServiceHandlers } from '../../contract/services.ts'
import type { Log } from '../../log.ts'
import type { AppPasswords } from '../../records/app-passwords.ts'
import type { Bus } from '../../records/bus.ts'
import type { PasswordHasher } from '../../records/hash.ts'
import type { Keys } from '../../records/keys.ts'
import type { OneTimeLinks } from '../../records/one-time-links.ts'
import type { PortalSessions } from '../../records/portal-sessions.ts'
import type { Store } from '../../records/store/store.ts'
import type { TwoStep } from '../../records/two-step.ts'
import type { Users } from '../../records/users.ts'
import type { Grants } from '../grants.ts'
import type { Notifier } from '../notifier.ts'
import type { Throttle } from '../throttle.ts'

export interface PortalDeps {
  /** Called at each use, so that a reload takes effect. */
  readonly config: () => Config
  readonly names: () => NameRules
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly users: Users
  readonly notifier: Notifier
  readonly twoStep: TwoStep
  readonly sessions: PortalSessions
  readonly links: OneTimeLinks
  readonly appPasswords: AppPasswords
  readonly grants: Grants
  readonly throttle: Throttle
  /** The services of the command line: what the portal changes, it changes through them. */
  readonly services: ServiceHandlers
  readonly bus: Bus
  readonly log: Log
  readonly clock: () => Date
  /** Monotonic, milliseconds. */
  readonly now: () => number
}
