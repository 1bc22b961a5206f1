/**
 * New users: one by one, with a password perhaps, or from a list.
 *
 * A deleted user's name stays reserved.
 */

import { randomUUID } from 'node:crypto'
import type { Language } from '../contract/languages.ts'
import type { NameRules } from '../contract/names.ts'
import type { Actor, ImportReport } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { Secret } from '../secret.ts'
import { appendAudit } from './audit.ts'
import type { PasswordHasher } from './hash.ts'
import { inPieces } from './in-pieces.ts'
import type { KeptHash } from './kept-hash.ts'
import { keptPassword } from './kept-hash.ts'
import type { Keys } from './keys.ts'
import { nameOfNewUser } from './lookup.ts'
import type { Store, StoreTransaction, UserRow } from './store/store.ts'
import { displayName, groupNames } from './user-fields.ts'

/** Some 4 ms of the event loop. */
const ENTRIES_A_TRANSACTION = 10
/** A name that comes back to life could read what was meant for its first owner. */
const RESERVED = 'belonged to a user that was deleted; the name stays reserved'

export interface NewUsersOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now: () => Date
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
  readonly password: KeptHash | null
  readonly language: Language | null
}

export interface ImportEntry {
  readonly line: number
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  /** null: not known. */
  readonly language?: Language | null
}

/** Addresses are as typed and made canonical here. Both reject with ServiceError ('exists', 'invalid', 'unavailable') or StoreError. */
export interface NewUsers {
  add(request: NewUserRequest, actor: Actor): Promise<UserRow>
  /** Adds those that are not there yet, a few in each transaction; users that exist are left as they are. */
  import(entries: readonly ImportEntry[], actor: Actor): Promise<ImportReport>
}

export function createNewUsers({ store, keys, hasher, names, now }: NewUsersOptions): NewUsers {
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
      const password = request.password ? await keptPassword(hasher, request.password, keys.active) : null
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
  }
}
