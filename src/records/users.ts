/**
 * Users: adding (`new-users.ts`), finding, changing and deleting them.
 *
 * Each change is one transaction: the row, its epoch, its audit entry; then the bus. Names go through `canonicalName`. Nothing
 * here ends a session: whoever called does, once this has returned.
 */

import { randomUUID } from 'node:crypto'
import type { NameRules } from '../contract/names.ts'
import type { Actor, UserView } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import { deleteAppPasswords, publishRevocation } from './deletion.ts'
import type { PasswordHasher } from './hash.ts'
import { keptPassword } from './kept-hash.ts'
import type { Keys } from './keys.ts'
import { noSuchUser, userAt } from './lookup.ts'
import type { NewUsers } from './new-users.ts'
import { createNewUsers } from './new-users.ts'
import { takeBackSetUps } from './one-time-links.ts'
import { settingName } from './policies.ts'
import { demandSession } from './portal-sessions.ts'
import type { Page, Store, StoreTransaction, UserRow } from './store/store.ts'
import { searchWords } from './store/user-words.ts'
import type { UserUpdate } from './user-fields.ts'
import { auditOf, changedFields, displayName, groupNames } from './user-fields.ts'

export interface UsersOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now?: () => Date
}

/** Empty: all was like that already, and nothing was written. */
export interface Changed {
  readonly changed: readonly (keyof UserUpdate)[]
}

/**
 * Addresses are as typed and made canonical here. All reject with ServiceError ('not-found', 'exists', 'invalid',
 * 'unavailable') or StoreError.
 */
export interface Users extends NewUsers {
  /** Ordered by address; `after` is the last address of the page before. With `search` only those whom it finds. */
  list(page: Page, search?: string): Promise<readonly UserRow[]>
  show(address: string): Promise<UserRow>
  /** What is left out stays. One transaction, with an audit entry for each thing that is not as it was. */
  update(address: string, wanted: UserUpdate, actor: Actor): Promise<{ readonly user: UserRow } & Changed>
  /** Whether this user may have app passwords, before what groups and the rest say; null takes the setting away. */
  setAppPasswords(
    address: string,
    allowed: boolean | null,
    actor: Actor,
  ): Promise<{ readonly user: UserRow; readonly changed: boolean }>
  /**
   * Ends the user's portal sessions, and takes back the set-up links that they made. `appPasswords` 'revoke' deletes them in
   * the same transaction; 'ask' leaves a notice, when there was a password before.
   */
  setPassword(
    address: string,
    password: Secret,
    appPasswords: 'keep' | 'ask' | 'revoke',
    actor: Actor,
    /** The portal session that goes on: the one in which the person does this. 'signed-out' when it was ended meanwhile. */
    keptSession?: string,
  ): Promise<{ readonly user: UserRow; readonly revoked: readonly { readonly id: string; readonly name: string }[] }>
  /** Answers the row as it was. App passwords, tombstones and stored secrets go with it. */
  delete(address: string, actor: Actor): Promise<UserRow>
  /** How the services show a user; counts its live app passwords. */
  view(user: UserRow): Promise<UserView>
  /** The same for a page of users. */
  views(users: readonly UserRow[]): Promise<readonly UserView[]>
}

