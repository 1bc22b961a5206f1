/**
 * The web process's server: pages for people, the admin API, and the set-up of mail clients, over one local socket.
 *
 * It opens no store and no key and knows nobody: whatever a page shows or does is a question to the keeper. Requests come
 * through a door (contract/web-door.ts), and behind each door is an app of its own: `public` for people and their programs,
 * `operator` for the API. What an app is made of is in `areas.ts`; what all have in common is here: request ids, security
 * headers, faults.
 */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import type { PortalServices } from '../contract/portal.ts'
import type { Door, DoorKeys } from '../contract/web-door.ts'
import { clientAtDoor, DOORS } from '../contract/web-door.ts'
import type { WebSettings } from '../contract/web-settings.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { AREAS } from './areas.ts'
import { clientOf, decorateWithClient, setClient } from './client.ts'
import { answerFaults, faultPage, faultProblem } from './errors.ts'

/** What areas are built from. */
export interface WebDeps {
  readonly keeper: PortalServices
  /** Asked for at each use, so that a reload takes effect. */
  readonly settings: () => WebSettings
  readonly log: Log
  readonly metrics: Metrics
}

export interface WebServerOptions extends WebDeps {
  /** The socket to listen at; nothing must be there. */
  readonly path: string
  readonly keys: DoorKeys
}

export interface WebServer {
  /** Finishes the answers under way and closes. */
  close(): Promise<void>
}

/** Forms and API requests; whoever needs more says so at its route. */
const MAX_BODY_BYTES = 256 * 1024
/** A request comes whole from the edge, as fast as its client sends it. */
const REQUEST_MS = 60_000
const MAX_HEAD_BYTES = 24 * 1024

/**
 * For every answer, unless a route says otherwise. Forms need an Origin that is not `null`, so no-referrer would be too much.
 */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
} as const
/** Half a year. Only said where TLS was, and only to browsers that trust the certificate (RFC 6797 §8.1). */
const STRICT_TRANSPORT = 'max-age=15552000'

/** Listens. @throws the system's error when the socket can't be made */
export async function createWebServer(options: WebServerOptions): Promise<WebServer> {
  const { path, keys, log } = options
  const apps: Readonly<Record<Door, FastifyInstance>> = {
    public: await buildApp('public', options),
    operator: await buildApp('operator', options),
  }
  const server = createServer(
    { maxHeaderSize: MAX_HEAD_BYTES, requestTimeout: REQUEST_MS },
    (request: IncomingMessage, response: ServerResponse) => {
      const client = clientAtDoor(request.headers, keys)
      if (client === null) {
        // One of our own processes that has no business here, and gets no words.
        log.event('error', 'warning', 'a request reached web through no door and was refused')
        request.socket.destroy()
        return
      }
      setClient(request, client)
      apps[client.door].routing(request, response)
    },
  )
  server.listen(path)
  await once(server, 'listening')
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      await closed
      await Promise.all(DOORS.map((door) => apps[door].close()))
    },
  }
}

/** All that comes in through one door. What belongs to the other is not there. */
async function buildApp(door: Door, deps: WebDeps): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    genReqId: (request) => clientOf(request as IncomingMessage).requestId,
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
  })
  decorateWithClient(app)
  app.addHook('onSend', async (request, reply) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!reply.hasHeader(name)) reply.header(name, value)
    }
    if (request.client.protocol === 'https') reply.header('strict-transport-security', STRICT_TRANSPORT)
    reply.header('x-request-id', request.client.requestId)
    // Answered before the body was all there (too large, say): the rest is read and dropped, and the connection stays open for
    // it, since whoever still writes to a closed one loses the answer. The doors let no more through than a megabyte.
    if (!request.raw.complete) {
      reply.removeHeader('connection')
      request.raw.resume()
    }
  })
  answerFaults(app, door === 'public' ? faultPage : faultProblem, deps)
  for (const area of AREAS) {
    if (area.door === door) await app.register(async (part) => area.register(part, deps))
  }
  await app.ready()
  return app
}
