/**
 * Idempotency keys as rows: who of several calls with the same key does the work, and what the others are answered.
 */

import type { Db } from '../sql-transaction.ts'

export interface IdempotencyRow {
  readonly caller: string
  readonly key: string
  /** Digest of what was asked. */
  readonly request: string
  /** JSON; null: still under way, or it failed. */
  readonly answer: string | null
  readonly createdAt: Date
}

export interface IdempotencyTables {
  idempotency_keys: { caller: string; key: string; request: string; answer: string | null; created_at: number }
}

export interface IdempotencyRows {
  /** null: it is this caller's now. Otherwise what is known of the first call with this key. */
  claimIdempotencyKey(row: IdempotencyRow): Promise<IdempotencyRow | null>
  keepAnswer(caller: string, key: string, answer: string): Promise<void>
  dropIdempotencyKey(caller: string, key: string): Promise<void>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlIdempotencyKeys(db: () => Db): IdempotencyRows {
  return {
    async claimIdempotencyKey(row: IdempotencyRow) {
      const claimed = await db()
        .insertInto('idempotency_keys')
        .values({
          caller: row.caller,
          key: row.key,
          request: row.request,
          answer: row.answer,
          created_at: row.createdAt.getTime(),
        })
        .onConflict((conflict) => conflict.columns(['caller', 'key']).doNothing())
        .returning('key')
        .executeTakeFirst()
      if (claimed) return null
      const known = await db()
        .selectFrom('idempotency_keys')
        .selectAll()
        .where('caller', '=', row.caller)
        .where('key', '=', row.key)
        .executeTakeFirst()
      return known
        ? {
            caller: known.caller,
            key: known.key,
            request: known.request,
            answer: known.answer,
            createdAt: new Date(known.created_at),
          }
        : { ...row, answer: null }
    },

    async keepAnswer(caller, key, answer) {
      await db()
        .updateTable('idempotency_keys')
        .set({ answer })
        .where('caller', '=', caller)
        .where('key', '=', key)
        .execute()
    },

    async dropIdempotencyKey(caller, key) {
      await db().deleteFrom('idempotency_keys').where('caller', '=', caller).where('key', '=', key).execute()
    },
  }
}
