/**
 * How many app passwords users have, for a page of a listing: one statement instead of one for each user.
 */

import type { Db } from './sql-transaction.ts'

export interface AppPasswordCounts {
  /** Of those that can be used, by user; a user who has none is not in it. At most some hundred users at once. */
  countAppPasswordsOf(userIds: readonly string[], now: Date): Promise<ReadonlyMap<string, number>>
}

export async function countAppPasswordsOf(
  db: Db,
  userIds: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, number>> {
  if (userIds.length === 0) return new Map()
  const rows = await db
    .selectFrom('app_passwords')
    .select((of) => ['user_id', of.fn.countAll<number>().as('count')])
    .where('user_id', 'in', userIds)
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now.getTime())]))
    .groupBy('user_id')
    .execute()
  return new Map(rows.map((row) => [row.user_id, Number(row.count)]))
}
