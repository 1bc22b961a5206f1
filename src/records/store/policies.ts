/**
 * Policy that is set while the server runs, as rows: whether app passwords are allowed for everybody and for groups.
 *
 * What is set for a single user stands in the user's own row (`UserRow.appPasswords`), so that a login needs no further read.
 */

import { sql } from 'kysely'
import { userRow } from './schema.ts'
import type { Db } from './sql-transaction.ts'
import type { Page, UserRow } from './store.ts'

export interface PolicyRow {
  readonly scope: 'all' | 'group'
  /** The group's name; '' for everybody. */
  readonly subject: string
  readonly appPasswords: boolean
}

export interface PolicyRows {
  /** All of them, by scope and subject. */
  list(): Promise<readonly PolicyRow[]>
  /** Users for whom something of their own is set, by address. */
  users(page: Page): Promise<readonly UserRow[]>
  put(row: PolicyRow): Promise<void>
  /** false: nothing was set. */
  delete(scope: PolicyRow['scope'], subject: string): Promise<boolean>
  /** Raises the epoch of every member of a group. */
  raiseGroupEpochs(group: string): Promise<void>
}

export function sqlPolicies(db: () => Db): PolicyRows {
  return {
    async list() {
      const rows = await db().selectFrom('policies').selectAll().orderBy('scope').orderBy('subject').execute()
      return rows.map(({ scope, subject, app_passwords }) => ({
        scope: scope as PolicyRow['scope'],
        subject,
        appPasswords: app_passwords === 1,
      }))
    },

    async users({ after, limit }) {
      const rows = await db()
        .selectFrom('users')
        .selectAll()
        .where('app_passwords', 'is not', null)
        .where('address', '>', after ?? '')
        .orderBy('address')
        .limit(limit)
        .execute()
      return rows.map(userRow)
    },

    async put({ scope, subject, appPasswords }) {
      const content = { app_passwords: appPasswords ? 1 : 0 }
      await db()
        .insertInto('policies')
        .values({ scope, subject, ...content })
        .onConflict((conflict) => conflict.columns(['scope', 'subject']).doUpdateSet(content))
        .execute()
    },

    async delete(scope, subject) {
      const result = await db()
        .deleteFrom('policies')
        .where('scope', '=', scope)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return result.numDeletedRows > 0n
    },

    async raiseGroupEpochs(group) {
      // Groups are JSON text. One user too many costs that user an argon2 run; one too few would keep access.
      const pattern = `%${JSON.stringify(group).replace(/[\\%_]/g, (special) => `\\${special}`)}%`
      await sql`update users set epoch = epoch + 1 where groups like ${pattern} escape '\\'`.execute(db())
    },
  }
}
