/**
 * One-time links as rows: invitations and set-ups, found by the keyed digest of their token and used up by one conditional update.
 */

import type { Insertable, Selectable } from 'kysely'
import { changed, dateOf, msOf } from '../columns.ts'
import type { Db } from '../sql-transaction.ts'

export interface OneTimeLinkRow {
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly userId: string
  readonly kind: 'invitation' | 'set-up'
  /** Of an invitation: 'new-user' or 'reset'; of a set-up: what is set up. */
  readonly why: string
  /** Of a set-up: what the app password will be called. */
  readonly name: string | null
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly usedAt: Date | null
  readonly usedIp: string | null
  readonly appPasswordId: string | null
}

export interface OneTimeLinkTables {
  one_time_links: {
    id: string
    digest: string
    key_id: string
    user_id: string
    kind: string
    why: string
    name: string | null
    created_at: number
    expires_at: number
    used_at: number | null
    used_ip: string | null
    app_password_id: string | null
  }
}

export interface OneTimeLinkRows {
  insertOneTimeLink(row: OneTimeLinkRow): Promise<void>
  oneTimeLink(digests: readonly string[], kind: OneTimeLinkRow['kind']): Promise<OneTimeLinkRow | null>
  /** Newest first, made since then. */
  oneTimeLinksOf(userId: string, kind: OneTimeLinkRow['kind'], since: Date): Promise<readonly OneTimeLinkRow[]>
  /** Uses it up; false: it is used, run out or gone. */
  useOneTimeLink(id: string, at: Date, ip: string): Promise<boolean>
  /** Makes one that was used, and came to nothing, good again for the rest of its time. */
  giveBackOneTimeLink(id: string): Promise<void>
  /** false: it was taken back meanwhile. */
  noteLinkResult(id: string, appPasswordId: string): Promise<boolean>
  /** Those of a user that are not used yet, and set-ups whose use has made nothing yet; `id` null: all of the kind. */
  cancelOneTimeLinks(userId: string, kind: OneTimeLinkRow['kind'], id: string | null): Promise<number>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlOneTimeLinks(db: () => Db): OneTimeLinkRows {
  return {
    async insertOneTimeLink(row: OneTimeLinkRow) {
      await db().insertInto('one_time_links').values(oneTimeLinkColumns(row)).execute()
    },

    async oneTimeLink(digests, kind) {
      const row = await db()
        .selectFrom('one_time_links')
        .selectAll()
        .where('digest', 'in', digests)
        .where('kind', '=', kind)
        .executeTakeFirst()
      return row ? oneTimeLinkRow(row) : null
    },

    async oneTimeLinksOf(userId, kind, since) {
      const rows = await db()
        .selectFrom('one_time_links')
        .selectAll()
        .where('user_id', '=', userId)
        .where('kind', '=', kind)
        .where('created_at', '>=', since.getTime())
        .orderBy('created_at', 'desc')
        .execute()
      return rows.map(oneTimeLinkRow)
    },

    async useOneTimeLink(id, at, ip) {
      return changed(
        await db()
          .updateTable('one_time_links')
          .set({ used_at: at.getTime(), used_ip: ip })
          .where('id', '=', id)
          .where('used_at', 'is', null)
          .where('expires_at', '>', at.getTime())
          .executeTakeFirst(),
      )
    },

    async giveBackOneTimeLink(id) {
      await db()
        .updateTable('one_time_links')
        .set({ used_at: null, used_ip: null })
        .where('id', '=', id)
        .where('app_password_id', 'is', null)
        .execute()
    },

    async noteLinkResult(id, appPasswordId) {
      return changed(
        await db()
          .updateTable('one_time_links')
          .set({ app_password_id: appPasswordId })
          .where('id', '=', id)
          .executeTakeFirst(),
      )
    },

    async cancelOneTimeLinks(userId, kind, id) {
      let query = db()
        .deleteFrom('one_time_links')
        .where('user_id', '=', userId)
        .where('kind', '=', kind)
        .where((is) =>
          is.or([
            is('used_at', 'is', null),
            is.and([is('kind', '=', 'set-up' satisfies typeof kind), is('app_password_id', 'is', null)]),
          ]),
        )
      if (id !== null) query = query.where('id', '=', id)
      return Number((await query.executeTakeFirst()).numDeletedRows)
    },
  }
}

function oneTimeLinkRow(row: Selectable<OneTimeLinkTables['one_time_links']>): OneTimeLinkRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    userId: row.user_id,
    kind: row.kind as OneTimeLinkRow['kind'],
    why: row.why,
    name: row.name,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at),
    usedAt: dateOf(row.used_at),
    usedIp: row.used_ip,
    appPasswordId: row.app_password_id,
  }
}

function oneTimeLinkColumns(row: OneTimeLinkRow): Insertable<OneTimeLinkTables['one_time_links']> {
  return {
    id: row.id,
    digest: row.digest,
    key_id: row.keyId,
    user_id: row.userId,
    kind: row.kind,
    why: row.why,
    name: row.name,
    created_at: row.createdAt.getTime(),
    expires_at: row.expiresAt.getTime(),
    used_at: msOf(row.usedAt),
    used_ip: row.usedIp,
    app_password_id: row.appPasswordId,
  }
}
