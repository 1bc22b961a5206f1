/**
 * Users: adding, importing, changing and deleting them.
 *
 * Each change is one transaction: the row, its epoch, its audit entry; then the bus. Names go through `canonicalName`, and a
 * deleted user's name stays reserved. Nothing here ends a session: whoever called does, once this has returned.
 */

import { randomUUID } from 'node:crypto'
import type { Language } from '../contract/languages.ts'
import type { NameRules } from '../contract/names.ts'
import type { Actor, ImportReport, UserView } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { Secret } from '../secret.ts'
import type { AuditDetail, AuditEvent } from './audit.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import { deleteAppPasswords, publishRevocation } from './deletion.ts'
import type { PasswordHasher } from './hash.ts'
import { HasherError } from './hash.ts'
import { inPieces } from './in-pieces.ts'
import type { Keys } from './keys.ts'
import { nameOfNewUser, noSuchUser, userAt } from './lookup.ts'
import { settingName } from './policies.ts'
import { preparePassword } from './primary-password.ts'
import type { Page, Store, StoreTransaction, UserPatch, UserRow } from './store/store.ts'
import { searchWords } from './store/user-words.ts'

/** NIST SP 800-63B §3.1.1.2, with a second factor beside it. */
const MIN_PASSWORD = 8
const MAX_NAME = 128
const MAX_GROUPS = 32
/** Some 4 ms of the event loop. */
const ENTRIES_A_TRANSACTION = 10
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u
/** A name that comes back to life could read what was meant for its first owner. */
const RESERVED = 'belonged to a user that was deleted; the name stays reserved'

export interface UsersOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now?: () => Date
}

export interface NewUserRequest {
  /** As typed; made canonical here. */
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly password: Secret | null
  /** null: not known. */
  readonly language?: Language | null
}

/** A new user whose name, groups and password have been judged. */
interface Prepared {
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly password: { readonly hash: string; readonly keyId: string } | null
  readonly language: Language | null
}

export interface UserUpdate {
  readonly name?: string | null | undefined
  readonly groups?: readonly string[] | undefined
  readonly admin?: boolean | undefined
  readonly enabled?: boolean | undefined
  /** null: not known any more. */
  readonly language?: Language | null | undefined
}

/** Empty: all was like that already, and nothing was written. */
export interface Changed {
  readonly changed: readonly (keyof UserUpdate)[]
}

export interface ImportEntry {
  readonly line: number
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  /** null: not known. */
  readonly language?: Language | null
}

/**
 * Addresses are as typed and made canonical here. All reject with ServiceError ('not-found', 'exists', 'invalid',
 * 'unavailable') or StoreError.
 */
