/**
 * Web ↔ keeper: all that the portal, the admin API and the set-up of clients can ask.
 *
 * Web is taken for hostile: it can show pages and pass things on, and every right is checked here, by the keeper, for the
 * session or token that comes with the question. A fixed list; nothing of the control socket's is among it but through
 * `admin.call`. Errors are ServiceError of the same vocabulary as the services.
 */

import type { z } from 'zod'
import { ADMIN_CALL_METHODS } from './portal/admin.ts'
import { DEVICE_METHODS } from './portal/devices.ts'
import { METHOD_METHODS } from './portal/methods.ts'
import { PORTAL_SESSION_METHODS } from './portal/session.ts'
import { SET_UP_METHODS } from './portal/set-up.ts'
import { SIGN_IN_METHODS } from './portal/sign-in.ts'

export const PORTAL_METHODS = {
  ...SIGN_IN_METHODS,
  ...PORTAL_SESSION_METHODS,
  ...METHOD_METHODS,
  ...DEVICE_METHODS,
  ...SET_UP_METHODS,
  ...ADMIN_CALL_METHODS,
} as const

export type PortalMethods = typeof PORTAL_METHODS
export type PortalMethodName = keyof PortalMethods
/** What web gives: defaults may be left out. */
export type PortalRequest<N extends PortalMethodName> = z.input<PortalMethods[N]['request']>
/** What the keeper receives: checked, defaults filled in. */
export type PortalParams<N extends PortalMethodName> = z.output<PortalMethods[N]['request']>
export type PortalAnswer<N extends PortalMethodName> = Exclude<PortalMethods[N]['answer'], undefined>

/** The keeper, as web sees it. */
export interface PortalServices {
  /** @throws ServiceError */
  call<N extends PortalMethodName>(name: N, request: PortalRequest<N>): Promise<PortalAnswer<N>>
}

/** The same, as the keeper implements it: one function per method. */
export type PortalHandlers = {
  readonly [N in PortalMethodName]: (params: PortalParams<N>) => Promise<PortalAnswer<N>>
}
