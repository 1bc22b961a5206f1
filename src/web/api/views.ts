/**
 * The shapes of answers: what the services answer (contract/services), said so that the OpenAPI document can say it, too.
 */

import { z } from 'zod'
import { PROTOCOL_NAMES } from '../../contract/admission.ts'
import type {
  AppPasswordView,
  AuditView,
  IssuedAppPassword,
  RevokedAppPasswords,
  SessionsEnded,
  SessionView,
  UserView,
} from '../../contract/services.ts'

const id = z.string().describe('Opaque; does not change.')
const address = z.string().describe('Mail address, canonical.')
const time = z.iso.datetime().describe('UTC.')
const protocol = z.enum(PROTOCOL_NAMES)

export const User = z.strictObject({
  id,
  address,
  name: z.string().nullable(),
  groups: z.array(z.string()),
  admin: z.boolean().describe('May use the administration pages of the portal.'),
  enabled: z.boolean(),
  hasPassword: z.boolean().describe('There is a password for the portal.'),
  enrolledAt: time.nullable().describe('When two-step sign-in was first set up.'),
  createdAt: time,
  appPasswords: z.number().int().describe('How many app passwords can be used.'),
}) satisfies z.ZodType<UserView>

export const Ended = z.strictObject({
  sessionsEnded: z.number().int().describe('Open mail sessions that this ended.'),
  unanswered: z
    .array(z.string())
    .describe('Processes that did not answer within a second: their sessions are not in the count.'),
}) satisfies z.ZodType<SessionsEnded>

export const UserAndEnded = User.extend(Ended.shape)

export const AppPassword = z.strictObject({
  id,
  user: address,
  name: z.string(),
  protocols: z.array(z.string()),
  networks: z.array(z.string()).describe('Address blocks it works from; empty: from anywhere.'),
  createdAt: time,
  expiresAt: time.nullable().describe('null: never.'),
  lastUsed: z
    .strictObject({ at: time, protocol: z.string(), ip: z.string(), agent: z.string().nullable() })
    .nullable()
    .describe('null: never used.'),
}) satisfies z.ZodType<AppPasswordView>

export const NewAppPassword = z.strictObject({
  id,
  user: address,
  name: z.string(),
  password: z
    .string()
    .nullable()
    .describe('Shown in this one answer and never again; null in a replay (Idempotency-Key).'),
  protocols: z.array(protocol),
  createdAt: time,
}) satisfies z.ZodType<Omit<IssuedAppPassword, 'password'>>

export const Revoked = z.strictObject({
  deleted: z.array(z.strictObject({ id, user: address, name: z.string() })),
  ...Ended.shape,
}) satisfies z.ZodType<RevokedAppPasswords>

export const Session = z.strictObject({
  id,
  user: address,
  protocol: z.string(),
  appPassword: z.strictObject({ id, name: z.string() }).nullable(),
  ip: z.string(),
  startedAt: time,
  upstream: z.string().nullable(),
  state: z.enum(['connecting', 'open']).describe('connecting: the mail server has not accepted the login yet.'),
}) satisfies z.ZodType<SessionView>

export const AuditEntry = z.strictObject({
  seq: z.number().int().describe('Ascending: the order in which things happened.'),
  at: time,
  event: z.string(),
  actor: z.string().describe('Who did it.'),
  user: address.nullable().describe('Whom it concerns.'),
  detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
}) satisfies z.ZodType<AuditView>
