/**
 * The audit trail as rows, each with a code over itself and the code of the one before it (threat J3).
 *
 * Who changes, adds or takes out an entry without the key breaks the chain from there on. Taking away the last ones leaves a
 * shorter chain that is sound; a mark that was noted elsewhere tells (`audit.ts`).
 */

import type { Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { AuditTable, Tables } from './schema.ts'
import { auditRow } from './schema.ts'
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

export async function insertAudit(
  db: Db,
  dialect: SqlDialect,
  sealer: AuditSealer | null,
  entry: Omit<AuditRow, 'seq'>,
): Promise<number> {
  if (!db.isTransaction) return await db.transaction().execute((tx) => insertAudit(tx, dialect, sealer, entry))
  const columns = {
    at: entry.at.getTime(),
    event: entry.event,
    actor: entry.actor,
    user_id: entry.userId,
    address: entry.user,
    detail: JSON.stringify(entry.detail),
  }
  // Locked first: on PostgreSQL two entries at once would follow the same one.
  const before = sealer && (await head(db, dialect.name === 'postgres'))
  const { seq } = await db.insertInto('audit').values(columns).returning('seq').executeTakeFirstOrThrow()
  if (sealer === null) return seq
  const { keyId, code } = sealer(before?.code ?? '', { seq, ...columns })
  await db.updateTable('audit').set({ key_id: keyId, code }).where('seq', '=', seq).execute()
  await db
    .insertInto('audit_head')
    .values({ id: HEAD, seq, code })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ seq, code }))
    .execute()
  return seq
}

async function head(db: Kysely<Tables>, lock: boolean): Promise<AuditMark | null> {
  const query = db.selectFrom('audit_head').select(['seq', 'code']).where('id', '=', HEAD)
  return (await (lock ? query.forUpdate() : query).executeTakeFirst()) ?? null
}

export function sqlAuditChain(db: () => Db): AuditChain {
  return {
    mark: () => head(db(), false),
    links: (afterSeq, limit) =>
      db().selectFrom('audit').selectAll().where('seq', '>', afterSeq).orderBy('seq').limit(limit).execute(),
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

async function firstSince(db: Db, since: Date): Promise<number | null> {
  const { rows } = await sql<{
    seq: number | null
  }>`select min(seq) as seq from audit where at >= ${since.getTime()}`.execute(db)
  return rows[0]?.seq ?? null
}
