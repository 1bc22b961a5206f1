/**
 * What goes wrong, in the form of RFC 9457: a stable type, the status that goes with it, words for whoever asked.
 *
 * `PROBLEMS` is the whole list, documented in docs/api.md. Codes of ServiceError are names in it, so a new code has a status
 * and a title here or does not compile.
 */

import type { ServiceErrorCode } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { STATUS_OF } from '../errors.ts'

interface ProblemKind {
  readonly status: number
  readonly title: string
}

/** Refusals of HTTP's own, before any service is asked. */
const OWN = {
  'malformed-request': { status: 400, title: 'The request could not be read' },
  'token-in-address': { status: 400, title: 'A token does not belong into an address' },
  'method-not-allowed': { status: 405, title: 'That can not be done here' },
  'too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'Bodies are JSON' },
  fault: { status: 500, title: 'Something went wrong on our side' },
} as const satisfies Record<string, ProblemKind>

const SERVICE_TITLES = {
  'not-found': 'There is no such thing',
  exists: 'It is there already',
  invalid: 'A value can not be taken',
  'cap-reached': 'As many as the policy allows',
  forbidden: 'Not allowed',
  'not-configured': 'Not set up in the configuration',
  unavailable: 'Not available just now',
  'outcome-unknown': 'Nobody knows whether it was done',
  throttled: 'Too many wrong tokens',
  'signed-out': 'A token is needed',
  unauthorised: 'A token is needed',
  'step-up-needed': 'Not allowed',
} as const satisfies Record<ServiceErrorCode, string>

export type ProblemName = keyof typeof OWN | ServiceErrorCode

export const PROBLEMS = Object.fromEntries([
  ...Object.entries(OWN),
  ...Object.entries(SERVICE_TITLES).map(([code, title]) => [
    code,
    { status: STATUS_OF[code as ServiceErrorCode], title },
  ]),
]) as Readonly<Record<ProblemName, ProblemKind>>
export const PROBLEM_NAMES = Object.keys(PROBLEMS) as readonly ProblemName[]

/** One place of a request that can't be taken: of the body as a JSON pointer (RFC 6901 §6), of the rest by name. */
export type WrongPlace =
  | { readonly pointer: string; readonly detail: string }
  | { readonly parameter: string; readonly detail: string }

/** A request that is answered with a problem. Thrown inside the API, and turned into an answer in one place. */
export class ApiProblem extends Error {
  readonly problem: ProblemName
  readonly errors: readonly WrongPlace[]
  constructor(problem: ProblemName, detail: string, errors: readonly WrongPlace[] = []) {
    super(detail)
    this.name = 'ApiProblem'
    this.problem = problem
    this.errors = errors
  }
}

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly errors?: readonly WrongPlace[]
}

export function problemType(problem: ProblemName): string {
  return `urn:sallyport:problem:${problem}`
}

/** The problem that an error is; 'fault' is a bug of ours, and nothing of it is said. */
export function problemOf(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  if (error instanceof ServiceError) {
    // The store's own words are for the log.
    return new ApiProblem(error.code, error.code === 'unavailable' ? 'Try again in a moment.' : error.message)
  }
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new ApiProblem('too-large', 'A body has at most 64 KiB.')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new ApiProblem('unsupported-media-type', 'Send JSON, with Content-Type: application/json.')
  }
  // Fastify's other refusals: a length that does not fit the body, a path that can't be decoded.
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) return new ApiProblem('malformed-request', 'The request is broken.')
  return new ApiProblem('fault', 'The fault is in the log of the server.')
}

export function documentOf({ problem, message, errors }: ApiProblem): ProblemDocument {
  const { status, title } = PROBLEMS[problem]
  return { type: problemType(problem), title, status, detail: message, ...(errors.length > 0 && { errors }) }
}
