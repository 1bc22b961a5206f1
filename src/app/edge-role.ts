/**
 * An edge as a running role: listeners, sessions, a way to upstreams, and a gate that is somebody else's.
 *
 * Loaded by every edge process, so it imports nothing but edge rooms and what all roles share (a test watches this). The
 * protocols are listed here and nowhere else.
 */

import { createImap } from '../edge/imap/index.ts'
import type { Protocol } from '../edge/login/protocol.ts'
import { serveClient } from '../edge/login/serve.ts'
import { createSessions } from '../edge/login/sessions.ts'
import { createDialer } from '../edge/net/dial.ts'
import type { Listener } from '../edge/net/listener.ts'
import { createListener } from '../edge/net/listener.ts'
import { createPop3 } from '../edge/pop3/index.ts'
import type { Smtp } from '../edge/smtp/index.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { EdgeListener, EdgeSlice } from '../supervisor/messages.ts'
import { demandLog } from './audit-gate.ts'
import { openContexts } from './edge-contexts.ts'
import { cut, waitUntil } from './edge-ending.ts'
import { edgeRoom } from './edge-limits.ts'
import type { GateMaker, RunningEdge } from './edge-over-channel.ts'
import { watchLogins } from './logins-in-flight.ts'

export interface EdgeRoleOptions {
  readonly slice: EdgeSlice
  readonly listeners: readonly EdgeListener[]
  /** Several edges share the ports. */
  readonly reusePort: boolean
  readonly log: Log
  readonly metrics: Metrics
  readonly gate: GateMaker
}

/** Logins in flight finish before those who have not begun one are sent away; an upstream that hangs is not waited for. */
const FINISH_LOGINS_MS = 5000
/** For the close of both sockets after a session was cut, TLS's goodbye included. */
const LAST_CLOSE_MS = 2000

/** Binds all listeners. @throws CertificateError, and the system's errors when a port can't be bound */
export async function startEdge(options: EdgeRoleOptions): Promise<RunningEdge> {
  const { log, metrics } = options
  let { slice } = options
  const sessions = createSessions()
  const logins = watchLogins(demandLog(options.gate(sessions, sessions), () => slice.auditRequired, log))
  const dialer = createDialer({ log, metrics })
  const contexts = openContexts(slice.tls, options.listeners)
  const room = edgeRoom(() => slice, log)
  const smtp = options.listeners.some(({ protocol }) => protocol === 'smtp') ? await loadSmtp() : null
  const ports: Port[] = options.listeners.map((listener) => openPort(listener))

  /** Only where it is needed: its library is larger than all the rest of an edge. */
  async function loadSmtp(): Promise<Smtp> {
    const { openSmtp } = await import('../edge/smtp/index.ts')
    return openSmtp({ dialer, log, metrics })
  }

  /** In the background: nobody waits for upstreams. */
  function askUpstreams(): void {
    smtp?.expect(slice.upstreams).catch((error: unknown) => {
      metrics.bugs.inc()
      log.bug(error, 'asking upstreams what they offer')
    })
  }

  interface Port {
    readonly listener: Listener
    renew(): void
  }

  function openPort(declared: EdgeListener): Port {
    const { name } = declared
    let protocol = protocolOf(declared)
    const listener = createListener({
      ...declared,
      bind: declared.bind ?? undefined,
      reusePort: options.reusePort,
      contexts: contexts.of(declared),
      ...(declared.scanner && { allowedFrom: declared.scanner.allowedNetworks }),
      limits: {
        get loginMs() {
          return slice.limits.loginMs
        },
      },
      room,
      log,
      metrics,
      lastWords: (why) => protocol.lastWords(why),
      onConnection: (wire, peer) =>
        serveClient(protocol, wire, peer, {
          gate: logins.gate,
          sessions,
          dialer,
          idleMs: slice.limits.idleMs,
          listener: name,
          log,
          metrics,
        }),
    })
    return {
      listener,
      renew() {
        protocol = protocolOf(declared)
      },
    }
  }

  /** One line for each protocol there is. */
  function protocolOf(declared: EdgeListener): Protocol {
    const { name, protocol, tls, scanner } = declared
    const certificates = contexts.of(declared)
    const shared = {
      nameRules: scanner === null ? slice.names : { ...slice.names, aliases: scanner.aliases },
      portalUrl: slice.portalUrl,
      language: slice.language,
      startTls:
        tls === 'starttls' && certificates !== null
          ? ({ side: 'server', contexts: certificates, applicationProtocol: protocol } as const)
          : null,
      needsTls: tls !== 'none',
      listener: name,
      log,
      metrics,
    }
    switch (protocol) {
      case 'imap':
        return createImap(shared)
      case 'pop3':
        return createPop3(shared)
      case 'smtp':
        if (smtp === null) throw new TypeError(`${name}: SMTP was not loaded`)
        return smtp.protocol(shared)
    }
  }

  async function closeListeners(): Promise<void> {
    smtp?.stop()
    await Promise.all(ports.map(({ listener }) => listener.stop()))
  }

  const open = () => ports.reduce((sum, { listener }) => sum + listener.connections, 0)

  try {
    for (const { listener } of ports) await listener.start()
  } catch (error) {
    await closeListeners()
    throw error
  }

  askUpstreams()

  return {
    sessions,

    reload(next) {
      contexts.reload(next.tls)
      slice = next
      for (const port of ports) port.renew()
      askUpstreams()
      log.setLevel(next.logLevel)
    },

    async drain({ graceMs, spreadMs }) {
      // First of all: under SO_REUSEPORT a socket that is still open goes on getting its share of new clients.
      await closeListeners()
      const until = performance.now() + graceMs
      await logins.none(Math.min(graceMs, FINISH_LOGINS_MS))
      for (const { listener } of ports) listener.expireLogins()
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
