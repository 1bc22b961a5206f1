/**
 * The https edge as a running role: HTTP/1.1 over TLS on its ports, ActiveSync answered here, everything else handed to web.
 *
 * Loads node:http and nothing of the mail protocols; mail edges load nothing of this.
 */

import { serveEas } from '../edge/eas/handler.ts'
import { createUpstreamConnections } from '../edge/eas/upstream-connection.ts'
import { sendPage } from '../edge/forward/page.ts'
import { createForward } from '../edge/forward.ts'
import type { Exchange, HttpServer } from '../edge/http/server.ts'
import { createHttpServer } from '../edge/http/server.ts'
import { createSessions } from '../edge/login/sessions.ts'
import { createDialer } from '../edge/net/dial.ts'
import type { Listener } from '../edge/net/listener.ts'
import { createListener } from '../edge/net/listener.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { EdgeSlice, HttpsListener, WayToWeb } from '../supervisor/messages.ts'
import { demandLog } from './audit-gate.ts'
import { openContexts } from './edge-contexts.ts'
import { cut, waitUntil } from './edge-ending.ts'
import { edgeRoom } from './edge-limits.ts'
import type { GateMaker, RunningEdge } from './edge-over-channel.ts'
import { placeOf } from './https-routing.ts'
import { watchLogins } from './logins-in-flight.ts'

export interface HttpsEdgeOptions {
  readonly slice: EdgeSlice
  readonly listeners: readonly HttpsListener[]
  readonly web: WayToWeb
  /** With the socket that chose a port 0. */
  readonly reusePort: boolean
  readonly log: Log
  readonly metrics: Metrics
  readonly gate: GateMaker
}

/** As old as the configuration allows in general. */
const ANY_TLS = { tlsMinVersion: null }
/** An upstream that hangs is not waited for. */
const FINISH_LOGINS_MS = 5000
/** For a TLS goodbye after the last answer. */
const LAST_CLOSE_MS = 2000

/** Binds all listeners. @throws CertificateError, and the system's errors when a port can't be bound */
export async function startHttpsEdge(options: HttpsEdgeOptions): Promise<RunningEdge> {
  const { log, metrics, web } = options
  let { slice } = options
  const sessions = createSessions()
  const logins = watchLogins(demandLog(options.gate(sessions, sessions), () => slice.auditRequired, log))
  const connections = createUpstreamConnections(createDialer({ log, metrics }))
  const contexts = openContexts(slice.tls, [ANY_TLS])
  const forward = createForward({ path: web.path, key: new Secret(web.key), log })
  const room = edgeRoom(() => slice, log)
  const ports = options.listeners.map(openPort)

  interface Port {
    readonly listener: Listener
    readonly server: HttpServer
  }

  function openPort(declared: HttpsListener): Port {
    const { name, bind, serves } = declared
    const server = createHttpServer({
      listener: name,
      onExchange: (exchange) => answer(exchange, name, serves),
      log,
      metrics,
    })
    const listener = createListener({
      ...declared,
      bind: bind ?? undefined,
      applicationProtocol: 'http/1.1',
      tls: 'implicit',
      reusePort: options.reusePort,
      contexts: contexts.of(ANY_TLS),
      limits: {
        get loginMs() {
          return slice.limits.loginMs
        },
      },
      room,
      log,
      metrics,
      onConnection: (wire, peer) => server.serve(wire, peer),
    })
    return { listener, server }
  }

  async function answer(exchange: Exchange, listener: string, serves: HttpsListener['serves']): Promise<void> {
    const { request, response, peer, target, id, wantBody } = exchange
    switch (placeOf(target, { serves, easHost: slice.easHost })) {
      case 'eas':
        return serveEas(exchange, {
          gate: logins.gate,
          sessions,
          connections,
          nameRules: () => slice.names,
          listener,
          log,
          metrics,
        })
      case 'web':
        return forward({
          request,
          response,
          client: { door: 'public', ip: peer.ip, port: peer.port, protocol: 'https', requestId: id },
          wantBody,
        })
      case 'nowhere':
        return sendPage(request, response, 404)
    }
  }

  const open = () => ports.reduce((sum, { listener }) => sum + listener.connections, 0)

  async function closeListeners(): Promise<void> {
    await Promise.all(ports.map(({ listener }) => listener.stop()))
  }

  try {
    for (const { listener } of ports) await listener.start()
  } catch (error) {
    await closeListeners()
    throw error
  }

  return {
    sessions,

    reload(next) {
      contexts.reload(next.tls)
      slice = next
      log.setLevel(next.logLevel)
    },

    async drain({ graceMs, spreadMs }) {
      await closeListeners()
      const until = performance.now() + graceMs
      for (const { server, listener } of ports) {
        server.stop()
        listener.expireLogins()
      }
      await logins.none(Math.min(graceMs, FINISH_LOGINS_MS))
      await waitUntil(() => open() === 0, until - performance.now())
      await cut(sessions, spreadMs)
      await waitUntil(() => open() === 0, LAST_CLOSE_MS)
      for (const { listener } of ports) listener.destroyAll()
    },

    async close() {
      await closeListeners()
      for (const { listener } of ports) listener.destroyAll()
    },
  }
}
