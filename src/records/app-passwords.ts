/**
 * App passwords: issue, list, rename, revoke. Portal, API and CLI all end here.
 *
 * Each change is one transaction: rows, tombstones, the user's epoch, audit entries; then the bus. The value exists in one
 * place only, the answer of `issue` (R16). Nothing here ends a session: whoever called does, once this has returned.
 */

import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { NameRules } from '../contract/names.ts'
import type { Actor, AppPasswordView } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { Secret } from '../secret.ts'
import { formatAppPassword, generateAppPassword, isLive, selectorOf, tombstoneDigestOf } from './app-password.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import type { Revocation, RevokedAppPassword } from './deletion.ts'
import { deleteAppPasswords, publishRevocation } from './deletion.ts'
import type { PasswordHasher } from './hash.ts'
import type { IssuePolicy, IssueRequest, UpdateRequest } from './issue-request.ts'
import { appPasswordName, checkIssueRequest, checkUpdateRequest } from './issue-request.ts'
import { keptHash } from './kept-hash.ts'
import type { Keys } from './keys.ts'
import { noSuchUser, userAt } from './lookup.ts'
import { takeBackSetUps } from './one-time-links.ts'
import { demandSession } from './portal-sessions.ts'
import type { AppPasswordRow, Store, StoreTransaction, UserRow } from './store/store.ts'

export type { RevokedAppPassword } from './deletion.ts'
export type { IssuePolicy } from './issue-request.ts'

/** How many of those that were unused for longest a refusal at the cap names. */
const NAMED_AT_CAP = 3
/** Rows that have run out, kept per user. */
const EXPIRED_KEPT = 40
/** Rows that one transaction of a big revocation deletes: some 4 ms. */
const ROWS_A_TRANSACTION = 10

export interface AppPasswordsOptions {
  readonly store: Store
  readonly keys: Keys
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Called at each use, so that a reload takes effect. */
  readonly names: () => NameRules
  readonly now?: () => Date
}

export interface Issued {
  readonly user: UserRow
  readonly row: AppPasswordRow
  /** In groups of four, for showing once. */
  readonly password: Secret
}

/** All reject with ServiceError ('not-found', 'invalid', 'forbidden', 'cap-reached', 'unavailable') or StoreError. */
export interface AppPasswords {
  /** Two at once never pass the cap. 'cap-reached' names those that were unused for longest. */
  issue(request: IssueRequest, policy: IssuePolicy, actor: Actor): Promise<Issued>
  /** Newest first, those that have run out included. */
  list(address: string): Promise<{ readonly user: UserRow; readonly rows: readonly AppPasswordRow[] }>
  show(id: string): Promise<{ readonly user: UserRow; readonly row: AppPasswordRow }>
  /** With `ownerId`, somebody else's is 'not-found'. */
  rename(id: string, name: string, actor: Actor, ownerId?: string): Promise<void>
  /** Gives it another name, other protocols, networks or another life; what is left out stays. Whatever is wider than the policy is 'forbidden'. */
  update(
    id: string,
    request: UpdateRequest,
    policyOf: (user: UserRow) => IssuePolicy,
    actor: Actor,
  ): Promise<{ readonly user: UserRow; readonly row: AppPasswordRow }>
  revoke(id: string, actor: Actor, ownerId?: string): Promise<RevokedAppPassword>
  /** Takes back the user's set-up links as well: one that is still open would make another. */
  revokeAll(address: string, actor: Actor): Promise<readonly RevokedAppPassword[]>
  /** Everybody's that were last used (or, never used, made) before then. */
  revokeUnused(unusedForMs: number, actor: Actor): Promise<readonly RevokedAppPassword[]>
}

