/**
 * Services about tokens of the admin API.
 */

import { z } from 'zod'
import { API_SCOPES } from './api-scopes.ts'
import { id, method } from './method.ts'

export interface ApiTokenView {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  /** Who made it. */
  readonly createdBy: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly lastUsedAt: string | null
}

/** The only answer that ever holds a token's value. */
export interface IssuedApiToken extends ApiTokenView {
  readonly token: string
}

const DEFAULT_LIFE_MS = 90 * 24 * 60 * 60_000

export const TOKEN_METHODS = {
  'token.create': method<IssuedApiToken>()(
    z.strictObject({
      name: z.string().min(1).max(256).describe('What it is for: 1 to 64 characters.'),
      scopes: z.array(z.enum(API_SCOPES)).min(1).max(API_SCOPES.length),
      expiresInMs: z
        .number()
        .int()
        .positive()
        .default(DEFAULT_LIFE_MS)
        .describe('Milliseconds from now, a year at the most.'),
    }),
  ),
  'token.list': method<readonly ApiTokenView[]>()(z.strictObject({})),
  'token.delete': method<{ readonly id: string; readonly name: string }>()(z.strictObject({ id })),
} as const
