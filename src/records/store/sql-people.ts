/**
 * `PeopleRecords` over SQL, one text for SQLite and PostgreSQL.
 */

import type {
  ApiTokenRow,
  AuthenticatorAppRow,
  IdempotencyRow,
  NoticeRow,
  OneTimeLinkRow,
  PasskeyRow,
  PeopleRecords,
  PortalSessionRow,
  ProviderLinkRow,
  RecoveryCodeRow,
} from './people.ts'
import {
  apiTokenRow,
  authenticatorAppRow,
  factorsText,
  noticeRow,
  oneTimeLinkColumns,
  oneTimeLinkRow,
  passkeyRow,
  portalSessionColumns,
  portalSessionRow,
  providerLinkRow,
} from './people-schema.ts'
import type { Db } from './sql-transaction.ts'

const NOTICES_SHOWN = 100

const changed = (result: { readonly numUpdatedRows: bigint }) => result.numUpdatedRows > 0n
const gone = (result: { readonly numDeletedRows: bigint }) => result.numDeletedRows > 0n

/** `db` is asked at each use: the store's own, or that of a transaction. */
export function sqlPeople(db: () => Db): PeopleRecords {
  return {
    ...methods(db),
    ...links(db),
    ...sessions(db),
    ...tokens(db),

    async putNotice(row: NoticeRow) {
      const content = { kind: row.kind, detail: JSON.stringify(row.detail), at: row.at.getTime() }
      await db()
        .insertInto('notices')
        .values({ id: row.id, user_id: row.userId, ...content })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(content))
        .execute()
    },

    async noticesOf(userId) {
      const rows = await db()
        .selectFrom('notices')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('at', 'desc')
        .limit(NOTICES_SHOWN)
        .execute()
      return rows.map(noticeRow)
    },

    async deleteNotice(id, userId) {
      return gone(
        await db().deleteFrom('notices').where('id', '=', id).where('user_id', '=', userId).executeTakeFirst(),
      )
    },

    async deleteStale(before) {
      await db().deleteFrom('portal_sessions').where('expires_at', '<=', before.sessions.getTime()).execute()
      await db().deleteFrom('portal_sessions').where('seen_at', '<=', before.seen.getTime()).execute()
      await db().deleteFrom('one_time_links').where('created_at', '<=', before.links.getTime()).execute()
      await db().deleteFrom('idempotency_keys').where('created_at', '<=', before.idempotencyKeys.getTime()).execute()
      await db().deleteFrom('notices').where('at', '<=', before.notices.getTime()).execute()
    },
  }
}

type Methods = Pick<
  PeopleRecords,
  | 'insertAuthenticatorApp'
  | 'authenticatorAppsOf'
  | 'useStep'
  | 'resealAuthenticatorApp'
  | 'deleteAuthenticatorApp'
  | 'insertPasskey'
  | 'passkeysOf'
  | 'passkeyByCredential'
  | 'usePasskey'
  | 'deletePasskey'
  | 'replaceRecoveryCodes'
  | 'recoveryCodesOf'
  | 'useRecoveryCode'
>

