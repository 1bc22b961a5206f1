/**
 * The OpenAPI 3.1 document: printed from the declarations of the routes, so that it can't say anything else than what is
 * checked and answered.
 */

import { z } from 'zod'
import { ADMIN_METHODS, API_SCOPES } from '../../contract/portal/admin.ts'
import type { ProblemName } from './problem.ts'
import { PROBLEM_NAMES, PROBLEMS, problemType } from './problem.ts'
import type { ApiRoute } from './route.ts'
import { API_ROOT, API_ROUTES } from './routes.ts'
import * as views from './views.ts'

type Json = { readonly [key: string]: unknown }

/** What any route can answer. */
const ALWAYS = [
  'malformed-request',
  'token-in-address',
  'unauthorised',
  'forbidden',
  'throttled',
  'unavailable',
] as const
/** And one that takes values. */
const WITH_VALUES = ['invalid'] as const
/** And one that takes an Idempotency-Key. */
const WITH_KEY = ['outcome-unknown'] as const
const WITH_BODY = ['too-large', 'unsupported-media-type'] as const

export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of API_ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.verb.toLowerCase()]: operation(route) }
  }
  const tags = [...new Set(API_ROUTES.map(({ tag }) => tag))]
  return {
    openapi: '3.1.0',
    info: {
      title: 'sallyport admin API',
      version,
      description:
        'Users, app passwords, sessions and the audit trail. The same services as those of the command line.',
    },
    servers: [{ url: API_ROOT }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...componentSchemas(), Problem: problemSchema() },
      responses: Object.fromEntries(
        statusesOf(PROBLEM_NAMES).map((status) => [`Problem${status}`, problemResponse(status)]),
      ),
      parameters: { IdempotencyKey: IDEMPOTENCY_KEY },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: `Made with \`sallyport token create\`. Scopes: ${API_SCOPES.join(', ')}.`,
        },
      },
    },
  }
}

function operation(route: ApiRoute): Json {
  const { id, tag, summary, description, service, creates, body, answer } = route
  const problems: readonly ProblemName[] = [
    ...ALWAYS,
    ...(takesValues(route) ? WITH_VALUES : []),
    ...(body === null ? [] : WITH_BODY),
    ...(creates ? WITH_KEY : []),
    ...route.problems,
  ]
  const parameters = [
    ...parametersOf(route.params, 'path'),
    ...parametersOf(route.query, 'query'),
    ...(creates ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
  ]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    // OpenAPI 3.1: what a scheme other than OAuth lists is what the caller must have.
    security: [{ token: [ADMIN_METHODS[service]] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== null && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } },
    }),
    responses: {
      [creates ? '201' : '200']: {
        description: creates ? 'Made.' : 'Done.',
        headers: successHeaders(route),
        content: { 'application/json': { schema: schemaOf(answer, 'output') } },
      },
      ...Object.fromEntries(
        statusesOf(problems).map((status) => [String(status), { $ref: `#/components/responses/Problem${status}` }]),
      ),
    },
  }
}

function takesValues({ params, query, body }: ApiRoute): boolean {
  return body !== null || [params, query].some(({ shape }) => Object.keys(shape).length > 0)
}

function successHeaders({ creates, query }: ApiRoute): Json {
  const text = (description: string) => ({ description, schema: { type: 'string' } })
  return {
    ...(creates && {
      Location: text('Path of what was made.'),
      'Idempotent-Replayed': text('true: this is the answer of an earlier request with the same Idempotency-Key.'),
    }),
    ...('cursor' in query.shape && { Link: text('The next page, if there is one: <…>; rel="next" (RFC 8288).') }),
  }
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Chosen by the caller, new for each thing to make. The same request with the same key makes nothing more and answers the same, but for the password, which is null.',
  schema: { type: 'string', minLength: 1, maxLength: 128, pattern: '^[!-~]+$' },
}

function parametersOf({ shape }: z.ZodObject, place: 'path' | 'query'): readonly Json[] {
  return Object.entries(shape).map(([name, field]) => {
    const { description, ...schema } = schemaOf(field as z.ZodType, 'input')
    const required = place === 'path' || !(field as z.ZodType).safeParse(undefined).success
    return { name, in: place, required, ...(description === undefined ? {} : { description }), schema }
  })
}

/** Shapes of answers have names in the document; what else there is stands where it is used. */
const NAMED = z.registry<{ id: string }>()
for (const [id, schema] of Object.entries(views)) NAMED.add(schema, { id })

const URI = (id: string) => `#/components/schemas/${id}`

function componentSchemas(): Json {
  const { schemas } = z.toJSONSchema(NAMED, { uri: URI, io: 'output' })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]))
}

/** A schema; the named ones that it holds are references. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const named = NAMED.get(schema)
  if (named) return { $ref: URI(named.id) }
  const registry = z.registry<{ id: string }>()
  for (const [id, each] of Object.entries(views)) registry.add(each, { id })
  registry.add(schema, { id: 'here' })
  const { schemas } = z.toJSONSchema(registry, { uri: URI, io })
  return bare(schemas.here ?? {})
}

/** Without what says of a document of its own that it is one. */
function bare(schema: object): Json {
  const { $schema: _, $id: __, id: ___, ...rest } = schema as Json
  return rest
}

function statusesOf(problems: readonly ProblemName[]): readonly number[] {
  return [...new Set(problems.map((problem) => PROBLEMS[problem].status))].sort((a, b) => a - b)
}

function problemResponse(status: number): Json {
  const kinds = PROBLEM_NAMES.filter((name) => PROBLEMS[name].status === status)
  return {
    description: kinds.map((name) => `${PROBLEMS[name].title} (\`${problemType(name)}\`)`).join('; '),
    content: { 'application/problem+json': { schema: { $ref: URI('Problem') } } },
  }
}

/** RFC 9457 §3. */
function problemSchema(): Json {
  return {
    type: 'object',
    properties: {
      type: { type: 'string', format: 'uri', enum: PROBLEM_NAMES.map(problemType) },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string', description: 'For people.' },
      errors: {
        type: 'array',
        description: 'What can not be taken: a JSON pointer into the body, or the name of a parameter.',
        items: {
          type: 'object',
          properties: {
            pointer: { type: 'string' },
            parameter: { type: 'string' },
            detail: { type: 'string' },
          },
          required: ['detail'],
        },
      },
    },
    required: ['type', 'title', 'status'],
  }
}
