/**
 * One-time links: invitations to set up two-step (72 hours), and the set-up of a device (10 minutes).
 *
 * Looking at one uses nothing up, since mail programs and scanners look at links; using it is one conditional update, so of
 * two at once one is too late. The token has 128 bits, is stored as a keyed digest and is never logged.
 */

import { randomUUID } from 'node:crypto'
import type { Actor } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import { appendAudit } from './audit.ts'
import type { Keys } from './keys.ts'
import { noSuchUser } from './lookup.ts'
import { countMethods, provenMethodsOf } from './methods.ts'
import { demandSession } from './portal-sessions.ts'
import type { OneTimeLinkRow } from './store/people/one-time-links.ts'
import type { Store, StoreTransaction, UserRow } from './store/store.ts'
import { newToken, tokenDigests } from './tokens.ts'

const INVITATION_MS = 72 * 60 * 60_000
const SET_UP_MS = 10 * 60_000
/** How long one is remembered after it was made, for "what became of it". */
export const LINK_MEMORY_MS = 7 * 24 * 60 * 60_000
/** Set-up links of one user that are open at once. */
const MAX_OPEN_SET_UPS = 10

export interface OneTimeLinksOptions {
  readonly store: Store
  readonly keys: Keys
  readonly now?: () => Date
}

export interface IssuedLink {
  readonly id: string
  readonly token: Secret
  readonly expiresAt: Date
}

export interface FoundLink {
  readonly link: OneTimeLinkRow
  readonly user: UserRow
}

/** All reject with ServiceError or StoreError. */
export interface OneTimeLinks {
  /** Takes the place of the user's earlier invitations. 'forbidden' for somebody who has two-step: reset it first. */
  invite(user: UserRow, mailed: boolean, actor: Actor): Promise<IssuedLink>
  /** `session`: the portal session in which the user does this; 'signed-out' when it was ended meanwhile. */
  prepareSetUp(user: UserRow, name: string, kind: string, session: string): Promise<IssuedLink>
  /** null: unknown, used, run out, or of somebody who is gone or disabled. */
  show(token: string, kind: OneTimeLinkRow['kind']): Promise<FoundLink | null>
  /** As `show`, and uses it up: of two at once one gets null. An invitation also needs its user to be without two-step. */
  use(token: string, kind: OneTimeLinkRow['kind'], ip: string): Promise<FoundLink | null>
  /** It was used and has made nothing: it may be used again. */
  giveBack(link: OneTimeLinkRow): Promise<void>
  /** What a set-up link has made. false: it was taken back meanwhile, so that must not stay. */
  noteResult(link: OneTimeLinkRow, user: UserRow, appPasswordId: string, ip: string): Promise<boolean>
  setUpsOf(userId: string, since: Date): Promise<readonly OneTimeLinkRow[]>
  /** false: there is none, or it was used. */
  cancelSetUp(user: UserRow, id: string): Promise<boolean>
}

