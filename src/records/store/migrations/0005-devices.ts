/**
 * Schema step 0005: devices that have come by ActiveSync.
 */

import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { DialectName } from '../migrations.ts'

export async function devices(db: Kysely<unknown>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  const number = lite ? 'integer' : 'bigint'
  const table = db.schema
    .createTable('devices')
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('type', 'text')
    .addColumn('agent', 'text')
    .addColumn('protocol_version', 'text')
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('app_passwords', 'text', (c) => c.notNull())
    .addColumn('first_seen', number, (c) => c.notNull())
    .addColumn('last_seen', number, (c) => c.notNull())
    .addColumn('last_ip', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('devices_pk', ['user_id', 'id'])
  await (lite ? table.modifyEnd(sql`strict, without rowid`) : table).execute()
  await db.schema.createIndex('devices_seen').on('devices').column('last_seen').execute()
}
