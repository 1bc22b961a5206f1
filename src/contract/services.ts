/**
 * CLI and admin API ↔ keeper: users, app passwords, stored secrets, sessions, audit, keys.
 *
 * One table declares every method with the check of its request; the request and answer types follow from it. The CLI, the
 * admin API and the portal call the same methods, so each thing has one way to happen. Answers are plain JSON values:
 * times are ISO 8601 strings in UTC. Each noun declares its own in services/.
 */

import type { z } from 'zod'
import { APP_PASSWORD_METHODS } from './services/app-passwords.ts'
import { DEVICE_METHODS } from './services/devices.ts'
import { OPERATION_METHODS } from './services/operations.ts'
import { POLICY_METHODS } from './services/policies.ts'
import { SESSION_METHODS } from './services/sessions.ts'
import { THROTTLE_METHODS } from './services/throttle.ts'
import { TOKEN_METHODS } from './services/tokens.ts'
import { TWO_STEP_METHODS } from './services/two-step.ts'
import { USER_METHODS } from './services/users.ts'

export type { AppPasswordView, IssuedAppPassword, RevokedAppPasswords } from './services/app-passwords.ts'
export type { DeviceView } from './services/devices.ts'
export type { SessionsEnded } from './services/method.ts'
export type { AuditView } from './services/operations.ts'
export { AUDIT_ORDERS } from './services/operations.ts'
export type { PolicySetting, PolicyView, UserPolicyView } from './services/policies.ts'
export type { SessionView } from './services/sessions.ts'
export type { ThrottleView } from './services/throttle.ts'
export type { ApiTokenView, IssuedApiToken } from './services/tokens.ts'
export type { IssuedInvitation, MethodView } from './services/two-step.ts'
export type { ImportReport, UserDetail, UserView } from './services/users.ts'

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
  /** The first request under this idempotency key was cut off: it may have been done, or half, or not at all. */
  | 'outcome-unknown'
  /** Too many wrong tokens or passwords from there: not even looked at for a while. */
  | 'throttled'
  /** The portal's session or the API's token is unknown or over. */
  | 'signed-out'
  | 'unauthorised'
  /** The keeper has verified no factor of this person within five minutes. */
  | 'step-up-needed'

/** A request that the keeper would not or could not do. The message is for the person who asked and says what to do. */
export class ServiceError extends Error {
  readonly code: ServiceErrorCode
  constructor(code: ServiceErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'ServiceError'
    this.code = code
  }
}

export const SERVICE_METHODS = {
  ...USER_METHODS,
  ...TWO_STEP_METHODS,
  ...TOKEN_METHODS,
  ...APP_PASSWORD_METHODS,
  ...SESSION_METHODS,
  ...DEVICE_METHODS,
  ...POLICY_METHODS,
  ...THROTTLE_METHODS,
  ...OPERATION_METHODS,
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
