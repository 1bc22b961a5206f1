/**
 * One https edge's way of ActiveSync, for tests: real sockets, the real listener, HTTP server, handler and dialler; a gate in a
 * few lines, and an upstream that is a real HTTP server or a raw socket, as the test says.
 */

import { once } from 'node:events'
import type { Agent, IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer, request } from 'node:http'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer as createTcpServer } from 'node:net'
import type { Test } from 'tap'
import type { EasDeps } from '../../../src/edge/eas/handler.ts'
import { serveEas } from '../../../src/edge/eas/handler.ts'
import { createUpstreamConnections } from '../../../src/edge/eas/upstream-connection.ts'
import type { HttpTuning } from '../../../src/edge/http/server.ts'
import { createHttpServer } from '../../../src/edge/http/server.ts'
import type { SessionRegistry } from '../../../src/edge/login/sessions.ts'
import { createSessions } from '../../../src/edge/login/sessions.ts'
import type { Dialer } from '../../../src/edge/net/dial.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { createListener } from '../../../src/edge/net/listener.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'
import type { LogCapture } from '../../support/logs.ts'
import { captureLog } from '../../support/logs.ts'
import { ListedGate, MASTER_SECRET, PASSWORD, RULES } from '../login/house.ts'
import { PLAIN } from '../net/plain-listener.ts'

export { MASTER_SECRET, PASSWORD }

export const basic = (name: string, password: string, encoding: BufferEncoding = 'utf8') =>
  `Basic ${Buffer.from(`${name}:${password}`, encoding).toString('base64')}`
export const ANN = basic('ann@example.org', PASSWORD)
export const PATH = '/Microsoft-Server-ActiveSync'
export const QUERY = 'Cmd=Sync&User=ann&DeviceId=PHONE1&DeviceType=iPhone'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Seen {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface EasHouse {
  readonly port: number
  readonly gate: ListedGate
  readonly sessions: SessionRegistry
  readonly logs: LogCapture
  /** What the upstream was asked, bodies whole. */
  readonly seen: readonly Seen[]
  /** The answer to the last request, on our side. */
  answer(): ServerResponse | null
  /** A request with Ann's credentials unless others are given. */
  send(options?: Sent): Promise<Answer>
  /** The same, as it is before its answer; its body is still to come unless it is whole (the default). */
  begin(options?: Sent, isWhole?: boolean): ReturnType<typeof request>
  /** Bytes as they are, and all that comes back until the connection ends. @throws when it does not */
  raw(text: string | Buffer): Promise<string>
  /** Resolves when all requests have been served to their end. */
  quiet(): Promise<void>
  /** As when the edge goes down. */
  stop(): void
}

export interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  /** Default: a connection of its own. */
  readonly agent?: Agent
}

export interface EasHouseOptions {
  /** An HTTP server; it is given the request with its body read. */
  readonly upstream?: (seen: Seen, response: Parameters<RequestListener>[1], request: IncomingMessage) => void
  /** Or a socket to do with as one likes. */
  readonly socket?: (socket: Socket) => void
  readonly deps?: Partial<EasDeps>
  readonly dialer?: Dialer
  readonly keepMs?: number
  readonly tuning?: Partial<HttpTuning>
  readonly path?: string
}

export async function openHouse(t: Test, options: EasHouseOptions = {}): Promise<EasHouse> {
  const seen: Seen[] = []
  const upstream = options.socket === undefined ? httpUpstream(options, seen) : createTcpServer(options.socket)
  const held = new Set<Socket>()
  upstream.on('connection', (socket: Socket) => {
    held.add(socket.on('error', () => {}))
    socket.on('close', () => held.delete(socket))
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const upstreamPort = (upstream.address() as AddressInfo).port
  const gate = new ListedGate({
    name: 'main',
    hosts: [{ host: '127.0.0.1', port: upstreamPort }],
    tls: 'none',
    ca: null,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'ann@example.org*master', authzid: '', secret: new Secret(MASTER_SECRET) },
    trusted: false,
    http: { host: 'mail.internal', path: options.path ?? '' },
  })
  const logs = captureLog()
  const metrics = createMetrics()
  const sessions = createSessions()
  const connections = createUpstreamConnections(
    options.dialer ?? createDialer({ log: logs.log, metrics }),
    options.keepMs,
  )
  let inWork = 0
  let answer: ServerResponse | null = null
  const server = createHttpServer({
    listener: 'https-test',
    log: logs.log,
    metrics,
    async onExchange(exchange) {
      inWork += 1
      answer = exchange.response
      await serveEas(exchange, {
        gate,
        sessions,
        connections,
        nameRules: () => RULES,
        listener: 'https-test',
        log: logs.log,
        metrics,
        pollAtLeastMs: 0,
        ...options.deps,
      }).finally(() => {
        inWork -= 1
      })
    },
    ...(options.tuning && { tuning: options.tuning }),
  })
  const listener = createListener({
    name: 'https-test',
    protocol: 'https',
    ...PLAIN,
    room: createRoom({ connections: 5000, perAddress: 5000 }),
    log: logs.log,
    metrics,
    onConnection: (wire, peer) => server.serve(wire, peer),
  })
  const port = await listener.start()
  t.teardown(async () => {
    await listener.stop()
    listener.destroyAll()
    upstream.close()
    for (const socket of held) socket.destroy()
  })

  function begin({ method = 'POST', path = `${PATH}?${QUERY}`, headers = {}, body, agent }: Sent = {}, isWhole = true) {
    const asked = request({
      host: '127.0.0.1',
      port,
      method,
      path,
      agent: agent ?? false,
      headers: { Host: 'eas.example.org', Authorization: ANN, ...headers },
    })
    // Behind its answer nobody listens, and what is still being sent may break.
    asked.on('error', () => {})
    if (isWhole) asked.end(body)
    return asked
  }

  return {
    port,
    gate,
    sessions,
    logs,
    seen,
    answer: () => answer,
    begin,
    async send(sent) {
      const asked = begin(sent)
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      asked.on('error', () => {}) // who has its answer and goes on sending is cut off after a while
      const parts: Buffer[] = []
      for await (const part of response) parts.push(part as Buffer)
      return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
    },
    async raw(text) {
      const socket = connect(port, '127.0.0.1')
      let answer = ''
      socket.on('data', (part: Buffer) => {
        answer += part.toString('latin1')
      })
      socket.on('error', () => {})
      socket.write(text)
      let isOpen = false
      const guard = setTimeout(() => {
        isOpen = true
        socket.destroy()
      }, 30_000)
      await once(socket, 'close')
      clearTimeout(guard)
      if (isOpen) throw new Error(`the connection stays open behind ${JSON.stringify(answer)}`)
      return answer
    },
    async quiet() {
      const until = performance.now() + 30_000
      while ((inWork > 0 || sessions.size > 0) && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      if (inWork > 0 || sessions.size > 0) throw new Error(`${inWork} requests in work, ${sessions.size} sessions`)
    },
    stop: () => server.stop(),
  }
}

function httpUpstream({ upstream }: EasHouseOptions, seen: Seen[]): Server {
  return createServer({ requestTimeout: 0 }, async (incoming, response) => {
    const parts: Buffer[] = []
    try {
      for await (const part of incoming) parts.push(part as Buffer)
    } catch {
      return // we have hung up on it
    }
    const { method = '', url = '', rawHeaders, headers } = incoming
    const one = { method, url, rawHeaders, headers, body: Buffer.concat(parts) }
    seen.push(one)
    if (upstream) upstream(one, response, incoming)
    else response.end('ok')
  })
}
