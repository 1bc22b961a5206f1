/**
 * What mail clients are told about where to find us: one value, made from the configuration, for every writer of set-up
 * documents (autoconfig, autodiscover, profiles, DNS records).
 *
 * Pure. It holds nothing that depends on a user, so nobody learns from it who has an account.
 */

import type { Config, ListenerConfig, MailListenerConfig } from '../config.ts'
import type { SetUpKind } from './portal/set-up.ts'

export interface PublishedPort {
  readonly port: number
  readonly tls: 'implicit' | 'starttls'
}

export type PublishedProtocol = 'imap' | 'pop3' | 'smtp'

export interface PublishedSettings {
  /** The host of all ports. */
  readonly host: string
  /** What clients call the service; null: the mail domain of whoever asks. */
  readonly name: string | null
  /** Mail domains served, the first one first. */
  readonly domains: readonly string[]
  /** The best first; empty: not offered. */
  readonly ports: Readonly<Record<PublishedProtocol, readonly PublishedPort[]>>
  /** Address of ActiveSync; null: not offered. */
  readonly activeSync: string | null
  /** 'https://mail.example.org', where autoconfig and autodiscover are; null: no listener serves them. */
  readonly web: string | null
  /** Page that tells people about app passwords; null: no portal. */
  readonly helpUrl: string | null
}

/** What a device can be set up for: mail needs both ways, in and out. */
export function setUpKinds({
  ports,
  activeSync,
}: Pick<PublishedSettings, 'ports' | 'activeSync'>): readonly SetUpKind[] {
  return [
    ...(ports.imap.length > 0 && ports.smtp.length > 0 ? (['imap'] as const) : []),
    ...(activeSync === null ? [] : (['eas'] as const)),
  ]
}

const ACTIVE_SYNC_PATH = '/Microsoft-Server-ActiveSync'

/**
 * @param config where a port is 0, nobody can be told of it: give the ports that were bound
 * @returns null when there is no name to publish: no `clientSetup.host` and no portal
 */
export function publishedSettings(
  config: Pick<Config, 'clientSetup' | 'portal' | 'eas' | 'domains' | 'listeners'>,
): PublishedSettings | null {
  const { clientSetup, portal, eas, domains, listeners } = config
  const portalUrl = portal === null ? null : new URL(portal.url)
  const host = clientSetup.host ?? portalUrl?.hostname ?? null
  if (host === null) return null
  const phones = originOf(listeners, 'eas', host, portalUrl)
  const ports = (protocol: PublishedProtocol) => clientSetup[protocol] ?? portsOf(listeners, protocol)
  return {
    host,
    name: clientSetup.name,
    domains,
    ports: { imap: ports('imap'), pop3: ports('pop3'), smtp: ports('smtp') },
    activeSync: clientSetup.activeSync ?? (phones && `${withHost(phones, eas.host)}${ACTIVE_SYNC_PATH}`),
    web: originOf(listeners, 'autoconfig', host, portalUrl),
    helpUrl: portalUrl === null ? null : `${portalUrl.origin}/help`,
  }
}

/**
 * Ports of the listeners that clients may be sent to: with TLS, the first of each kind, implicit TLS before STARTTLS
 * (RFC 8314 §3). A scanner listener is known to those who need it.
 */
function portsOf(listeners: readonly ListenerConfig[], protocol: PublishedProtocol): readonly PublishedPort[] {
  const mine = listeners.filter(
    (listener): listener is MailListenerConfig & { readonly name: string } =>
      listener.protocol === protocol && listener.scanner === null && listener.port !== 0,
  )
  return (['implicit', 'starttls'] as const).flatMap((tls) => {
    const first = mine.find((listener) => listener.tls === tls)
    return first === undefined ? [] : [{ port: first.port, tls }]
  })
}

/** Where a listener serves something: as the portal's address has it, when that is the same host or listener, else as it is bound. */
function originOf(
  listeners: readonly ListenerConfig[],
  what: 'eas' | 'autoconfig',
  host: string,
  portalUrl: URL | null,
): string | null {
  const listener = listeners.find((each) => each.protocol === 'https' && each.serves.includes(what))
  if (listener?.protocol !== 'https') return null
  if (portalUrl !== null && (portalUrl.hostname === host || listener.serves.includes('portal'))) return portalUrl.origin
  const name = host.includes(':') ? `[${host}]` : host
  return new URL(`https://${name}:${listener.port}`).origin
}

/** ActiveSync may have a host name of its own, on the same port. */
function withHost(origin: string, host: string | null): string {
  const url = new URL(origin)
  if (host !== null) url.hostname = host
  return url.origin
}
