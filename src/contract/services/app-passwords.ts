/**
 * Services about app passwords.
 */

import { z } from 'zod'
import type { SessionsEnded } from './method.ts'
import { address, id, method, protocols } from './method.ts'

export interface AppPasswordView {
  readonly id: string
  readonly user: string
  readonly name: string
  readonly protocols: readonly string[]
  readonly networks: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly lastUsed: {
    readonly at: string
    readonly protocol: string
    readonly ip: string
    readonly agent: string | null
  } | null
}

/** The only answer that ever holds an app password's value. */
export interface IssuedAppPassword {
  readonly id: string
  readonly user: string
  readonly name: string
  readonly password: string
  readonly protocols: readonly string[]
  readonly createdAt: string
}

export interface RevokedAppPasswords extends SessionsEnded {
  readonly deleted: readonly { readonly id: string; readonly user: string; readonly name: string }[]
}

const networks = z
  .array(z.string().max(64))
  .max(32)
  .describe('Addresses or blocks of addresses it works from; empty: from anywhere.')
const expiresInMs = z.number().int().positive().nullable()

export const APP_PASSWORD_METHODS = {
  'app-password.create': method<IssuedAppPassword>()(
    z.strictObject({
      user: address,
      name: z.string().max(256).describe('Which device it is for: 1 to 64 characters.'),
      protocols: protocols.optional().describe('What it works on; left out: what the policy allows.'),
      networks: networks.default([]),
      expiresInMs: expiresInMs
        .optional()
        .describe('Milliseconds from now; null: never; left out: what the policy says.'),
    }),
  ),
  'app-password.list': method<readonly AppPasswordView[]>()(z.strictObject({ user: address })),
  'app-password.show': method<AppPasswordView>()(z.strictObject({ id })),
  /** What is left out stays. Sessions that it does not allow any more end. */
  'app-password.update': method<AppPasswordView & SessionsEnded>()(
    z.strictObject({
      id,
      name: z.string().max(256).optional().describe('Which device it is for: 1 to 64 characters.'),
      protocols: protocols.optional(),
      networks: networks.optional(),
      expiresInMs: expiresInMs.optional().describe('Milliseconds from now; null: never.'),
    }),
  ),
  'app-password.delete': method<RevokedAppPasswords>()(z.strictObject({ id })),
  'app-password.delete-all': method<RevokedAppPasswords>()(z.strictObject({ user: address })),
  'app-password.delete-unused': method<RevokedAppPasswords>()(
    z.strictObject({ unusedForMs: z.number().int().positive() }),
  ),
} as const
