/**
 * App passwords, as rows.
 */

import { sql } from 'kysely'
import type { AppPasswordCounts } from './app-password-counts.ts'
import { countAppPasswordsOf } from './app-password-counts.ts'
import { msOf } from './columns.ts'
import { appPasswordColumns, appPasswordRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import { isAppPassword } from './sql-prepared.ts'
import type { Db, SqlDialect } from './sql-transaction.ts'
import type { AppPasswordPatch, AppPasswordRow, LastUse } from './store.ts'

export interface AppPasswordRows extends AppPasswordCounts {
  countAppPasswords(userId: string, now: Date): Promise<number>
  /** Of all users: those that can be used, and those that have run out. Reads one index whole; not for the path of a login. */
  appPasswordTotals(now: Date): Promise<{ readonly live: number; readonly expired: number }>
  insertAppPassword(row: AppPasswordRow): Promise<void>
  appPasswordById(id: string): Promise<AppPasswordRow | null>
  /** Newest first, expired ones included. */
  appPasswordsOf(userId: string): Promise<readonly AppPasswordRow[]>
  appPasswordsBySelector(userId: string, selector: number): Promise<readonly AppPasswordRow[]>
  /** Last used before `before`, or never used and created before it; longest unused first, at most `limit`. */
  appPasswordsUnusedSince(before: Date, limit: number): Promise<readonly AppPasswordRow[]>
  /** Does not raise the epoch of the user. false: there is none. */
  updateAppPassword(id: string, patch: AppPasswordPatch): Promise<boolean>
  /** Sets a new hash for a row whose parameters are out of date. Does not raise the epoch: nobody loses access. */
  replaceAppPasswordHash(id: string, hash: string): Promise<void>
  deleteAppPassword(id: string): Promise<boolean>
  /** One statement for the whole batch. Rows that are gone are skipped. */
  noteLastUsed(uses: ReadonlyMap<string, LastUse>): Promise<void>
}

export function sqlAppPasswords(db: () => Db, dialect: SqlDialect, queries: Queries): AppPasswordRows {
  return {
    countAppPasswordsOf: async (userIds, now) => await countAppPasswordsOf(db(), userIds, now),

    async countAppPasswords(userId, now) {
      const row = await db()
        .selectFrom('app_passwords')
        .select((of) => of.fn.countAll<number>().as('count'))
        .where('user_id', '=', userId)
        .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now.getTime())]))
        .executeTakeFirstOrThrow()
      return row.count
    },

    async appPasswordTotals(now) {
      const row = await db()
        .selectFrom('app_passwords')
        .select((is) => [
          is.fn.countAll<number>().as('all'),
          is.fn.countAll<number>().filterWhere('expires_at', '<=', now.getTime()).as('expired'),
        ])
        .executeTakeFirstOrThrow()
      const expired = Number(row.expired)
      return { live: Number(row.all) - expired, expired }
    },

    async insertAppPassword(row) {
      await db().insertInto('app_passwords').values(appPasswordColumns(row)).execute()
    },

    async appPasswordById(id) {
      const row = await db().selectFrom('app_passwords').selectAll().where('id', '=', id).executeTakeFirst()
      return row ? appPasswordRow(row) : null
    },

    async appPasswordsOf(userId) {
      const rows = await db()
        .selectFrom('app_passwords')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .execute()
      return rows.map(appPasswordRow)
    },

    async appPasswordsBySelector(userId, selector) {
      const { rows } = await db().executeQuery(queries.bySelector(userId, selector))
      return rows.filter(isAppPassword).map(appPasswordRow)
    },

    async appPasswordsUnusedSince(before, limit) {
      // Written as in the index that serves it.
      const idleSince = sql<number>`coalesce(last_used_at, created_at)`
      const rows = await db()
        .selectFrom('app_passwords')
        .selectAll()
        .where(idleSince, '<', before.getTime())
        .orderBy(idleSince)
        .limit(limit)
        .execute()
      return rows.map(appPasswordRow)
    },

    async updateAppPassword(id, patch) {
      const changes = {
        ...(patch.name !== undefined && { name: patch.name }),
        ...(patch.protocols !== undefined && { protocols: JSON.stringify(patch.protocols) }),
        ...(patch.networks !== undefined && { networks: JSON.stringify(patch.networks) }),
        ...(patch.expiresAt !== undefined && { expires_at: msOf(patch.expiresAt) }),
      }
      const result = await db().updateTable('app_passwords').set(changes).where('id', '=', id).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    async replaceAppPasswordHash(id, hash) {
      await db().updateTable('app_passwords').set({ hash }).where('id', '=', id).execute()
    },

    async deleteAppPassword(id) {
      const result = await db().deleteFrom('app_passwords').where('id', '=', id).executeTakeFirst()
      return result.numDeletedRows > 0n
    },

    async noteLastUsed(uses) {
      const all = [...uses].map(([id, { at, protocol, ip, agent }]) => ({ id, at: at.getTime(), protocol, ip, agent }))
      await dialect.relaxed(db(), async (db) => {
        await sql`
          update app_passwords
          set last_used_at = u.at, last_used_protocol = u.protocol, last_used_ip = u.ip, last_used_agent = u.agent
          from ${dialect.uses(JSON.stringify(all))}
          where app_passwords.id = u.id
            and (app_passwords.last_used_at is null or app_passwords.last_used_at <= u.at)`.execute(db)
      })
    },
  }
}
