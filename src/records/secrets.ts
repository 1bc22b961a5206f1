/**
 * Stored upstream secrets (identity method `stored-secret`): one per user and upstream, sealed and bound to both.
 */

import type { NameRules } from '../contract/names.ts'
import type { Actor } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { Secret } from '../secret.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import { noSuchUser, userAt } from './lookup.ts'
import type { Store, StoreTransaction, UserRow } from './store/store.ts'
import type { Binding, Vault } from './vault.ts'

/** As much as the services take. */
const MAX_SECRET_BYTES = 1024

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

export function createStoredSecrets(options: StoredSecretsOptions): StoredSecrets {
  const { store, vault, bus, names } = options
  const now = options.now ?? (() => new Date())

  return {
    async set(address, upstream, secret, actor) {
      if (!canBeSent(secret.reveal())) {
        throw new ServiceError('invalid', `a secret has 1 to ${MAX_SECRET_BYTES} bytes without NUL, CR and LF`)
      }
      const at = now()
      const user = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        await tx.putStoredSecret({
          userId: before.id,
          upstream,
          ...vault.seal(secret.reveal(), bindingOf(before.id, upstream)),
          updatedAt: at,
        })
        return await noteChange(tx, before, 'secret_set', upstream, actor, at)
      })
      bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
      return user
    },

    async delete(address, upstream, actor) {
      const at = now()
      const result = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        if (!(await tx.deleteStoredSecret(before.id, upstream))) return { user: before, deleted: false }
        return { user: await noteChange(tx, before, 'secret_deleted', upstream, actor, at), deleted: true }
      })
      if (result.deleted) bus.publish({ kind: 'user-changed', userId: result.user.id, epoch: result.user.epoch })
      return result
    },

    async open(userId, upstream) {
      const row = await store.storedSecret(userId, upstream)
      if (!row) return { ok: false, why: 'none' }
      const opened = vault.open(row.sealed, bindingOf(userId, upstream))
      if (!opened.ok) return opened
      const secret = new Secret(opened.plain.toString('utf8'))
      opened.plain.fill(0)
      return { ok: true, secret }
    },
  }
}

/** What no login dialogue could carry (RFC 9051 §4.3, RFC 4616 §2) is refused when it is set, not at three in the morning. */
function canBeSent(value: string): boolean {
  return value !== '' && Buffer.byteLength(value) <= MAX_SECRET_BYTES && !/[\0\r\n]/.test(value)
}

function bindingOf(userId: string, upstream: string): Binding {
  return ['upstream-secret', userId, upstream]
}

/** The epoch rises with the secret, so that whoever keeps an opened one reads it again. */
async function noteChange(
  tx: StoreTransaction,
  user: UserRow,
  event: 'secret_set' | 'secret_deleted',
  upstream: string,
  actor: Actor,
  at: Date,
): Promise<UserRow> {
  const changed = await tx.updateUser(user.id, {})
  if (!changed) throw noSuchUser(user.address)
  await appendAudit(tx, { event, actor, user, at, detail: { upstream } })
  return changed
}
