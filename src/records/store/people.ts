/**
 * What people prove themselves with, and what is kept for them, as rows: `StoreTransaction.people`. One file of people/ for each
 * kind of row holds its type, its columns, what can be asked, and the SQL, one text for SQLite and PostgreSQL.
 *
 * Whatever may happen once (a step of an authenticator app, a recovery code, a link) is one conditional update that answers
 * whether it was this caller's. No row holds a token: only its keyed digest.
 */

import { sql } from 'kysely'
import { deleteInPieces } from './delete-in-pieces.ts'
import type { ApiTokenRows, ApiTokenTables } from './people/api-tokens.ts'
import { sqlApiTokens } from './people/api-tokens.ts'
import type { IdempotencyRows, IdempotencyTables } from './people/idempotency-keys.ts'
import { sqlIdempotencyKeys } from './people/idempotency-keys.ts'
import type { NoticeRows, NoticeTables } from './people/notices.ts'
import { sqlNotices } from './people/notices.ts'
import type { OneTimeLinkRows, OneTimeLinkTables } from './people/one-time-links.ts'
import { sqlOneTimeLinks } from './people/one-time-links.ts'
import type { PortalSessionRows, PortalSessionTables } from './people/portal-sessions.ts'
import { sqlPortalSessions } from './people/portal-sessions.ts'
import type { ProviderLinkRows, ProviderLinkTables } from './people/provider-links.ts'
import { sqlProviderLinks } from './people/provider-links.ts'
import type { SecondStepRows, SecondStepTables } from './people/second-steps.ts'
import { sqlSecondSteps } from './people/second-steps.ts'
import type { Queries } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'

/** Columns; times and lists as in schema.ts. */
export interface PeopleTables
  extends SecondStepTables,
    ProviderLinkTables,
    OneTimeLinkTables,
    PortalSessionTables,
    ApiTokenTables,
    IdempotencyTables,
    NoticeTables {}

export interface PeopleRecords
  extends SecondStepRows,
    ProviderLinkRows,
    OneTimeLinkRows,
    PortalSessionRows,
    ApiTokenRows,
    IdempotencyRows,
    NoticeRows {
  /** Deletes what is over: sessions and links that have run out, idempotency keys and notices from before these times. */
  deleteStale(before: {
    readonly sessions: Date
    readonly seen: Date
    readonly links: Date
    readonly idempotencyKeys: Date
    readonly notices: Date
  }): Promise<void>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlPeople(db: () => Db, queries: Queries): PeopleRecords {
  return {
    ...sqlSecondSteps(db),
    ...sqlProviderLinks(db),
    ...sqlOneTimeLinks(db),
    ...sqlPortalSessions(db),
    ...sqlApiTokens(db),
    ...sqlIdempotencyKeys(db),
    ...sqlNotices(db, queries),

    async deleteStale(before) {
      const { sessions, seen, links, idempotencyKeys, notices } = before
      await deleteInPieces(db(), 'portal_sessions', ['id'], sql`expires_at <= ${sessions.getTime()}`)
      await deleteInPieces(db(), 'portal_sessions', ['id'], sql`seen_at <= ${seen.getTime()}`)
      await deleteInPieces(db(), 'one_time_links', ['id'], sql`created_at <= ${links.getTime()}`)
      const keys = sql`created_at <= ${idempotencyKeys.getTime()}`
      await deleteInPieces(db(), 'idempotency_keys', ['caller', 'key'], keys)
      await deleteInPieces(db(), 'notices', ['id'], sql`at <= ${notices.getTime()}`)
    },
  }
}
