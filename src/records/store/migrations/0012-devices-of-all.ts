/**
 * Schema step 0012: the devices of all users in the order in which they came, those in one state as well. When a device came and
 * how it stands changes rarely, so being seen costs these indexes nothing.
 */

import type { Kysely } from 'kysely'

export async function devicesOfAll(db: Kysely<unknown>): Promise<void> {
  const order = ['first_seen', 'user_id', 'id']
  await db.schema.createIndex('devices_came').on('devices').columns(order).execute()
  await db.schema
    .createIndex('devices_state_came')
    .on('devices')
    .columns(['state', ...order])
    .execute()
}
