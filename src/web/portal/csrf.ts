/**
 * Whether a request that changes something was made by a page of ours (threats H1).
 *
 * Two checks, each of which has to pass. Origin: a browser says where a form stands, and it must be this portal. Token: a form
 * carries the one of its session, which the keeper made; before the sign-in, one that is bound to a cookie of this browser by a
 * key of this process. (Behind both stands SameSite=Lax.)
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** Only forms that were open when the process ended are lost with it, and they are told to be sent again. */
const KEY = randomBytes(32)

export const newFormCookie = (): string => randomBytes(16).toString('base64url')

/** The token of forms before the sign-in. */
export function formToken(cookie: string): string {
  return createHmac('sha256', KEY).update(cookie).digest('base64url')
}

export function isSameToken(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/**
 * Whether a browser says that it comes from one of our pages. One that says nothing at all (very old ones, and programs) is
 * judged by the token alone; the `null` of a sandboxed frame is not nothing.
 */
export function isFromHere(headers: IncomingHttpHeaders, portalUrl: string): boolean {
  if (headers.origin !== undefined) return headers.origin === new URL(portalUrl).origin
  const site = headers['sec-fetch-site']
  return site === undefined || site === 'same-origin'
}
