/**
 * Schema step 0011: how often what is set for everybody or a group has changed, as one number for all of it.
 */

import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { DialectName } from '../migrations.ts'
import type { Tables } from '../schema.ts'

export async function policyEpoch(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  const table = db.schema
    .createTable('policy_epoch')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('epoch', lite ? 'integer' : 'bigint', (c) => c.notNull())
  await (lite ? table.modifyEnd(sql`strict`) : table).execute()
  await db.insertInto('policy_epoch').values({ id: 1, epoch: 1 }).execute()
}
