/**
 * Pages of a listing: where the next one begins is an opaque cursor, in the body and in a Link header (RFC 8288).
 */

import { z } from 'zod'
import type { ApiReply } from './route.ts'
import { integer } from './route.ts'

const MAX_PAGE = 200
const DEFAULT_PAGE = 100
/** A cursor holds an address, an id or a number. */
const MAX_CURSOR = 512

const CURSOR = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/, 'not a cursor of this API')
  .max(MAX_CURSOR)
  .transform((cursor) => Buffer.from(cursor, 'base64url').toString())

/** What a listing takes in its query. */
export const PAGE = z.strictObject({
  cursor: CURSOR.optional().describe('Where to go on: `next` of the page before.'),
  limit: integer(1, MAX_PAGE, DEFAULT_PAGE).describe('How many at the most; a page may be shorter.'),
})

function cursorOf(after: string | number): string {
  return Buffer.from(String(after)).toString('base64url')
}

/** The shape of a page. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe('Cursor of the next page; null: there is none.'),
  })
}

/** A page as the API has it, from the listing of a service: `after` is where that goes on; null: it is over. */
export function page(items: readonly unknown[], after: string | number | null): ApiReply {
  const next = after === null ? null : cursorOf(after)
  return { body: { items, next }, next }
}
