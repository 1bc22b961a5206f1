/**
 * The store over SQL, whole: single statements, transactions, and the reads of a login.
 */

import { sql } from 'kysely'
import { deleteInPieces } from './delete-in-pieces.ts'
import { appPasswordRow, userRow } from './schema.ts'
import type { AuditChain, AuditSealer } from './sql-audit.ts'
import { sqlAuditChain } from './sql-audit.ts'
import type { Queries } from './sql-prepared.ts'
import { isAppPassword, prepareQueries, withoutPrefix } from './sql-prepared.ts'
import type { AuditSeal, Db, SqlDialect } from './sql-transaction.ts'
import { SqlTransaction } from './sql-transaction.ts'
import type { CachedLoginRow, LiveCheck, Store, StoreTransaction } from './store.ts'
import { StoreError } from './store.ts'

class SqlStore extends SqlTransaction implements Store {
  readonly #db: Db
  readonly #dialect: SqlDialect
  readonly #queries: Queries
  readonly #open: () => Db
  readonly #seal: AuditSeal
  readonly auditChain: AuditChain
  #closed = false

  constructor(db: Db, dialect: SqlDialect) {
    const queries = prepareQueries(db)
    const open = () => {
      if (this.#closed) throw new StoreError('ERR_STORE_UNAVAILABLE', 'the store has been closed')
      return db
    }
    const seal: AuditSeal = { sealer: null }
    super(open, dialect, queries, seal)
    this.#seal = seal
    this.auditChain = sqlAuditChain(open, queries)
    this.#db = db
    this.#dialect = dialect
    this.#queries = queries
    this.#open = open
  }

  sealAudit(sealer: AuditSealer): void {
    this.#seal.sealer = sealer
  }

  async transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    return await this.#open()
      .transaction()
      .execute((tx) => work(new SqlTransaction(() => tx, this.#dialect, this.#queries, this.#seal)))
  }

  async liveCheck(userId: string, appPasswordId: string): Promise<LiveCheck | null> {
    const { rows } = await this.#open().executeQuery(this.#queries.liveCheck(appPasswordId, userId))
    const row = rows[0]
    if (!row) return null
    const joined = withoutPrefix(row)
    return { user: userRow(row), appPassword: isAppPassword(joined) ? appPasswordRow(joined) : null }
  }

  async cachedLogin(key: string, now: Date): Promise<string | null> {
    const { rows } = await this.#open().executeQuery(this.#queries.cachedLogin(key, now.getTime()))
    return rows[0]?.value ?? null
  }

  async putCachedLogin(row: CachedLoginRow): Promise<void> {
    const content = { value: row.value, expires_at: row.expiresAt.getTime() }
    await this.#dialect.relaxed(this.#open(), async (db) => {
      await db
        .insertInto('cached_logins')
        .values({ key: row.key, ...content })
        .onConflict((conflict) => conflict.column('key').doUpdateSet(content))
        .execute()
    })
  }

  async deleteCachedLogin(key: string): Promise<void> {
    await this.#dialect.relaxed(this.#open(), async (db) => {
      await db.deleteFrom('cached_logins').where('key', '=', key).execute()
    })
  }

  async deleteExpiredCachedLogins(now: Date): Promise<number> {
    // Not in one relaxed piece, which would keep everybody else out until the last is gone.
    return await deleteInPieces(this.#open(), 'cached_logins', ['key'], sql`expires_at <= ${now.getTime()}`)
  }

  async backup(file: string): Promise<void> {
    this.#open()
    await this.#dialect.backup(file)
  }

  async ping(): Promise<void> {
    await sql`select count(*) from key_checks`.execute(this.#open())
  }

  async pingWrite(): Promise<void> {
    await sql`update key_checks set check_value = check_value`.execute(this.#open())
    await this.#dialect.room()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#db.destroy()
    this.#dialect.close()
  }
}

/** A store over an open database whose schema is the current one. */
export function createSqlStore(db: Db, dialect: SqlDialect): Store {
  return new SqlStore(db, dialect)
}
