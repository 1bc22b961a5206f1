/**
 * One request to the upstream and its answer, streamed both ways over a connection that is its client's alone
 * (`upstream-connection.ts`). Nothing here cuts a long poll: the upstream may keep silent for as long as a phone may wait.
 */

import type { IncomingMessage } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import { PassThrough } from 'node:stream'
import type { ConnectionWish, UpstreamConnection, UpstreamConnections } from './upstream-connection.ts'

export interface ProxyRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  /** null: there is none. */
  readonly body: IncomingMessage | null
}

export interface ProxyOptions {
  readonly connections: UpstreamConnections
  readonly wish: ConnectionWish
  /** Ends it at once, whatever it is doing. */
  readonly giveUp: AbortSignal
  /** Takes the answer's head, and says where its body goes; null: nobody wants it. */
  onHead(status: number, rawHeaders: readonly string[]): Writable | null
  /** Default 65 min: Apple asks for polls of 59 (MS-ASCMD lets a client ask for as much). */
  readonly headMs?: number
  /** Between two parts of an answer, and how long the upstream may take none of a body that is there. Default 5 min. */
  readonly bodyMs?: number
}

export interface Proxied {
  readonly status: number
  readonly inBytes: number
  readonly outBytes: number
}

/** The upstream took the request and did not answer as it should: it hung up, was silent for too long, or spoke no HTTP. */
export class ProxyError extends Error {
  readonly code = 'ERR_PROXY_CUT'
  /** Whether its answer had begun. */
  readonly afterHead: boolean
  /** On a connection that had served before: its end may have crossed the request, and a new one may well do. */
  readonly onReused: boolean
  constructor(message: string, afterHead: boolean, onReused: boolean, options: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'ProxyError'
    this.afterHead = afterHead
    this.onReused = onReused
  }
}

const HEAD_MS = 65 * 60_000
const BODY_MS = 5 * 60_000

/**
 * Sends a request and takes its answer. Resolves when the answer is complete, or was not wanted.
 *
 * @throws DialError; LoginFailure 'upstream-protocol' for an upstream that speaks before it is asked; ProxyError; the reason of
 *   `giveUp` when that aborted
 */
export async function proxy(request: ProxyRequest, options: ProxyOptions): Promise<Proxied> {
  const { connections, wish, giveUp } = options
  using connection = await connections.open(wish, giveUp)
  const proxied = await exchange(connection, request, options)
  connection.keep()
  return proxied
}

function exchange(
  connection: UpstreamConnection,
  request: ProxyRequest,
  { giveUp, onHead, wish, headMs = HEAD_MS, bodyMs = BODY_MS }: ProxyOptions,
): Promise<Proxied> {
  const { method, path, headers } = request
  const body = request.body && lent(request.body)
  return new Promise((resolve, reject) => {
    let inBytes = 0
    let outBytes = 0
    let status = 0
    let into: Writable | null = null
    let abort: (() => void) | null = null
    let stall: NodeJS.Timeout | null = null
    const standsNoMore = () => {
      if (stall !== null) clearTimeout(stall)
      stall = null
    }
    const over = () => {
      if (abort !== null) giveUp.removeEventListener('abort', abort)
      abort = null
      standsNoMore()
    }
    connection.http.dispatch(
      { method, path, headers: [...headers], body, headersTimeout: headMs, bodyTimeout: bodyMs },
      {
        onRequestStart(controller) {
          abort = () => controller.abort(new Error('given up'))
          if (giveUp.aborted) abort()
          else giveUp.addEventListener('abort', abort)
          if (body === null) return
          // Nobody reads from a client then, so it can't be seen to leave either.
          stall = setTimeout(() => {
            if (body.readableLength > 0) controller.abort(new Error(`took nothing of a body for ${bodyMs} ms`))
            else stall?.refresh()
          }, bodyMs)
          body.once('end', standsNoMore)
        },
        onBodySent(chunk: Buffer) {
          inBytes += chunk.length
          stall?.refresh()
        },
        onResponseStart(controller, statusCode) {
          if (statusCode < 200) return // what goes before an answer is between the upstream and us
          status = statusCode
          into = onHead(status, textOf(controller.rawHeaders))
          if (into === null) {
            over()
            resolve({ status, inBytes, outBytes })
            controller.abort(new Error('not wanted'))
          } else into.on('drain', () => controller.resume())
        },
        onResponseData(controller, chunk: Buffer) {
          outBytes += chunk.length
          if (into?.write(chunk) === false) controller.pause()
        },
        onResponseEnd() {
          over()
          into?.end()
          resolve({ status, inBytes, outBytes })
        },
        onResponseError(_, cause) {
          over()
          reject(
            giveUp.aborted
              ? giveUp.reason
              : new ProxyError(`${wish.target.name}: ${cause.message}`, status !== 0, connection.isReused, { cause }),
          )
        },
      },
    )
  })
}

/**
 * A body that may be destroyed. undici does that when a request ends before its body, and takes a server's request apart (its
 * socket is gone then): nobody could read the rest any more, or answer on that connection in good order.
 */
function lent(body: IncomingMessage): Readable {
  const lent = new PassThrough()
  // What a body that broke off means is known elsewhere: its client is gone.
  body.pipe(lent.on('error', () => {}))
  return lent
}

function textOf(rawHeaders: unknown): readonly string[] {
  if (!Array.isArray(rawHeaders)) return []
  return rawHeaders.map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)))
}
