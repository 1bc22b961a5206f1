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
  const { name, title } = PROBLEMS[status]
  const body = JSON.stringify({ type: `urn:sallyport:problem:${name}`, title, status })
  response.writeHead(status, {
    ...OWN_ANSWER_HEADERS,
    'content-type': 'application/problem+json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...(status >= 502 && { 'retry-after': RETRY_AFTER_SECONDS }),
    ...(status === 405 && { allow: METHODS }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  discardBody(request)
}
