/**
 * The portal: what people see when they manage how they sign in to their mail.
 *
 * Every page is made here, on the server, and works without scripts. Web knows nobody: each right is checked by the keeper, for
 * the session that a request carries; what is checked here is that a form came from a page of ours (portal/csrf.ts), that it
 * holds what it should (portal/form.ts), and that what people typed stays text (portal/html.ts).
 */

import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { PortalServices } from '../contract/portal.ts'
import type { Log } from '../log.ts'
import { anyone, page } from './portal/answer.ts'
import { serveAssets } from './portal/assets.ts'
import * as errors from './portal/pages/errors.ts'
import { adminRoutes } from './portal/routes/admin.ts'
import { appPasswordRoutes } from './portal/routes/app-passwords.ts'
import { enrolRoutes } from './portal/routes/enrol.ts'
import { helpRoutes } from './portal/routes/help.ts'
import { methodRoutes } from './portal/routes/methods.ts'
import { securityInfoRoutes } from './portal/routes/security-info.ts'
import { signInRoutes } from './portal/routes/sign-in.ts'
import { stepUpRoutes } from './portal/routes/step-up.ts'
import type { PortalSettings } from './portal/settings.ts'
import type { Portal } from './portal/visit.ts'
import { deviceRoutes } from './set-up/device-routes.ts'

export interface PortalOptions {
  readonly keeper: PortalServices
  /** Asked for at each request, so that a reload takes effect. */
  readonly settings: () => PortalSettings
  readonly log: Log
  /** Where a request comes from: the socket's far end is a process of ours. */
  readonly addressOf: (request: FastifyRequest) => string
}

/** Register it on its own: it brings cookies and a form parser. */
export async function registerPortal(
  app: FastifyInstance,
  { keeper, settings, log, addressOf }: PortalOptions,
): Promise<void> {
  await app.register(cookie)
  await app.register(formbody)
  const portal: Portal = { keeper, settings, log, addressOf, assets: serveAssets(app) }
  signInRoutes(app, portal)
  enrolRoutes(app, portal)
  securityInfoRoutes(app, portal)
  methodRoutes(app, portal)
  appPasswordRoutes(app, portal)
  deviceRoutes(app, portal)
  stepUpRoutes(app, portal)
  helpRoutes(app, portal)
  adminRoutes(app, portal)
  app.get(
    '/*',
    anyone(portal, (visit) => page(errors.notFound(visit), 404)),
  )
}
