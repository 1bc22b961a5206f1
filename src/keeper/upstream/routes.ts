/**
 * Routes: which upstream a user's sessions go to, and where that is for a protocol (pure).
 */

import type { Config, IdentityConfig } from '../../config.ts'
import type { Endpoint, ProtocolName, TlsMode } from '../../contract/admission.ts'

/** An upstream as a grant needs it, but for the identity. */
export interface Route {
  /** The upstream's name in the configuration. */
  readonly name: string
  readonly identity: IdentityConfig
  readonly trusted: boolean
  readonly proxyProtocol: 'v1' | 'v2' | null
  readonly hosts: readonly Endpoint[]
  readonly tls: TlsMode
  readonly ca: string | null
  readonly serverName: string | null
  readonly http?: { readonly host: string; readonly path: string }
}

export type Routed =
  | { readonly ok: true; readonly route: Route }
  /** A gap in the configuration, in words for the log. */
  | { readonly ok: false; readonly why: string }

export type RoutesConfig = Pick<Config, 'routes' | 'upstreams'>

const HTTP_PORTS: Readonly<Record<string, number>> = { 'https:': 443, 'http:': 80 }

/** @param address the account's canonical address */
export function routeFor(config: RoutesConfig, address: string, protocol: ProtocolName): Routed {
  const name = upstreamOf(config, address)
  if (name === null) return { ok: false, why: `no route leads ${address} to an upstream` }
  const upstream = Object.hasOwn(config.upstreams, name) ? config.upstreams[name] : undefined
  if (!upstream) return { ok: false, why: `a route names the upstream "${name}", which is not configured` }
  const { identity, trusted, proxyProtocol } = upstream
  const common = { name, identity, trusted, proxyProtocol }
  if (protocol === 'eas') {
    if (upstream.eas === null) return { ok: false, why: `upstream "${name}" has no eas section` }
    const { url, ca, serverName, identity: own } = upstream.eas
    return { ok: true, route: { ...common, ...httpPlace(url), ca, serverName, identity: own ?? identity } }
  }
  const section = upstream[protocol]
  if (section === null) return { ok: false, why: `upstream "${name}" has no ${protocol} section` }
  const { hosts, tls, ca, serverName } = section
  return { ok: true, route: { ...common, hosts, tls, ca, serverName } }
}

/** Where ActiveSync is at an address of the configuration. */
export function httpPlace(address: string): Required<Pick<Route, 'hosts' | 'tls' | 'http'>> {
  const url = new URL(address)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (HTTP_PORTS[url.protocol] ?? 443) : Number(url.port)
  // Where the whole path is given, its last part is the protocol's own.
  const path = url.pathname.replace(/\/(?:microsoft-server-activesync\/?)?$/i, '')
  return {
    hosts: [{ host, port }],
    tls: url.protocol === 'https:' ? 'implicit' : 'none',
    http: { host: url.host, path },
  }
}

/** A route by user goes before one by domain, wherever it stands; null: none leads anywhere. */
export function upstreamOf(config: Pick<RoutesConfig, 'routes'>, address: string): string | null {
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const route =
    config.routes.find(({ users }) => users?.includes(address)) ?? config.routes.find((each) => each.domain === domain)
  return route?.upstream ?? null
}
