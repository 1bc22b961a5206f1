/**
 * HTTP/1.1 over connections of our own listener: node:http gets sockets that have passed limits, PROXY header and TLS.
 *
 * One request at a time on a connection. The parser is Node's strict one; what it lets pass and no two programs would read
 * alike is refused in request.ts. A head has 15 s from its first byte (or from the connection), and nothing cuts an answer,
 * however long a client waits for it, unless the client does not take it.
 */

import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Peer } from '../../contract/admission.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { Wire } from '../net/wire.ts'
import { WireError } from '../net/wire.ts'
import { answerPlainly } from './answers.ts'
import type { Target } from './request.ts'
import { isRefusal, targetOf } from './request.ts'
import { createStallWatch } from './stalls.ts'

/** One request, to be answered by whoever it is handed to. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly peer: Peer
  readonly target: Target
  /** For logs: 16 letters and digits. */
  readonly id: string
  /** Aborts when the client has gone before its answer was complete. */
  readonly gone: AbortSignal
  /** Says that the client is known: from now on its connection makes room for no newcomer. */
  established(): void
  /** Asks a client that waits for leave (RFC 9110 §10.1.1) for its body. Call it before reading; it does nothing twice. */
  wantBody(): void
}

export interface HttpServerOptions {
  /** The listener's name, for the log. */
  readonly listener: string
  /** What it rejects with is a bug; it ends that connection only. */
  onExchange(exchange: Exchange): Promise<void>
  readonly log: Log
  readonly metrics: Metrics
  readonly tuning?: Partial<HttpTuning>
}

export interface HttpTuning {
  readonly headMs: number
  /** A whole request with its body. */
  readonly requestMs: number
  /** Between two requests. */
  readonly keepAliveMs: number
  /** For a request that was sent ahead, until its turn comes. */
  readonly turnMs: number
  /** For a client that takes nothing of its answer. */
  readonly stalledMs: number
}

export interface HttpServer {
  /** Takes a connection over. Resolves when it is over. */
  serve(wire: Wire, peer: Peer): Promise<void>
  /** No request after those that are being answered: each answer is the last one of its connection. */
  stop(): void
}

const TUNING: HttpTuning = {
  headMs: 15_000,
  requestMs: 30 * 60_000,
  keepAliveMs: 30_000,
  turnMs: 60_000,
  stalledMs: 10 * 60_000,
}
const MAX_HEAD_BYTES = 16 * 1024
/** How soon after its time an overdue head is noticed. */
const LOOK_EVERY_MS = 1000
/** Sent ahead and waiting for their turn; no client of ours sends ahead at all (RFC 9112 §9.3.2). */
const MAX_WAITING = 8

interface Connection {
  readonly peer: Peer
  readonly established: () => void
  /** The end of the exchange before. */
  last: Promise<void>
  waiting: number
  /** Of the request whose turn it is. */
  answer: ServerResponse | null
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { log, metrics, listener } = options
  const { headMs, requestMs, keepAliveMs, turnMs, stalledMs } = { ...TUNING, ...options.tuning }
  const connections = new WeakMap<Socket, Connection>()
  const stalls = createStallWatch(stalledMs)
  /** Answers under way, and those whose turn has not come. */
  const owed = new Set<ServerResponse>()
  let stopping = false

  const server: Server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: headMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: LOOK_EVERY_MS,
    requireHostHeader: false, // refused by us, in one place with all else
    insecureHTTPParser: false,
    noDelay: true,
  })
  // Beyond its own limit Node drops headers without a word, and what was dropped may be the second of two.
  server.maxHeadersCount = 0
  server.timeout = 0
  server.on('request', (request, response) => enqueue(request, response, false))
  server.on('checkContinue', (request, response) => enqueue(request, response, true))
  server.on('checkExpectation', (request, response) => {
    response.shouldKeepAlive = false
    answerPlainly(request, response, 417)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const connection = connections.get(socket as Socket)
    log.event('debug', 'connection_closed', 'a client does not speak HTTP as it is written', {
      listener,
      remote_ip: connection?.peer.ip,
      error_code: error.code,
    })
    // Once an answer has begun, a refusal would be read as a part of it.
    const mayRefuse = socket.writable && error.code !== 'ECONNRESET' && !connection?.answer?.headersSent
    if (mayRefuse) socket.end(refusalOf(error.code), () => socket.destroy())
    else socket.destroy()
  })

  // It never listens itself, and Node begins to look for overdue requests when a server does (tried on 24.21).
  server.emit('listening')

  function enqueue(request: IncomingMessage, response: ServerResponse, waitsForLeave: boolean): void {
    const connection = connections.get(request.socket)
    if (connection === undefined) throw new Error('a request on a connection that nobody handed over')
    if (connection.waiting >= MAX_WAITING) {
      request.socket.destroy()
      return
    }
    connection.waiting += 1
    // Nobody reads its body before its turn, so a client that has gone meanwhile can't be seen to be; and the request before it
    // may be a poll of an hour.
    const turn = connection.waiting > 1 ? setTimeout(() => request.socket.destroy(), turnMs) : undefined
    const gone = new AbortController()
    response.on('error', ignore)
    request.on('error', ignore) // told as the end of the response
    owed.add(response)
    const closed = new Promise<void>((resolve) => {
      response.once('close', () => {
        owed.delete(response)
        if (!response.writableFinished) gone.abort()
        resolve()
      })
    })
    connection.last = connection.last.then(async () => {
      clearTimeout(turn)
      connection.answer = response
      if (!gone.signal.aborted) await exchange(request, response, connection, gone.signal, waitsForLeave)
      await closed
      connection.answer = null
      connection.waiting -= 1
      // An answer that had begun by then could not say that it is the last one.
      if (stopping && connection.waiting === 0) request.socket.destroySoon()
    })
  }

  async function exchange(
    request: IncomingMessage,
    response: ServerResponse,
    { peer, established }: Connection,
    gone: AbortSignal,
    waitsForLeave: boolean,
  ): Promise<void> {
    if (stopping) response.shouldKeepAlive = false
    const target = targetOf(request)
    if (isRefusal(target)) {
      log.event('debug', 'connection_closed', 'a request was refused', {
        listener,
        remote_ip: peer.ip,
        reason: target.why,
      })
      response.shouldKeepAlive = false
      answerPlainly(request, response, target.status)
      return
    }
    let mayAskForBody = waitsForLeave
    try {
      await options.onExchange({
        request,
        response,
        peer,
        target,
        id: randomBytes(8).toString('hex'),
        gone,
        established,
        wantBody() {
          if (mayAskForBody) response.writeContinue()
          mayAskForBody = false
        },
      })
    } catch (error) {
      metrics.bugs.inc()
      log.bug(error, 'a request was ended by a fault in this program', { listener, protocol: 'https' })
      request.socket.destroy()
    }
  }

  return {
    async serve(wire, peer) {
      const given = surrendered(wire)
      if (given === null) return
      const { socket, established } = given
      connections.set(socket, { peer, established, last: Promise.resolve(), waiting: 0, answer: null })
      const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
      stalls.follow(socket)
      server.emit('connection', socket)
      socket.resume()
      await closed
    },
    stop() {
      stopping = true
      for (const answer of owed) answer.shouldKeepAlive = false
      server.closeIdleConnections()
    },
  }
}

/** The socket behind a wire; null when its client has left already. */
function surrendered(wire: Wire): ReturnType<Wire['surrender']> | null {
  try {
    return wire.surrender()
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    wire[Symbol.dispose]()
    return null
  }
}

const ignore = (): void => {}

/** There is no response to put it into. */
function refusalOf(code: string | undefined): string {
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
}