function methods(db: () => Db): Methods {
  return {
    async insertAuthenticatorApp(row: AuthenticatorAppRow) {
      await db()
        .insertInto('authenticator_apps')
        .values({
          id: row.id,
          user_id: row.userId,
          name: row.name,
          sealed: row.sealed,
          key_id: row.keyId,
          last_step: row.lastStep,
          created_at: row.createdAt.getTime(),
          last_used_at: row.lastUsedAt?.getTime() ?? null,
        })
        .execute()
    },

    async authenticatorAppsOf(userId) {
      const rows = await db()
        .selectFrom('authenticator_apps')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(authenticatorAppRow)
    },

    async useStep(id, step, at) {
      return changed(
        await db()
          .updateTable('authenticator_apps')
          .set({ last_step: step, last_used_at: at.getTime() })
          .where('id', '=', id)
          .where('last_step', '<', step)
          .executeTakeFirst(),
      )
    },

    async resealAuthenticatorApp(id, sealed, keyId) {
      await db().updateTable('authenticator_apps').set({ sealed, key_id: keyId }).where('id', '=', id).execute()
    },

    async deleteAuthenticatorApp(id, userId) {
      return gone(
        await db()
          .deleteFrom('authenticator_apps')
          .where('id', '=', id)
          .where('user_id', '=', userId)
          .executeTakeFirst(),
      )
    },

    async insertPasskey(row: PasskeyRow) {
      const inserted = await db()
        .insertInto('passkeys')
        .values({
          id: row.id,
          user_id: row.userId,
          credential_id: row.credentialId,
          public_key: row.publicKey,
          counter: row.counter,
          transports: JSON.stringify(row.transports),
          backed_up: row.backedUp ? 1 : 0,
          name: row.name,
          created_at: row.createdAt.getTime(),
          last_used_at: row.lastUsedAt?.getTime() ?? null,
        })
        .onConflict((conflict) => conflict.column('credential_id').doNothing())
        .returning('id')
        .executeTakeFirst()
      return inserted !== undefined
    },

    async passkeysOf(userId) {
      const rows = await db()
        .selectFrom('passkeys')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(passkeyRow)
    },

    async passkeyByCredential(credentialId) {
      const row = await db()
        .selectFrom('passkeys')
        .selectAll()
        .where('credential_id', '=', credentialId)
        .executeTakeFirst()
      return row ? passkeyRow(row) : null
    },

    async usePasskey(id, counter, backedUp, at) {
      return changed(
        await db()
          .updateTable('passkeys')
          .set({ counter, backed_up: backedUp ? 1 : 0, last_used_at: at.getTime() })
          .where('id', '=', id)
          .where((is) =>
            counter === 0 ? is('counter', '=', 0) : is.or([is('counter', '<', counter), is('counter', '=', 0)]),
          )
          .executeTakeFirst(),
      )
    },

    async deletePasskey(id, userId) {
      return gone(
        await db().deleteFrom('passkeys').where('id', '=', id).where('user_id', '=', userId).executeTakeFirst(),
      )
    },

    async replaceRecoveryCodes(userId, rows: readonly RecoveryCodeRow[]) {
      await db().deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
      if (rows.length === 0) return
      await db()
        .insertInto('recovery_codes')
        .values(
          rows.map((row) => ({
            user_id: row.userId,
            digest: row.digest,
            key_id: row.keyId,
            created_at: row.createdAt.getTime(),
            used_at: row.usedAt?.getTime() ?? null,
          })),
        )
        .execute()
    },

    async recoveryCodesOf(userId) {
      const rows = await db()
        .selectFrom('recovery_codes')
        .select(['created_at', 'used_at'])
        .where('user_id', '=', userId)
        .execute()
      const [first] = rows
      if (!first) return null
      return { left: rows.filter((row) => row.used_at === null).length, madeAt: new Date(first.created_at) }
    },

    async useRecoveryCode(userId, digests, at) {
      return changed(
        await db()
          .updateTable('recovery_codes')
          .set({ used_at: at.getTime() })
          .where('user_id', '=', userId)
          .where('digest', 'in', digests)
          .where('used_at', 'is', null)
          .executeTakeFirst(),
      )
    },
  }
}

type Links = Pick<
  PeopleRecords,
  | 'insertProviderLink'
  | 'providerLinksOf'
  | 'providerLink'
  | 'deleteProviderLink'
  | 'insertOneTimeLink'
  | 'oneTimeLink'
  | 'oneTimeLinksOf'
  | 'useOneTimeLink'
  | 'noteLinkResult'
  | 'cancelOneTimeLinks'
>

function links(db: () => Db): Links {
  return {
    async insertProviderLink(row: ProviderLinkRow) {
      const inserted = await db()
        .insertInto('provider_links')
        .values({
          id: row.id,
          user_id: row.userId,
          issuer: row.issuer,
          subject: row.subject,
          linked_at: row.linkedAt.getTime(),
        })
        .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
        .returning('id')
        .executeTakeFirst()
      return inserted !== undefined
    },

    async providerLinksOf(userId) {
      const rows = await db()
        .selectFrom('provider_links')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('linked_at')
        .execute()
      return rows.map(providerLinkRow)
    },

    async providerLink(issuer, subject) {
      const row = await db()
        .selectFrom('provider_links')
        .selectAll()
        .where('issuer', '=', issuer)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return row ? providerLinkRow(row) : null
    },

    async deleteProviderLink(id, userId) {
      return gone(
        await db().deleteFrom('provider_links').where('id', '=', id).where('user_id', '=', userId).executeTakeFirst(),
      )
    },

    async insertOneTimeLink(row: OneTimeLinkRow) {
      await db().insertInto('one_time_links').values(oneTimeLinkColumns(row)).execute()
    },

    async oneTimeLink(digests, kind) {
      const row = await db()
        .selectFrom('one_time_links')
        .selectAll()
        .where('digest', 'in', digests)
        .where('kind', '=', kind)
        .executeTakeFirst()
      return row ? oneTimeLinkRow(row) : null
    },

    async oneTimeLinksOf(userId, kind, since) {
      const rows = await db()
        .selectFrom('one_time_links')
        .selectAll()
        .where('user_id', '=', userId)
        .where('kind', '=', kind)
        .where('created_at', '>=', since.getTime())
        .orderBy('created_at', 'desc')
        .execute()
      return rows.map(oneTimeLinkRow)
    },

    async useOneTimeLink(id, at, ip) {
      return changed(
        await db()
          .updateTable('one_time_links')
          .set({ used_at: at.getTime(), used_ip: ip })
          .where('id', '=', id)
          .where('used_at', 'is', null)
          .where('expires_at', '>', at.getTime())
          .executeTakeFirst(),
      )
    },

    async noteLinkResult(id, appPasswordId) {
      await db().updateTable('one_time_links').set({ app_password_id: appPasswordId }).where('id', '=', id).execute()
    },

    async cancelOneTimeLinks(userId, kind, id) {
      let query = db()
        .deleteFrom('one_time_links')
        .where('user_id', '=', userId)
        .where('kind', '=', kind)
        .where('used_at', 'is', null)
      if (id !== null) query = query.where('id', '=', id)
      return Number((await query.executeTakeFirst()).numDeletedRows)
    },
  }
}

