/**
 * Which keys the store has met: their check values, and how many rows each of them is needed for.
 */

import { sql } from 'kysely'
import type { Db } from './sql-transaction.ts'

export interface KeyIdRows {
  /** Check values per key id: a store that was made under another key file is refused. */
  keyChecks(): Promise<ReadonlyMap<string, string>>
  putKeyCheck(keyId: string, check: string): Promise<void>
  /** How many rows carry each key id. */
  keyUse(): Promise<ReadonlyMap<string, number>>
}

export function sqlKeyIds(db: () => Db): KeyIdRows {
  return {
    async keyChecks() {
      const rows = await db().selectFrom('key_checks').selectAll().execute()
      return new Map(rows.map((row) => [row.key_id, row.check_value]))
    },

    async putKeyCheck(keyId, check) {
      await db().insertInto('key_checks').values({ key_id: keyId, check_value: check }).execute()
    },

    async keyUse() {
      const { rows } = await sql<{ key_id: string; count: number }>`
        select key_id, sum(n) as count from (
          select key_id, count(*) as n from app_passwords group by key_id
          union all select key_id, count(*) from tombstones group by key_id
          union all select key_id, count(*) from stored_secrets group by key_id
          union all select key_id, count(*) from authenticator_apps group by key_id
          union all select key_id, count(*) from recovery_codes group by key_id
          union all select key_id, count(*) from one_time_links group by key_id
          union all select key_id, count(*) from portal_sessions group by key_id
          union all select key_id, count(*) from api_tokens group by key_id
          union all select password_key_id, count(*) from users where password_key_id is not null group by password_key_id
        ) as used group by key_id`.execute(db())
      return new Map(rows.map((row) => [row.key_id, Number(row.count)]))
    },
  }
}
