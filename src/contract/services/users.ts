/**
 * Services about users.
 */

import { z } from 'zod'
import type { Language } from '../languages.ts'
import { LANGUAGES } from '../languages.ts'
import type { SessionsEnded } from './method.ts'
import { address, method, secret, text64 } from './method.ts'
import type { MethodView } from './two-step.ts'

export interface UserView {
  readonly id: string
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly enabled: boolean
  /** What this person is spoken to in; null: not known. */
  readonly language: Language | null
  readonly hasPassword: boolean
  readonly enrolledAt: string | null
  readonly createdAt: string
  readonly appPasswords: number
}

/** One user, with what it proves itself with. */
export interface UserDetail extends UserView {
  readonly methods: readonly MethodView[]
  /** Recovery codes left; null: none were ever made. */
  readonly recoveryCodes: number | null
}

export interface ImportReport {
  readonly added: number
  readonly unchanged: number
  readonly refused: readonly { readonly line: number; readonly address: string; readonly why: string }[]
}

const displayName = z.string().max(128).nullable().describe('To be shown; null: none.')
const groups = z.array(text64).describe('Policies go by group.')
const language = z.enum(LANGUAGES).nullable().describe('For mails, refusals and profiles; null: not known.')
const admin = z.boolean().describe('May use the administration pages of the portal.')

export const USER_METHODS = {
  'user.add': method<UserView>()(
    z.strictObject({
      address: address.describe('Mail address; a bare name gets the first domain.'),
      name: displayName.default(null),
      groups: groups.default([]),
      admin: admin.default(false),
      language: language.default(null),
      password: secret.nullable().default(null).describe('For the portal; no mail client can use it.'),
    }),
  ),
  /** At most 200 entries a call; callers send a long file in pieces. */
  'user.import': method<ImportReport>()(
    z.strictObject({
      users: z
        .array(
          z.strictObject({
            line: z.number().int(),
            address: z.string().max(1024),
            name: displayName.default(null),
            groups: groups.default([]),
            language: language.default(null),
          }),
        )
        .max(200),
    }),
  ),
  /** `search`: the beginning of an address, or of words of a name. `after` is the last address of the page before. */
  'user.list': method<{ users: readonly UserView[]; next: string | null }>()(
    z.strictObject({
      search: z.string().max(254).optional(),
      after: z.string().nullable().default(null),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  'user.show': method<UserDetail>()(z.strictObject({ address })),
  'user.disable': method<UserView & SessionsEnded>()(z.strictObject({ address })),
  'user.enable': method<UserView>()(z.strictObject({ address })),
  /** What is left out stays. Sessions that it does not allow any more end. */
  'user.update': method<UserView & SessionsEnded>()(
    z.strictObject({
      address,
      name: displayName.optional(),
      groups: groups.max(32).optional(),
      admin: admin.optional(),
      language: language.optional(),
      enabled: z.boolean().optional().describe('false: locked out, and every open session ends.'),
    }),
  ),
  /** Instead of those of before. Sessions that the new ones don't allow end. */
  'user.set-groups': method<UserView & SessionsEnded>()(z.strictObject({ address, groups: groups.max(32) })),
  'user.delete': method<SessionsEnded>()(z.strictObject({ address })),
  'user.set-password': method<UserView & SessionsEnded>()(z.strictObject({ address, password: secret })),
} as const