export function createOneTimeLinks(options: OneTimeLinksOptions): OneTimeLinks {
  const { store, keys } = options
  const now = options.now ?? (() => new Date())

  async function find(tx: StoreTransaction, token: string, kind: OneTimeLinkRow['kind']): Promise<FoundLink | null> {
    const link = await tx.people.oneTimeLink(tokenDigests(keys, kind, token), kind)
    if (link === null || link.usedAt !== null || link.expiresAt <= now()) return null
    const user = await tx.userById(link.userId)
    return user?.enabled ? { link, user } : null
  }

  function newLink(user: UserRow, kind: OneTimeLinkRow['kind'], why: string, name: string | null) {
    const { token, digest, keyId } = newToken(keys, kind)
    const createdAt = now()
    const expiresAt = new Date(createdAt.getTime() + (kind === 'invitation' ? INVITATION_MS : SET_UP_MS))
    const unused = { usedAt: null, usedIp: null, appPasswordId: null }
    const row = { id: randomUUID(), digest, keyId, userId: user.id, kind, why, name, createdAt, expiresAt, ...unused }
    return { row, issued: { id: row.id, token, expiresAt } }
  }

  return {
    async invite(user, mailed, actor) {
      const why = user.enrolledAt === null ? 'new-user' : 'reset'
      const { row, issued } = newLink(user, 'invitation', why, null)
      await store.transaction(async (tx) => {
        if ((await tx.userById(user.id)) === null) throw noSuchUser(user.address)
        if (await hasTwoStep(tx, user.id)) {
          throw new ServiceError('forbidden', `${user.address} has set up two-step: reset it first (reset-two-step)`)
        }
        await tx.people.cancelOneTimeLinks(user.id, 'invitation', null)
        await tx.people.insertOneTimeLink(row)
        const detail = { link: row.id, why, mailed }
        await appendAudit(tx, { event: 'invitation_made', actor, user, at: row.createdAt, detail })
      })
      return issued
    },

    async prepareSetUp(user, name, kind, session) {
      const { row, issued } = newLink(user, 'set-up', kind, name)
      await store.transaction(async (tx) => {
        await demandSession(tx, user.id, session)
        const earlier = await tx.people.oneTimeLinksOf(user.id, 'set-up', new Date(now().getTime() - SET_UP_MS))
        if (earlier.filter(({ usedAt }) => usedAt === null).length >= MAX_OPEN_SET_UPS) {
          throw new ServiceError(
            'forbidden',
            'there are too many set-up links that nobody has used yet: cancel one first',
          )
        }
        await tx.people.insertOneTimeLink(row)
        const detail = { link: row.id, name, kind }
        const actor = `user:${user.id}`
        await appendAudit(tx, { event: 'set_up_made', actor, user, at: row.createdAt, detail })
      })
      return issued
    },

    show: (token, kind) => find(store, token, kind),

    async use(token, kind, ip) {
      return await store.transaction(async (tx) => {
        const found = await find(tx, token, kind)
        if (found === null) return null
        const { link, user } = found
        if (kind === 'invitation' && (await hasTwoStep(tx, user.id))) return null
        if (!(await tx.people.useOneTimeLink(link.id, now(), ip))) return null
        if (kind === 'invitation') {
          const detail = { link: link.id, ip }
          await appendAudit(tx, { event: 'invitation_used', actor: `user:${user.id}`, user, at: now(), detail })
        }
        return found
      })
    },

    giveBack: ({ id }) => store.people.giveBackOneTimeLink(id),

    async noteResult(link, user, appPassword, ip) {
      return await store.transaction(async (tx) => {
        if (!(await tx.people.noteLinkResult(link.id, appPassword))) return false
        const detail = { link: link.id, name: link.name, appPassword, ip }
        await appendAudit(tx, { event: 'set_up_used', actor: `user:${user.id}`, user, at: now(), detail })
        return true
      })
    },

    setUpsOf: (userId, since) => store.people.oneTimeLinksOf(userId, 'set-up', since),

    async cancelSetUp(user, id) {
      return await store.transaction(async (tx) => {
        if ((await tx.people.cancelOneTimeLinks(user.id, 'set-up', id)) === 0) return false
        const actor = `user:${user.id}`
        await appendAudit(tx, { event: 'set_up_cancelled', actor, user, at: now(), detail: { link: id } })
        return true
      })
    },
  }
}

/**
 * Takes back every set-up link of a user that has made no app password yet, one that is just being used as well: for whatever
 * takes from a user all that gives access.
 */
export async function takeBackSetUps(
  tx: StoreTransaction,
  user: UserRow,
  { actor, at }: { readonly actor: Actor; readonly at: Date },
): Promise<void> {
  const links = await tx.people.oneTimeLinksOf(user.id, 'set-up', new Date(at.getTime() - SET_UP_MS))
  for (const { id } of links) {
    if ((await tx.people.cancelOneTimeLinks(user.id, 'set-up', id)) === 0) continue
    await appendAudit(tx, { event: 'set_up_cancelled', actor, user, at, detail: { link: id } })
  }
}

/** Whether a user has any method that is a second step, or signs in at a provider. */
async function hasTwoStep(tx: StoreTransaction, userId: string): Promise<boolean> {
  return countMethods(await provenMethodsOf(tx, userId)) > 0
}