type Sessions = Pick<
  PeopleRecords,
  | 'insertPortalSession'
  | 'portalSession'
  | 'portalSessionsOf'
  | 'renewPortalSession'
  | 'seePortalSession'
  | 'finishEnrolment'
  | 'linkPortalSession'
  | 'deletePortalSession'
  | 'deletePortalSessionsOf'
  | 'deleteProviderSessions'
>

function sessions(db: () => Db): Sessions {
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

type Tokens = Pick<
  PeopleRecords,
  | 'insertApiToken'
  | 'apiToken'
  | 'listApiTokens'
  | 'seeApiToken'
  | 'deleteApiToken'
  | 'claimIdempotencyKey'
  | 'keepAnswer'
  | 'dropIdempotencyKey'
>

function tokens(db: () => Db): Tokens {
  return {
    async insertApiToken(row: ApiTokenRow) {
      await db()
        .insertInto('api_tokens')
        .values({
          id: row.id,
          digest: row.digest,
          key_id: row.keyId,
          name: row.name,
          scopes: JSON.stringify(row.scopes),
          created_by: row.createdBy,
          created_at: row.createdAt.getTime(),
          expires_at: row.expiresAt.getTime(),
          last_used_at: row.lastUsedAt?.getTime() ?? null,
        })
        .execute()
    },

    async apiToken(digests) {
      const row = await db().selectFrom('api_tokens').selectAll().where('digest', 'in', digests).executeTakeFirst()
      return row ? apiTokenRow(row) : null
    },

    async listApiTokens() {
      const rows = await db().selectFrom('api_tokens').selectAll().orderBy('created_at', 'desc').orderBy('id').execute()
      return rows.map(apiTokenRow)
    },

    async seeApiToken(id, at) {
      await db().updateTable('api_tokens').set({ last_used_at: at.getTime() }).where('id', '=', id).execute()
    },

    async deleteApiToken(id) {
      return gone(await db().deleteFrom('api_tokens').where('id', '=', id).executeTakeFirst())
    },

    async claimIdempotencyKey(row: IdempotencyRow) {
      const claimed = await db()
        .insertInto('idempotency_keys')
        .values({
          caller: row.caller,
          key: row.key,
          request: row.request,
          answer: row.answer,
          created_at: row.createdAt.getTime(),
        })
        .onConflict((conflict) => conflict.columns(['caller', 'key']).doNothing())
        .returning('key')
        .executeTakeFirst()
      if (claimed) return null
      const known = await db()
        .selectFrom('idempotency_keys')
        .selectAll()
        .where('caller', '=', row.caller)
        .where('key', '=', row.key)
        .executeTakeFirst()
      return known
        ? {
            caller: known.caller,
            key: known.key,
            request: known.request,
            answer: known.answer,
            createdAt: new Date(known.created_at),
          }
        : { ...row, answer: null }
    },

    async keepAnswer(caller, key, answer) {
      await db()
        .updateTable('idempotency_keys')
        .set({ answer })
        .where('caller', '=', caller)
        .where('key', '=', key)
        .execute()
    },

    async dropIdempotencyKey(caller, key) {
      await db().deleteFrom('idempotency_keys').where('caller', '=', caller).where('key', '=', key).execute()
    },
  }
}
