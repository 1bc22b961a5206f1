/**
 * Schema step 0004: what people prove themselves with (authenticator apps, passkeys, recovery codes, links to OpenID
 * providers), one-time links, sessions of the portal, tokens of the API, notices.
 */

import type { CreateTableBuilder, Kysely } from 'kysely'
import { sql } from 'kysely'
import type { DialectName } from '../migrations.ts'

export async function people(db: Kysely<unknown>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  const number = lite ? 'integer' : 'bigint'
  const finish = <T extends string, C extends string>(table: CreateTableBuilder<T, C>, clustered = false) =>
    (lite ? table.modifyEnd(clustered ? sql`strict, without rowid` : sql`strict`) : table).execute()
  const index = (name: string, table: string, ...columns: string[]) =>
    db.schema.createIndex(name).on(table).columns(columns).execute()

  await finish(
    db.schema
      .createTable('authenticator_apps')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('sealed', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('last_step', number, (c) => c.notNull())
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('last_used_at', number),
  )
  await index('authenticator_apps_user', 'authenticator_apps', 'user_id')
  await index('authenticator_apps_key', 'authenticator_apps', 'key_id')

  await finish(
    db.schema
      .createTable('passkeys')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('credential_id', 'text', (c) => c.notNull().unique())
      .addColumn('public_key', 'text', (c) => c.notNull())
      .addColumn('counter', number, (c) => c.notNull())
      .addColumn('transports', 'text', (c) => c.notNull())
      .addColumn('backed_up', 'integer', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('last_used_at', number),
  )
  await index('passkeys_user', 'passkeys', 'user_id')

  await finish(
    db.schema
      .createTable('recovery_codes')
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('used_at', number)
      .addPrimaryKeyConstraint('recovery_codes_pk', ['user_id', 'digest']),
    true,
  )
  await index('recovery_codes_key', 'recovery_codes', 'key_id')

  await finish(
    db.schema
      .createTable('provider_links')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('issuer', 'text', (c) => c.notNull())
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('linked_at', number, (c) => c.notNull())
      .addUniqueConstraint('provider_links_subject', ['issuer', 'subject']),
  )
  await index('provider_links_user', 'provider_links', 'user_id')

  await finish(
    db.schema
      .createTable('one_time_links')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull().unique())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('why', 'text', (c) => c.notNull())
      .addColumn('name', 'text')
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('expires_at', number, (c) => c.notNull())
      .addColumn('used_at', number)
      .addColumn('used_ip', 'text')
      .addColumn('app_password_id', 'text'),
  )
  await index('one_time_links_user', 'one_time_links', 'user_id', 'kind', 'created_at')
  await index('one_time_links_age', 'one_time_links', 'created_at')
  await index('one_time_links_key', 'one_time_links', 'key_id')

  await finish(
    db.schema
      .createTable('portal_sessions')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull().unique())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('stage', 'text', (c) => c.notNull())
      .addColumn('factors', 'text', (c) => c.notNull())
      .addColumn('csrf', 'text', (c) => c.notNull())
      .addColumn('ip', 'text', (c) => c.notNull())
      .addColumn('agent', 'text')
      .addColumn('link_id', 'text')
      .addColumn('provider_session', 'text')
      .addColumn('began_at', number, (c) => c.notNull())
      .addColumn('seen_at', number, (c) => c.notNull())
      .addColumn('expires_at', number, (c) => c.notNull()),
  )
  await index('portal_sessions_user', 'portal_sessions', 'user_id', 'began_at')
  await index('portal_sessions_age', 'portal_sessions', 'expires_at')
  await index('portal_sessions_seen', 'portal_sessions', 'seen_at')
  await index('portal_sessions_link', 'portal_sessions', 'link_id')
  await index('portal_sessions_key', 'portal_sessions', 'key_id')

  await finish(
    db.schema
      .createTable('api_tokens')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull().unique())
      .addColumn('key_id', 'text', (c) => c.notNull())
      .addColumn('name', 'text', (c) => c.notNull())
      .addColumn('scopes', 'text', (c) => c.notNull())
      .addColumn('created_by', 'text', (c) => c.notNull())
      .addColumn('created_at', number, (c) => c.notNull())
      .addColumn('expires_at', number, (c) => c.notNull())
      .addColumn('last_used_at', number),
  )
  await index('api_tokens_key', 'api_tokens', 'key_id')

  await finish(
    db.schema
      .createTable('idempotency_keys')
      .addColumn('caller', 'text', (c) => c.notNull())
      .addColumn('key', 'text', (c) => c.notNull())
      .addColumn('request', 'text', (c) => c.notNull())
      .addColumn('answer', 'text')
      .addColumn('created_at', number, (c) => c.notNull())
      .addPrimaryKeyConstraint('idempotency_keys_pk', ['caller', 'key']),
    true,
  )
  await index('idempotency_keys_age', 'idempotency_keys', 'created_at')

  await finish(
    db.schema
      .createTable('notices')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
      .addColumn('kind', 'text', (c) => c.notNull())
      .addColumn('detail', 'text', (c) => c.notNull())
      .addColumn('at', number, (c) => c.notNull()),
  )
  await index('notices_user', 'notices', 'user_id', 'at')
  await index('notices_age', 'notices', 'at')
}
