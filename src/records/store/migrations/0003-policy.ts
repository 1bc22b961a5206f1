/**
 * Schema step 0003: who may have app passwords, set while the server runs, and the chain of the audit trail.
 */

import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { DialectName } from '../migrations.ts'

export async function policyAndAuditChain(db: Kysely<unknown>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  const number = lite ? 'integer' : 'bigint'

  // A user's own setting stands in the user's row: every login reads that anyway.
  await db.schema.alterTable('users').addColumn('app_passwords', 'integer').execute()
  await db.schema
    .createIndex('users_policy')
    .on('users')
    .column('address')
    .where(sql.ref('app_passwords'), 'is not', null)
    .execute()

  const policies = db.schema
    .createTable('policies')
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('app_passwords', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('policies_pk', ['scope', 'subject'])
  await (lite ? policies.modifyEnd(sql`strict, without rowid`) : policies).execute()

  // Entries of before have no code; the chain begins behind them.
  await db.schema.alterTable('audit').addColumn('key_id', 'text').execute()
  await db.schema.alterTable('audit').addColumn('code', 'text').execute()
  const head = db.schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('seq', number, (c) => c.notNull())
    .addColumn('code', 'text', (c) => c.notNull())
  await (lite ? head.modifyEnd(sql`strict`) : head).execute()
}
