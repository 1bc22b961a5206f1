/**
 * The store over SQL, whole: single statements, transactions, and the reads of a login.
 */

import { sql } from 'kysely'
import { deleteInPieces } from './delete-in-pieces.ts'
import { demandPolicyEpoch } from './policies.ts'
import { appPasswordRow, userRow } from './schema.ts'
import { sqlAuditChain } from './sql-audit.ts'
import { first, isAppPassword, prepareQueries, withoutPrefix } from './sql-prepared.ts'
import type { AuditSeal, Db, SqlDialect } from './sql-transaction.ts'
import { sqlTransaction } from './sql-transaction.ts'
import type { Store } from './store.ts'
import { StoreError } from './store.ts'

/** A store over an open database whose schema is the current one. */
export function createSqlStore(db: Db, dialect: SqlDialect): Store {
  const queries = prepareQueries(db)
  const seal: AuditSeal = { sealer: null }
  let closed = false

  function open(): Db {
    if (closed) throw new StoreError('ERR_STORE_UNAVAILABLE', 'the store has been closed')
    return db
  }

  return {
    ...sqlTransaction(open, dialect, queries, seal),
    auditChain: sqlAuditChain(open, queries),

    sealAudit(sealer) {
      seal.sealer = sealer
    },

    async transaction(work) {
      return await open()
        .transaction()
        .execute((tx) => work(sqlTransaction(() => tx, dialect, queries, seal)))
    },

    async liveCheck(userId, appPasswordId) {
      const row = await first(open(), queries.liveCheck(appPasswordId, userId))
      if (!row) return null
      const joined = withoutPrefix(row)
      const appPassword = isAppPassword(joined) ? appPasswordRow(joined) : null
      return { user: userRow(row), appPassword, policyEpoch: row.policy_epoch }
    },

    async cachedLogin(key, now) {
      const row = await first(open(), queries.cachedLogin(key, now.getTime()))
      return row?.value ?? null
    },

    async putCachedLogin(row) {
      const content = { value: row.value, expires_at: row.expiresAt.getTime() }
      await dialect.relaxed(open(), async (db) => {
        await db
          .insertInto('cached_logins')
          .values({ key: row.key, ...content })
          .onConflict((conflict) => conflict.column('key').doUpdateSet(content))
          .execute()
      })
    },

    async deleteCachedLogin(key) {
      await dialect.relaxed(open(), async (db) => {
        await db.deleteFrom('cached_logins').where('key', '=', key).execute()
      })
    },

    async deleteExpiredCachedLogins(now) {
      // Not in one relaxed piece, which would keep everybody else out until the last is gone.
      return await deleteInPieces(open(), 'cached_logins', ['key'], sql`expires_at <= ${now.getTime()}`)
    },

    async backup(file) {
      open()
      await dialect.backup(file)
    },

    async ping() {
      return demandPolicyEpoch(await first(open(), queries.policyEpoch()))
    },

    async pingWrite() {
      await sql`update key_checks set check_value = check_value`.execute(open())
      await dialect.room()
    },

    async close() {
      if (closed) return
      closed = true
      await db.destroy()
      dialect.close()
    },
  }
}
