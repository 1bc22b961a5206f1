/**
 * Schema step 0009: who blocked a device, so that its owner can't undo what an administrator did.
 *
 * Of devices that are blocked already nobody knows: they count as blocked by an administrator, who can let them in.
 */

import type { Kysely } from 'kysely'
import type { Tables } from '../schema.ts'

export async function deviceBlocker(db: Kysely<Tables>): Promise<void> {
  await db.schema.alterTable('devices').addColumn('blocked_by', 'text').execute()
  await db.updateTable('devices').set({ blocked_by: 'administrator' }).where('state', '=', 'blocked').execute()
}