export function createUsers(options: UsersOptions): Users {
  const { store, keys, hasher, bus, names } = options
  const now = options.now ?? (() => new Date())

  return {
    ...createNewUsers({ store, keys, hasher, names, now }),

    list: (page, search) =>
      search === undefined ? store.listUsers(page) : store.searchUsers(searchWords(search), page),
    show: (address) => userAt(store, address, names()),

    async update(address, { name, groups, admin, enabled, language }, actor) {
      const wanted = {
        ...(name !== undefined && { name: displayName(name) }),
        ...(groups !== undefined && { groups: groupNames(groups) }),
        ...(admin !== undefined && { admin }),
        ...(enabled !== undefined && { enabled }),
      }
      const result = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        const changed = changedFields(before, { ...wanted, language })
        if (changed.length === 0) return { user: before, changed }
        if (wanted.admin === false || wanted.enabled === false) await keepAnAdministrator(tx, before, actor)
        if (language !== undefined) await tx.setUserLanguage(before.id, language)
        // Nobody gains or loses access by a language: the epoch stays, and with it what is remembered of logins.
        const isOnlyLanguage = changed.every((field) => field === 'language')
        const user = isOnlyLanguage ? await tx.userById(before.id) : await tx.updateUser(before.id, wanted)
        if (!user) throw noSuchUser(before.address)
        // A role is looked up at sign-in and never carried over (threats H2); who is disabled is out, and stays out.
        if (changed.includes('admin') || !user.enabled) await tx.people.deletePortalSessionsOf(user.id, null)
        if (!user.enabled) await takeBackSetUps(tx, user, { actor, at: now() })
        const entries = changed.map((field) => auditOf(field, before, user))
        for (const entry of entries) await appendAudit(tx, { ...entry, actor, user, at: now() })
        return { user, changed }
      })
      const { user, changed } = result
      if (changed.length > 0) bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
      return result
    },

    async setAppPasswords(address, allowed, actor) {
      const result = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        if (before.appPasswords === allowed) return { user: before, changed: false }
        const user = await tx.updateUser(before.id, { appPasswords: allowed })
        if (!user) throw noSuchUser(before.address)
        const detail = { scope: 'user', appPasswords: settingName(allowed) } as const
        await appendAudit(tx, { event: 'policy_set', actor, user, at: now(), detail })
        return { user, changed: true }
      })
      if (result.changed) bus.publish({ kind: 'user-changed', userId: result.user.id, epoch: result.user.epoch })
      return result
    },

    async setPassword(address, password, appPasswords, actor, keptSession) {
      await userAt(store, address, names())
      const hashed = await keptPassword(hasher, password, keys.active)
      const at = now()
      const { user, revoked } = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        if (keptSession !== undefined) await demandSession(tx, before.id, keptSession)
        const user = await tx.updateUser(before.id, { password: hashed })
        if (!user) throw noSuchUser(before.address)
        await tx.people.deletePortalSessionsOf(user.id, keptSession ?? null)
        await takeBackSetUps(tx, user, { actor, at })
        const rows = await tx.appPasswordsOf(user.id)
        if (appPasswords === 'ask' && before.passwordHash !== null && rows.length > 0) {
          const detail = { appPasswords: rows.length }
          await tx.people.putNotice({ id: randomUUID(), userId: user.id, kind: 'password-was-reset', detail, at })
        }
        const revoked = await deleteAppPasswords(tx, user, appPasswords === 'revoke' ? rows : [], {
          why: 'password-reset',
          actor,
          at,
        })
        const detail = { appPasswordsDeleted: revoked.length }
        await appendAudit(tx, { event: 'user_password_set', actor, user, at, detail })
        return { user, revoked }
      })
      bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
      publishRevocation(bus, { userId: user.id, epoch: user.epoch, revoked })
      return { user, revoked }
    },

    async delete(address, actor) {
      const user = await store.transaction(async (tx) => {
        const user = await userAt(tx, address, names())
        await keepAnAdministrator(tx, user, actor)
        const appPasswords = (await tx.appPasswordsOf(user.id)).length
        if (!(await tx.deleteUser(user.id, now()))) throw noSuchUser(user.address)
        await appendAudit(tx, { event: 'user_deleted', actor, user, at: now(), detail: { appPasswords } })
        return user
      })
      bus.publish({ kind: 'user-removed', userId: user.id })
      return user
    },

    view: async (user) => viewOf(user, await store.countAppPasswords(user.id, now())),

    async views(users) {
      const counts = await store.countAppPasswordsOf(
        users.map(({ id }) => id),
        now(),
      )
      return users.map((user) => viewOf(user, counts.get(user.id) ?? 0))
    },
  }
}

function viewOf(user: UserRow, appPasswords: number): UserView {
  return {
    id: user.id,
    address: user.address,
    name: user.name,
    groups: user.groups,
    admin: user.admin,
    enabled: user.enabled,
    language: user.language,
    hasPassword: user.passwordHash !== null,
    enrolledAt: user.enrolledAt?.toISOString() ?? null,
    createdAt: user.createdAt.toISOString(),
    appPasswords,
  }
}

/**
 * The last administrator can't be taken away over the network, by accident or otherwise (threats H8). Whoever may run the
 * command line can: that person can also make another.
 */
async function keepAnAdministrator(tx: StoreTransaction, user: UserRow, actor: Actor): Promise<void> {
  if (!user.admin || !user.enabled || actor.startsWith('cli:') || (await tx.administratorBesides(user.id))) return
  throw new ServiceError('forbidden', `${user.address} is the last administrator: make another one first`)
}
