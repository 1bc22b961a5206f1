/**
 * How a service is declared: the check of its request and, as a type only, its answer; and the pieces that many requests share.
 */

import { z } from 'zod'
import { PROTOCOL_NAMES } from '../admission.ts'

/** A method: the check of its request, and (as a type only) its answer. */
export interface ServiceMethod<Request extends z.ZodType, Answer> {
  readonly request: Request
  readonly answer?: Answer
}

/** `method<Answer>()(request)`: the answer is written out, the request's type follows from its check. */
export function method<Answer>() {
  return <Request extends z.ZodType>(request: Request): ServiceMethod<Request, Answer> => ({ request })
}

export const address = z.string().min(1).max(254)
export const id = z.string().min(1).max(64)
export const text64 = z.string().min(1).max(256)
export const secret = z.string().min(1).max(1024)
export const protocols = z.array(z.enum(PROTOCOL_NAMES)).min(1)

/** What a revocation did: how many open sessions were ended, and which processes did not answer within a second. */
export interface SessionsEnded {
  readonly sessionsEnded: number
  readonly unanswered: readonly string[]
}
