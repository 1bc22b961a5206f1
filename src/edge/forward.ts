/**
 * Hands a request over to the web process: by a local socket, one request per connection, streamed both ways.
 *
 * Web must see what the client sent and nothing of what it claims about itself: hop-by-hop and forwarding headers end here, and
 * what this process knows of the client goes along under the key of its door. Web away or broken is a page of ours, never a
 * reset; mail and ActiveSync do not notice.
 */

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { request as ask } from 'node:http'
import type { WebClient } from '../contract/web-door.ts'
import { doorHeaders } from '../contract/web-door.ts'
import type { Log } from '../log.ts'
import type { Secret } from '../secret.ts'
import type { PageStatus } from './forward/page.ts'
import { sendPage } from './forward/page.ts'
import { discardBody } from './http/answers.ts'
import { endToEnd, headerPairs, requestHeaders } from './http/headers.ts'

export interface ForwardOptions {
  /** Where web listens. */
  readonly path: string
  /** Of the door that this process is. */
  readonly key: Secret
  readonly log: Log
  /** Default 1 MiB: forms and API requests are small. */
  readonly maxBodyBytes?: number
  /** How the door itself answers when web can't, whatever of a body is still to come. Default: a page for people. */
  readonly answer?: (request: IncomingMessage, response: ServerResponse, status: PageStatus) => void
  /** Until web's answer begins, and between two parts of it. A sign-in may serve a delay and a hash. Default 60 s. */
  readonly answerMs?: number
}

export interface ForwardRequest {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly client: WebClient
  /** Before the body is read. */
  wantBody(): void
}

/** Resolves when the answer is complete, or the client has gone. Never rejects for what web or the client do. */
export type Forward = (forwarded: ForwardRequest) => Promise<void>

const MAX_BODY_BYTES = 1024 * 1024
const ANSWER_MS = 60_000
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** Made anew, or of no use behind us: what a client waits for has been answered by `wantBody`. */
const NOT_SENT: ReadonlySet<string> = new Set(['expect', 'content-length'])
const LATE = 'no answer in time'
const NONE: ReadonlySet<string> = new Set()

/** Web is not there at all; anything else that breaks is a broken answer. */
const AWAY: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES', 'EAGAIN'])

export function createForward(options: ForwardOptions): Forward {
  const { path, key, log, answer = sendPage, maxBodyBytes = MAX_BODY_BYTES, answerMs = ANSWER_MS } = options

  function failed({ request, response, client }: ForwardRequest, status: 502 | 503 | 504, why: string): void {
    log.event('warn', 'warning', 'web did not answer a request', {
      remote_ip: client.ip,
      detail: `${request.method ?? ''} ${client.requestId}: ${why}`,
    })
    if (response.headersSent) response.destroy()
    else answer(request, response, status)
  }

  return (forwarded) =>
    new Promise((resolve) => {
      const { request, response, client } = forwarded
      if (response.closed) return resolve()
      let to: ClientRequest | null = null
      /** Web gets no more of the body. What is still to come must be read all the same, or its sender never gets to the answer. */
      const hangUp = () => {
        if (to !== null) request.unpipe(to)
        to?.destroy()
      }
      // The client has left, or has all it wanted.
      response.once('close', () => {
        hangUp()
        discardBody(request)
        resolve()
      })
      if (!METHODS.has(request.method ?? '')) return answer(request, response, 405)
      if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return answer(request, response, 413)

      const asked = ask({
        socketPath: path,
        agent: false,
        method: request.method,
        path: request.url,
        headers: [
          ...requestHeaders(request.rawHeaders, NOT_SENT),
          ...Object.entries(doorHeaders(client, key)).flat(),
          // Still one request for each connection, which ends when its answer is complete. But it must not be web that closes:
          // what we still write then (the end of a body that web has already answered) is an error, and the answer is lost.
          'Connection',
          'keep-alive',
          ...framing(request),
        ],
        timeout: answerMs,
      })
      let answered = false
      asked.on('timeout', () => asked.destroy(new Error(LATE)))
      asked.on('error', (error: NodeJS.ErrnoException) => {
        if (response.closed || answered) return
        answered = true
        const status = AWAY.has(error.code ?? '') ? 503 : error.message === LATE ? 504 : 502
        failed(forwarded, status, error.message)
      })
      asked.on('response', (from) => {
        if (answered) {
          from.resume()
          return
        }
        answered = true
        response.writeHead(from.statusCode ?? 502, answerHeaders(from))
        // Half an answer must not look like a whole one.
        from.on('error', () => response.destroy())
        from.pipe(response)
      })
      to = asked
      forwarded.wantBody()
      let bytes = 0
      request.on('data', (part: Buffer) => {
        bytes += part.length
        if (bytes <= maxBodyBytes || answered) return
        answered = true
        hangUp()
        answer(request, response, 413)
      })
      request.pipe(asked)
    })
}

/** Where the body ends, said anew: left to what Connection names, a body without a length would be the next request. */
function framing({ headers }: IncomingMessage): readonly string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked']
  return headers['content-length'] === undefined ? [] : ['Content-Length', headers['content-length']]
}

function answerHeaders(answer: IncomingMessage): string[] {
  return [...headerPairs(endToEnd(answer.rawHeaders, NONE))].flatMap(([, name, value]) => [name, value])
}
