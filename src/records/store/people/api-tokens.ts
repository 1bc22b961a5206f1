/**
 * API tokens as rows: found by their keyed digest, with what they may do and until when.
 */

import type { Selectable } from 'kysely'
import { dateOf, gone, msOf } from '../columns.ts'
import type { Db } from '../sql-transaction.ts'

export interface ApiTokenRow {
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly name: string
  readonly scopes: readonly string[]
  /** The actor that made it. */
  readonly createdBy: string
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly lastUsedAt: Date | null
}

export interface ApiTokenTables {
  api_tokens: {
    id: string
    digest: string
    key_id: string
    name: string
    scopes: string
    created_by: string
    created_at: number
    expires_at: number
    last_used_at: number | null
  }
}

export interface ApiTokenRows {
  insertApiToken(row: ApiTokenRow): Promise<void>
  apiToken(digests: readonly string[]): Promise<ApiTokenRow | null>
  /** Newest first. */
  listApiTokens(): Promise<readonly ApiTokenRow[]>
  seeApiToken(id: string, at: Date): Promise<void>
  deleteApiToken(id: string): Promise<boolean>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlApiTokens(db: () => Db): ApiTokenRows {
  return {
    async insertApiToken(row: ApiTokenRow) {
      await db()
        .insertInto('api_tokens')
        .values({
          id: row.id,
          digest: row.digest,
          key_id: row.keyId,
          name: row.name,
          scopes: JSON.stringify(row.scopes),
          created_by: row.createdBy,
          created_at: row.createdAt.getTime(),
          expires_at: row.expiresAt.getTime(),
          last_used_at: msOf(row.lastUsedAt),
        })
        .execute()
    },

    async apiToken(digests) {
      const row = await db().selectFrom('api_tokens').selectAll().where('digest', 'in', digests).executeTakeFirst()
      return row ? apiTokenRow(row) : null
    },

    async listApiTokens() {
      const rows = await db().selectFrom('api_tokens').selectAll().orderBy('created_at', 'desc').orderBy('id').execute()
      return rows.map(apiTokenRow)
    },

    async seeApiToken(id, at) {
      await db().updateTable('api_tokens').set({ last_used_at: at.getTime() }).where('id', '=', id).execute()
    },

    async deleteApiToken(id) {
      return gone(await db().deleteFrom('api_tokens').where('id', '=', id).executeTakeFirst())
    },
  }
}

function apiTokenRow(row: Selectable<ApiTokenTables['api_tokens']>): ApiTokenRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as string[],
    createdBy: row.created_by,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}