export function createAppPasswords(options: AppPasswordsOptions): AppPasswords {
  const { store, keys, hasher, bus, names } = options
  const now = options.now ?? (() => new Date())

  async function ownedRow(tx: StoreTransaction, id: string, ownerId: string | undefined) {
    const row = await tx.appPasswordById(id)
    const user = row && (ownerId === undefined || row.userId === ownerId) ? await tx.userById(row.userId) : null
    if (!row || !user) throw new ServiceError('not-found', `there is no app password ${printable(id, 64)}`)
    return { row, user }
  }

  return {
    async issue(request, policy, actor) {
      const checked = checkIssueRequest(request, policy, now())
      const found = await userAt(store, request.address, names())
      // Asked here only to spare the hash; what counts is asked again inside the transaction.
      await refuseAtCap(store, found, policy.cap, checked.createdAt)
      const key = keys.active
      const value = generateAppPassword(policy.length)
      const row: AppPasswordRow = {
        id: randomUUID(),
        userId: found.id,
        ...checked,
        selector: selectorOf(key, found.address, value),
        ...(await keptHash(hasher, value, key)),
        lastUsed: null,
        tombstoneDigest: tombstoneDigestOf(key, found.address, value),
      }
      const user = await store.transaction(async (tx) => {
        // First, because it locks the user's row on PostgreSQL: the next issue counts after this one is in (invariant 12).
        if ((await tx.raiseUserEpoch(found.id)) === null) throw noSuchUser(found.address)
        await refuseAtCap(tx, found, policy.cap, checked.createdAt)
        if (request.session !== undefined) await demandSession(tx, found.id, request.session)
        await refuseAfterReset(tx, found)
        await deleteLongExpired(tx, found, actor, checked.createdAt)
        await tx.insertAppPassword(row)
        const detail = {
          appPassword: row.id,
          name: row.name,
          protocols: row.protocols.join(','),
          networks: row.networks.join(',') || null,
          expiresAt: row.expiresAt?.toISOString() ?? null,
        }
        await appendAudit(tx, { event: 'app_password_created', actor, user: found, at: row.createdAt, detail })
        return await tx.userById(found.id)
      })
      if (!user) throw noSuchUser(found.address)
      bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
      return { user, row, password: formatAppPassword(value) }
    },

    async list(address) {
      const user = await userAt(store, address, names())
      return { user, rows: await store.appPasswordsOf(user.id) }
    },

    show: (id) => ownedRow(store, id, undefined),

    async rename(id, raw, actor, ownerId) {
      const name = appPasswordName(raw)
      const renamed = await store.transaction(async (tx) => {
        const { row, user } = await ownedRow(tx, id, ownerId)
        if (row.name === name || !(await tx.updateAppPassword(id, { name }))) return null
        const detail = { appPassword: id, name, before: row.name }
        await appendAudit(tx, { event: 'app_password_renamed', actor, user, at: now(), detail })
        return user
      })
      if (renamed) bus.publish({ kind: 'user-changed', userId: renamed.id, epoch: renamed.epoch })
    },

    async update(id, request, policyOf, actor) {
      const at = now()
      const result = await store.transaction(async (tx) => {
        const { row: before, user: owner } = await ownedRow(tx, id, undefined)
        const patch = checkUpdateRequest(request, policyOf(owner), at)
        const row = { ...before, ...patch }
        if (row.name !== before.name) {
          const detail = { appPassword: id, name: row.name, before: before.name }
          await appendAudit(tx, { event: 'app_password_renamed', actor, user: owner, at, detail })
        }
        // A name opens and closes nothing: what is remembered of logins stays.
        if (Object.keys(patch).every((field) => field === 'name')) {
          await tx.updateAppPassword(id, patch)
          return { user: owner, row }
        }
        const epoch = await tx.raiseUserEpoch(owner.id)
        if (epoch === null || !(await tx.updateAppPassword(id, patch))) throw noSuchUser(owner.address)
        const detail = {
          appPassword: id,
          name: row.name,
          protocols: row.protocols.join(','),
          networks: row.networks.join(',') || null,
          expiresAt: row.expiresAt?.toISOString() ?? null,
        }
        await appendAudit(tx, { event: 'app_password_updated', actor, user: owner, at, detail })
        return { user: { ...owner, epoch }, row }
      })
      bus.publish({ kind: 'user-changed', userId: result.user.id, epoch: result.user.epoch })
      return result
    },

    async revoke(id, actor, ownerId) {
      const { revocation, only } = await store.transaction(async (tx) => {
        const { row, user } = await ownedRow(tx, id, ownerId)
        const revocation = await revokeRows(tx, user, [row], { why: 'asked', actor, at: now() })
        const only = revocation.revoked[0]
        if (!only) throw new ServiceError('not-found', `there is no app password ${printable(id, 64)}`)
        return { revocation, only }
      })
      publishRevocation(bus, revocation)
      return only
    },

    async revokeAll(address, actor) {
      const revocation = await store.transaction(async (tx) => {
        const user = await userAt(tx, address, names())
        const rows = await tx.appPasswordsOf(user.id)
        await takeBackSetUps(tx, user, { actor, at: now() })
        return rows.length === 0 ? null : await revokeRows(tx, user, rows, { why: 'all', actor, at: now() })
      })
      if (revocation) publishRevocation(bus, revocation)
      return revocation?.revoked ?? []
    },

    async revokeUnused(unusedForMs, actor) {
      const at = now()
      const before = new Date(at.getTime() - unusedForMs)
      const all: RevokedAppPassword[] = []
      for (;;) {
        const { count, revocations } = await store.transaction(async (tx) => {
          const rows = await tx.appPasswordsUnusedSince(before, ROWS_A_TRANSACTION)
          const revocations: Revocation[] = []
          // In order of the users' ids, so that two of these never wait for each other on PostgreSQL.
          for (const [userId, own] of [...Map.groupBy(rows, (row) => row.userId)].sort(([a], [b]) =>
            a < b ? -1 : 1,
          )) {
            const user = await tx.userById(userId)
            if (user) revocations.push(await revokeRows(tx, user, own, { why: 'unused', actor, at }))
          }
          return { count: rows.length, revocations }
        })
        for (const revocation of revocations) {
          publishRevocation(bus, revocation)
          all.push(...revocation.revoked)
        }
        if (count < ROWS_A_TRANSACTION) return all
        await setImmediate() // logins have their turn
      }
    },
  }
}

