/**
 * The schema, as the steps that lead to it. A step that has been released is never changed; a new one is added.
 *
 * All steps that a store lacks run in one transaction: either it has the new schema afterwards, or it is as it was.
 * The indexes are such that with 10,000 users and 100,000 app passwords nothing on the path of a login, and no page of a
 * listing, reads more rows than it answers.
 */

import type { CreateTableBuilder, Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { helpfulRefusals } from './migrations/0002-refusals.ts'
import { policyAndAuditChain } from './migrations/0003-policy.ts'
import { people } from './migrations/0004-people.ts'
import { devices } from './migrations/0005-devices.ts'
import { userWords } from './migrations/0008-user-words.ts'
import { deviceBlocker } from './migrations/0009-device-blocker.ts'
import { auditByAddress } from './migrations/0010-audit-address.ts'
import { policyEpoch } from './migrations/0011-policy-epoch.ts'
import { devicesOfAll } from './migrations/0012-devices-of-all.ts'

export type DialectName = 'sqlite' | 'postgres'

/** Name, which is the schema's version, → step; applied in order of the names. */
export type Migrations = Readonly<Record<string, Migration>>

export function migrationsFor(dialect: DialectName): Migrations {
  return {
    '0001': { up: (db) => first(db, dialect) },
    '0002': { up: (db) => helpfulRefusals(db, dialect) },
    '0003': { up: (db) => policyAndAuditChain(db, dialect) },
    '0004': { up: (db) => people(db, dialect) },
    '0005': { up: (db) => devices(db, dialect) },
    '0008': { up: (db) => userWords(db, dialect) },
    '0009': { up: (db) => deviceBlocker(db) },
    '0010': { up: (db) => auditByAddress(db) },
    '0011': { up: (db) => policyEpoch(db, dialect) },
    '0012': { up: (db) => devicesOfAll(db) },
  }
}

async function first(db: Kysely<unknown>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  /** Milliseconds and counters need more than 32 bits; SQLite's integer has 64. */
  const number = lite ? 'integer' : 'bigint'
  const finish = <T extends string, C extends string>(table: CreateTableBuilder<T, C>, clustered = false) =>
    // SQLite: check column types as PostgreSQL does; keep small keyed tables in their key's own tree.
    (lite ? table.modifyEnd(clustered ? sql`strict, without rowid` : sql`strict`) : table).execute()

  await finish(
    db.schema
      .createTable('users')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('address', 'text', (c) => c.notNull().unique())
      .addColumn('name', 'text')
      .addColumn('groups', 'text', (c) => c.notNull())
      .addColumn('admin', 'integer', (c) => c.notNull())
      .addColumn('enabled', 'integer', (c) => c.notNull())
      .addColumn('epoch', number, (c) => c.notNull())
      .addColumn('enrolled_at', number)
      .addColumn('password_hash', 'text')
      .addColumn('password_key_id', 'text')
      .addColumn('created_at', number, (c) => c.notNull()),
  )
  await db.schema.createIndex('users_key').on('users').column('password_key_id').execute()

  await finish(
    db.schema
      .createTable('reserved_names')
      .addColumn('address', 'text', (c) => c.primaryKey())
      .addColumn('deleted_at', number, (c) => c.notNull()),
    true,
  )

  await finish(
    db.schema
      .createTable('app_passwords')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('selector', 'integer', (c) => c.notNull())
      .addColumn('hash', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('protocols', 'text', (c) => c.notNull())
      .addColumn('networks', 'text', (c) => c.notNull())
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('expires_at', number)
      .addColumn('last_used_at', number)
      .addColumn('last_used_protocol', 'text')
      .addColumn('last_used_ip', 'text')
      .addColumn('last_used_agent', 'text')
      .addColumn('tombstone_digest', 'text', (c) => c.notNull()),
  )
  await db.schema
    .createIndex('app_passwords_selector')
    .on('app_passwords')
    .columns(['user_id', 'selector', 'expires_at'])
    .execute()
  await db.schema
    .createIndex('app_passwords_idle')
    .on('app_passwords')
    .expression(sql`coalesce(last_used_at, created_at)`)
    .execute()
  await db.schema.createIndex('app_passwords_key').on('app_passwords').column('key_id').execute()

  await finish(
    db.schema
      .createTable('tombstones')
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('app_password_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('deleted_at', number, (c) => c.notNull())
      .addPrimaryKeyConstraint('tombstones_pk', ['user_id', 'digest']),
    true,
  )
  await db.schema.createIndex('tombstones_age').on('tombstones').column('deleted_at').execute()
  await db.schema.createIndex('tombstones_user_age').on('tombstones').columns(['user_id', 'deleted_at']).execute()
  await db.schema.createIndex('tombstones_key').on('tombstones').column('key_id').execute()

  await finish(
    db.schema
      .createTable('stored_secrets')
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('upstream', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('updated_at', number, (c) => c.notNull())
      .addPrimaryKeyConstraint('stored_secrets_pk', ['user_id', 'upstream']),
    true,
  )
  await db.schema.createIndex('stored_secrets_key').on('stored_secrets').column('key_id').execute()

  await finish(
    db.schema
      .createTable('audit')
      // Numbers are never given twice, not even after the last entry was removed.
      .addColumn('seq', lite ? 'integer' : 'bigserial', (c) => (lite ? c.primaryKey().autoIncrement() : c.primaryKey()))
      .addColumn('at', number, (c) => c.notNull())
      .addColumn('event', 'text', (c) => c.notNull())
      .addColumn('actor', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text')
      .addColumn('address', 'text')
      .addColumn('detail', 'text', (c) => c.notNull()),
  )
  await db.schema.createIndex('audit_user').on('audit').columns(['user_id', 'seq']).execute()
  await db.schema.createIndex('audit_at').on('audit').columns(['at', 'seq']).execute()

  await finish(
    db.schema
      .createTable('key_checks')
      .addColumn('key_id', 'text', (c) => c.primaryKey())
      .addColumn('check_value', 'text', (c) => c.notNull()),
    true,
  )

  await finish(
    db.schema
      .createTable('cached_logins')
      .addColumn('key', 'text', (c) => c.primaryKey())
      .addColumn('value', 'text', (c) => c.notNull())
      .addColumn('expires_at', number, (c) => c.notNull()),
    true,
  )
  await db.schema.createIndex('cached_logins_age').on('cached_logins').column('expires_at').execute()
}
