/**
 * Where a request on an https port goes (pure): by its host and its path, and by nothing else that a client says.
 */

import type { Target } from '../edge/http/request.ts'
import type { HttpsListener } from '../supervisor/messages.ts'

export type Place = 'eas' | 'web' | 'nowhere'

export interface RoutingRules {
  readonly serves: HttpsListener['serves']
  /** The only host for ActiveSync, which is then for nothing else; null: every host has it. */
  readonly easHost: string | null
}

/** In any case, and sometimes with a slash behind it; whatever else looks alike is something else (threats G-3). */
const ACTIVE_SYNC = /^\/microsoft-server-activesync\/?$/i

/**
 * Autodiscover is asked for under every name that a client can think of, so on the host of ActiveSync web is asked for it
 * as well, and for nothing else: no page of the portal shares an origin with ActiveSync where the two have their own names.
 */
const SET_UP = /^\/(?:autodiscover\/|mail\/config-v1\.1\.xml$|\.well-known\/autoconfig\/)/i

export function placeOf({ host, path }: Target, { serves, easHost }: RoutingRules): Place {
  const isEasHost = easHost !== null && host === easHost
  if (ACTIVE_SYNC.test(path)) return serves.includes('eas') && (easHost === null || isEasHost) ? 'eas' : 'nowhere'
  if (SET_UP.test(path)) return serves.includes('autoconfig') ? 'web' : 'nowhere'
  return serves.includes('portal') && !isEasHost ? 'web' : 'nowhere'
}
