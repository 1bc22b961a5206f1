/**
 * How a route of the admin API is declared: which service it is, the checks of what comes in, the shape of what goes out.
 *
 * One declaration is the router's, the checks' and the OpenAPI document's. A route does nothing but put a request into words
 * of a service and its answer into words of HTTP; the keeper decides and does (`admin.call`).
 */

import { z } from 'zod'
import type { AdminMethod } from '../../contract/portal/admin.ts'
import type { ServiceAnswer, ServiceRequest } from '../../contract/services.ts'
import type { ProblemName } from './problem.ts'

export type ApiVerb = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** A request whose parts have been checked. */
export interface ApiInput<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
}

/** What an answer is made of. */
export interface ApiReply {
  readonly body: unknown
  /** Path of what was made, below the API's root. */
  readonly location?: string
  /** Cursor of the page that follows, as the body has it; null: this is the last. */
  readonly next?: string | null
}

export interface ApiRoute {
  readonly verb: ApiVerb
  /** Below /api/v1; parameters in braces, as OpenAPI has them. */
  readonly path: string
  /** The operation's name for generated clients. */
  readonly id: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** The service that does it; its scope is that of `ADMIN_METHODS`. */
  readonly service: AdminMethod
  /** Answers 201 and takes an Idempotency-Key. */
  readonly creates: boolean
  readonly params: z.ZodObject
  readonly query: z.ZodObject
  /** null: the request has none. */
  readonly body: z.ZodType | null
  readonly answer: z.ZodType
  /** Besides those that any route can answer. */
  readonly problems: readonly ProblemName[]
  /** The request of the service. */
  ask(input: ApiInput<unknown, unknown, unknown>): Readonly<Record<string, unknown>>
  tell(answer: unknown, input: ApiInput<unknown, unknown, unknown>): ApiReply
}

type Shape = z.ZodObject
interface Declaration<N extends AdminMethod, P extends Shape, Q extends Shape, B extends z.ZodType> {
  readonly verb: ApiVerb
  readonly path: string
  readonly id: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly service: N
  readonly creates?: boolean
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  readonly answer: z.ZodType
  readonly problems?: readonly ProblemName[]
  readonly ask: (input: ApiInput<z.output<P>, z.output<Q>, z.output<B>>) => ServiceRequest<N>
  readonly tell: (answer: ServiceAnswer<N>, input: ApiInput<z.output<P>, z.output<Q>, z.output<B>>) => ApiReply
}

const NOTHING = z.strictObject({})
type Nothing = typeof NOTHING

/** Types are checked where a route is declared; the table holds all routes as one type. */
export function route<
  N extends AdminMethod,
  P extends Shape = Nothing,
  Q extends Shape = Nothing,
  B extends z.ZodType = z.ZodNull,
>(declared: Declaration<N, P, Q, B>): ApiRoute {
  const { creates = false, problems = [], body = null, ...rest } = declared
  // The plugin hands a route only what its own declarations have checked.
  return {
    ...rest,
    creates,
    problems,
    body,
    params: declared.params ?? NOTHING,
    query: declared.query ?? NOTHING,
  } as ApiRoute
}

/** A path's parameter: the id or address of a user. */
export const USER = z.strictObject({
  user: z.string().min(1).max(254).describe('Id or mail address of a user; percent-encode the @.'),
})

/** A number in a query, where everything is text; `fallback` when it is left out. */
export function integer(min: number, max: number, fallback?: number) {
  const fromText = (value: unknown) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value)
  const number = z.number().int().min(min).max(max)
  return z.preprocess(fromText, fallback === undefined ? number : number.default(fallback))
}
