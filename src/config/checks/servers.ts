/**
 * The servers that we go to: upstreams, what we are to them, Redis.
 */

import { X509Certificate } from 'node:crypto'
import type { ListenerConfig, UpstreamConfig } from '../../config.ts'
import type { PlacedIdentity } from '../identities.ts'
import { identitiesOf } from '../identities.ts'
import { isLoopback } from '../units.ts'
import { PROTOCOLS } from '../upstreams.ts'
import type { Check } from './check.ts'
import { slipOfTls } from './check.ts'
import { isSameAddress } from './ports.ts'

export function checkUpstreams({ config, refuse, warn }: Check): void {
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const path = ['upstreams', name]
    if (PROTOCOLS.every((protocol) => upstream[protocol] === null))
      refuse(path, 'has no section that says where it is: add imap: { host: … }')
    for (const protocol of ['imap', 'pop3', 'smtp'] as const) {
      const section = upstream[protocol]
      if (section === null) continue
      for (const { host, port } of section.hosts) {
        const slip = slipOfTls({ protocol, port, tls: section.tls })
        if (slip !== null) warn([...path, protocol, 'tls'], `${slip}: the server would not understand`)
        const own = isLoopback(host) ? config.listeners.find((each) => each.port === port && reaches(each, host)) : null
        if (own) {
          refuse(
            [...path, protocol],
            `leads back to this server, to its listener ${own.name}: name the port that the mail server listens on`,
          )
        }
      }
      const remote = section.tls === 'none' && section.hosts.some(({ host }) => !isLoopback(host))
      if (remote)
        warn([...path, protocol, 'tls'], 'is none for a host on the network: passwords and mail go there in clear')
    }
    for (const protocol of PROTOCOLS) {
      const ca = upstream[protocol]?.ca ?? null
      if (ca !== null) checkAuthorities({ refuse, warn }, [...path, protocol, 'caFile'], ca)
    }
    if (upstream.eas?.url.startsWith('http:') && !isLoopback(new URL(upstream.eas.url).hostname)) {
      warn([...path, 'eas', 'url'], 'is without TLS for a host on the network: passwords and mail go there in clear')
    }
    checkActingInHttp({ refuse }, path, upstream)
    if (upstream.trusted && upstream.proxyProtocol !== null) {
      warn([...path, 'trusted'], 'is not needed: proxyProtocol tells the server the client’s address already')
    }
  }
  for (const placed of identitiesOf(config)) checkIdentity({ config, refuse }, placed)
}

/** HTTP's Basic has a name and a password, and no word for whom to act as (RFC 7617). */
function checkActingInHttp({ refuse }: Pick<Check, 'refuse'>, path: readonly string[], upstream: UpstreamConfig): void {
  const { eas, identity } = upstream
  if (eas === null) return
  if (eas.identity?.method === 'authzid') {
    refuse(
      [...path, 'eas', 'identity', 'method'],
      'is authzid, and ActiveSync has no word for acting for somebody else: use stored-secret or master-user',
    )
  } else if (eas.identity === null && identity.method === 'authzid') {
    refuse(
      [...path, 'eas'],
      'has no word for acting for somebody else, which identity: authzid needs: give it an identity of its own, such as eas: { identity: { method: stored-secret } }',
    )
  }
}

/** Whether a listener has what is for a host of this machine. */
function reaches({ bind }: ListenerConfig, host: string): boolean {
  const here = host.toLowerCase() === 'localhost' ? ['127.0.0.1', '::1'] : [host]
  return here.some((ip) => isSameAddress(bind, ip))
}

/** Whom to trust is known before anybody connects: what can't be read, or has run out, would read as a wrong server then. */
function checkAuthorities(
  { refuse, warn }: Pick<Check, 'refuse' | 'warn'>,
  path: readonly PropertyKey[],
  ca: string,
): void {
  const blocks = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const certificates = blocks.map((block) => new X509Certificate(block))
    if (certificates.length === 0) throw new Error('none')
    if (certificates.every(({ validToDate }) => validToDate < new Date()))
      warn(path, 'names certificates that have all run out: no server can be trusted by them')
  } catch {
    refuse(path, 'names a file with a certificate that can’t be read: it is cut, or not in PEM form')
  }
}

function checkIdentity({ config, refuse }: Pick<Check, 'config' | 'refuse'>, { identity, path }: PlacedIdentity): void {
  if (identity.method === 'pass-through' && config.primaryPassword !== 'until-enrolled') {
    refuse(
      [...path, 'method'],
      'is pass-through, which serves primary passwords only, and primaryPassword is refuse: set primaryPassword: until-enrolled, or choose another method',
    )
  }
  if (identity.method !== 'oauth2') return
  if (identity.grant === 'service-account' && identity.provider !== 'google') {
    refuse([...path, 'grant'], 'is service-account, which only google has')
  }
  if (identity.grant === 'client-credentials' && identity.provider === 'google') {
    refuse([...path, 'grant'], 'is client-credentials, which google does not have for mail: use service-account')
  }
  if (identity.grant !== 'refresh-token' && identity.clientSecret === null) {
    refuse([...path, 'clientSecretFile'], `is missing: grant ${identity.grant} needs it`)
  }
}

/** Redis holds counters and sealed records: an open one can be flushed or filled by anybody (threat I-1). */
export function checkRedis({ config, written, refuse, warn }: Check): void {
  if (config.redis === null || written.redis === null) return
  const { mode, nodes, tls, password } = config.redis
  if (mode === 'cluster' && config.redis.database !== 0)
    refuse(['redis', 'database'], 'is not for a cluster, which has one database: remove it')
  if (written.redis.urlPassword !== null) {
    if (written.redis.passwordFile !== null)
      refuse(['redis', 'passwordFile'], 'stands beside a password in url: keep one of them')
    else warn(['redis', 'url'], 'holds a password: better a file of its own (chmod 0600), named with passwordFile')
  }
  if (written.redis.allowUnprotectedRedis || nodes.every(({ host }) => isLoopback(host))) return
  const missing = [
    ...(password === null ? ['a password (passwordFile)'] : []),
    ...(tls ? [] : ['TLS (rediss://, or tls: true)']),
  ]
  if (missing.length > 0) {
    refuse(
      ['redis'],
      `is on another machine without ${missing.join(' and ')}: add it (allowUnprotectedRedis: true goes without)`,
    )
  }
}
