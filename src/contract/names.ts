/**
 * Canonical names: one spelling per account, everywhere.
 *
 * `canonicalName` is applied at the edge to what a client typed and by the records to what an administrator typed, so two
 * spellings can never be two accounts and one spelling can never be two people. Only ASCII case is mapped. Whatever else
 * would have to change (full width letters, a dotless i, zero-width characters, trailing blanks, control characters) is
 * refused, because a mapping that the mail server does differently is how one user becomes another.
 *
 * Pure: no socket, no store, no configuration beyond its argument.
 */

import type { Config } from '../config.ts'

/** What a realm says about its names. Domains in lower case, as A-labels. */
export interface NameRules {
  /** Mail domains served; the first one completes a bare user name. At least one. */
  readonly domains: readonly string[]
  /** Characters allowed in a local part besides `a-z 0-9 . _ + -`. Default none. */
  readonly allow: string
  /** Master-user separators of all upstreams: a name that holds one is refused (it could name two accounts). */
  readonly separators: readonly string[]
  /** `DOMAIN\user` → `user@domain`: Windows domain in upper case → mail domain. A prefix that is not listed is refused. */
  readonly windowsDomains: Readonly<Record<string, string>>
  /**
   * Short names that a scanner listener takes: alias in lower case → address of an account (threats C5). Left out: none. The
   * rules of everything else have none, so an alias is a name on that port alone.
   */
  readonly aliases?: Readonly<Record<string, string>>
}

/** The rules of a configuration: with the separators of all upstreams, since a name must not mean two accounts at any of them. */
export function nameRulesOf({ domains, names, upstreams }: Pick<Config, 'domains' | 'names' | 'upstreams'>): NameRules {
  const identities = Object.values(upstreams).flatMap(({ identity, eas }) => [identity, eas?.identity ?? identity])
  const separators = identities.flatMap((each) => (each.method === 'master-user' ? [each.separator] : []))
  return { domains, allow: names.allow, separators: [...new Set(separators)], windowsDomains: names.windowsDomains }
}

export type NameRefusal =
  | 'empty'
  | 'too-long'
  | 'control'
  | 'not-ascii'
  | 'character'
  | 'separator'
  | 'domain'
  | 'windows-domain'

export type CanonicalName =
  | { readonly ok: true; readonly name: string; readonly localPart: string; readonly domain: string }
  | { readonly ok: false; readonly why: NameRefusal }

/** RFC 5321 §4.5.3.1: 64 octets of local part, 254 of address. */
const MAX_LOCAL_PART = 64
const MAX_NAME = 254
const MAX_DOMAIN = 253

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

const refused = (why: NameRefusal): CanonicalName => ({ ok: false, why })

/**
 * The canonical form of a user name as somebody typed it: `Ann@Example.ORG` and (in a realm whose first domain is
 * example.org) `ann` both give `ann@example.org`.
 *
 * @param raw text as the protocol decoded it, not trimmed
 * @returns the name with its two parts, or why it can't be one
 */
export function canonicalName(raw: string, rules: NameRules): CanonicalName {
  if (raw === '') return refused('empty')
  if (raw.length > MAX_NAME) return refused('too-long')
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return refused('control')
    if (code > 0x7f) return refused('not-ascii')
  }
  const alias = raw.toLowerCase() // ASCII by now
  const { aliases = {} } = rules
  const meant = Object.hasOwn(aliases, alias) ? aliases[alias] : undefined
  return parse(meant ?? raw, rules)
}

function parse(raw: string, rules: NameRules): CanonicalName {
  const backslash = raw.indexOf('\\')
  if (backslash >= 0) {
    const prefix = raw.slice(0, backslash).toUpperCase()
    const domain = Object.hasOwn(rules.windowsDomains, prefix) ? rules.windowsDomains[prefix] : undefined
    if (domain === undefined || raw.includes('@')) return refused('windows-domain')
    return join(raw.slice(backslash + 1), domain, rules)
  }
  const at = raw.lastIndexOf('@')
  if (at < 0) return join(raw, rules.domains[0] ?? '', rules)
  return join(raw.slice(0, at), raw.slice(at + 1), rules)
}

function join(rawLocalPart: string, rawDomain: string, rules: NameRules): CanonicalName {
  const localPart = rawLocalPart.toLowerCase() // ASCII only by now, so no locale and no special casing
  if (localPart === '') return refused('empty')
  if (localPart.length > MAX_LOCAL_PART) return refused('too-long')
  for (const character of localPart) {
    if (!/[a-z0-9._+-]/.test(character) && !rules.allow.includes(character)) return refused('character')
  }
  // RFC 5321 §4.1.2, Dot-string: no empty atom. '..' and a leading dot are also path tricks in maildir layouts.
  if (localPart.startsWith('.') || localPart.endsWith('.') || localPart.includes('..')) return refused('character')
  const domain = canonicalDomain(rawDomain)
  if (domain === null) return refused('domain')
  const name = `${localPart}@${domain}`
  if (name.length > MAX_NAME) return refused('too-long')
  for (const separator of rules.separators) {
    if (separator !== '' && name.includes(separator)) return refused('separator')
  }
  return { ok: true, name, localPart, domain }
}

/** A domain in lower case, or null when it is not made of LDH labels (RFC 5890 §2.3.1). IDNs are given as A-labels. */
export function canonicalDomain(raw: string): string | null {
  if (raw.length === 0 || raw.length > MAX_DOMAIN) return null
  const domain = raw.toLowerCase()
  for (const label of domain.split('.')) {
    if (!LABEL.test(label)) return null
  }
  return domain
}
