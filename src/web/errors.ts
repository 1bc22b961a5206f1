/**
 * What goes wrong with a request, in one place: which status an error is, and what is said of it.
 *
 * A page for people, a problem document (RFC 9457) for programs. Neither says more than the status, but for the words of a
 * ServiceError, which are meant for whoever asked.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServiceErrorCode } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'

/** What each code of a service is over HTTP. The admin API's problems have the same. */
export const STATUS_OF = {
  'not-found': 404,
  exists: 409,
  invalid: 422,
  'cap-reached': 409,
  forbidden: 403,
  'signed-out': 401,
  unauthorised: 401,
  'step-up-needed': 403,
  'not-configured': 501,
  unavailable: 503,
  'outcome-unknown': 409,
  throttled: 429,
} as const satisfies Readonly<Record<ServiceErrorCode, number>>
const RETRY_AFTER_SECONDS = '5'

export interface Fault {
  readonly status: number
  readonly title: string
  /** For whoever asked; null: there is nothing to add. */
  readonly detail: string | null
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Sign in first',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Not possible',
  409: 'In conflict',
  413: 'Too large',
  415: 'Unsupported format',
  422: 'Not valid',
  429: 'Too many requests',
  500: 'Something went wrong',
  501: 'Not available here',
  503: 'Not available just now',
}

/** How an answer to a fault looks; a page by default. The part of the site that a request belongs to may have its own. */
export type FaultAnswer = (request: FastifyRequest, reply: FastifyReply, fault: Fault) => FastifyReply

/** What an error means for whoever asked. 500 is a bug; everything else is not. */
export function faultOf(error: unknown): Fault {
  if (error instanceof ServiceError) {
    const status = STATUS_OF[error.code]
    return faultWith(status, status === 503 ? null : error.message)
  }
  // Fastify's own and those of its plugins: a body too large, a type that nobody parses.
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return faultWith(status >= 400 && status < 500 ? status : 500, null)
}

function faultWith(status: number, detail: string | null): Fault {
  return { status, title: TITLES[status] ?? 'Error', detail }
}

/** Catches every error of an app, and every request that nothing answers. */
export function answerFaults(
  app: FastifyInstance,
  answer: FaultAnswer,
  { log, metrics }: { log: Log; metrics: Metrics },
) {
  const say = (request: FastifyRequest, reply: FastifyReply, fault: Fault) => {
    reply.code(fault.status)
    if (fault.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
    return answer(request, reply, fault)
  }
  app.setErrorHandler((error, request, reply) => {
    const fault = faultOf(error)
    if (fault.status === 500) {
      metrics.bugs.inc()
      log.bug(error, `a fault in this program answered request ${request.client.requestId}`)
    }
    return say(request, reply, fault)
  })
  app.setNotFoundHandler((request, reply) => say(request, reply, faultWith(404, null)))
}

/** A page without anything to load. */
export const faultPage: FaultAnswer = (_, reply, { title, detail }) =>
  reply.type('text/html; charset=utf-8').send(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><h1>${title}</h1>${detail === null ? '' : `<p>${escapeHtml(detail)}</p>`}</body></html>
`)

/** RFC 9457. */
export const faultProblem: FaultAnswer = (_, reply, { status, title, detail }) =>
  reply
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title, status, ...(detail === null ? {} : { detail }) }))

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
