/**
 * What is still tried with deleted app passwords: how a user learns that the old iPad still has its password (M5).
 */

import type { ProtocolName } from '../../contract/admission.ts'
import { tombstoneRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'
import type { TombstoneRow } from './store.ts'

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

export interface TombstoneHistory {
  /** Of one user, deleted last first. */
  listTombstones(userId: string): Promise<readonly TombstoneRow[]>
  /** Adds to what is there. Tombstones that are gone are skipped. */
  noteTombstoneTries(notes: readonly TombstoneNote[]): Promise<void>
}

export async function listTombstones(db: Db, userId: string): Promise<readonly TombstoneRow[]> {
  const rows = await db
    .selectFrom('tombstones')
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('deleted_at', 'desc')
    .orderBy('digest')
    .execute()
  return rows.map(tombstoneRow)
}

export async function noteTombstoneTries(db: Db, queries: Queries, notes: readonly TombstoneNote[]): Promise<void> {
  for (const { userId, digest, at, ip, protocol, tries } of notes) {
    await db.executeQuery(queries.noteTombstoneTries(tries, at.getTime(), ip, protocol, userId, digest))
  }
}
