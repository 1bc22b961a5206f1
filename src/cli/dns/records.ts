/**
 * The DNS records by which mail clients find a domain's servers (pure).
 *
 * SRV as RFC 6186 §3 and RFC 8314 §5.1 have them, Microsoft's _autodiscover, and the two host names that clients try by
 * themselves: autoconfig (Thunderbird and others) and autodiscover (Outlook, phones).
 */

import { isIP } from 'node:net'
import type { PublishedSettings } from '../../contract/published.ts'

export type DnsRecord = SrvRecord | CnameRecord | AddressRecord

export interface SrvRecord {
  readonly domain: string
  readonly type: 'SRV'
  /** Without a final dot, like all names here. */
  readonly name: string
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

export interface CnameRecord {
  readonly domain: string
  readonly type: 'CNAME'
  readonly name: string
  readonly target: string
}

/** That a host has an address, A or AAAA; which one, the configuration does not know. */
export interface AddressRecord {
  /** The host itself: it may be in no served domain. */
  readonly domain: string
  readonly type: 'A'
  readonly name: string
}

/** RFC 6186 §3.4: the priorities say what the provider would like best, also between services. */
const SERVICES = [
  { service: 'imaps', protocol: 'imap', tls: 'implicit', priority: 0 },
  { service: 'imap', protocol: 'imap', tls: 'starttls', priority: 10 },
  { service: 'pop3s', protocol: 'pop3', tls: 'implicit', priority: 20 },
  { service: 'pop3', protocol: 'pop3', tls: 'starttls', priority: 30 },
  { service: 'submissions', protocol: 'smtp', tls: 'implicit', priority: 0 },
  { service: 'submission', protocol: 'smtp', tls: 'starttls', priority: 10 },
] as const
const WEIGHT = 1

/** All records of one served domain, in the order in which people read them. */
export function recordsOf({ host, ports, web }: PublishedSettings, domain: string): readonly DnsRecord[] {
  const srv = (service: string, priority: number, port: number, target: string): SrvRecord => ({
    domain,
    type: 'SRV',
    name: `_${service}._tcp.${domain}`,
    priority,
    weight: WEIGHT,
    port,
    target,
  })
  const mail = SERVICES.flatMap(({ service, protocol, tls, priority }) =>
    ports[protocol].filter((each) => each.tls === tls).map(({ port }) => srv(service, priority, port, host)),
  )
  if (web === null) return mail
  const { hostname, port } = new URL(web)
  const aliases = ['autoconfig', 'autodiscover']
    .map((label): CnameRecord => ({ domain, type: 'CNAME', name: `${label}.${domain}`, target: hostname }))
    .filter(({ name, target }) => name !== target)
  return [...mail, srv('autodiscover', 0, port === '' ? 443 : Number(port), hostname), ...aliases]
}

/** The hosts that clients are sent to, by these records or by autoconfig and autodiscover. Without them the rest leads nowhere. */
export function hostsOf({ host, web, activeSync }: PublishedSettings): readonly AddressRecord[] {
  const names = [host, ...[web, activeSync].flatMap((url) => (url === null ? [] : [new URL(url).hostname]))]
  return [...new Set(names)]
    .filter((name) => isIP(name.replace(/^\[|\]$/g, '')) === 0)
    .map((name) => ({ domain: name, type: 'A', name }))
}

/** What an administrator should know besides; empty when there is nothing. */
export function remarksOn(settings: PublishedSettings): readonly string[] {
  const { web, domains } = settings
  const hosts = hostsOf(settings).map(({ name }) => name)
  const remarks = [`Address records (A, AAAA) must lead to this server for ${hosts.join(', ')}`]
  if (web === null) {
    remarks.push('No https listener serves autoconfig, so there is nothing behind autoconfig and autodiscover')
    return remarks
  }
  const { hostname, port } = new URL(web)
  if (port !== '') {
    remarks.push(`Clients look for autoconfig and autodiscover on port 443, and ${web} is not: forward that port`)
  }
  const names = [...domains.flatMap((domain) => [`autoconfig.${domain}`, `autodiscover.${domain}`]), ...hosts]
  const others = names.filter((name) => name !== hostname)
  if (others.length > 0) remarks.push(`The certificate on port 443 must be good for ${others.join(', ')} as well`)
  return remarks
}

/** '0 1 993 mail.example.org.': what stands behind the type in a zone file; null: that is for whoever knows the network to say. */
export function zoneValue(record: DnsRecord): string | null {
  if (record.type === 'A') return null
  return record.type === 'CNAME'
    ? `${record.target}.`
    : `${record.priority} ${record.weight} ${record.port} ${record.target}.`
}
