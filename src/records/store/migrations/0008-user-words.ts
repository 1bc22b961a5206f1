/**
 * 0008: the words that a user is found by (user-words.ts), of all users that are there already; who is an administrator.
 */

import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { DialectName } from '../migrations.ts'
import type { Tables } from '../schema.ts'
import { wordsOf } from '../user-words.ts'

/** Rows of one statement: two values each, and SQLite takes some 32,000. */
const ROWS_A_STATEMENT = 1000

export async function userWords(db: Kysely<Tables>, dialect: DialectName): Promise<void> {
  const lite = dialect === 'sqlite'
  // Ranges of words must be in the order of their code points, whatever the database's language.
  const text = lite ? sql`text` : sql`text collate "C"`
  const table = db.schema
    .createTable('user_words')
    .addColumn('word', text, (c) => c.notNull())
    .addColumn('address', 'text', (c) => c.notNull().references('users.address').onDelete('cascade'))
    .addPrimaryKeyConstraint('user_words_pk', ['word', 'address'])
  await (lite ? table.modifyEnd(sql`strict, without rowid`) : table).execute()
  await db.schema.createIndex('user_words_user').on('user_words').column('address').execute()
  await sql`create index users_admin on users (enabled) where admin = 1`.execute(db)

  const users = await db.selectFrom('users').select(['address', 'name']).execute()
  const rows = users.flatMap(({ address, name }) => wordsOf(address, name).map((word) => ({ word, address })))
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
    await db
      .insertInto('user_words')
      .values(rows.slice(from, from + ROWS_A_STATEMENT))
      .execute()
  }
}
