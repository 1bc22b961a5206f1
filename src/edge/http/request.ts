/**
 * What every request must be before anybody looks at what it wants (threats G-1, G-3, G-8). Pure.
 *
 * Node's parser has refused broken framing by then. What is left to refuse is what two programs could read differently: a
 * second Host, a path that means another path to somebody, an odd transfer coding.
 */

import type { IncomingMessage } from 'node:http'
import { headerValues } from './headers.ts'

/** Node drops what exceeds its own limit without a word, so ours is counted on what it keeps. */
const MAX_HEADERS = 100
const MAX_TARGET = 8 * 1024

export interface Refusal {
  readonly status: number
  /** For the log, and with a status of 4xx for the client as well. */
  readonly why: string
}

/** RFC 9112 §3.2: where a request goes. `host` is in lower case and without port; `path` is as sent, without the query. */
export interface Target {
  readonly host: string
  readonly path: string
  /** Behind the first '?', as sent; null when there is none. */
  readonly query: string | null
}

type Head = Pick<IncomingMessage, 'rawHeaders' | 'url'>

/**
 * Where a request goes, or why it goes nowhere.
 *
 * @param hasOneReader whether a single program reads the path, so that what is escaped in a segment can be text
 */
export function targetOf({ rawHeaders, url = '' }: Head, hasOneReader = false): Target | Refusal {
  const bad = (why: string): Refusal => ({ status: 400, why })
  if (rawHeaders.length > 2 * MAX_HEADERS) return { status: 431, why: `more than ${MAX_HEADERS} headers` }
  const hosts = headerValues(rawHeaders, 'host')
  const host = hosts.length === 1 ? hostName(hosts[0] ?? '') : null
  if (host === null) return bad(hosts.length === 1 ? 'a Host that is none' : `${hosts.length} Host headers`)
  if (headerValues(rawHeaders, 'transfer-encoding').some((coding) => coding.toLowerCase() !== 'chunked')) {
    return bad('a transfer coding other than chunked')
  }
  if (headerValues(rawHeaders, 'transfer-encoding').length + headerValues(rawHeaders, 'content-length').length > 1) {
    return bad('more than one length')
  }
  if (url.length > MAX_TARGET) return { status: 414, why: 'a target of more than 8 KiB' }
  // Absolute and authority forms are for proxies, which we are to nobody.
  if (!url.startsWith('/')) return bad('a target that is no path')
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  // RFC 9112 §3.2.1: a fragment is not sent, and whoever is sent one may stop reading at it.
  if (!isPlainPath(path) || (!hasOneReader && DISGUISED.test(path)) || !/^[\x21\x22\x24-\x7e]*$/.test(url))
    return bad('a target with tricks')
  return { host, path, query: at < 0 ? null : url.slice(at + 1) }
}

export function isRefusal(target: Target | Refusal): target is Refusal {
  return 'status' in target
}

/** A separator, or what becomes one where somebody reads twice. */
const DISGUISED = /%(?:2f|5c|25|3b)/i

/** No empty, dot or parameter segments, in disguise neither: every reader sees the same path. */
function isPlainPath(path: string): boolean {
  if (/\\|\/\/|%(?:2e|00)/i.test(path)) return false
  return !path.split('/').some((segment) => /^\.{1,2}(?:$|;)/.test(segment))
}

function hostName(host: string): string | null {
  const match = /^(?:([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)|(\[[0-9a-f:.]{2,45}\]))(?::\d{1,5})?$/i.exec(host)
  return (match?.[1] ?? match?.[2])?.toLowerCase() ?? null
}
