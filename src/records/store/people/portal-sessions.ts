/**
 * Portal sessions as rows: found by the keyed digest of their token, and given the next token by whoever holds the last one.
 */

import type { Insertable, Selectable } from 'kysely'
import { changed, gone } from '../columns.ts'
import type { Db } from '../sql-transaction.ts'

/** A factor that the keeper verified, and when. `fresh` false: that it took place just then is not proven. */
export interface FactorRow {
  readonly factor: string
  readonly at: Date
  readonly fresh: boolean
}

export interface PortalSessionRow {
  /** Not the token. */
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly userId: string
  readonly stage: 'enrolling' | 'full'
  readonly factors: readonly FactorRow[]
  readonly csrf: string
  readonly ip: string
  readonly agent: string | null
  /** The provider link it was opened with, and the provider's own name for its session (`sid`). */
  readonly linkId: string | null
  readonly providerSession: string | null
  readonly beganAt: Date
  readonly seenAt: Date
  readonly expiresAt: Date
}

export interface PortalSessionTables {
  portal_sessions: {
    id: string
    digest: string
    key_id: string
    user_id: string
    stage: string
    factors: string
    csrf: string
    ip: string
    agent: string | null
    link_id: string | null
    provider_session: string | null
    began_at: number
    seen_at: number
    expires_at: number
  }
}

export interface PortalSessionRows {
  insertPortalSession(row: PortalSessionRow): Promise<void>
  portalSession(digests: readonly string[]): Promise<PortalSessionRow | null>
  /** Newest first. */
  portalSessionsOf(userId: string): Promise<readonly PortalSessionRow[]>
  /** Gives a session a new token, and what is new about it. false: it has another token by now, or is gone. */
  renewPortalSession(
    id: string,
    oldDigest: string,
    to: Pick<PortalSessionRow, 'digest' | 'keyId' | 'csrf' | 'factors' | 'stage' | 'seenAt'>,
  ): Promise<boolean>
  seePortalSession(id: string, at: Date): Promise<void>
  finishEnrolment(id: string): Promise<void>
  /** The provider that a session has been linked with since it began. */
  linkPortalSession(id: string, linkId: string, providerSession: string | null): Promise<void>
  deletePortalSession(id: string): Promise<boolean>
  /** All of a user but one. */
  deletePortalSessionsOf(userId: string, but: string | null): Promise<number>
  /**
   * Those that an issuer opened: of one subject, of one session there (and of those whose session there is not known), or of
   * one session whoever the subject is.
   */
  deleteProviderSessions(issuer: string, subject: string | null, providerSession: string | null): Promise<number>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlPortalSessions(db: () => Db): PortalSessionRows {
  return {
    async insertPortalSession(row: PortalSessionRow) {
      await db().insertInto('portal_sessions').values(portalSessionColumns(row)).execute()
    },

    async portalSession(digests) {
      const row = await db().selectFrom('portal_sessions').selectAll().where('digest', 'in', digests).executeTakeFirst()
      return row ? portalSessionRow(row) : null
    },

    async portalSessionsOf(userId) {
      const rows = await db()
        .selectFrom('portal_sessions')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('began_at', 'desc')
        .execute()
      return rows.map(portalSessionRow)
    },

    async renewPortalSession(id, oldDigest, to) {
      return changed(
        await db()
          .updateTable('portal_sessions')
          .set({
            digest: to.digest,
            key_id: to.keyId,
            csrf: to.csrf,
            factors: factorsText(to.factors),
            stage: to.stage,
            seen_at: to.seenAt.getTime(),
          })
          .where('id', '=', id)
          .where('digest', '=', oldDigest)
          .executeTakeFirst(),
      )
    },

    async seePortalSession(id, at) {
      await db().updateTable('portal_sessions').set({ seen_at: at.getTime() }).where('id', '=', id).execute()
    },

    async finishEnrolment(id) {
      await db().updateTable('portal_sessions').set({ stage: 'full' }).where('id', '=', id).execute()
    },

    async linkPortalSession(id, linkId, providerSession) {
      await db()
        .updateTable('portal_sessions')
        .set({ link_id: linkId, provider_session: providerSession })
        .where('id', '=', id)
        .execute()
    },

    async deletePortalSession(id) {
      return gone(await db().deleteFrom('portal_sessions').where('id', '=', id).executeTakeFirst())
    },

    async deletePortalSessionsOf(userId, but) {
      let query = db().deleteFrom('portal_sessions').where('user_id', '=', userId)
      if (but !== null) query = query.where('id', '!=', but)
      return Number((await query.executeTakeFirst()).numDeletedRows)
    },

    async deleteProviderSessions(issuer, subject, providerSession) {
      let query = db()
        .deleteFrom('portal_sessions')
        .where('link_id', 'in', (of) => {
          const links = of.selectFrom('provider_links').select('id').where('issuer', '=', issuer)
          return subject === null ? links : links.where('subject', '=', subject)
        })
      if (providerSession !== null) {
        query = query.where((is) =>
          subject === null
            ? is('provider_session', '=', providerSession)
            : is.or([is('provider_session', '=', providerSession), is('provider_session', 'is', null)]),
        )
      }
      return Number((await query.executeTakeFirst()).numDeletedRows)
    },
  }
}

function portalSessionRow(row: Selectable<PortalSessionTables['portal_sessions']>): PortalSessionRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    userId: row.user_id,
    stage: row.stage as PortalSessionRow['stage'],
    factors: factorsOf(row.factors),
    csrf: row.csrf,
    ip: row.ip,
    agent: row.agent,
    linkId: row.link_id,
    providerSession: row.provider_session,
    beganAt: new Date(row.began_at),
    seenAt: new Date(row.seen_at),
    expiresAt: new Date(row.expires_at),
  }
}

function portalSessionColumns(row: PortalSessionRow): Insertable<PortalSessionTables['portal_sessions']> {
  return {
    id: row.id,
    digest: row.digest,
    key_id: row.keyId,
    user_id: row.userId,
    stage: row.stage,
    factors: factorsText(row.factors),
    csrf: row.csrf,
    ip: row.ip,
    agent: row.agent,
    link_id: row.linkId,
    provider_session: row.providerSession,
    began_at: row.beganAt.getTime(),
    seen_at: row.seenAt.getTime(),
    expires_at: row.expiresAt.getTime(),
  }
}

/** Factors as JSON: the times as milliseconds. */
function factorsText(factors: readonly FactorRow[]): string {
  return JSON.stringify(factors.map(({ factor, at, fresh }) => [factor, at.getTime(), fresh ? 1 : 0]))
}

function factorsOf(text: string): readonly FactorRow[] {
  return (JSON.parse(text) as [string, number, number][]).map(([factor, at, fresh]) => ({
    factor,
    at: new Date(at),
    fresh: fresh === 1,
  }))
}
