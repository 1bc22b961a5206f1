/**
 * Secrets that users have at upstreams, sealed, as rows.
 */

import { storedSecretRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import { first } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'
import type { StoredSecretRow } from './store.ts'

export interface StoredSecretRows {
  putStoredSecret(row: StoredSecretRow): Promise<void>
  storedSecret(userId: string, upstream: string): Promise<StoredSecretRow | null>
  deleteStoredSecret(userId: string, upstream: string): Promise<boolean>
}

export function sqlStoredSecrets(db: () => Db, queries: Queries): StoredSecretRows {
  return {
    async putStoredSecret(row) {
      const content = { sealed: row.sealed, key_id: row.keyId, updated_at: row.updatedAt.getTime() }
      await db()
        .insertInto('stored_secrets')
        .values({ user_id: row.userId, upstream: row.upstream, ...content })
        .onConflict((conflict) => conflict.columns(['user_id', 'upstream']).doUpdateSet(content))
        .execute()
    },

    async storedSecret(userId, upstream) {
      const row = await first(db(), queries.storedSecret(userId, upstream))
      return row ? storedSecretRow(row) : null
    },

    async deleteStoredSecret(userId, upstream) {
      const result = await db()
        .deleteFrom('stored_secrets')
        .where('user_id', '=', userId)
        .where('upstream', '=', upstream)
        .executeTakeFirst()
      return result.numDeletedRows > 0n
    },
  }
}
