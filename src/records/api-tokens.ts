/**
 * Tokens of the admin API: scopes, an end, a keyed digest (threats H8); and what was done under an idempotency key.
 */

import { randomUUID } from 'node:crypto'
import type { Actor } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { Secret } from '../secret.ts'
import { checkAppPasswordName } from './app-password.ts'
import { appendAudit } from './audit.ts'
import type { Keys } from './keys.ts'
import type { ApiTokenRow } from './store/people/api-tokens.ts'
import type { Store } from './store/store.ts'
import { newToken, tokenDigests } from './tokens.ts'

/** So that a scanner of leaked secrets knows one when it sees it. */
const PREFIX = 'sallyport_'
const MAX_LIFE_MS = 366 * 24 * 60 * 60_000
const MAX_TOKENS = 200
const SEEN_EVERY_MS = 60_000
/** How long an idempotency key is remembered. */
export const IDEMPOTENCY_MS = 24 * 60 * 60_000

export interface ApiTokensOptions {
  readonly store: Store
  readonly keys: Keys
  readonly now?: () => Date
}

export interface NewApiToken {
  readonly name: string
  readonly scopes: readonly string[]
  readonly expiresInMs: number
}

export interface FoundToken {
  readonly row: ApiTokenRow
  readonly isOver: boolean
}

/** All reject with ServiceError ('invalid', 'forbidden', 'not-found') or StoreError. */
export interface ApiTokens {
  create(request: NewApiToken, actor: Actor): Promise<{ readonly row: ApiTokenRow; readonly token: Secret }>
  list(): Promise<readonly ApiTokenRow[]>
  delete(id: string, actor: Actor): Promise<ApiTokenRow>
  /** null: unknown. One that is over is found, too: who has it may be told so. Notes the use of one that is not. */
  find(token: string): Promise<FoundToken | null>
}

export function createApiTokens(options: ApiTokensOptions): ApiTokens {
  const { store, keys } = options
  const now = options.now ?? (() => new Date())

  return {
    async create({ name: rawName, scopes, expiresInMs }, actor) {
      const name = checkAppPasswordName(rawName)
      if (!name.ok) throw new ServiceError('invalid', 'a token needs a name of 1 to 64 characters: what is it for?')
      if (expiresInMs > MAX_LIFE_MS) throw new ServiceError('invalid', 'a token lives a year at the most')
      const { token, digest, keyId } = newToken(keys, 'api', PREFIX)
      const createdAt = now()
      const row: ApiTokenRow = {
        id: randomUUID(),
        digest,
        keyId,
        name: name.name,
        scopes: [...new Set(scopes)].sort(),
        createdBy: actor,
        createdAt,
        expiresAt: new Date(createdAt.getTime() + expiresInMs),
        lastUsedAt: null,
      }
      await store.transaction(async (tx) => {
        if ((await tx.people.listApiTokens()).length >= MAX_TOKENS) {
          throw new ServiceError('forbidden', `there are ${MAX_TOKENS} tokens already: delete those that nobody uses`)
        }
        await tx.people.insertApiToken(row)
        const detail = {
          id: row.id,
          name: row.name,
          scopes: row.scopes.join(','),
          expiresAt: row.expiresAt.toISOString(),
        }
        await appendAudit(tx, { event: 'token_created', actor, user: null, at: createdAt, detail })
      })
      return { row, token }
    },

    list: () => store.people.listApiTokens(),

    async delete(id, actor) {
      return await store.transaction(async (tx) => {
        const row = (await tx.people.listApiTokens()).find((each) => each.id === id)
        if (!row) throw new ServiceError('not-found', `there is no token ${printable(id, 64)}`)
        await tx.people.deleteApiToken(id)
        const detail = { id, name: row.name }
        await appendAudit(tx, { event: 'token_deleted', actor, user: null, at: now(), detail })
        return row
      })
    },

    async find(token) {
      if (!token.startsWith(PREFIX)) return null
      const row = await store.people.apiToken(tokenDigests(keys, 'api', token))
      const at = now()
      if (row === null) return null
      if (row.expiresAt <= at) return { row, isOver: true }
      if (row.lastUsedAt === null || at.getTime() - row.lastUsedAt.getTime() >= SEEN_EVERY_MS) {
        await store.people.seeApiToken(row.id, at)
      }
      return { row, isOver: false }
    },
  }
}
