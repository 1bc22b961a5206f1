/**
 * Web and CLI ↔ keeper: users, app passwords, stored secrets, sessions, audit, keys.
 *
 * One table declares every method with the check of its request; the request and answer types follow from it. The CLI, the
 * admin API and the portal call the same methods, so each thing has one way to happen. Answers are plain JSON values:
 * times are ISO 8601 strings in UTC.
 */

import { z } from 'zod'
import { PROTOCOL_NAMES } from './admission.ts'

export type ServiceErrorCode =
  | 'not-found'
  /** The address is taken or reserved. */
  | 'exists'
  | 'invalid'
  /** The user has as many app passwords as the policy allows; the message names the oldest unused ones. */
  | 'cap-reached'
  /** Policy forbids it. */
  | 'forbidden'
  /** Not set up in the configuration. */
  | 'not-configured'
  | 'unavailable'

/** A request that the keeper would not or could not do. The message is for the person who asked and says what to do. */
export class ServiceError extends Error {
  readonly code: ServiceErrorCode
  constructor(code: ServiceErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'ServiceError'
    this.code = code
  }
}

export interface UserView {
  readonly id: string
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly enabled: boolean
  readonly hasPassword: boolean
  readonly enrolledAt: string | null
  readonly createdAt: string
  readonly appPasswords: number
}

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

/** What a revocation did: how many open sessions were ended, and which processes did not answer within a second. */
export interface SessionsEnded {
  readonly sessionsEnded: number
  readonly unanswered: readonly string[]
}

export interface RevokedAppPasswords extends SessionsEnded {
  readonly deleted: readonly { readonly id: string; readonly user: string; readonly name: string }[]
}

export interface SessionView {
  readonly id: string
  readonly user: string
  readonly protocol: string
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly ip: string
  readonly startedAt: string
  readonly upstream: string | null
  /** 'connecting' until the upstream has accepted the login. */
  readonly state: 'connecting' | 'open'
}

export interface AuditView {
  readonly seq: number
  readonly at: string
  readonly event: string
  readonly actor: string
  readonly user: string | null
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

export interface KeyView {
  readonly id: string
  readonly createdAt: string
  /** New rows are made with it. */
  readonly active: boolean
  readonly rows: number
}

export interface ImportReport {
  readonly added: number
  readonly unchanged: number
  readonly refused: readonly { readonly line: number; readonly address: string; readonly why: string }[]
}

const address = z.string().min(1).max(254)
const id = z.string().min(1).max(64)
const text64 = z.string().min(1).max(256)
const secret = z.string().min(1).max(1024)
const protocols = z.array(z.enum(PROTOCOL_NAMES)).min(1)

/** A method: the check of its request, and (as a type only) its answer. */
export interface ServiceMethod<Request extends z.ZodType, Answer> {
  readonly request: Request
  readonly answer?: Answer
}

function method<Answer>() {
  return <Request extends z.ZodType>(request: Request): ServiceMethod<Request, Answer> => ({ request })
}

export const SERVICE_METHODS = {
  'user.add': method<UserView>()(
    z.strictObject({
      address,
      name: z.string().max(128).nullable().default(null),
      groups: z.array(text64).default([]),
      admin: z.boolean().default(false),
      password: secret.nullable().default(null),
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
            name: z.string().max(128).nullable().default(null),
            groups: z.array(text64).default([]),
          }),
        )
        .max(200),
    }),
  ),
  'user.list': method<{ users: readonly UserView[]; next: string | null }>()(
    z.strictObject({
      after: z.string().nullable().default(null),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  'user.show': method<UserView>()(z.strictObject({ address })),
  'user.disable': method<UserView & SessionsEnded>()(z.strictObject({ address })),
  'user.enable': method<UserView>()(z.strictObject({ address })),
  'user.delete': method<SessionsEnded>()(z.strictObject({ address })),
  'user.set-password': method<UserView & SessionsEnded>()(z.strictObject({ address, password: secret })),

  'app-password.create': method<IssuedAppPassword>()(
    z.strictObject({
      user: address,
      name: z.string().max(256),
      protocols: protocols.optional(),
      networks: z.array(z.string().max(64)).max(32).default([]),
      /** Milliseconds from now; left out: what the policy says. */
      expiresInMs: z.number().int().positive().nullable().optional(),
    }),
  ),
  'app-password.list': method<readonly AppPasswordView[]>()(z.strictObject({ user: address })),
  'app-password.delete': method<RevokedAppPasswords>()(z.strictObject({ id })),
  'app-password.delete-all': method<RevokedAppPasswords>()(z.strictObject({ user: address })),
  'app-password.delete-unused': method<RevokedAppPasswords>()(
    z.strictObject({ unusedForMs: z.number().int().positive() }),
  ),

  'secret.set': method<{ user: string; upstream: string }>()(
    z.strictObject({ user: address, upstream: text64, secret }),
  ),
  'secret.delete': method<{ user: string; upstream: string; deleted: boolean }>()(
    z.strictObject({ user: address, upstream: text64 }),
  ),

  /** `after` is the id of the last session of the page before. */
  'session.list': method<{ sessions: readonly SessionView[]; next: string | null }>()(
    z.strictObject({
      user: address.optional(),
      after: z.string().nullable().default(null),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  /** At least one of the three; a session must match all that are given. */
  'session.end': method<SessionsEnded>()(
    z.strictObject({ user: address.optional(), appPassword: id.optional(), id: id.optional() }),
  ),

  'audit.list': method<{ entries: readonly AuditView[]; lastSeq: number }>()(
    z.strictObject({
      user: address.optional(),
      sinceMs: z.number().int().optional(),
      afterSeq: z.number().int().default(0),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),

  'keys.status': method<{ file: string; keys: readonly KeyView[] }>()(z.strictObject({})),
  /** `file` is absolute and must not exist yet. */
  backup: method<{ file: string; bytes: number }>()(z.strictObject({ file: z.string().min(1).max(4096) })),
  health: method<{ ok: boolean; version: string; pid: number; store: 'up' | 'down'; redis: 'up' | 'down' | 'none' }>()(
    z.strictObject({}),
  ),
  /** How `sallyport check` may log in upstream as a user. Never offered on any socket but the control socket. */
  'check.identity': method<{ upstream: string; kind: 'password'; authcid: string; authzid: string; secret: string }>()(
    z.strictObject({ protocol: z.enum(PROTOCOL_NAMES), user: address }),
  ),
} as const

export type ServiceMethods = typeof SERVICE_METHODS
export type ServiceName = keyof ServiceMethods
/** What a caller gives: defaults may be left out. */
export type ServiceRequest<N extends ServiceName> = z.input<ServiceMethods[N]['request']>
/** What an implementation receives: checked, defaults filled in. */
export type ServiceParams<N extends ServiceName> = z.output<ServiceMethods[N]['request']>
export type ServiceAnswer<N extends ServiceName> = NonNullable<ServiceMethods[N]['answer']>

/** Who asks, for the audit trail: 'cli:root', 'user:<id>'. At most 64 characters. */
export type Actor = string

/** The keeper's services, as a caller sees them, wherever the keeper runs. */
export interface Services {
  /** @throws ServiceError */
  call<N extends ServiceName>(name: N, request: ServiceRequest<N>): Promise<ServiceAnswer<N>>
}

/** The services, as the keeper implements them: one function per method. */
export type ServiceHandlers = {
  readonly [N in ServiceName]: (params: ServiceParams<N>, actor: Actor) => Promise<ServiceAnswer<N>>
}
