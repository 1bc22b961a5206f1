/**
 * Users: adding, importing, changing and deleting them.
 *
 * Each change is one transaction: the row, its epoch, its audit entry; then the bus. Names go through `canonicalName`, and a
 * deleted user's name stays reserved. Nothing here ends a session: whoever called does, once this has returned.
 */

import type { NameRules } from '../contract/names.ts'
import type { Actor, ImportReport, UserView } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import type { Bus } from './bus.ts'
import type { PasswordHasher } from './hash.ts'
import type { Keys } from './keys.ts'
import type { Page, Store, UserRow } from './store/store.ts'

export interface UsersOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now?: () => Date
}

export interface NewUserRequest {
  /** As typed; made canonical here. */
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly password: Secret | null
}

export interface ImportEntry {
  readonly line: number
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
}

/**
 * Addresses are as typed and made canonical here. All reject with ServiceError ('not-found', 'exists', 'invalid',
 * 'unavailable') or StoreError.
 */
export interface Users {
  add(request: NewUserRequest, actor: Actor): Promise<UserRow>
  /** Adds those that are not there yet, in one transaction; users that exist are left as they are. */
  import(entries: readonly ImportEntry[], actor: Actor): Promise<ImportReport>
  /** Ordered by address; `after` is the last address of the page before. */
  list(page: Page): Promise<readonly UserRow[]>
  show(address: string): Promise<UserRow>
  /** `changed` false: it was like that already, and nothing was written. */
  setEnabled(
    address: string,
    enabled: boolean,
    actor: Actor,
  ): Promise<{ readonly user: UserRow; readonly changed: boolean }>
  setGroups(address: string, groups: readonly string[], actor: Actor): Promise<UserRow>
  /** `appPasswords` 'revoke' deletes them in the same transaction. */
  setPassword(
    address: string,
    password: Secret,
    appPasswords: 'keep' | 'revoke',
    actor: Actor,
  ): Promise<{ readonly user: UserRow; readonly revoked: readonly { readonly id: string; readonly name: string }[] }>
  /** Answers the row as it was. App passwords, tombstones and stored secrets go with it. */
  delete(address: string, actor: Actor): Promise<UserRow>
  /** How the services show a user; counts its live app passwords. */
  view(user: UserRow): Promise<UserView>
}

export function createUsers(_options: UsersOptions): Users {
  throw new Error('todo')
}
