/**
 * Deleting app passwords inside a transaction: the row goes, a tombstone and an audit entry stay (R27).
 *
 * The caller raises the user's epoch in the same transaction (first, because on PostgreSQL that locks the user's row) and
 * tells the bus after the commit.
 */

import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import type { AppPasswordRow, StoreTransaction, UserRow } from './store/store.ts'

/** How long a deleted app password is remembered. */
export const TOMBSTONE_MS = 90 * 24 * 60 * 60_000
/** Tombstones a user may have; making and deleting all day long fills nothing. */
const TOMBSTONES_A_USER = 400

export interface RevokedAppPassword {
  readonly id: string
  readonly name: string
  readonly userId: string
  readonly address: string
}

/** What is left of a revocation to tell, once it is committed. */
export interface Revocation {
  readonly userId: string
  readonly epoch: number
  readonly revoked: readonly RevokedAppPassword[]
}

/** Deletes rows of one user. Those that are gone by now are left out of the answer. */
export async function deleteAppPasswords(
  tx: StoreTransaction,
  user: UserRow,
  rows: readonly AppPasswordRow[],
  by: { readonly why: string; readonly actor: string; readonly at: Date },
): Promise<readonly RevokedAppPassword[]> {
  const revoked: RevokedAppPassword[] = []
  for (const row of rows) {
    if (!(await tx.deleteAppPassword(row.id))) continue
    await tx.putTombstone({
      userId: user.id,
      digest: row.tombstoneDigest,
      keyId: row.keyId,
      appPasswordId: row.id,
      name: row.name,
      deletedAt: by.at,
    })
    const detail = { appPassword: row.id, name: row.name, why: by.why }
    await appendAudit(tx, { event: 'app_password_deleted', actor: by.actor, user, at: by.at, detail })
    revoked.push({ id: row.id, name: row.name, userId: user.id, address: user.address })
  }
  if (revoked.length > 0) await tx.trimTombstones(user.id, TOMBSTONES_A_USER)
  return revoked
}

/** Tells the bus of what has been committed. */
export function publishRevocation(bus: Bus, { userId, epoch, revoked }: Revocation): void {
  for (const { id } of revoked) bus.publish({ kind: 'app-password-revoked', userId, appPasswordId: id, epoch })
}
