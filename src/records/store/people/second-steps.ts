/**
 * Second steps as rows: authenticator apps, passkeys and recovery codes of a user, and what using one up means.
 *
 * A step of an app, a count of a passkey and a code are good once: one conditional update says whether they were this caller's.
 */

import type { Selectable } from 'kysely'
import { changed, dateOf, gone, msOf } from '../columns.ts'
import type { Db } from '../sql-transaction.ts'

export interface AuthenticatorAppRow {
  readonly id: string
  readonly userId: string
  readonly name: string
  /** Envelope of `vault.ts` around the seed; bound to user and app. */
  readonly sealed: string
  readonly keyId: string
  /** The last time step that was accepted: this one and all before it are used up. */
  readonly lastStep: number
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

export interface PasskeyRow {
  readonly id: string
  readonly userId: string
  /** Base64url, unique among all users. */
  readonly credentialId: string
  /** COSE, base64url. */
  readonly publicKey: string
  readonly counter: number
  readonly transports: readonly string[]
  /** Kept in somebody's cloud, not on one device. */
  readonly backedUp: boolean
  readonly name: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

export interface RecoveryCodeRow {
  readonly userId: string
  readonly digest: string
  readonly keyId: string
  readonly createdAt: Date
  readonly usedAt: Date | null
}

export interface SecondStepTables {
  authenticator_apps: {
    id: string
    user_id: string
    name: string
    sealed: string
    key_id: string
    last_step: number
    created_at: number
    last_used_at: number | null
  }
  passkeys: {
    id: string
    user_id: string
    credential_id: string
    public_key: string
    counter: number
    transports: string
    backed_up: number
    name: string
    created_at: number
    last_used_at: number | null
  }
  recovery_codes: { user_id: string; digest: string; key_id: string; created_at: number; used_at: number | null }
}

export interface SecondStepRows {
  insertAuthenticatorApp(row: AuthenticatorAppRow): Promise<void>
  /** Oldest first. */
  authenticatorAppsOf(userId: string): Promise<readonly AuthenticatorAppRow[]>
  /** Uses up a step and all before it; false: it was used up already. One conditional statement. */
  useStep(id: string, step: number, at: Date): Promise<boolean>
  resealAuthenticatorApp(id: string, sealed: string, keyId: string): Promise<void>
  deleteAuthenticatorApp(id: string, userId: string): Promise<boolean>

  /** false: somebody has this credential already. */
  insertPasskey(row: PasskeyRow): Promise<boolean>
  passkeysOf(userId: string): Promise<readonly PasskeyRow[]>
  passkeyByCredential(credentialId: string): Promise<PasskeyRow | null>
  /** false: the counter did not rise (two uses at once, or a copy); a counter that stays 0 is none. */
  usePasskey(id: string, counter: number, backedUp: boolean, at: Date): Promise<boolean>
  deletePasskey(id: string, userId: string): Promise<boolean>

  /** Takes the place of the whole set. */
  replaceRecoveryCodes(userId: string, rows: readonly RecoveryCodeRow[]): Promise<void>
  recoveryCodesOf(userId: string): Promise<{ readonly left: number; readonly madeAt: Date } | null>
  /** One of these digests, unused until now: it is used up. */
  useRecoveryCode(userId: string, digests: readonly string[], at: Date): Promise<boolean>
}

/** `db` is asked at each use: the store’s own, or that of a transaction. */
export function sqlSecondSteps(db: () => Db): SecondStepRows {
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
          last_used_at: msOf(row.lastUsedAt),
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
          last_used_at: msOf(row.lastUsedAt),
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
            used_at: msOf(row.usedAt),
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

function authenticatorAppRow(row: Selectable<SecondStepTables['authenticator_apps']>): AuthenticatorAppRow {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    sealed: row.sealed,
    keyId: row.key_id,
    lastStep: row.last_step,
    createdAt: new Date(row.created_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}

function passkeyRow(row: Selectable<SecondStepTables['passkeys']>): PasskeyRow {
  return {
    id: row.id,
    userId: row.user_id,
    credentialId: row.credential_id,
    publicKey: row.public_key,
    counter: row.counter,
    transports: JSON.parse(row.transports) as string[],
    backedUp: row.backed_up === 1,
    name: row.name,
    createdAt: new Date(row.created_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}
