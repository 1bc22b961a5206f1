/**
 * What people prove themselves with, and what is kept for them, as rows: `StoreTransaction.people`. One file of people/ for each
 * kind of row holds its type, its columns, what can be asked, and the SQL, one text for SQLite and PostgreSQL.
 *
 * Whatever may happen once (a step of an authenticator app, a recovery code, a link) is one conditional update that answers
 * whether it was this caller's. No row holds a token: only its keyed digest.
 */

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
export function sqlPeople(db: () => Db): PeopleRecords {
  return {
    ...sqlSecondSteps(db),
    ...sqlProviderLinks(db),
    ...sqlOneTimeLinks(db),
    ...sqlPortalSessions(db),
    ...sqlApiTokens(db),
    ...sqlIdempotencyKeys(db),
    ...sqlNotices(db),

    async deleteStale(before) {
      await db().deleteFrom('portal_sessions').where('expires_at', '<=', before.sessions.getTime()).execute()
      await db().deleteFrom('portal_sessions').where('seen_at', '<=', before.seen.getTime()).execute()
      await db().deleteFrom('one_time_links').where('created_at', '<=', before.links.getTime()).execute()
      await db().deleteFrom('idempotency_keys').where('created_at', '<=', before.idempotencyKeys.getTime()).execute()
      await db().deleteFrom('notices').where('at', '<=', before.notices.getTime()).execute()
    },
  }
}
