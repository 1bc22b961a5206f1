/**
 * The shapes of answers: what the services answer (contract/services), said so that the OpenAPI document can say it, too.
 */

import { z } from 'zod'
import { PROTOCOL_NAMES } from '../../contract/admission.ts'
import { LANGUAGES } from '../../contract/languages.ts'
import { DEVICE_STATES } from '../../contract/services/devices.ts'
import type {
  ApiTokenView,
  AppPasswordView,
  AuditView,
  DeviceView,
  ImportReport,
  IssuedApiToken,
  IssuedAppPassword,
  IssuedInvitation,
  PolicyView,
  RevokedAppPasswords,
  ServiceAnswer,
  SessionsEnded,
  SessionView,
  ThrottleView,
  UserDetail as UserDetailView,
  UserPolicyView,
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
  language: z.enum(LANGUAGES).nullable().describe('For mails, refusals and profiles; null: not known.'),
  hasPassword: z.boolean().describe('There is a password for the portal.'),
  enrolledAt: time.nullable().describe('When two-step sign-in was first set up.'),
  createdAt: time,
  appPasswords: z.number().int().describe('How many app passwords can be used.'),
}) satisfies z.ZodType<UserView>

export const UserDetail = User.extend({
  methods: z
    .array(
      z.strictObject({
        kind: z.enum(['totp', 'passkey', 'provider']),
        id,
        name: z.string(),
        createdAt: time,
        lastUsedAt: time.nullable(),
      }),
    )
    .describe('What the user signs in to the portal with, besides the password.'),
  recoveryCodes: z.number().int().nullable().describe('How many are left; null: none were ever made.'),
}) satisfies z.ZodType<UserDetailView>

export const Invitation = z.strictObject({
  user: address,
  url: z
    .string()
    .nullable()
    .describe('The link, for 72 hours and one use; shown only now. null: it was mailed, or this is a replay.'),
  expiresAt: time,
  mailed: z.boolean(),
}) satisfies z.ZodType<IssuedInvitation>

export const Reset = Invitation.extend({
  methodsDeleted: z.number().int(),
}) satisfies z.ZodType<ServiceAnswer<'user.reset-two-step'>>

export const Ended = z.strictObject({
  sessionsEnded: z.number().int().describe('Open mail sessions that this ended.'),
  unanswered: z
    .array(z.string())
    .describe('Processes that did not answer within a second: their sessions are not in the count.'),
}) satisfies z.ZodType<SessionsEnded>

export const UserAndEnded = User.extend(Ended.shape)

export const Import = z.strictObject({
  added: z.number().int(),
  unchanged: z.number().int().describe('Users who were there already.'),
  refused: z.array(z.strictObject({ line: z.number().int(), address: z.string(), why: z.string() })),
}) satisfies z.ZodType<ImportReport>

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

export const AppPasswordAndEnded = AppPassword.extend(Ended.shape)

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

const setting = z.enum(['allowed', 'forbidden'])
const scope = z.enum(['all', 'group', 'user'])
const subject = z.string().nullable().describe('The name of the group or the address of the user; null: everybody.')
const source = z.enum(['set', 'configured']).describe('Set while running, or from the configuration.')

export const Policy = z.strictObject({
  scope,
  subject,
  appPasswords: setting.nullable().describe('Whether app passwords are allowed; null: what is wider says.'),
  source,
  configured: setting.nullable().describe('What the configuration says about the same; null: nothing.'),
}) satisfies z.ZodType<PolicyView>

export const PolicyAndEnded = Policy.extend({
  changed: z.boolean().describe('false: it was set like that already.'),
  ...Ended.shape,
})

export const UserPolicy = z.strictObject({
  user: address,
  appPasswords: setting,
  decidedBy: z.strictObject({ scope, subject, source }),
  perUser: z.number().int().describe('How many app passwords this user may have.'),
  expiryMs: z.number().int().nullable().describe('The longest life of one, in milliseconds; null: for ever.'),
  protocols: z.array(z.string()),
}) satisfies z.ZodType<UserPolicyView>

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

export const Token = z.strictObject({
  id,
  name: z.string(),
  scopes: z.array(z.string()),
  createdBy: z.string(),
  createdAt: time,
  expiresAt: time,
  lastUsedAt: time.nullable().describe('To the minute; null: never used.'),
}) satisfies z.ZodType<ApiTokenView>

export const NewToken = Token.extend({
  token: z.string().nullable().describe('Shown in this one answer and never again; null in a replay.'),
}) satisfies z.ZodType<Omit<IssuedApiToken, 'token'>>

export const DeletedToken = z.strictObject({ id, name: z.string() }) satisfies z.ZodType<ServiceAnswer<'token.delete'>>

export const ThrottleLane = z.strictObject({
  lane: z.string().describe('address, site (an IPv6 /48), user, user-address, or factor (second steps in the portal).'),
  user: z.string().nullable().describe("A user's address; of a name that is nobody's a keyed hash with its domain."),
  address: z.string().nullable().describe('IPv4 address or IPv6 block.'),
  failures: z.number().int(),
  waitMs: z.number().describe('Left of the delay that is being served; 0: none.'),
  lastFailedAt: time,
}) satisfies z.ZodType<ThrottleView>

export const Cleared = z.strictObject({
  cleared: z.number().int().describe('How many entries were forgotten.'),
}) satisfies z.ZodType<ServiceAnswer<'throttle.clear'>>

export const Device = z.strictObject({
  id,
  user: address,
  type: z.string().nullable(),
  agent: z.string().nullable(),
  protocolVersion: z.string().nullable(),
  state: z.enum(DEVICE_STATES).describe('waiting: new, and kept out until somebody allows it.'),
  blockedBy: z.enum(['owner', 'administrator']).nullable().describe('null: it is not blocked.'),
  firstSeenAt: time,
  lastSeenAt: time,
  lastIp: z.string(),
}) satisfies z.ZodType<DeviceView>

export const DeviceChanged = z.strictObject({ device: Device }) satisfies z.ZodType<ServiceAnswer<'device.allow'>>

export const DeviceBlocked = DeviceChanged.extend(Ended.shape) satisfies z.ZodType<ServiceAnswer<'device.block'>>

export const DeviceForgotten = z.strictObject({ id, user: address }) satisfies z.ZodType<ServiceAnswer<'device.forget'>>
