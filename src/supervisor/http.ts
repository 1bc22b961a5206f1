/**
 * /healthz, /readyz and /metrics for operators and orchestrators, and the admin API, which web answers: plain HTTP, meant for
 * loopback.
 */

import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { sendMalformed } from '../edge/forward/problem.ts'
import { isRefusal, targetOf } from '../edge/http/request.ts'
import { portError } from './ports.ts'

export interface OperatorListener {
  readonly name: string
  readonly bind: string
  readonly port: number
  readonly serves: readonly ('health' | 'metrics' | 'api')[]
}

export interface OperatorAnswers {
  /** Why the server should get no new clients; empty: it should. */
  readonly notReady: () => Promise<readonly string[]>
  /** Prometheus text. */
  readonly metrics: () => Promise<string>
  /** Hands a request for the API to web; null: it is not served. */
  readonly api: ((request: IncomingMessage, response: ServerResponse) => Promise<void>) | null
  readonly bug: (error: unknown) => void
}

export interface OperatorServer {
  readonly port: number
  close(): Promise<void>
}

/** Nobody has more than a handful of scrapers. */
const MAX_CONNECTIONS = 100
const HEAD_MS = 5000
/** A request of the API with its body. */
const REQUEST_MS = 30_000
const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8'

/** @throws PortError when the address can't be bound */
export async function serveOperators(listener: OperatorListener, answers: OperatorAnswers): Promise<OperatorServer> {
  const { serves } = listener

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? ''
    if (answers.api !== null && /^\/api(?:\/|$)/.test(path)) {
      // Names of groups may hold a slash. Nothing but web's router reads this path.
      const target = targetOf(request, true)
      if (isRefusal(target)) sendMalformed(request, response, target.status, target.why)
      else await answers.api(request, response)
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, 'text/plain', 'GET only\n', { allow: 'GET, HEAD' })
    } else if (path === '/healthz' && serves.includes('health')) {
      send(response, 200, 'text/plain', 'ok\n')
    } else if (path === '/readyz' && serves.includes('health')) {
      const reasons = await answers.notReady()
      const body = `${JSON.stringify({ ready: reasons.length === 0, reasons })}\n`
      send(response, reasons.length === 0 ? 200 : 503, 'application/json', body)
    } else if (path === '/metrics' && serves.includes('metrics')) {
      send(response, 200, PROMETHEUS, await answers.metrics())
    } else {
      send(response, 404, 'text/plain', 'not found\n')
    }
  }

  const server: Server = createServer(
    { headersTimeout: HEAD_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: HEAD_MS, maxHeaderSize: 8192 },
    (request, response) => {
      answer(request, response).catch((error: unknown) => {
        answers.bug(error)
        if (!response.headersSent) send(response, 500, 'text/plain', 'an error, see the log\n')
        else response.destroy()
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  server.maxHeadersCount = 0 // counted by `targetOf`; Node drops what exceeds its limit without a word
  server.listen({ host: listener.bind, port: listener.port })
  try {
    await once(server, 'listening')
  } catch (error) {
    throw portError(error, listener)
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : listener.port,
    async close() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function send(response: ServerResponse, status: number, type: string, body: string, headers: object = {}): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(body)
}
