/**
 * Reading a request of the admin API: its token, its body, and the checks of every part of it.
 */

import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { WrongPlace } from './problem.ts'
import { ApiProblem } from './problem.ts'
import type { ApiInput, ApiRoute } from './route.ts'

/** RFC 6750 §2.1: b64token. Nothing longer was ever made. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{16,256}=*)$/i
/** Names under which programs put a token into an address. RFC 6750 §2.3: that must not be. */
const TOKEN_PARAMETERS: readonly string[] = ['access_token', 'token', 'bearer', 'api_key', 'apikey', 'key']
const KEY = /^[\x21-\x7e]{1,128}$/
/** How many wrong places one answer names. */
const MAX_PLACES = 10
const MAX_DETAIL = 200

/** The bearer token. @throws ApiProblem 'unauthorised', also when there are two */
export function bearerOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string {
  const given = headerValues(rawHeaders, 'authorization')
  const token = given.length === 1 ? BEARER.exec(given[0] ?? '')?.[1] : undefined
  if (token === undefined || token.length > 256) {
    throw new ApiProblem('unauthorised', 'Send one token: Authorization: Bearer …')
  }
  return token
}

/** @throws ApiProblem: addresses end up in logs, histories and referrers */
export function refuseTokenInAddress(query: unknown): void {
  const named = Object.keys(Object(query)).find((name) => TOKEN_PARAMETERS.includes(name.toLowerCase()))
  if (named === undefined) return
  throw new ApiProblem(
    'token-in-address',
    'Addresses end up in logs. If this was a real token, delete it; send the next one as Authorization: Bearer …',
  )
}

/** null: there is none. @throws ApiProblem */
export function idempotencyKeyOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string | null {
  const [key, ...more] = headerValues(rawHeaders, 'idempotency-key')
  if (key === undefined) return null
  if (more.length > 0 || !KEY.test(key)) {
    throw new ApiProblem('malformed-request', 'An Idempotency-Key has 1 to 128 printable characters, and there is one.')
  }
  return key
}

/** A body as JSON; undefined: there is none. @throws ApiProblem */
export function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  try {
    // RFC 8259 §8.1: UTF-8, whatever else the type says.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    throw new ApiProblem('malformed-request', 'The body is not JSON in UTF-8.')
  }
}

/** Every part of a request as its route declares it. @throws ApiProblem 'invalid' with all the places that are wrong */
export function checkedInput(
  { params, query, body }: Pick<ApiRoute, 'params' | 'query' | 'body'>,
  given: ApiInput<unknown, unknown, unknown>,
): ApiInput<unknown, unknown, unknown> {
  const wrong: WrongPlace[] = []
  const input = {
    params: checked(params, given.params, (path) => ({ parameter: path.join('.') }), wrong),
    query: checked(query, { ...Object(given.query) }, (path) => ({ parameter: path.join('.') }), wrong),
    body: null as unknown,
  }
  if (body !== null) input.body = checked(body, given.body, (path) => ({ pointer: pointer(path) }), wrong)
  else if (given.body !== undefined) wrong.push({ pointer: '#', detail: 'This takes no body.' })
  if (wrong.length > 0) {
    throw new ApiProblem('invalid', 'The request is not as the documentation has it.', wrong.slice(0, MAX_PLACES))
  }
  return input
}

type Place = { readonly pointer: string } | { readonly parameter: string }

function checked(
  schema: z.ZodType,
  value: unknown,
  place: (path: readonly PropertyKey[]) => Place,
  wrong: WrongPlace[],
): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    // zod's words name types, limits and allowed values, never what was given; it names unknown keys, which are told apart here.
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [null]
    for (const key of keys.slice(0, MAX_PLACES)) {
      const path = key === null ? issue.path : [...issue.path, cut(key)]
      const detail = key === null ? cut(issue.message) : 'There is no such key.'
      wrong.push({ ...place(path), detail } as WrongPlace)
    }
  }
  return null
}

/** RFC 6901 §6: a JSON pointer as a fragment. */
function pointer(path: readonly PropertyKey[]): string {
  const segments = path.map((part) => encodeURIComponent(cut(String(part)).replaceAll('~', '~0').replaceAll('/', '~1')))
  return ['#', ...segments].join('/')
}

function cut(text: string): string {
  return text.length <= MAX_DETAIL ? text.toWellFormed() : `${text.slice(0, MAX_DETAIL).toWellFormed()}…`
}

/** Every value of a header as sent: Node joins or drops repeated ones, which must not decide who asks. */
function headerValues(rawHeaders: readonly string[], name: string): readonly string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push(rawHeaders[i + 1] ?? '')
  }
  return values
}
