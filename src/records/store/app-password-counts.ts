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
  const [any] = userIds
  if (any === undefined) return new Map()
  // As many parameters for a whole page and for one that is nearly full: each number of them would be a statement of its own.
  const size = 2 ** Math.ceil(Math.log2(userIds.length))
  const wanted = Array.from({ length: size }, (_, n) => userIds[n] ?? any)
  const rows = await db
    .selectFrom('app_passwords')
    .select((of) => ['user_id', of.fn.countAll<number>().as('count')])
    .where('user_id', 'in', wanted)
    .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now.getTime())]))
    .groupBy('user_id')
    .execute()
  return new Map(rows.map((row) => [row.user_id, Number(row.count)]))
}
