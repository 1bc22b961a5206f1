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
import type { Area } from './areas.ts'
import { faultOf } from './errors.ts'
import { anyone, page } from './portal/answer.ts'
import { serveAssets } from './portal/assets.ts'
import * as errors from './portal/pages/errors.ts'
import { adminRoutes } from './portal/routes/admin.ts'
import { appPasswordRoutes } from './portal/routes/app-passwords.ts'
import { ownDeviceRoutes } from './portal/routes/devices.ts'
import { enrolRoutes } from './portal/routes/enrol.ts'
import { helpRoutes } from './portal/routes/help.ts'
import { methodRoutes } from './portal/routes/methods.ts'
import { passwordRoutes } from './portal/routes/password.ts'
import { providerRoutes } from './portal/routes/providers.ts'
import { securityInfoRoutes } from './portal/routes/security-info.ts'
import { signInRoutes } from './portal/routes/sign-in.ts'
import { stepUpRoutes } from './portal/routes/step-up.ts'
import type { PortalSettings } from './portal/settings.ts'
import { portalSettings } from './portal/settings.ts'
import type { Portal } from './portal/visit.ts'
import { Visit } from './portal/visit.ts'
import { deviceRoutes } from './set-up/device-routes.ts'

export interface PortalOptions {
  readonly keeper: PortalServices
  /** Asked for at each request, so that a reload takes effect. */
  readonly settings: () => PortalSettings
  readonly log: Log
  /** Where a request comes from: the socket's far end is a process of ours. */
  readonly addressOf: (request: FastifyRequest) => string
  /** A fault in this program that answered this request. */
  readonly bug: (error: unknown, request: FastifyRequest) => void
}

export const portal: Area = {
  door: 'public',
  async register(app, { keeper, settings, log, metrics }) {
    app.addHook('onRequest', async (_, reply) => {
      if (settings().portal === null) reply.callNotFound()
    })
    await registerPortal(app, {
      keeper,
      log,
      settings() {
        const found = portalSettings(settings())
        if (found === null) throw new Error('a page of a portal that is not there')
        return found
      },
      addressOf: (request) => request.client.ip,
      bug(error, request) {
        metrics.bugs.inc()
        log.bug(error, `a fault in this program answered request ${request.client.requestId}`)
      },
    })
  },
}

/** Register it on its own: it brings cookies and a form parser. */
export async function registerPortal(app: FastifyInstance, options: PortalOptions): Promise<void> {
  const { bug, ...rest } = options
  await app.register(cookie)
  await app.register(formbody)
  const portal: Portal = { ...rest, assets: serveAssets(app) }
  app.setErrorHandler((error, request, reply) => {
    const { status } = faultOf(error)
    if (status === 500) bug(error, request)
    const visit = Visit.stranger(portal, request, reply)
    const content = status === 500 ? errors.bug(visit) : status === 413 ? errors.tooMuch(visit) : errors.invalid(visit)
    return reply.code(status).type('text/html; charset=utf-8').send(content.toString())
  })
  signInRoutes(app, portal)
  enrolRoutes(app, portal)
  securityInfoRoutes(app, portal)
  ownDeviceRoutes(app, portal)
  methodRoutes(app, portal)
  passwordRoutes(app, portal)
  providerRoutes(app, portal)
  appPasswordRoutes(app, portal)
  deviceRoutes(app, portal)
  stepUpRoutes(app, portal)
  helpRoutes(app, portal)
  adminRoutes(app, portal)
  const nothingHere = anyone(portal, (visit) => page(errors.notFound(visit), 404))
  app.get('/*', (request, reply) =>
    mayShow(request)
      ? nothingHere(request, reply)
      : reply.code(404).type('text/plain; charset=utf-8').send('Not found\n'),
  )
}

/**
 * Whether a page is of any use to whoever asks. Phones and mail programs try addresses of servers that we are not
 * (EWS, CalDAV); the cookie of a page would go with their requests from then on, and ActiveSync takes none.
 */
function mayShow({ headers: { accept = '' } }: FastifyRequest): boolean {
  return accept.includes('text/html')
}
