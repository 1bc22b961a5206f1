/**
 * Provider links as rows: which subject of which issuer is which user here. A subject is linked once.
 */

import type { Selectable } from 'kysely'
import { gone } from '../columns.ts'
import type { Db } from '../sql-transaction.ts'

export interface ProviderLinkRow {
  readonly id: string
  readonly userId: string
  readonly issuer: string
  readonly subject: string
  readonly linkedAt: Date
}

export interface ProviderLinkTables {
  provider_links: { id: string; user_id: string; issuer: string; subject: string; linked_at: number }
}

export interface ProviderLinkRows {
  /** false: that subject is linked already. */
  insertProviderLink(row: ProviderLinkRow): Promise<boolean>
  providerLinksOf(userId: string): Promise<readonly ProviderLinkRow[]>
  providerLink(issuer: string, subject: string): Promise<ProviderLinkRow | null>
  deleteProviderLink(id: string, userId: string): Promise<boolean>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlProviderLinks(db: () => Db): ProviderLinkRows {
  return {
    async insertProviderLink(row: ProviderLinkRow) {
      const inserted = await db()
        .insertInto('provider_links')
        .values({
          id: row.id,
          user_id: row.userId,
          issuer: row.issuer,
          subject: row.subject,
          linked_at: row.linkedAt.getTime(),
        })
        .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
        .returning('id')
        .executeTakeFirst()
      return inserted !== undefined
    },

    async providerLinksOf(userId) {
      const rows = await db()
        .selectFrom('provider_links')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('linked_at')
        .execute()
      return rows.map(providerLinkRow)
    },

    async providerLink(issuer, subject) {
      const row = await db()
        .selectFrom('provider_links')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return row ? providerLinkRow(row) : null
    },

    async deleteProviderLink(id, userId) {
      return gone(
        await db().deleteFrom('provider_links').where('id', '=', id).where('user_id', '=', userId).executeTakeFirst(),
      )
    },
  }
}

function providerLinkRow(row: Selectable<ProviderLinkTables['provider_links']>): ProviderLinkRow {
  const { id, user_id, issuer, subject, linked_at } = row
  return { id, userId: user_id, issuer, subject, linkedAt: new Date(linked_at) }
}
