/**
 * What administrators and their programs do through web: the very services of the command line, asked for with a proof.
 *
 * Web passes on a bearer token of the API or a session of the portal; the keeper decides whether that may call the method
 * (`ADMIN_METHODS`: which scope each needs), runs it with the caller as actor, and remembers idempotency keys. So web can
 * do nothing by itself. A session must be of a user with the admin role, and fresh for whatever changes something.
 */

import { z } from 'zod'
import type { ApiScope } from '../services/api-scopes.ts'
import { method } from '../services/method.ts'
import type { ServiceName } from '../services.ts'
import { client, token } from './client.ts'

export type { ApiScope } from '../services/api-scopes.ts'
export { API_SCOPES } from '../services/api-scopes.ts'

/**
 * Service → the scope that it takes over HTTP. What is not listed can't be called from web at all: backup, keys, health,
 * stored secrets and `check.identity` belong to whoever may open the control socket.
 */
export const ADMIN_METHODS = {
  'user.list': 'users:read',
  'user.show': 'users:read',
  'user.add': 'users:write',
  'user.import': 'users:write',
  'user.update': 'users:write',
  'user.enable': 'users:write',
  'user.disable': 'users:write',
  'user.delete': 'users:write',
  'user.set-groups': 'users:write',
  'user.set-password': 'users:write',
  'user.invite': 'users:write',
  'user.reset-two-step': 'users:write',
  'app-password.list': 'app-passwords:read',
  'app-password.show': 'app-passwords:read',
  'app-password.create': 'app-passwords:write',
  'app-password.update': 'app-passwords:write',
  'app-password.delete': 'app-passwords:write',
  'app-password.delete-all': 'app-passwords:write',
  'app-password.delete-unused': 'app-passwords:write',
  'policy.list': 'policies:read',
  'policy.show': 'policies:read',
  'policy.set': 'policies:write',
  'session.list': 'sessions:read',
  'session.end': 'sessions:write',
  'device.list': 'devices:read',
  'device.block': 'devices:write',
  'device.allow': 'devices:write',
  'device.forget': 'devices:write',
  'throttle.list': 'throttle:read',
  'throttle.clear': 'throttle:write',
  'audit.list': 'audit:read',
  'token.list': 'tokens:read',
  'token.create': 'tokens:write',
  'token.delete': 'tokens:write',
} as const satisfies { readonly [N in ServiceName]?: ApiScope }
export type AdminMethod = keyof typeof ADMIN_METHODS

const proof = z.union([z.strictObject({ session: token }), z.strictObject({ bearer: z.string().min(1).max(256) })])

export const ADMIN_CALL_METHODS = {
  /**
   * `answer` is that of the service. Refused with ServiceError 'unauthorised' (no such token or session), 'forbidden' (lacks
   * the scope or role), 'step-up-needed', or the service's own. With an idempotency key the answer of an earlier call with it
   * comes back, `replayed`, and a password in it is null; when the keeper died in the middle of that call: 'outcome-unknown'.
   */
  'admin.call': method<{ readonly answer: unknown; readonly replayed: boolean }>()(
    z.strictObject({
      client,
      as: proof,
      method: z.string().max(64),
      params: z.record(z.string(), z.unknown()),
      idempotencyKey: z.string().min(1).max(128).nullable().default(null),
    }),
  ),
} as const
