/**
 * App passwords: issue, list, rename, revoke. Portal, API and CLI all end here.
 *
 * Each change is one transaction: rows, tombstones, the user's epoch, audit entries; then the bus. The value exists in one
 * place only, the answer of `issue` (R16). Nothing here ends a session: whoever called does, once this has returned.
 */

import type { ProtocolName } from '../contract/admission.ts'
import type { NameRules } from '../contract/names.ts'
import type { Actor, AppPasswordView } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import type { Bus } from './bus.ts'
import type { PasswordHasher } from './hash.ts'
import type { Keys } from './keys.ts'
import type { AppPasswordRow, Store, UserRow } from './store/store.ts'

export interface AppPasswordsOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now?: () => Date
}

/** What the policy for this user says, at this moment. Whether app passwords are allowed at all is the caller's question. */
export interface IssuePolicy {
  /** How many may be live at once. */
  readonly cap: number
  /** Letters, 16–32. */
  readonly length: number
  /** The longest life one may have, which is also the default; null: for ever. */
  readonly expiryMs: number | null
  /** The protocols one may have, which are also the default. */
  readonly protocols: readonly ProtocolName[]
}

export interface IssueRequest {
  /** As typed; made canonical here. */
  readonly address: string
  readonly name: string
  readonly protocols?: readonly ProtocolName[] | undefined
  readonly networks?: readonly string[] | undefined
  /** From now; null: for ever; left out: what the policy says. */
  readonly expiresInMs?: number | null | undefined
}

export interface Issued {
  readonly user: UserRow
  readonly row: AppPasswordRow
  /** In groups of four, for showing once. */
  readonly password: Secret
}

export interface RevokedAppPassword {
  readonly id: string
  readonly name: string
  readonly userId: string
  readonly address: string
}

/** All reject with ServiceError ('not-found', 'invalid', 'forbidden', 'cap-reached', 'unavailable') or StoreError. */
export interface AppPasswords {
  /** Two at once never pass the cap. 'cap-reached' names those that were unused for longest. */
  issue(request: IssueRequest, policy: IssuePolicy, actor: Actor): Promise<Issued>
  /** Newest first, those that have run out included. */
  list(address: string): Promise<{ readonly user: UserRow; readonly rows: readonly AppPasswordRow[] }>
  /** With `ownerId`, somebody else's is 'not-found'. */
  rename(id: string, name: string, actor: Actor, ownerId?: string): Promise<void>
  revoke(id: string, actor: Actor, ownerId?: string): Promise<RevokedAppPassword>
  revokeAll(address: string, actor: Actor): Promise<readonly RevokedAppPassword[]>
  /** Everybody's that were last used (or, never used, made) before then. */
  revokeUnused(unusedForMs: number, actor: Actor): Promise<readonly RevokedAppPassword[]>
}

export function createAppPasswords(_options: AppPasswordsOptions): AppPasswords {
  throw new Error('todo')
}

/** How the services show one. */
export function appPasswordView(row: AppPasswordRow, address: string): AppPasswordView {
  const { id, name, protocols, networks, lastUsed } = row
  return {
    id,
    user: address,
    name,
    protocols,
    networks,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsed: lastUsed && { ...lastUsed, at: lastUsed.at.toISOString() },
  }
}
