/**
 * The admin API as a plugin of the web server: every route of the table, the document about them, and problems for the rest.
 *
 * Nothing is done here. A request is checked, put to the keeper with the token that came with it, and the answer worded; the
 * keeper knows the token, its scopes and the limits.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { PortalClient } from '../../contract/portal/client.ts'
import type { PortalServices } from '../../contract/portal.ts'
import { openApiDocument } from './openapi.ts'
import { ApiProblem, documentOf, PROBLEMS, problemOf } from './problem.ts'
import { bearerOf, checkedInput, idempotencyKeyOf, parseBody, refuseTokenInAddress } from './request.ts'
import type { ApiRoute } from './route.ts'
import { API_ROOT, API_ROUTES, DOCUMENT_PATH } from './routes.ts'

const MAX_BODY_BYTES = 64 * 1024
/** What the keeper takes in one frame, less what stands around it. */
const MAX_QUESTION_BYTES = 60 * 1024
const JSON_TYPE = 'application/json; charset=utf-8'
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'
/** What a caller waits before asking again: the longest failure delay, and a keeper that starts. */
const RETRY_AFTER_SECONDS = { throttled: '15', unavailable: '2' } as const

export interface AdminApiDeps {
  readonly keeper: PortalServices
  readonly clientOf: (request: FastifyRequest) => PortalClient
  readonly version: string
  readonly bug: (error: unknown, request: FastifyRequest) => void
}

/** Registers everything below /api/v1. */
export async function adminApi(app: FastifyInstance, deps: AdminApiDeps): Promise<void> {
  await app.register(async (api) => register(api, deps), { prefix: API_ROOT })
}

function register(api: FastifyInstance, deps: AdminApiDeps): void {
  const document = JSON.stringify(openApiDocument(deps.version))

  api.removeAllContentTypeParsers()
  api.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_, body, done) => {
    try {
      done(null, parseBody(body as Buffer))
    } catch (error) {
      done(error as Error)
    }
  })
  api.addHook('onRequest', async (request) => refuseTokenInAddress(request.query))
  api.addHook('onSend', async (_, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
  })

  api.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error)
    if (problem.problem === 'fault') deps.bug(error, request)
    return sendProblem(reply, problem, request)
  })
  api.setNotFoundHandler((request, reply) => {
    const allowed = verbsAt(request.url)
    if (allowed === null) throw new ApiProblem('not-found', 'There is nothing at this path.')
    reply.header('allow', allowed.join(', '))
    if (request.method === 'OPTIONS') return reply.code(204).send()
    throw new ApiProblem('method-not-allowed', `Here you can ${allowed.join(', ')}.`)
  })

  api.get(DOCUMENT_PATH, (_, reply) => reply.type(JSON_TYPE).send(document))
  for (const route of API_ROUTES) addRoute(api, route, deps)
}

function addRoute(api: FastifyInstance, route: ApiRoute, { keeper, clientOf }: AdminApiDeps): void {
  api.route({
    method: route.verb,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    bodyLimit: MAX_BODY_BYTES,
    // A body is not read for somebody who has no token at all.
    onRequest: async (request) => void bearerOf(request.raw),
    async handler(request, reply) {
      const input = checkedInput(route, request)
      const params = { ...route.ask(input) }
      refuseTooMuch(params)
      const { answer, replayed } = await keeper.call('admin.call', {
        client: clientOf(request),
        as: { bearer: bearerOf(request.raw) },
        method: route.service,
        params,
        idempotencyKey: route.creates ? idempotencyKeyOf(request.raw) : null,
      })
      const { body, location, next } = route.tell(answer, input)
      if (replayed) reply.header('idempotent-replayed', 'true')
      if (location !== undefined) reply.header('location', `${API_ROOT}${location}`)
      if (typeof next === 'string') reply.header('link', nextLink(request, next))
      return reply
        .code(route.creates ? 201 : 200)
        .type(JSON_TYPE)
        .send(JSON.stringify(body))
    },
  })
}

/** With defaults filled in a question is longer than the body was. */
function refuseTooMuch(params: object): void {
  if (Buffer.byteLength(JSON.stringify(params)) <= MAX_QUESTION_BYTES) return
  throw new ApiProblem('too-large', 'This is more than one request can hold: send it in pieces.')
}

function sendProblem(reply: FastifyReply, problem: ApiProblem, request: FastifyRequest): FastifyReply {
  const { status } = PROBLEMS[problem.problem]
  const { problem: name } = problem
  if (name === 'throttled' || name === 'unavailable') reply.header('retry-after', RETRY_AFTER_SECONDS[name])
  if (status === 401) reply.header('www-authenticate', challenge(request))
  if (status === 403) reply.header('www-authenticate', `${REALM}, error="insufficient_scope"`)
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(documentOf(problem)))
}

const REALM = 'Bearer realm="sallyport"'

/** RFC 6750 §3.1: no error code for who sent no token. */
function challenge({ headers }: FastifyRequest): string {
  return headers.authorization === undefined ? REALM : `${REALM}, error="invalid_token"`
}

/** The same listing, from there on. */
function nextLink(request: FastifyRequest, cursor: string): string {
  const [path, query] = request.url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set('cursor', cursor)
  return `<${path}?${parameters.toString()}>; rel="next"`
}

/** What can be done at a path; null: it is none of ours. */
function verbsAt(url: string): readonly string[] | null {
  const path = (url.split('?', 1)[0] ?? '').slice(API_ROOT.length).replace(/\/$/, '')
  const verbs = API_ROUTES.filter((route) => matches(route.path, path)).map(({ verb }) => verb)
  if (path === DOCUMENT_PATH) verbs.push('GET')
  if (verbs.length === 0) return null
  return [...new Set([...verbs, ...(verbs.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])].sort()
}

function matches(template: string, path: string): boolean {
  const parts = path.split('/')
  const wanted = template.split('/')
  return (
    parts.length === wanted.length &&
    wanted.every((part, i) => (part.startsWith('{') ? parts[i] !== '' : part === parts[i]))
  )
}
