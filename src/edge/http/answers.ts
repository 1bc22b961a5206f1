/**
 * Short answers of our own: plain text, for clients that are no browsers, and for what no browser sends.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'

/** Nothing that we say ourselves is to be run, framed, guessed at or kept. */
export const OWN_ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
} as const

/** How long a client that has been answered may go on sending its body before it is cut off. */
const LINGER_MS = 10_000

/** Answers with a status and its usual words, unless an answer has begun. */
export function answerPlainly(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const text = `${STATUS_CODES[status] ?? 'Error'}\n`
  response.writeHead(status, {
    ...OWN_ANSWER_HEADERS,
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : text)
  discardBody(request)
}

/** Reads on for a while, so that a client still sending gets to its answer, and no longer. */
export function discardBody(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  request.resume()
  const { socket } = request
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy()
  }, LINGER_MS)
  // Node tells a request nothing more once its answer has left, so this may run for a client that has gone.
  timer.unref()
  request.once('close', () => clearTimeout(timer))
}
