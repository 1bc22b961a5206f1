/**
 * What the operators' port itself answers when web can't: a problem document (RFC 9457), for programs. Types as in docs/api.md.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { discardBody, OWN_ANSWER_HEADERS } from '../http/answers.ts'
import type { PageStatus } from './page.ts'

const AWAY = { name: 'unavailable', title: 'Not available just now' } as const

const PROBLEMS = {
  404: { name: 'not-found', title: 'There is no such thing' },
  405: { name: 'method-not-allowed', title: 'That can not be done here' },
  413: { name: 'too-large', title: 'The body is too large' },
  502: AWAY,
  503: AWAY,
  504: AWAY,
} as const satisfies Record<PageStatus, { readonly name: string; readonly title: string }>

const RETRY_AFTER_SECONDS = '2'
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Nothing must have been answered yet. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, status: PageStatus): void {
  send(request, response, status, PROBLEMS[status], {
    ...(status >= 502 && { 'retry-after': RETRY_AFTER_SECONDS }),
    ...(status === 405 && { allow: METHODS }),
  })
}

/** For what two programs could read in two ways: the connection ends with it. */
export function sendMalformed(request: IncomingMessage, response: ServerResponse, status: number, why: string): void {
  const problem = { name: 'malformed-request', title: 'The request could not be read', detail: `It has ${why}.` }
  send(request, response, status, problem, { connection: 'close' })
}

interface Problem {
  readonly name: string
  readonly title: string
  readonly detail?: string
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  { name, ...words }: Problem,
  headers: Readonly<Record<string, string>>,
): void {
  const body = JSON.stringify({ type: `urn:sallyport:problem:${name}`, status, ...words })
  response.writeHead(status, {
    ...OWN_ANSWER_HEADERS,
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  discardBody(request)
}
