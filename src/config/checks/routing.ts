/**
 * Who goes where: the domains served, the names in them, the routes to upstreams.
 */

import { identitiesOf } from '../identities.ts'
import { keyText } from '../problems.ts'
import type { ProtocolKey } from '../upstreams.ts'
import { PROTOCOLS } from '../upstreams.ts'
import type { Check } from './check.ts'
import { suggest } from './check.ts'

export function checkDomains({ config, refuse }: Check): void {
  for (const [index, domain] of config.domains.entries()) {
    if (config.domains.indexOf(domain) < index) refuse(['domains', index], 'stands twice: remove one')
  }
  for (const [windows, domain] of Object.entries(config.names.windowsDomains)) {
    if (!config.domains.includes(domain)) {
      refuse(
        ['names', 'windowsDomains', windows],
        `leads to ${domain}, which is not in domains${suggest(domain, config.domains)}`,
      )
    }
  }
}

/** A name that holds a separator could be read upstream as two names (threat C1). */
export function checkNames({ config, refuse }: Check): void {
  const { allow } = config.names
  for (const { identity, path: at } of identitiesOf(config)) {
    if (identity.method !== 'master-user') continue
    const { separator } = identity
    const path = [...at, 'separator']
    if ([...separator].some((character) => allow.includes(character))) {
      refuse(
        ['names', 'allow'],
        `allows a character of ${keyText(path)}: names could be read as two; take it out, or use another separator`,
      )
    } else if (/^[a-z0-9._+@-]+$/.test(separator)) {
      refuse(
        path,
        'is made of characters that user names hold: use one that they do not, such as * (and set the same upstream)',
      )
    }
  }
}

export function checkRoutes({ config, written, refuse, warn }: Check): void {
  const upstreams = Object.keys(config.upstreams)
  const seen = new Set<string>()
  for (const [index, route] of written.routes.entries()) {
    if (!Object.hasOwn(config.upstreams, route.upstream)) {
      refuse(
        ['routes', index, 'upstream'],
        `leads to an upstream that is not there${suggest(route.upstream, upstreams)}`,
      )
    }
    const targets =
      route.users?.map((user, at) => ({ name: user, path: ['routes', index, 'users', at] })) ??
      (route.domain === null ? [] : [{ name: route.domain, path: ['routes', index, 'domain'] }])
    for (const { name, path } of targets) {
      const domain = name.slice(name.lastIndexOf('@') + 1)
      if (!config.domains.includes(domain))
        refuse(path, `is not served: ${domain} is not in domains${suggest(domain, config.domains)}`)
      if (seen.has(name)) refuse(path, 'has a route already: remove one of them')
      seen.add(name)
    }
  }
  if (written.routes.length === 0 && upstreams.length > 1) {
    refuse(
      ['routes'],
      `is missing: there are ${upstreams.length} upstreams, so say who goes where: [{ domain: ${config.domains[0]}, upstream: ${upstreams[0]} }]`,
    )
    return
  }
  for (const [index, domain] of config.domains.entries()) {
    if (
      config.routes.some((route) => route.domain === domain || route.users?.some((user) => user.endsWith(`@${domain}`)))
    )
      continue
    refuse(
      ['domains', index],
      `has no route, so nobody of it could log in: add { domain: ${domain}, upstream: ${upstreams[0]} } to routes`,
    )
  }
  for (const name of upstreams) {
    if (!config.routes.some((route) => route.upstream === name))
      warn(['upstreams', name], 'is not used: no route leads there')
  }
}

/** Whoever can connect must have somewhere to go: every protocol listened to exists behind every route. */
export function checkProtocolsServed({ config, refuse }: Check): void {
  for (const [index, listener] of config.listeners.entries()) {
    const protocol: ProtocolKey | null =
      listener.protocol === 'https' ? (listener.serves.includes('eas') ? 'eas' : null) : mail(listener.protocol)
    if (protocol === null) continue
    const without = new Set(
      config.routes
        .map((route) => route.upstream)
        .filter((name) => Object.hasOwn(config.upstreams, name) && !config.upstreams[name]?.[protocol]),
    )
    for (const name of without) {
      refuse(
        ['listeners', index],
        `takes ${protocol}, but upstreams.${name}, where a route leads, has no ${protocol} section: add one there, or remove this`,
      )
    }
  }
}

/** Something that is there for clients, and no port leads to it: half a service that looks whole. */
export function checkSomethingServed({ config, warn }: Check): void {
  const served = new Set<string>(
    config.listeners.flatMap((listener): readonly string[] =>
      listener.protocol === 'https' ? listener.serves : [listener.protocol],
    ),
  )
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    if (!config.routes.some((route) => route.upstream === name)) continue // told of already
    for (const protocol of PROTOCOLS) {
      if (upstream[protocol] === null || served.has(protocol)) continue
      if (protocol === 'smtp' && config.mail !== null) continue // our own mails go there
      warn(
        ['upstreams', name, protocol],
        `is not used: no listener takes ${protocol}; add ${LISTENERS[protocol]} to listeners, or remove this`,
      )
    }
  }
  if (config.portal !== null && !served.has('portal')) {
    warn(['portal'], `is served by no listener, so nobody can open it: add ${httpsFor('portal')} to listeners`)
  }
  if (config.eas.host !== null && !served.has('eas')) {
    warn(['eas', 'host'], `is served by no listener: add ${httpsFor('eas')} to listeners, or remove this`)
  }
}

const httpsFor = (what: string) => `{ protocol: https, port: 443, serves: [${what}] } (or ${what} to what one serves)`

const LISTENERS: Readonly<Record<ProtocolKey, string>> = {
  imap: '{ protocol: imap, port: 993, tls: implicit }',
  pop3: '{ protocol: pop3, port: 995, tls: implicit }',
  smtp: '{ protocol: smtp, port: 465, tls: implicit }',
  eas: httpsFor('eas'),
}

function mail(protocol: string): ProtocolKey | null {
  return PROTOCOLS.find((known) => known === protocol) ?? null
}
