/**
 * The kinds of value that a setting can have, as zod types with their words for errors: durations, paths, addresses.
 *
 * Every builder takes what the setting means as its description; the reference, the sample and the JSON Schema print it.
 * Durations become milliseconds where they are parsed, so nobody downstream asks "seconds or …?".
 */

import { isIP } from 'node:net'
import { z } from 'zod'

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/
const DURATION_WORDS = 'must be a number with a unit: 500ms, 30s, 10m, 1h or 90d'

/** Milliseconds of '500ms', '30s', '10m', '1h', '90d'; null when it is no such thing. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = DURATION.exec(text) ?? []
  return count === undefined ? null : Number(count) * MS[unit as keyof typeof MS]
}

interface Range {
  /** Inclusive, in the words of the file: '1s'. */
  readonly min?: string
  readonly max?: string
}

/** A duration with a unit; becomes milliseconds. */
export function duration(description: string, { min = '1ms', max = '3650d' }: Range = {}) {
  return z
    .string(DURATION_WORDS)
    .regex(DURATION, { error: DURATION_WORDS, abort: true })
    .refine((text) => within(parseDuration(text), parseDuration(min), parseDuration(max)), {
      error: `must be between ${min} and ${max}`,
    })
    .transform((text) => parseDuration(text) ?? 0)
    .meta({ description, unit: 'duration' })
}

function within(value: number | null, min: number | null, max: number | null): boolean {
  return value !== null && value >= (min ?? 0) && value <= (max ?? Number.POSITIVE_INFINITY)
}

/** Text without control characters, 1 to `max` characters. */
export function text(description: string, max = 255) {
  return z
    .string('must be text')
    .min(1, 'must not be empty')
    .max(max, `must not be longer than ${max} characters`)
    .regex(/^[^\u0000-\u001f\u007f]*$/, 'must not hold control characters')
    .meta({ description })
}

/** A file or directory; relative ones are resolved against the directory that `config.ts` says. */
export function path(description: string) {
  return text(description, 4096)
}

export function count(description: string, min: number, max: number) {
  const words = `must be a whole number between ${min} and ${max}`
  return z.int(words).min(min, words).max(max, words).meta({ description })
}

export function flag(description: string) {
  return z.boolean('must be true or false').meta({ description })
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T, description: string) {
  return z.enum(values, `must be ${list(values)}`).meta({ description })
}

/** 'a', 'a or b', 'a, b or c'. */
export function list(values: readonly string[]): string {
  return values.length < 2 ? values.join() : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
}

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/
const DOMAIN = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`)

/** A mail domain in lower case, IDNs as A-labels (RFC 5890 §2.3.2.1). */
export function domain(description: string) {
  return z
    .string('must be a domain name')
    .regex(DOMAIN, 'must be a domain in lower case, an internationalised one in its xn-- form: example.org')
    .meta({ description })
}

/** A canonical address: the part before @ in lower case, then a domain. */
export function address(description: string) {
  return z
    .string('must be an address')
    .regex(
      new RegExp(`^(?=.{3,254}$)[^\\u0000-\\u0020\\u007f-\\uffffA-Z@]{1,64}@${LABEL}(?:\\.${LABEL})*$`),
      'must be a whole address in lower case: ann@example.org',
    )
    .meta({ description })
}

/** RFC 4291 §2.5.5.2. */
const MAPPED = /^(?:::|(?:0+:){5})ffff:/i

/** An address or a block of addresses: '10.0.0.0/8', '2001:db8::/32', '192.0.2.1'. */
export function network(description: string) {
  return (
    z
      .string('must be an address block')
      .refine(isNetwork, 'must be an address or a block of addresses: 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32')
      // Clients with an IPv4 address are known by that: nobody would ever be in such a block.
      .refine((value) => !MAPPED.test(value), 'must be written as IPv4, without ::ffff: in front')
      .meta({ description })
  )
}

export function isNetwork(value: string): boolean {
  const [ip = '', prefix, ...rest] = value.split('/')
  const family = isIP(ip)
  if (family === 0 || rest.length > 0 || ip.includes('%')) return false
  if (prefix === undefined) return true
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128)
}

/** More than an organisation has: not even 10.0.0.0/8 or an IPv6 block of its own. */
const WIDEST_PREFIX = { ipv4: 8, ipv6: 16 } as const

/**
 * Whether a block holds so many addresses that it means (nearly) everybody: less than /8, for IPv6 less than /16.
 * Unique local addresses (fc00::/7) are in no public network, however many.
 */
export function isNearlyEverybody(block: string): boolean {
  const [ip = '', prefix] = block.split('/')
  if (prefix === undefined) return false
  if (isIP(ip) === 4) return Number(prefix) < WIDEST_PREFIX.ipv4
  const isUniqueLocal = /^f[cd]/i.test(ip) && Number(prefix) >= 7
  return Number(prefix) < WIDEST_PREFIX.ipv6 && !isUniqueLocal
}

/** A host name or IP address without a port. */
export function host(description: string) {
  return z
    .string('must be a host name')
    .refine(isHost, 'must be a host name or an IP address, without a port')
    .meta({ description })
}

function isHost(value: string): boolean {
  return isIP(value) !== 0 || (HOST_NAME.test(value) && value.length <= 253)
}

export interface HostPort {
  readonly host: string
  /** null: none was given. */
  readonly port: number | null
}

/** 'mail.internal', 'mail.internal:1993', '192.0.2.1:993', '[2001:db8::1]:993', '2001:db8::1'; null when it is no such thing. */
export function parseHostPort(value: string): HostPort | null {
  if (isIP(value) !== 0) return { host: value, port: null }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(value)
  if (match === null) return null
  const name = match[1] ?? match[2] ?? ''
  const port = match[3] === undefined ? null : Number(match[3])
  if (match[1] !== undefined ? isIP(name) !== 6 : !isHost(name)) return null
  if (port !== null && (port < 1 || port > 65_535)) return null
  return { host: name, port }
}

/** A host with or without a port. */
export function hostPort(description: string) {
  return z
    .string('must be a host name')
    .refine((value) => parseHostPort(value) !== null, 'must be host or host:port; an IPv6 address as [2001:db8::1]:993')
    .transform((value) => parseHostPort(value) ?? { host: value, port: null })
    .meta({ description })
}

export function httpsUrl() {
  return z.url({ protocol: /^https$/, error: 'must be an https:// address' })
}

/** Whether an address can be reached from this machine only. A name counts when it is localhost. */
export function isLoopback(hostOrIp: string): boolean {
  const value = hostOrIp.toLowerCase()
  return value === 'localhost' || value === '::1' || (isIP(value) === 4 && value.startsWith('127.'))
}
