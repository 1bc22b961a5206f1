/**
 * Which headers go on to whoever stands behind us, and which end here (pure).
 *
 * Lists are as Node has them: name, value, name, value (`rawHeaders`), so order, case and repetition stay as they were sent.
 */

/** RFC 9110 §7.6.1, and what older software treats alike. Whatever Connection names joins them. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** What proxies say of a client. Ours are made here and nowhere else, so a client's word for it ends here (threats A13). */
const FORWARDING =
  /^(?:forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|cf-.*|x-original-.*|x-rewrite-url|x-sallyport-.*|x-webobjects-.*)$/

/** What proxies say of who has logged in, and how else a request is meant: a server that believes its proxy would believe us. */
const CLAIMS =
  /^(?:(?:x-)?(?:remote|auth|authenticated)-.*|(?:x-)?(?:ssl|client-cert)(?:-.*)?|x-(?:http-)?method(?:-override)?)$/

/** Pairs of a list, names in lower case beside the names as sent. */
export function* headerPairs(raw: readonly string[]): Generator<readonly [lower: string, name: string, value: string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    yield [name.toLowerCase(), name, raw[i + 1] ?? '']
  }
}

/** Every value of a header, as sent. */
export function headerValues(raw: readonly string[], wanted: string): readonly string[] {
  return [...headerPairs(raw)].flatMap(([lower, , value]) => (lower === wanted ? [value] : []))
}

/** What may go from one connection to the next, without `dropped` (lower case) as well. */
export function endToEnd(raw: readonly string[], dropped: ReadonlySet<string>): string[] {
  const named = new Set(
    headerValues(raw, 'connection').flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase())),
  )
  const kept: string[] = []
  for (const [lower, name, value] of headerPairs(raw)) {
    if (HOP_BY_HOP.has(lower) || named.has(lower) || dropped.has(lower)) continue
    kept.push(name, value)
  }
  return kept
}

/**
 * A client's request headers that may go on: end to end, and without its own word for where it comes from or who it is. Programs that were
 * CGI once take '_' for '-', so such a name may be any of these in disguise; no client of ours has one.
 */
export function requestHeaders(raw: readonly string[], dropped: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (const [lower, name, value] of headerPairs(endToEnd(raw, dropped))) {
    if (!lower.includes('_') && !FORWARDING.test(lower) && !CLAIMS.test(lower)) kept.push(name, value)
  }
  return kept
}
