/**
 * Schema step 0002: what a refusal needs to help: the user's language, and what is still tried with deleted app passwords.
 */

import type { Kysely } from 'kysely'
import type { DialectName } from '../migrations.ts'

export async function helpfulRefusals(db: Kysely<unknown>, dialect: DialectName): Promise<void> {
  const number = dialect === 'sqlite' ? 'integer' : 'bigint'
  await db.schema.alterTable('users').addColumn('language', 'text').execute()
  await db.schema.alterTable('tombstones').addColumn('last_tried_at', number).execute()
  await db.schema.alterTable('tombstones').addColumn('last_tried_ip', 'text').execute()
  await db.schema.alterTable('tombstones').addColumn('last_tried_protocol', 'text').execute()
  await db.schema
    .alterTable('tombstones')
    .addColumn('tries', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
}
