/**
 * What of an upstream's answer a phone gets to see (pure).
 *
 * Almost all of it, as it is. Not: a refusal of the credentials that are ours, a fault that would make a phone throw its mail
 * away, a way past us, and a cookie that would be sent to whatever else lives under our name.
 */

import { endToEnd, headerPairs, headerValues } from '../http/headers.ts'
import { ANSWER_HEADERS, RETRY_AFTER_SECONDS } from './replies.ts'

export type Judged =
  | {
      readonly pass: true
      readonly headers: string[]
      /** What the operator should know of it all the same; null: nothing. */
      readonly remark: string | null
    }
  /** 'refused': our own credentials were. 'fault': all else. Either way the phone is told to come back later. */
  | { readonly pass: false; readonly why: 'refused' | 'fault'; readonly detail: string }

/** Ways past us (threats D10): a phone has one server, and who else is meant is not the upstream's to tell it. */
const ELSEWHERE = ['alt-svc', 'location', 'refresh'] as const
const DROPPED: ReadonlySet<string> = new Set([
  'set-cookie',
  'set-cookie2',
  ...ELSEWHERE,
  ...Object.keys(ANSWER_HEADERS),
])
/** MS-ASHTTP §2.2.2.1.1: the password is wrong; it has run out. */
const REFUSALS: ReadonlySet<number> = new Set([401, 457])
/** A gateway's own words for trouble behind it, and a server's for trouble in it. */
const FAULTS: ReadonlySet<number> = new Set([407, 500, 502, 504])
/** MS-ASHTTP §2.2.2.1.1.3.1: the mailbox is elsewhere. 'Elsewhere' is behind us as well. */
const REDIRECT = 451

/** @param url where the phone found us, for redirects: 'https://eas.example.org/Microsoft-Server-ActiveSync' */
export function judge(status: number, rawHeaders: readonly string[], url: string): Judged {
  if (REFUSALS.has(status)) {
    const hint = status === 457 ? ': their password has run out' : ''
    return { pass: false, why: 'refused', detail: `the upstream refused our credentials (${status})${hint}` }
  }
  if (FAULTS.has(status)) return { pass: false, why: 'fault', detail: `the upstream answered ${status}` }
  if (status >= 300 && status < 400 && status !== 304) {
    const [location = 'nowhere'] = headerValues(rawHeaders, 'location')
    return {
      pass: false,
      why: 'fault',
      detail: `the upstream sends us to ${location} (${status}): set eas.url to that`,
    }
  }
  const headers = [...headerPairs(endToEnd(rawHeaders, DROPPED))].flatMap(([lower, name, value]) => {
    if (lower !== 'x-ms-location') return [name, value]
    return status === REDIRECT ? [name, url] : []
  })
  if (status === 503 && headerValues(headers, 'retry-after').length === 0)
    headers.push('Retry-After', RETRY_AFTER_SECONDS)
  for (const [name, value] of Object.entries(ANSWER_HEADERS)) headers.push(name, value)
  return { pass: true, headers, remark: status === REDIRECT ? remarkOn(rawHeaders) : null }
}

/** The phone comes back to us, and from us to the same upstream: only who configures us can follow. */
function remarkOn(rawHeaders: readonly string[]): string {
  const [location = 'elsewhere'] = headerValues(rawHeaders, 'x-ms-location')
  return `the upstream says that this mailbox is at ${location} (451): set eas.url to that, or a route for this user`
}
