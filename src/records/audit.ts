/**
 * The audit trail: who changed what, when. One entry per change, in the transaction of the change.
 *
 * `AUDIT_EVENTS` is the closed list of events with the fields that an entry's detail may hold; anything else is a bug and
 * rolls the change back. No field holds a secret, a hash or a digest.
 */

import type { NameRules } from '../contract/names.ts'
import { canonicalName } from '../contract/names.ts'
import { ServiceError } from '../contract/services.ts'
import { isUserId, userAt } from './lookup.ts'
import type { AuditFilter } from './store/sql-audit.ts'
import type { AuditRow, StoreTransaction } from './store/store.ts'

type Scalar = string | number | boolean | null

export const AUDIT_EVENTS = {
  user_added: ['name', 'groups', 'admin', 'password', 'imported'],
  user_enabled: [],
  user_disabled: [],
  user_deleted: ['appPasswords'],
  user_password_set: ['appPasswordsDeleted'],
  user_groups_set: ['groups'],
  user_renamed: ['name', 'before'],
  user_admin_set: ['admin'],
  user_language_set: ['language'],
  app_password_created: ['appPassword', 'name', 'protocols', 'networks', 'expiresAt'],
  app_password_renamed: ['appPassword', 'name', 'before'],
  app_password_updated: ['appPassword', 'name', 'protocols', 'networks', 'expiresAt'],
  /** `why`: 'asked', 'all', 'unused', 'password-reset', 'expired-long-ago'. */
  app_password_deleted: ['appPassword', 'name', 'why'],
  two_step_enrolled: [],
  /** `kind`: 'totp', 'passkey', 'provider'. */
  method_added: ['kind', 'method', 'name'],
  method_deleted: ['kind', 'method', 'name'],
  two_step_reset: ['methods'],
  recovery_code_used: ['left'],
  recovery_codes_renewed: [],
  /** `why`: 'new-user', 'reset'. */
  invitation_made: ['link', 'why', 'mailed'],
  invitation_used: ['link', 'ip'],
  set_up_made: ['link', 'name', 'kind'],
  set_up_used: ['link', 'name', 'appPassword', 'ip'],
  set_up_cancelled: ['link'],
  portal_sessions_ended: ['count'],
  device_blocked: ['device'],
  device_allowed: ['device'],
  device_forgotten: ['device'],
  token_created: ['id', 'name', 'scopes', 'expiresAt'],
  token_deleted: ['id', 'name'],
  /** A call that changes something, over HTTP. `result`: 'done', or why it was refused. */
  admin_called: ['method', 'ip', 'result'],
  secret_set: ['upstream'],
  secret_deleted: ['upstream'],
  /** `why`: what ended them (keeper/services/ending.ts); `unanswered`: edges that did not confirm, with commas. */
  sessions_ended: ['count', 'session', 'appPassword', 'why', 'unanswered'],
  /** `scope`: 'all', 'group', 'user'; `appPasswords`: 'allowed', 'forbidden', 'default'. */
  policy_set: ['scope', 'group', 'appPasswords'],
  throttle_cleared: ['address', 'count'],
  backup_made: ['file'],
  store_restored: ['file'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type AuditEvent = keyof typeof AUDIT_EVENTS
export type AuditDetail<E extends AuditEvent> = { readonly [F in (typeof AUDIT_EVENTS)[E][number]]?: Scalar }

export interface AuditEntry<E extends AuditEvent> {
  readonly event: E
  /** Who did it: 'cli:root', 'user:<id>', 'system'. */
  readonly actor: string
  /** Whom it concerns; null: nobody in particular. */
  readonly user: { readonly id: string; readonly address: string } | null
  readonly at: Date
  readonly detail: AuditDetail<E>
}

/** Appends one entry inside the transaction of the change and answers its number. */
export async function appendAudit<E extends AuditEvent>(tx: StoreTransaction, entry: AuditEntry<E>): Promise<number> {
  const allowed: readonly string[] = AUDIT_EVENTS[entry.event]
  const detail: Record<string, Scalar> = {}
  for (const [field, value] of Object.entries<Scalar | undefined>(entry.detail)) {
    if (!allowed.includes(field)) throw new RangeError(`audit event ${entry.event} has no field ${field}`)
    if (value !== undefined) detail[field] = value
  }
  const { event, actor, at, user } = entry
  return await tx.appendAudit({ at, event, actor, userId: user?.id ?? null, user: user?.address ?? null, detail })
}

/** One page. `lastSeq` is where the next one starts in the same order, also when this one is empty. */
export async function readAudit(
  store: StoreTransaction,
  filter: AuditFilter,
): Promise<{ readonly entries: readonly AuditRow[]; readonly lastSeq: number }> {
  const entries = await store.listAudit(filter)
  return { entries, lastSeq: entries.at(-1)?.seq ?? filter.afterSeq }
}

/**
 * Whom somebody means who asks what happened to a user: an id or an address, of a user who is there or was. An address is
 * never given to a second user, so it leads to nobody else.
 * @throws ServiceError 'not-found' when there is neither a user nor an entry
 */
export async function auditSubject(
  store: StoreTransaction,
  raw: string,
  rules: NameRules,
): Promise<Pick<AuditFilter, 'userId' | 'address'>> {
  try {
    return { userId: (await userAt(store, raw, rules)).id }
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'not-found') throw error
    const name = canonicalName(raw, rules)
    const gone = isUserId(raw) ? { userId: raw } : name.ok ? { userId: null, address: name.name } : null
    if (gone === null) throw error
    const found = await store.listAudit({ ...gone, since: null, afterSeq: 0, limit: 1 })
    if (found.length === 0) throw error
    return gone
  }
}
