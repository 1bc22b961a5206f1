/**
 * The edges' part of the configuration: no path, no way into an upstream, no secret but the keys of the certificates.
 */

import type { Config, ListenerConfig, MailListenerConfig } from '../config.ts'
import { nameRulesOf } from '../contract/names.ts'
import type { CertificatePair } from './certificates.ts'
import type { EdgeListener, EdgeSlice, HttpsListener } from './messages.ts'

/** @param edges how many share the connections */
export function edgeSlice(
  config: Config,
  certificates: readonly CertificatePair[],
  ticketKeys: string,
  edges: number,
): EdgeSlice {
  const { limits, tls, portal, eas, log, audit } = config
  return {
    limits: {
      connections: Math.max(1, Math.floor(limits.connections / edges)),
      perAddress: limits.perAddress,
      loginMs: limits.login,
      idleMs: limits.idle,
    },
    names: nameRulesOf(config),
    portalUrl: portal?.url ?? null,
    language: portal?.languages[0] ?? 'en',
    easHost: eas.host,
    upstreams: Object.entries(config.upstreams).flatMap(([name, { smtp, proxyProtocol }]) =>
      smtp === null ? [] : [{ name, protocol: 'smtp', ...smtp, proxyProtocol }],
    ),
    tls: {
      certificates: certificates.map(({ name, cert, key }) => ({ name, cert, key })),
      minVersion: tls.minVersion,
      ticketKeys,
    },
    logLevel: log.level,
    auditRequired: audit === 'required',
  }
}

export function mailListeners(config: Config): EdgeListener[] {
  return config.listeners
    .filter((listener): listener is MailListenerConfig & { readonly name: string } => 'tls' in listener)
    .map(({ name, protocol, bind, port, tls, tlsMinVersion, proxyProtocol, scanner }) => ({
      name,
      protocol,
      bind,
      port,
      tls,
      proxyFrom: proxyProtocol?.from ?? [],
      tlsMinVersion: scanner?.allowInsecureTls ?? tlsMinVersion,
      scanner: scanner && {
        allowedNetworks: scanner.allowedNetworks,
        aliases: Object.fromEntries(Object.entries(scanner.aliases).map(([alias, { user }]) => [alias, user])),
      },
    }))
}

export function httpsListeners(config: Config): HttpsListener[] {
  return config.listeners
    .filter(
      (listener): listener is Extract<ListenerConfig, { readonly protocol: 'https' }> => listener.protocol === 'https',
    )
    .map(({ name, protocol, bind, port, serves, proxyProtocol }) => ({
      name,
      protocol,
      bind,
      port,
      serves,
      proxyFrom: proxyProtocol?.from ?? [],
    }))
}

/** 'imaps://127.0.0.1:993': where a listener can be reached, for the line that says that all is up. */
export function listenerUrl(listener: EdgeListener | HttpsListener): string {
  const { protocol, bind, port } = listener
  const isSecure = 'tls' in listener && listener.tls === 'implicit'
  return `${protocol}${isSecure ? 's' : ''}://${hostPort(bind ?? '*', port)}`
}

export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