async function revokeRows(
  tx: StoreTransaction,
  user: UserRow,
  rows: readonly AppPasswordRow[],
  by: { readonly why: string; readonly actor: string; readonly at: Date },
): Promise<Revocation> {
  const epoch = await tx.raiseUserEpoch(user.id)
  if (epoch === null) throw noSuchUser(user.address)
  return { userId: user.id, epoch, revoked: await deleteAppPasswords(tx, user, rows, by) }
}

/** R8, R9: those that have run out don't count (R10). */
async function refuseAtCap(tx: StoreTransaction, user: UserRow, cap: number, at: Date): Promise<void> {
  const count = await tx.countAppPasswords(user.id, at)
  if (count < cap) return
  const live = (await tx.appPasswordsOf(user.id)).filter((row) => isLive(row, at))
  const idlest = longestUnusedFirst(live)
    .slice(0, NAMED_AT_CAP)
    .map((row) => {
      const since = row.lastUsed ? `last used ${day(row.lastUsed.at)}` : `never used, made ${day(row.createdAt)}`
      return `"${printable(row.name)}" (${row.id}, ${since})`
    })
  const named = idlest.length > 0 ? `; unused for longest: ${idlest.join(', ')}` : ''
  throw new ServiceError(
    'cap-reached',
    `${user.address} has ${count} app passwords and may have ${cap}: delete one first${named}`,
  )
}

/** What a new password has ended, and the app passwords that it may have deleted, must not be outlived by one that was being made. */
async function refuseAfterReset(tx: StoreTransaction, user: UserRow): Promise<void> {
  if ((await tx.userById(user.id))?.passwordHash === user.passwordHash) return
  throw new ServiceError('unavailable', `${user.address} was given another password meanwhile: try again`)
}

/** R9: the order in which people are asked which one to delete. */
function longestUnusedFirst(rows: readonly AppPasswordRow[]): readonly AppPasswordRow[] {
  const idleSince = (row: AppPasswordRow) => (row.lastUsed?.at ?? row.createdAt).getTime()
  return rows.toSorted((a, b) => idleSince(a) - idleSince(b))
}

/** Rows that have run out are kept for their helpful refusal, but not without end. */
async function deleteLongExpired(tx: StoreTransaction, user: UserRow, actor: string, at: Date): Promise<void> {
  const expired = (await tx.appPasswordsOf(user.id)).filter((row) => !isLive(row, at))
  if (expired.length < EXPIRED_KEPT) return
  const surplus = expired
    .toSorted((a, b) => (b.expiresAt?.getTime() ?? 0) - (a.expiresAt?.getTime() ?? 0))
    .slice(EXPIRED_KEPT - 1)
  await deleteAppPasswords(tx, user, surplus, { why: 'expired-long-ago', actor, at })
}

const day = (date: Date) => date.toISOString().slice(0, 10)

/** How the services show one. */
export function appPasswordView(row: AppPasswordRow, address: string): AppPasswordView {
  const { id, name, protocols, networks, lastUsed } = row
  return {
    id,
    user: address,
    name,
    protocols,
    networks,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsed: lastUsed && { ...lastUsed, at: lastUsed.at.toISOString() },
  }
}