export interface Users {
  add(request: NewUserRequest, actor: Actor): Promise<UserRow>
  /** Adds those that are not there yet, a few in each transaction; users that exist are left as they are. */
  import(entries: readonly ImportEntry[], actor: Actor): Promise<ImportReport>
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
   * Ends the user's portal sessions, and takes back the set-up links that they made. `appPasswords` 'revoke' deletes them in the same transaction; 'ask' leaves a notice, when
   * there was a password before.
   */
  setPassword(
    address: string,
    password: Secret,
    appPasswords: 'keep' | 'ask' | 'revoke',
    actor: Actor,
    /** The portal session that goes on: the one in which the person does this. */
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

  async function hashOf(password: Secret) {
    const prepared = preparePassword(password)
    if (!prepared || prepared.length < MIN_PASSWORD) {
      throw new ServiceError('invalid', `a password has ${MIN_PASSWORD} to 256 characters, and no control characters`)
    }
    try {
      return { hash: await hasher.hash(prepared, keys.active), keyId: keys.active.id }
    } catch (error) {
      if (!(error instanceof HasherError)) throw error
      throw new ServiceError('unavailable', 'too many passwords are being checked just now; try again', {
        cause: error,
      })
    }
  }

  /** One change of one user: row, audit entry, then the bus. */
  async function change<E extends AuditEvent>(
    address: string,
    actor: Actor,
    work: (
      user: UserRow,
    ) => { readonly patch: UserPatch; readonly event: E; readonly detail: AuditDetail<E> } | 'unchanged',
  ): Promise<{ readonly user: UserRow; readonly changed: boolean }> {
    const result = await store.transaction(async (tx) => {
      const before = await userAt(tx, address, names())
      const wanted = work(before)
      if (wanted === 'unchanged') return { user: before, changed: false }
      const user = await tx.updateUser(before.id, wanted.patch)
      if (!user) throw noSuchUser(before.address)
      await appendAudit(tx, { event: wanted.event, actor, user, at: now(), detail: wanted.detail })
      return { user, changed: true }
    })
    if (result.changed) bus.publish({ kind: 'user-changed', userId: result.user.id, epoch: result.user.epoch })
    return result
  }

  /** A new user, with the entry in the trail; null: the address is taken or reserved. */
  async function insert(
    tx: StoreTransaction,
    { address, name, groups, admin, password, language }: Prepared,
    actor: Actor,
    imported: boolean,
  ): Promise<UserRow | null> {
    const inserted = await tx.insertUser({
      id: randomUUID(),
      address,
      name,
      groups,
      admin,
      passwordHash: password?.hash ?? null,
      passwordKeyId: password?.keyId ?? null,
      createdAt: now(),
    })
    if (!inserted) return null
    if (language !== null) await tx.setUserLanguage(inserted.id, language)
    const user = { ...inserted, language }
    const detail = { name, groups: groups.join(',') || null, admin, password: password !== null, imported }
    await appendAudit(tx, { event: 'user_added', actor, user, at: user.createdAt, detail })
    return user
  }

  return {
    async add(request, actor) {
      const { name: address } = nameOfNewUser(request.address, names())
      const name = displayName(request.name)
      const groups = groupNames(request.groups)
      const password = request.password ? await hashOf(request.password) : null
      const { admin, language = null } = request
      return await store.transaction(async (tx) => {
        const user = await insert(tx, { address, name, groups, admin, password, language }, actor, false)
        if (user !== null) return user
        const taken = (await tx.userByAddress(address)) !== null
        throw new ServiceError('exists', taken ? `there is a user ${address} already` : `${address} ${RESERVED}`)
      })
    },

    async import(entries, actor) {
      const rules = names()
      let added = 0
      let unchanged = 0
      const refused: { line: number; address: string; why: string }[] = []
      const add = async (tx: StoreTransaction, entry: ImportEntry): Promise<void> => {
        try {
          const { name: address } = nameOfNewUser(entry.address, rules)
          if (await tx.userByAddress(address)) {
            unchanged += 1
            return
          }
          const name = displayName(entry.name)
          const groups = groupNames(entry.groups)
          const wanted = { address, name, groups, admin: false, password: null, language: entry.language ?? null }
          if ((await insert(tx, wanted, actor, true)) === null)
            throw new ServiceError('exists', `${address} ${RESERVED}`)
          added += 1
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error
          refused.push({ line: entry.line, address: printable(entry.address), why: error.message })
        }
      }
      await inPieces(entries, ENTRIES_A_TRANSACTION, (piece) =>
        store.transaction(async (tx) => {
          for (const entry of piece) await add(tx, entry)
        }),
      )
      return { added, unchanged, refused }
    },

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
        const changed = differences(before, { ...wanted, language })
        if (changed.length === 0) return { user: before, changed }
        if (wanted.admin === false || wanted.enabled === false) await keepAnAdministrator(tx, before, actor)
        if (language !== undefined) await tx.setUserLanguage(before.id, language)
        // Nobody gains or loses access by a language: the epoch stays, and with it what is remembered of logins.
        const isOnlyLanguage = changed.every((field) => field === 'language')
        const user = isOnlyLanguage ? await tx.userById(before.id) : await tx.updateUser(before.id, wanted)
        if (!user) throw noSuchUser(before.address)
        // A role is looked up at sign-in and never carried over (threats H2); who is disabled is out, and stays out.
        if (changed.includes('admin') || !user.enabled) await tx.people.deletePortalSessionsOf(user.id, null)
        const entries = changed.map((field) => auditOf(field, before, user))
        for (const entry of entries) await appendAudit(tx, { ...entry, actor, user, at: now() })
        return { user, changed }
      })
      const { user, changed } = result
      if (changed.length > 0) bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
      return result
    },

    setAppPasswords: (address, allowed, actor) =>
      change(address, actor, (user) =>
        user.appPasswords === allowed
          ? 'unchanged'
          : {
              patch: { appPasswords: allowed },
              event: 'policy_set',
              detail: { scope: 'user', appPasswords: settingName(allowed) },
            },
      ),

    async setPassword(address, password, appPasswords, actor, keptSession) {
      await userAt(store, address, names())
      const hashed = await hashOf(password)
      const at = now()
      const { user, revoked } = await store.transaction(async (tx) => {
        const before = await userAt(tx, address, names())
        const user = await tx.updateUser(before.id, { password: hashed })
        if (!user) throw noSuchUser(before.address)
        await tx.people.deletePortalSessionsOf(user.id, keptSession ?? null)
        await tx.people.cancelOneTimeLinks(user.id, 'set-up', null)
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

function differences(before: UserRow, wanted: UserUpdate): readonly (keyof UserUpdate)[] {
  return FIELDS.filter(
    (field) => wanted[field] !== undefined && JSON.stringify(wanted[field]) !== JSON.stringify(before[field]),
  )
}

const FIELDS = ['name', 'groups', 'admin', 'enabled', 'language'] as const satisfies readonly (keyof UserUpdate)[]

function auditOf(field: keyof UserUpdate, before: UserRow, after: UserRow) {
  switch (field) {
    case 'name':
      return { event: 'user_renamed', detail: { name: after.name, before: before.name } } as const
    case 'groups':
      return { event: 'user_groups_set', detail: { groups: after.groups.join(',') || null } } as const
    case 'admin':
      return { event: 'user_admin_set', detail: { admin: after.admin } } as const
    case 'enabled':
      return { event: after.enabled ? 'user_enabled' : 'user_disabled', detail: {} } as const
    case 'language':
      return { event: 'user_language_set', detail: { language: after.language } } as const
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

/** Trimmed, NFC; nothing left is null. */
function displayName(raw: string | null): string | null {
  const name = raw?.normalize('NFC').trim() ?? ''
  if ([...name].length > MAX_NAME || UNSHOWABLE.test(name)) {
    throw new ServiceError('invalid', `a name has at most ${MAX_NAME} characters that can be shown`)
  }
  return name === '' ? null : name
}

/** Each once, sorted, so that the same groups are the same text. */
function groupNames(raw: readonly string[]): readonly string[] {
  const groups = [...new Set(raw.map((group) => group.normalize('NFC').trim()))].sort()
  for (const group of groups) {
    if (group === '' || [...group].length > 64 || UNSHOWABLE.test(group) || group.includes(',')) {
      throw new ServiceError('invalid', `a group has 1 to 64 characters and no comma: "${printable(group, 64)}"`)
    }
  }
  if (groups.length > MAX_GROUPS) throw new ServiceError('invalid', `a user is in at most ${MAX_GROUPS} groups`)
  return groups
}
