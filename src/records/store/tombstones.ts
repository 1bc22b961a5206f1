/**
 * What deleted app passwords leave behind, and what is still tried with them: how a user learns that the old iPad still has its
 * password (M5).
 */

import { sql } from 'kysely'
import type { ProtocolName } from '../../contract/admission.ts'
import { deleteInPieces } from './delete-in-pieces.ts'
import { tombstoneRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import { first } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'
import type { NewTombstone, TombstoneRow } from './store.ts'

/** The last attempt with a deleted app password, and how many there were. */
export interface TombstoneTries {
  readonly at: Date
  readonly ip: string
  readonly protocol: ProtocolName
  /** In all since it was deleted; in a note: since the last note. */
  readonly tries: number
}

/** Attempts to add to one tombstone. */
export interface TombstoneNote extends TombstoneTries {
  readonly userId: string
  readonly digest: string
}

export interface TombstoneRows {
  /** Replaces one with the same digest: nothing may stand in the way of a revocation. */
  putTombstone(row: NewTombstone): Promise<void>
  tombstone(userId: string, digest: string): Promise<TombstoneRow | null>
  deleteTombstonesBefore(before: Date): Promise<number>
  /** Keeps the newest `keep` of a user, so that making and deleting app passwords all day fills nothing. */
  trimTombstones(userId: string, keep: number): Promise<void>
  /** Of one user, deleted last first. */
  listTombstones(userId: string): Promise<readonly TombstoneRow[]>
  /** Adds to what is there. Tombstones that are gone are skipped. */
  noteTombstoneTries(notes: readonly TombstoneNote[]): Promise<void>
}

export function sqlTombstones(db: () => Db, queries: Queries): TombstoneRows {
  return {
    async putTombstone(row) {
      const content = {
        key_id: row.keyId,
        app_password_id: row.appPasswordId,
        name: row.name,
        deleted_at: row.deletedAt.getTime(),
      }
      await db()
        .insertInto('tombstones')
        .values({ user_id: row.userId, digest: row.digest, ...content })
        .onConflict((conflict) => conflict.columns(['user_id', 'digest']).doUpdateSet(content))
        .execute()
    },

    async tombstone(userId, digest) {
      const row = await first(db(), queries.tombstone(userId, digest))
      return row ? tombstoneRow(row) : null
    },

    async deleteTombstonesBefore(before) {
      const old = sql`deleted_at < ${before.getTime()}`
      return await deleteInPieces(db(), 'tombstones', ['user_id', 'digest'], old)
    },

    async trimTombstones(userId, keep) {
      await db()
        .deleteFrom('tombstones')
        .where('user_id', '=', userId)
        .where('deleted_at', '<=', (of) =>
          of
            .selectFrom('tombstones')
            .select('deleted_at')
            .where('user_id', '=', userId)
            .orderBy('deleted_at', 'desc')
            .limit(1)
            .offset(keep),
        )
        .execute()
    },

    async listTombstones(userId) {
      const rows = await db()
        .selectFrom('tombstones')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('deleted_at', 'desc')
        .orderBy('digest')
        .execute()
      return rows.map(tombstoneRow)
    },

    async noteTombstoneTries(notes) {
      for (const { userId, digest, at, ip, protocol, tries } of notes) {
        await db().executeQuery(queries.noteTombstoneTries(tries, at.getTime(), ip, protocol, userId, digest))
      }
    },
  }
}
