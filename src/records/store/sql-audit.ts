/**
 * The audit trail as rows, each with a code over itself and the code of the one before it (threat J3).
 *
 * Who changes, adds or takes out an entry without the key breaks the chain from there on. Taking away the last ones leaves a
 * shorter chain that is sound; a mark that was noted elsewhere tells (`audit.ts`).
 */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { AuditTable } from './schema.ts'
import { auditRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import type { Db, SqlDialect } from './sql-transaction.ts'
import type { AuditRow } from './store.ts'

/** What an entry's code is made from: its columns, as they are stored. */
export type SealedColumns = Omit<Selectable<AuditTable>, 'key_id' | 'code'>

/** Makes the code of an entry. */
export type AuditSealer = (before: string, entry: SealedColumns) => { readonly keyId: string; readonly code: string }

/** The end of the chain. */
export interface AuditMark {
  readonly seq: number
  readonly code: string
}

export interface AuditFilter {
  readonly userId: string | null
  /** As entries have it: what is about an address, also when its user is gone. */
  readonly address?: string
  readonly since: Date | null
  /** By seq. Left out: 'oldest' first. */
  readonly order?: AuditOrder
  /** Entries that follow this one in that order; 0: from the first on. */
  readonly afterSeq: number
  readonly limit: number
}

export type AuditOrder = 'oldest' | 'newest'

/** The trail as it stands in the table, for whoever checks its codes. */
export interface AuditChain {
  /** null: there is no entry with a code yet. */
  mark(): Promise<AuditMark | null>
  /** Ascending. */
  links(afterSeq: number, limit: number): Promise<readonly Selectable<AuditTable>[]>
}

const HEAD = 1
/** Entries of an index that are looked at between two turns of the event loop: half a millisecond. */
const ENTRIES_A_TURN = 5000

export async function insertAudit(
  db: Db,
  dialect: SqlDialect,
  queries: Queries,
  sealer: AuditSealer | null,
  entry: Omit<AuditRow, 'seq'>,
): Promise<number> {
  if (!db.isTransaction) return await db.transaction().execute((tx) => insertAudit(tx, dialect, queries, sealer, entry))
  const columns = {
    at: entry.at.getTime(),
    event: entry.event,
    actor: entry.actor,
    user_id: entry.userId,
    address: entry.user,
    detail: JSON.stringify(entry.detail),
  }
  const { at, event, actor, user_id, address, detail } = columns
  const head = dialect.name === 'postgres' ? queries.auditHeadLocked(HEAD) : queries.auditHead(HEAD)
  const before = sealer && (await db.executeQuery(head)).rows[0]
  const [inserted] = (await db.executeQuery(queries.insertAudit(at, event, actor, user_id, address, detail))).rows
  if (inserted === undefined) throw new TypeError('an entry of the audit trail got no number')
  const { seq } = inserted
  if (sealer === null) return seq
  const { keyId, code } = sealer(before?.code ?? '', { seq, ...columns })
  await db.executeQuery(queries.sealAudit(keyId, code, seq))
  await db.executeQuery(queries.putAuditHead(HEAD, seq, code, seq, code))
  return seq
}

export function sqlAuditChain(db: () => Db, queries: Queries): AuditChain {
  return {
    mark: async () => (await db().executeQuery(queries.auditHead(HEAD))).rows[0] ?? null,
    links: (afterSeq, limit) =>
      db().selectFrom('audit').selectAll().where('seq', '>', afterSeq).orderBy('seq').limit(limit).execute(),
  }
}

/**
 * The lowest number among the entries from a moment on; null: there is none. Not the number of the first one by time: clocks are set
 * back. So it reads them all in the index, some at a time, with a turn of the event loop between.
 */
async function firstSince(db: Db, since: Date): Promise<number | null> {
  let lowest: number | null = null
  for (let from = since.getTime(); ; ) {
    const { rows } = await sql<{ lowest: number | null; last: number | null; count: number }>`
      select min(seq) as lowest, max(at) as last, count(*) as count from (
        select at, seq from audit where at >= ${from} order by at, seq limit ${ENTRIES_A_TURN}) as part`.execute(db)
    const [part] = rows
    if (!part || part.lowest === null || part.last === null) return lowest
    lowest = Math.min(lowest ?? part.lowest, part.lowest)
    if (Number(part.count) < ENTRIES_A_TURN) return lowest
    // What is left of the last moment has higher numbers than what was read of it.
    from = part.last + 1
    await nextTurn()
  }
}

export async function selectAudit(db: Db, filter: AuditFilter): Promise<readonly AuditRow[]> {
  const { userId, address, since, order = 'oldest', afterSeq, limit } = filter
  let query = db.selectFrom('audit').selectAll()
  if (userId !== null) query = query.where('user_id', '=', userId)
  if (address !== undefined) query = query.where('address', '=', address)

  const isNewest = order === 'newest'
  query = isNewest
    ? query.where('seq', '<', afterSeq > 0 ? afterSeq : Number.MAX_SAFE_INTEGER)
    : query.where('seq', '>', afterSeq)
  if (since !== null) {
    // Of everybody's entries a page begins (or ends) where the time does, found by index, instead of walking through all that
    // came before. Pages in the middle of the older order are past it already.
    if (userId === null && address === undefined && (isNewest || afterSeq === 0)) {
      const first = await firstSince(db, since)
      if (first === null) return []
      query = query.where('seq', '>=', first)
    }
    // A clock that was set back leaves entries that are too old in between.
    query = query.where('at', '>=', since.getTime())
  }
  const rows = await query
    .orderBy('seq', isNewest ? 'desc' : 'asc')
    .limit(limit)
    .execute()
  return rows.map(auditRow)
}
