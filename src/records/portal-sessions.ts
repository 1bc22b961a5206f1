/**
 * Sessions of the portal: begun, found by their token, renewed under a new one, ended (threats H2).
 *
 * The token has 256 bits and is stored as a keyed digest. It changes whenever the session gains something (a step-up, a new
 * method), so a token that somebody planted or saw before is worth nothing afterwards. 30 minutes idle, 12 hours in all.
 */

import { randomBytes, randomUUID } from 'node:crypto'
import { ServiceError } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import { appendAudit } from './audit.ts'
import type { Keys } from './keys.ts'
import type { FactorRow, PortalSessionRow } from './store/people/portal-sessions.ts'
import type { Store, StoreTransaction, UserRow } from './store/store.ts'
import { newToken, tokenDigests } from './tokens.ts'

export const SESSION_IDLE_MS = 30 * 60_000
const SESSION_MS = 12 * 60 * 60_000
/** Being there is noted this often, not at every look. */
const SEEN_EVERY_MS = 60_000
/** Open sessions of one user: the oldest ends when there would be more. */
const MAX_SESSIONS = 20

export interface PortalSessionsOptions {
  readonly store: Store
  readonly keys: Keys
  readonly now?: () => Date
}

export interface NewSession {
  /** As it was when the person proved to be this user. */
  readonly user: UserRow
  readonly factors: readonly FactorRow[]
  readonly stage: PortalSessionRow['stage']
  readonly ip: string
  readonly agent: string | null
  readonly link?: { readonly id: string; readonly providerSession: string | null } | undefined
}

export interface IssuedSession {
  readonly token: Secret
  readonly expiresAt: Date
}

/** All reject with StoreError. */
export interface PortalSessions {
  /** null: the user was disabled, reset or given another password since, and what was proved may be worth nothing. */
  begin(session: NewSession): Promise<IssuedSession | null>
  /** The session and its user as they are now; null: unknown, idle, over, or of somebody who is gone or disabled. Notes that it was seen. */
  find(token: string): Promise<{ readonly session: PortalSessionRow; readonly user: UserRow } | null>
  /** A new token for what the session has become; null: it was renewed or ended by somebody else meanwhile. */
  renew(
    session: PortalSessionRow,
    change: { readonly factor?: FactorRow; readonly stage?: PortalSessionRow['stage'] },
  ): Promise<IssuedSession | null>
  end(id: string): Promise<void>
  /** All of the user's but this one. Answers how many, which the audit trail tells as well. */
  endOthers(user: UserRow, id: string): Promise<number>
  /** Those that a provider has ended: by subject, by its own session, or both. The same. */
  endAtProvider(issuer: string, subject: string | null, providerSession: string | null): Promise<number>
}

export function createPortalSessions(options: PortalSessionsOptions): PortalSessions {
  const { store, keys } = options
  const now = options.now ?? (() => new Date())

  async function ending(
    actor: string,
    user: UserRow | null,
    end: (tx: StoreTransaction) => Promise<number>,
  ): Promise<number> {
    return await store.transaction(async (tx) => {
      const count = await end(tx)
      const entry = { event: 'portal_sessions_ended', actor, user, at: now(), detail: { count } } as const
      if (count > 0) await appendAudit(tx, entry)
      return count
    })
  }

  return {
    async begin({ user, factors, stage, ip, agent, link }) {
      const { token, digest, keyId } = newToken(keys, 'session')
      const at = now()
      const expiresAt = new Date(at.getTime() + SESSION_MS)
      const begun = await store.transaction(async (tx) => {
        // Here, or what ends all sessions between the proof and this would miss the one that it is about.
        const current = await tx.userById(user.id)
        if (!current?.enabled || current.epoch !== user.epoch) return false
        const open = await tx.people.portalSessionsOf(user.id)
        for (const { id } of open.slice(MAX_SESSIONS - 1)) await tx.people.deletePortalSession(id)
        await tx.people.insertPortalSession({
          id: randomUUID(),
          digest,
          keyId,
          userId: user.id,
          stage,
          factors,
          csrf: newCsrf(),
          ip,
          agent,
          linkId: link?.id ?? null,
          providerSession: link?.providerSession ?? null,
          beganAt: at,
          seenAt: at,
          expiresAt,
        })
        return true
      })
      return begun ? { token, expiresAt } : null
    },

    async find(token) {
      const session = await store.people.portalSession(tokenDigests(keys, 'session', token))
      if (session === null) return null
      const at = now()
      const idleMs = at.getTime() - session.seenAt.getTime()
      if (session.expiresAt <= at || idleMs >= SESSION_IDLE_MS) {
        await store.people.deletePortalSession(session.id)
        return null
      }
      const user = await store.userById(session.userId)
      if (user === null || !user.enabled) return null
      if (idleMs >= SEEN_EVERY_MS) await store.people.seePortalSession(session.id, at)
      return { session, user }
    },

    async renew(session, { factor, stage = session.stage }) {
      const { token, digest, keyId } = newToken(keys, 'session')
      // Of each kind the latest: what counts is when it was verified last.
      const factors = factor
        ? [...session.factors.filter((each) => each.factor !== factor.factor), factor]
        : session.factors
      const to = { digest, keyId, csrf: newCsrf(), factors, stage, seenAt: now() }
      const renewed = await store.people.renewPortalSession(session.id, session.digest, to)
      return renewed ? { token, expiresAt: session.expiresAt } : null
    },

    async end(id) {
      await store.people.deletePortalSession(id)
    },

    endOthers: (user, id) => ending(`user:${user.id}`, user, (tx) => tx.people.deletePortalSessionsOf(user.id, id)),

    endAtProvider: (issuer, subject, providerSession) =>
      ending('system', null, (tx) => tx.people.deleteProviderSessions(issuer, subject, providerSession)),
  }
}

/**
 * Asked in the transaction of what a session changes: a new password, a reset or another role may have ended it since it was looked
 * at, and what it was doing must not outlive it.
 *
 * @throws ServiceError 'signed-out'
 */
export async function demandSession({ people }: StoreTransaction, userId: string, session: string): Promise<void> {
  if ((await people.portalSessionsOf(userId)).some(({ id }) => id === session)) return
  throw new ServiceError('signed-out', 'this session is over: sign in again')
}

function newCsrf(): string {
  return randomBytes(24).toString('base64url')
}
