/**
 * What the services share: their collaborators, the words for a store that is away, and answers that fit a frame.
 */

import type { Config } from '../../config.ts'
import type { NameRules } from '../../contract/names.ts'
import { canonicalName } from '../../contract/names.ts'
import { ServiceError } from '../../contract/services.ts'
import type { Log } from '../../log.ts'
import type { ApiTokens } from '../../records/api-tokens.ts'
import type { AppPasswords } from '../../records/app-passwords.ts'
import { HasherError } from '../../records/hash.ts'
import type { Keys } from '../../records/keys.ts'
import { notAName } from '../../records/lookup.ts'
import type { OneTimeLinks } from '../../records/one-time-links.ts'
import type { Policies } from '../../records/policies.ts'
import type { StoredSecrets } from '../../records/secrets.ts'
import type { Store } from '../../records/store/store.ts'
import { StoreError } from '../../records/store/store.ts'
import type { TwoStep } from '../../records/two-step.ts'
import type { Users } from '../../records/users.ts'
import type { AuditLoss } from '../audit-loss.ts'
import type { Devices } from '../devices.ts'
import type { Grants } from '../grants.ts'
import type { LivePolicy } from '../live-policy.ts'
import type { Notifier } from '../notifier.ts'
import type { PrimaryPasswords } from '../primary.ts'
import type { Revocation } from '../revocation.ts'
import type { Throttle } from '../throttle.ts'

export interface ServiceDeps {
  /** Called at each use, so that a reload takes effect. */
  readonly config: () => Config
  readonly names: () => NameRules
  readonly store: Store
  readonly keys: Keys
  readonly users: Users
  readonly appPasswords: AppPasswords
  readonly secrets: StoredSecrets
  readonly grants: Grants
  readonly policies: Policies
  readonly livePolicy: LivePolicy
  readonly revocation: Revocation
  readonly loss: AuditLoss
  readonly twoStep: TwoStep
  readonly links: OneTimeLinks
  readonly apiTokens: ApiTokens
  readonly notifier: Notifier
  readonly throttle: Throttle
  /** Of those who judge primary passwords for us: the mail servers, the directory. */
  readonly rations: readonly PrimaryPasswords[]
  readonly devices: Devices
  readonly log: Log
  readonly clock: () => Date
  readonly version: string
  /** The process that an operator sends signals to. */
  readonly serverPid: number
  readonly redisState: () => 'up' | 'down' | 'none'
}

/** A page with what stands around it fits 64 KiB. */
const MAX_PAGE_BYTES = 56 * 1024
/** Lists that have no next page: cut only where the channel's largest answer (4 MiB) would break. */
export const MAX_WHOLE_LIST_BYTES = 3 * 1024 * 1024

/** As many of the rows, from the first on, as go into so many bytes of JSON. */
export function fitting<T>(rows: readonly T[], maxBytes = MAX_PAGE_BYTES): readonly T[] {
  let bytes = 0
  const end = rows.findIndex((row) => {
    bytes += Buffer.byteLength(JSON.stringify(row)) + 1
    return bytes > maxBytes
  })
  return end < 0 ? rows : rows.slice(0, end)
}

/** The canonical form of an address that somebody typed. @throws ServiceError 'invalid' */
export function canonical(address: string, rules: NameRules): string {
  const result = canonicalName(address, rules)
  if (result.ok) return result.name
  throw new ServiceError('invalid', notAName(address, result.why))
}

/** What an error of the layers below means for whoever asked. Anything else is a bug and goes on as it is. */
export function asServiceError(error: unknown): unknown {
  if (error instanceof StoreError) {
    return new ServiceError('unavailable', `the store does not answer: ${error.message}`, { cause: error })
  }
  if (error instanceof HasherError && error.code === 'ERR_HASHER_BUSY') {
    return new ServiceError('unavailable', 'too many passwords are being checked just now: try again', { cause: error })
  }
  return error
}
