/**
 * Stored upstream secrets (identity method `stored-secret`): one per user and upstream, sealed and bound to both.
 */

import type { NameRules } from '../contract/names.ts'
import type { Actor } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import type { Bus } from './bus.ts'
import type { Store, UserRow } from './store/store.ts'
import type { Vault } from './vault.ts'

export interface StoredSecretsOptions {
  readonly store: Store
  readonly vault: Vault
  readonly bus: Bus
  readonly names: () => NameRules
  readonly now?: () => Date
}

/** 'none': nothing stored. The others: a record that can't be opened, to be set again; never a wrong password. */
export type OpenedSecret =
  | { readonly ok: true; readonly secret: Secret }
  | { readonly ok: false; readonly why: 'none' | 'malformed' | 'unknown-key' | 'bad-seal' }

export interface StoredSecrets {
  /** Replaces what was there. @throws ServiceError 'not-found', 'invalid' */
  set(address: string, upstream: string, secret: Secret, actor: Actor): Promise<UserRow>
  /** @throws ServiceError 'not-found' when there is no such user */
  delete(
    address: string,
    upstream: string,
    actor: Actor,
  ): Promise<{ readonly user: UserRow; readonly deleted: boolean }>
  /** One indexed read. */
  open(userId: string, upstream: string): Promise<OpenedSecret>
}

export function createStoredSecrets(_options: StoredSecretsOptions): StoredSecrets {
  throw new Error('todo')
}
