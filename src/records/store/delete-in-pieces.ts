/**
 * Deleting what may be many rows without standing in everybody's way.
 */

import { setImmediate } from 'node:timers/promises'
import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'
import type { Tables } from './schema.ts'
import type { Db } from './sql-transaction.ts'

/** Rows of one statement: some 3 ms. */
const ROWS_A_STATEMENT = 500

/**
 * Deletes the rows that match, each piece for itself, with a turn of the event loop between two; inside a transaction, which must
 * not wait, all at once. Answers how many.
 *
 * @param key the columns of the primary key
 */
export async function deleteInPieces<T extends keyof Tables & string>(
  db: Db,
  table: T,
  key: readonly (keyof Tables[T] & string)[],
  matches: RawBuilder<unknown>,
): Promise<number> {
  const columns = sql.join(key.map((column) => sql.ref(column)))
  for (let deleted = 0; ; ) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where (${columns}) in (
        select ${columns} from ${sql.table(table)} where ${matches} limit ${ROWS_A_STATEMENT})`.execute(db)
    deleted += Number(numAffectedRows)
    if (numAffectedRows < ROWS_A_STATEMENT) return deleted
    if (!db.isTransaction) await setImmediate()
  }
}
