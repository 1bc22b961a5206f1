/**
 * Notices as rows: what a user is told in the portal, once for each id.
 */

import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import { gone } from '../columns.ts'
import type { Queries } from '../sql-prepared.ts'
import type { Db } from '../sql-transaction.ts'

export interface NoticeRow {
  readonly id: string
  readonly userId: string
  readonly kind: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
  readonly at: Date
}

export interface NoticeTables {
  notices: { id: string; user_id: string; kind: string; detail: string; at: number }
}

export interface NoticeRows {
  /** Replaces one with the same id. Beyond a hundred of a user the oldest go: nobody is shown them any more. */
  putNotice(row: NoticeRow): Promise<void>
  /** Newest first. */
  noticesOf(userId: string): Promise<readonly NoticeRow[]>
  deleteNotice(id: string, userId: string): Promise<boolean>
}

const NOTICES_A_USER = 100
/** SQLite has no offset without a limit. What a store from before this has more of goes with the next notices. */
const TRIMMED_AT_ONCE = 1000

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlNotices(db: () => Db, queries: Queries): NoticeRows {
  return {
    async putNotice(row: NoticeRow) {
      const content = [row.kind, JSON.stringify(row.detail), row.at.getTime()]
      await db().executeQuery(queries.putNotice(row.id, row.userId, ...content, ...content))
      await sql`
        delete from notices where user_id = ${row.userId} and id in (
          select id from notices where user_id = ${row.userId}
          order by at desc, id limit ${TRIMMED_AT_ONCE} offset ${NOTICES_A_USER})`.execute(db())
    },

    async noticesOf(userId) {
      const rows = await db()
        .selectFrom('notices')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('at', 'desc')
        .orderBy('id')
        .limit(NOTICES_A_USER)
        .execute()
      return rows.map(noticeRow)
    },

    async deleteNotice(id, userId) {
      return gone(
        await db().deleteFrom('notices').where('id', '=', id).where('user_id', '=', userId).executeTakeFirst(),
      )
    },
  }
}

function noticeRow(row: Selectable<NoticeTables['notices']>): NoticeRow {
  const { id, user_id, kind, detail, at } = row
  return { id, userId: user_id, kind, detail: JSON.parse(detail) as NoticeRow['detail'], at: new Date(at) }
}
