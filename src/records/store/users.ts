/**
 * Users, as rows.
 */

import type { Selectable } from 'kysely'
import type { Language } from '../../contract/languages.ts'
import { truthOf } from './columns.ts'
import type { UsersTable } from './schema.ts'
import { userRow } from './schema.ts'
import type { Queries } from './sql-prepared.ts'
import { first, isUser } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'
import type { NewUser, Page, UserPatch, UserRow } from './store.ts'
import type { UserSearch } from './user-words.ts'
import { administratorBesides, noteUserWords, searchUsers } from './user-words.ts'

export interface UserRows extends UserSearch {
  /** null when the address is taken or reserved. */
  insertUser(user: NewUser): Promise<UserRow | null>
  userById(id: string): Promise<UserRow | null>
  userByAddress(address: string): Promise<UserRow | null>
  /** Ordered by address. */
  listUsers(page: Page): Promise<readonly UserRow[]>
  /** Also raises the epoch. null when there is no such user. */
  updateUser(id: string, patch: UserPatch): Promise<UserRow | null>
  /** Removes the user with its app passwords, tombstones and secrets, and reserves the address. */
  deleteUser(id: string, at: Date): Promise<boolean>
  /** Does not raise the epoch: nobody gains or loses access. false: there is no such user. */
  setUserLanguage(id: string, language: Language | null): Promise<boolean>
  /** Returns the new epoch; null when there is no such user. */
  raiseUserEpoch(id: string): Promise<number | null>
}

/** Read for an address that is nobody's, so that it takes as long as for a user (invariant 6). */
const NO_USER: Selectable<UsersTable> = {
  id: '',
  address: '',
  name: null,
  groups: '[]',
  admin: 0,
  enabled: 0,
  epoch: 0,
  enrolled_at: null,
  password_hash: null,
  password_key_id: null,
  created_at: 0,
  app_passwords: null,
  language: null,
}

export function sqlUsers(db: () => Db, queries: Queries): UserRows {
  return {
    async insertUser(user) {
      const on = db()
      const reserved = await on
        .selectFrom('reserved_names')
        .select('address')
        .where('address', '=', user.address)
        .executeTakeFirst()
      if (reserved) return null
      const row = await on
        .insertInto('users')
        .values({
          id: user.id,
          address: user.address,
          name: user.name,
          groups: JSON.stringify(user.groups),
          admin: user.admin ? 1 : 0,
          enabled: 1,
          epoch: 1,
          enrolled_at: null,
          password_hash: user.passwordHash,
          password_key_id: user.passwordKeyId,
          created_at: user.createdAt.getTime(),
        })
        .onConflict((conflict) => conflict.column('address').doNothing())
        .returningAll()
        .executeTakeFirst()
      if (!row) return null
      const inserted = userRow(row)
      await noteUserWords(on, inserted)
      return inserted
    },

    async userById(id) {
      const row = await first(db(), queries.userById(id))
      return row ? userRow(row) : null
    },

    async userByAddress(address) {
      const row = await first(db(), queries.userByAddress(address))
      if (row === undefined) return null
      const isThere = isUser(row)
      const user = userRow(isThere ? row : NO_USER)
      return isThere ? user : null
    },

    async listUsers(page) {
      const rows = await db()
        .selectFrom('users')
        .selectAll()
        .where('address', '>', page.after ?? '')
        .orderBy('address')
        .limit(page.limit)
        .execute()
      return rows.map(userRow)
    },

    async updateUser(id, patch) {
      const row = await db()
        .updateTable('users')
        .set((is) => ({
          epoch: is('epoch', '+', 1),
          ...(patch.name !== undefined && { name: patch.name }),
          ...(patch.groups !== undefined && { groups: JSON.stringify(patch.groups) }),
          ...(patch.admin !== undefined && { admin: patch.admin ? 1 : 0 }),
          ...(patch.enabled !== undefined && { enabled: patch.enabled ? 1 : 0 }),
          ...(patch.enrolledAt !== undefined && { enrolled_at: patch.enrolledAt.getTime() }),
          ...(patch.password !== undefined && {
            password_hash: patch.password?.hash ?? null,
            password_key_id: patch.password?.keyId ?? null,
          }),
          ...(patch.appPasswords !== undefined && { app_passwords: truthOf(patch.appPasswords) }),
        }))
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      if (!row) return null
      const updated = userRow(row)
      if (patch.name !== undefined) await noteUserWords(db(), updated)
      return updated
    },

    async deleteUser(id, at) {
      const row = await db().deleteFrom('users').where('id', '=', id).returning('address').executeTakeFirst()
      if (!row) return false
      await db()
        .insertInto('reserved_names')
        .values({ address: row.address, deleted_at: at.getTime() })
        .onConflict((conflict) => conflict.column('address').doNothing())
        .execute()
      return true
    },

    async setUserLanguage(id, language) {
      const result = await db().updateTable('users').set({ language }).where('id', '=', id).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    async raiseUserEpoch(id) {
      const row = await db()
        .updateTable('users')
        .set((is) => ({ epoch: is('epoch', '+', 1) }))
        .where('id', '=', id)
        .returning('epoch')
        .executeTakeFirst()
      return row?.epoch ?? null
    },

    searchUsers: async (words, page) => await searchUsers(db(), words, page),
    administratorBesides: async (userId) => await administratorBesides(db(), userId),
  }
}
