/**
 * Columns and how they become rows: times are milliseconds since 1970, lists are JSON text, truth is 0 or 1, in both
 * dialects, so one text of SQL serves both.
 */

import type { Generated, Insertable, Selectable } from 'kysely'
import type { ProtocolName } from '../../contract/admission.ts'
import { LANGUAGES } from '../../contract/languages.ts'
import { dateOf, msOf } from './columns.ts'
import type { DevicesTable } from './devices.ts'
import type { PeopleTables } from './people.ts'
import type { AppPasswordRow, AuditRow, StoredSecretRow, TombstoneRow, UserRow } from './store.ts'

export interface UsersTable {
  id: string
  address: string
  name: string | null
  groups: string
  admin: number
  enabled: number
  epoch: number
  enrolled_at: number | null
  password_hash: string | null
  password_key_id: string | null
  created_at: number
  app_passwords: number | null
  language: string | null
}

export interface AppPasswordsTable {
  id: string
  user_id: string
  name: string
  selector: number
  hash: string
  key_id: string
  protocols: string
  networks: string
  created_at: number
  expires_at: number | null
  last_used_at: number | null
  last_used_protocol: string | null
  last_used_ip: string | null
  last_used_agent: string | null
  tombstone_digest: string
}

export interface TombstonesTable {
  user_id: string
  digest: string
  key_id: string
  app_password_id: string
  name: string
  deleted_at: number
  last_tried_at: number | null
  last_tried_ip: string | null
  last_tried_protocol: string | null
  tries: Generated<number>
}

export interface StoredSecretsTable {
  user_id: string
  upstream: string
  sealed: string
  key_id: string
  updated_at: number
}

export interface AuditTable {
  seq: Generated<number>
  at: number
  event: string
  actor: string
  user_id: string | null
  address: string | null
  detail: string
  key_id: string | null
  code: string | null
}

export interface Tables extends PeopleTables {
  users: UsersTable
  /** Addresses of deleted users: nobody gets them again. */
  reserved_names: { address: string; deleted_at: number }
  /** What users are found by (user-words.ts). */
  user_words: { word: string; address: string }
  app_passwords: AppPasswordsTable
  tombstones: TombstonesTable
  stored_secrets: StoredSecretsTable
  audit: AuditTable
  /** One row: the last entry of the chain. */
  audit_head: { id: number; seq: number; code: string }
  devices: DevicesTable
  policies: { scope: string; subject: string; app_passwords: number }
  /** One row: how often `policies` has changed. */
  policy_epoch: { id: number; epoch: number }
  key_checks: { key_id: string; check_value: string }
  cached_logins: { key: string; value: string; expires_at: number }
}

export function userRow(row: Selectable<UsersTable>): UserRow {
  return {
    id: row.id,
    address: row.address,
    name: row.name,
    groups: JSON.parse(row.groups) as string[],
    admin: row.admin === 1,
    enabled: row.enabled === 1,
    epoch: row.epoch,
    enrolledAt: dateOf(row.enrolled_at),
    passwordHash: row.password_hash,
    passwordKeyId: row.password_key_id,
    createdAt: new Date(row.created_at),
    appPasswords: row.app_passwords === null ? null : row.app_passwords === 1,
    language: LANGUAGES.find((language) => language === row.language) ?? null,
  }
}

export function appPasswordRow(row: Selectable<AppPasswordsTable>): AppPasswordRow {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    selector: row.selector,
    hash: row.hash,
    keyId: row.key_id,
    protocols: JSON.parse(row.protocols) as ProtocolName[],
    networks: JSON.parse(row.networks) as string[],
    createdAt: new Date(row.created_at),
    expiresAt: dateOf(row.expires_at),
    lastUsed:
      row.last_used_at === null
        ? null
        : {
            at: new Date(row.last_used_at),
            protocol: row.last_used_protocol as ProtocolName,
            ip: row.last_used_ip ?? '',
            agent: row.last_used_agent,
          },
    tombstoneDigest: row.tombstone_digest,
  }
}

export function appPasswordColumns(row: AppPasswordRow): Insertable<AppPasswordsTable> {
  return {
    id: row.id,
    user_id: row.userId,
    name: row.name,
    selector: row.selector,
    hash: row.hash,
    key_id: row.keyId,
    protocols: JSON.stringify(row.protocols),
    networks: JSON.stringify(row.networks),
    created_at: row.createdAt.getTime(),
    expires_at: msOf(row.expiresAt),
    last_used_at: msOf(row.lastUsed?.at ?? null),
    last_used_protocol: row.lastUsed?.protocol ?? null,
    last_used_ip: row.lastUsed?.ip ?? null,
    last_used_agent: row.lastUsed?.agent ?? null,
    tombstone_digest: row.tombstoneDigest,
  }
}

export function tombstoneRow(row: Selectable<TombstonesTable>): TombstoneRow {
  return {
    userId: row.user_id,
    digest: row.digest,
    keyId: row.key_id,
    appPasswordId: row.app_password_id,
    name: row.name,
    deletedAt: new Date(row.deleted_at),
    lastTried:
      row.last_tried_at === null
        ? null
        : {
            at: new Date(row.last_tried_at),
            ip: row.last_tried_ip ?? '',
            protocol: row.last_tried_protocol as ProtocolName,
            tries: row.tries,
          },
  }
}

export function storedSecretRow(row: Selectable<StoredSecretsTable>): StoredSecretRow {
  return {
    userId: row.user_id,
    upstream: row.upstream,
    sealed: row.sealed,
    keyId: row.key_id,
    updatedAt: new Date(row.updated_at),
  }
}

export function auditRow(row: Selectable<AuditTable>): AuditRow {
  return {
    seq: row.seq,
    at: new Date(row.at),
    event: row.event,
    actor: row.actor,
    userId: row.user_id,
    user: row.address,
    detail: JSON.parse(row.detail) as AuditRow['detail'],
  }
}
