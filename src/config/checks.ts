/**
 * Checks across settings: what the declaration of single keys can't see. Table-like on purpose: one function per subject.
 *
 * A problem refuses the configuration; a warning is something that works and that nobody should want without knowing.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Config, MailListenerConfig } from '../config.ts'
import { nearest } from './problems.ts'
import { providerId } from './provider-id.ts'
import type { Settings } from './schema.ts'
import { isLoopback } from './units.ts'
import type { ProtocolKey } from './upstreams.ts'
import { PROTOCOLS } from './upstreams.ts'
import type { PathProblem } from './wording.ts'

export interface Checked {
  readonly problems: readonly PathProblem[]
  readonly warnings: readonly PathProblem[]
}

/** What a check has to work with: the finished configuration, what was written (for places), and where to complain. */
interface Check {
  readonly config: Config
  readonly written: Settings
  refuse(path: readonly PropertyKey[], message: string): void
  warn(path: readonly PropertyKey[], message: string): void
}

const CHECKS: readonly ((check: Check) => void)[] = [
  checkDomains,
  checkNames,
  checkRoutes,
  checkProtocolsServed,
  checkListeners,
  checkCertificates,
  checkUpstreams,
  checkRedis,
  checkWeb,
  checkClientSetup,
  checkLimits,
]

export function checkConfig(config: Config, written: Settings): Checked {
  const problems: PathProblem[] = []
  const warnings: PathProblem[] = []
  const check: Check = {
    config,
    written,
    refuse: (path, message) => problems.push({ path, atKey: null, message }),
    warn: (path, message) => warnings.push({ path, atKey: null, message }),
  }
  for (const run of CHECKS) run(check)
  return { problems, warnings }
}

function checkDomains({ config, refuse }: Check): void {
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
function checkNames({ config, refuse }: Check): void {
  const { allow } = config.names
  for (const [name, { identity }] of Object.entries(config.upstreams)) {
    if (identity.method !== 'master-user') continue
    const { separator } = identity
    const path = ['upstreams', name, 'identity', 'separator']
    if ([...separator].some((character) => allow.includes(character))) {
      refuse(
        ['names', 'allow'],
        `allows a character of upstreams.${name}.identity.separator: names could be read as two; take it out, or use another separator`,
      )
    } else if (/^[a-z0-9._+@-]+$/.test(separator)) {
      refuse(
        path,
        'is made of characters that user names hold: use one that they do not, such as * (and set the same upstream)',
      )
    }
  }
}

function checkRoutes({ config, written, refuse, warn }: Check): void {
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
function checkProtocolsServed({ config, refuse }: Check): void {
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

function mail(protocol: string): ProtocolKey | null {
  return PROTOCOLS.find((known) => known === protocol) ?? null
}

function checkListeners({ config, refuse, warn }: Check): void {
  for (const [index, listener] of config.listeners.entries()) {
    const path = ['listeners', index]
    const twin = config.listeners.findIndex(
      (other) =>
        other.port === listener.port && (other.bind === listener.bind || other.bind === null || listener.bind === null),
    )
    if (listener.port !== 0 && twin < index)
      refuse([...path, 'port'], `is taken by listeners[${twin}]: one port can have one listener`)
    if (listener.protocol === 'http') {
      if (listener.serves.includes('api') && !isLoopback(listener.bind)) {
        refuse(
          [...path, 'bind'],
          'must be a loopback address (127.0.0.1), because the admin API must not be on a public port',
        )
      }
      continue
    }
    if (listener.proxyProtocol?.from.some((block) => block.endsWith('/0'))) {
      warn(
        [...path, 'proxyProtocol', 'from'],
        'believes everybody: name the load balancer’s addresses, or any client can claim any address',
      )
    }
    if (listener.protocol === 'https') continue
    checkScanner({ config, refuse, warn }, listener, path)
    const isPrivate = listener.bind !== null && isLoopback(listener.bind)
    if (listener.tls !== 'none') {
      if (listener.allowCleartextLogin)
        refuse(
          [...path, 'allowCleartextLogin'],
          `is for tls: none only; with ${listener.tls} a login always has TLS: remove it`,
        )
    } else if (listener.allowCleartextLogin) {
      if (!isPrivate) warn([...path, 'allowCleartextLogin'], 'lets passwords cross the network in clear')
    } else if (!isPrivate) {
      refuse(
        [...path, 'tls'],
        'is none on an address that others can reach: use implicit or starttls, or bind to 127.0.0.1 (allowCleartextLogin: true takes passwords in clear all the same)',
      )
    }
  }
}

function checkScanner(
  { config, refuse, warn }: Pick<Check, 'config' | 'refuse' | 'warn'>,
  { scanner, tls, tlsMinVersion }: MailListenerConfig,
  listenerPath: readonly PropertyKey[],
): void {
  if (scanner === null) return
  const path = [...listenerPath, 'scanner']
  if (scanner.allowedNetworks.some((block) => block.endsWith('/0'))) {
    refuse([...path, 'allowedNetworks'], 'lets everybody in: name the network that the devices are in')
  }
  if (scanner.allowInsecureTls !== null) {
    const remedy = [...path, 'allowInsecureTls']
    if (tls === 'none') refuse(remedy, 'is for a port with TLS; with tls: none there is none: remove it')
    else if (tlsMinVersion !== null) refuse(remedy, `stands beside tlsMinVersion: ${tlsMinVersion}: keep one of them`)
    else warn(remedy, `takes ${scanner.allowInsecureTls}, which is broken: whoever listens may read passwords and mail`)
  }
  for (const [alias, { user }] of Object.entries(scanner.aliases)) {
    const domain = user.slice(user.lastIndexOf('@') + 1)
    if (!config.domains.includes(domain)) {
      refuse(
        [...path, 'aliases', alias, 'user'],
        `is not served: ${domain} is not in domains${suggest(domain, config.domains)}`,
      )
    }
  }
}

/** It goes into every profile. */
const MAX_CHAIN_CHARS = 32 * 1024

/** Whoever sets itself up by what we say needs a name to connect to, and must be able to believe a signature. */
function checkClientSetup({ config, refuse }: Check): void {
  const { host, signing } = config.clientSetup
  if (host === null && config.portal === null) {
    for (const [index, listener] of config.listeners.entries()) {
      if (listener.protocol === 'https' && listener.serves.includes('autoconfig'))
        refuse(
          ['listeners', index, 'serves'],
          'names autoconfig, but not under which name clients find us: add clientSetup: { host: mail.example.org }',
        )
    }
  }
  // A file that could not be read is null in spite of its type, and has been told of.
  if (!signing?.chain || !signing.privateKey) return
  if (signing.chain.length > MAX_CHAIN_CHARS) {
    refuse(['clientSetup', 'signing', 'chainFile'], 'is too long for a chain: name the certificate and those above it')
    return
  }
  try {
    const key = createPrivateKey(signing.privateKey.reveal())
    const path = ['clientSetup', 'signing', 'privateKeyFile']
    if (!new X509Certificate(signing.chain).checkPrivateKey(key))
      refuse(path, 'is not the key of the first certificate in chainFile')
    else if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
      refuse(path, `holds a key of type ${key.asymmetricKeyType}, which Apple’s devices do not know: use RSA or EC`)
  } catch {
    // Without OpenSSL's words: an error about a key could quote it.
    refuse(
      ['clientSetup', 'signing'],
      "names a certificate or key that can't be read as PEM, or a key with a pass phrase",
    )
  }
}

function checkCertificates({ config, warn }: Check): void {
  const needed = config.listeners.some(
    (listener) => listener.protocol === 'https' || ('tls' in listener && listener.tls !== 'none'),
  )
  if (needed && config.tls.certificates.length === 0) {
    warn(['tls', 'certificates'], 'is empty: clients get a self-made certificate, which they will not trust')
  }
}

function checkUpstreams({ config, refuse, warn }: Check): void {
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const path = ['upstreams', name]
    if (PROTOCOLS.every((protocol) => upstream[protocol] === null))
      refuse(path, 'has no section that says where it is: add imap: { host: … }')
    for (const protocol of ['imap', 'pop3', 'smtp'] as const) {
      const section = upstream[protocol]
      const remote = section?.tls === 'none' && section.hosts.some(({ host }) => !isLoopback(host))
      if (remote)
        warn([...path, protocol, 'tls'], 'is none for a host on the network: passwords and mail go there in clear')
    }
    if (upstream.eas?.url.startsWith('http:') && !isLoopback(new URL(upstream.eas.url).hostname)) {
      warn([...path, 'eas', 'url'], 'is without TLS for a host on the network: passwords and mail go there in clear')
    }
    if (upstream.eas !== null && upstream.identity.method === 'authzid') {
      refuse(
        [...path, 'eas'],
        'has no word for acting for somebody else, which identity: authzid needs: use master-user or stored-secret for an upstream of its own',
      )
    }
    if (upstream.trusted && upstream.proxyProtocol !== null) {
      warn([...path, 'trusted'], 'is not needed: proxyProtocol tells the server the client’s address already')
    }
    checkIdentity({ config, refuse, warn }, name)
  }
}

function checkIdentity({ config, refuse }: Pick<Check, 'config' | 'refuse' | 'warn'>, name: string): void {
  const identity = config.upstreams[name]?.identity
  const path = ['upstreams', name, 'identity']
  if (identity?.method === 'pass-through' && config.primaryPassword !== 'until-enrolled') {
    refuse(
      [...path, 'method'],
      'is pass-through, which serves primary passwords only, and primaryPassword is refuse: set primaryPassword: until-enrolled, or choose another method',
    )
  }
  if (identity?.method !== 'oauth2') return
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
function checkRedis({ config, written, refuse, warn }: Check): void {
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

function checkWeb({ config, refuse, warn }: Check): void {
  for (const [index, listener] of config.listeners.entries()) {
    if (listener.protocol === 'https' && listener.serves.includes('portal') && config.portal === null) {
      refuse(
        ['listeners', index, 'serves'],
        'names portal, but there is no portal section: add portal: { url: https://mail.example.org }',
      )
    }
  }
  const ldap = config.signIn?.ldap
  if (ldap?.url.startsWith('ldap:') && !ldap.startTls && !isLoopback(new URL(ldap.url).hostname)) {
    refuse(['signIn', 'ldap', 'url'], 'is without TLS, and passwords go there: use ldaps://, or startTls: true')
  }
  if (ldap?.url.startsWith('ldaps:') && ldap.startTls) {
    refuse(['signIn', 'ldap', 'startTls'], 'is for an ldap:// address: ldaps:// has TLS from the first byte')
  }
  if (ldap && !ldap.userFilter.includes('{user}')) {
    refuse(['signIn', 'ldap', 'userFilter'], 'must hold {user}, which stands for the name: (mail={user})')
  }
  const providers = config.signIn?.oidc ?? []
  if (providers.length > 0 && config.portal === null) {
    refuse(['signIn', 'oidc'], 'needs a portal to come back to: add portal: { url: https://mail.example.org }')
  }
  for (const [index, { name, issuer, linkClaim, allowedDomains }] of providers.entries()) {
    const path = ['signIn', 'oidc', index]
    const id = providerId(name)
    if (id === '') refuse([...path, 'name'], 'must hold a letter or a digit: it stands in addresses')
    if (providers.findIndex((provider) => providerId(provider.name) === id) < index)
      refuse([...path, 'name'], 'stands twice (letters and digits count): give each provider its own')
    if (providers.findIndex((provider) => provider.issuer === issuer) < index)
      refuse([...path, 'issuer'], 'stands twice: one provider for each issuer')
    if ((linkClaim === null) !== (allowedDomains.length === 0)) {
      refuse(
        [...path, linkClaim === null ? 'allowedDomains' : 'linkClaim'],
        'goes with the other: linkClaim says which claim holds the address, allowedDomains whose users it may link',
      )
    }
    for (const [at, allowed] of allowedDomains.entries()) {
      if (!config.domains.includes(allowed)) {
        refuse([...path, 'allowedDomains', at], `is not in domains${suggest(allowed, config.domains)}`)
      }
    }
    // Anybody can have an account there, with whatever address.
    if (linkClaim !== null && /\/\/login\.microsoftonline\.com\/(common|organizations|consumers)\b/.test(issuer)) {
      refuse([...path, 'linkClaim'], 'must not be used with an issuer of many organisations: name your own tenant')
    }
  }
  if (config.mail !== null) {
    const [, domain = ''] = config.mail.from.split('@')
    if (!config.domains.includes(domain)) {
      refuse(['mail', 'from'], `is of no served domain${suggest(domain, config.domains)}`)
    }
  }
  if (config.signIn !== null && !config.signIn.local && config.signIn.oidc.length === 0 && ldap === null) {
    warn(['signIn'], 'lets nobody in: local is false, and there is no oidc or ldap')
  }
}

/** A unix socket's path has room for 107 bytes; the longest name we put into the directory has 24. */
const MAX_RUNTIME_DIRECTORY_BYTES = 107 - 25
/** RFC 9051 §5.4. */
const MIN_IDLE_MS = 30 * 60_000

function checkLimits({ config, refuse, warn }: Check): void {
  if (Buffer.byteLength(config.runtimeDirectory) > MAX_RUNTIME_DIRECTORY_BYTES) {
    refuse(
      ['runtimeDirectory'],
      `is too long for sockets (${config.runtimeDirectory}): name one with at most ${MAX_RUNTIME_DIRECTORY_BYTES} bytes, such as /run/sallyport`,
    )
  }
  if (config.limits.idle < MIN_IDLE_MS) {
    warn(
      ['limits', 'idle'],
      'is below 30 minutes: clients waiting in IDLE will be cut off again and again (RFC 9051 §5.4)',
    )
  }
}

function suggest(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  if (near !== null) return `; did you mean ${near}?`
  return known.length === 0 ? '' : `; there ${known.length === 1 ? 'is' : 'are'}: ${known.slice(0, 10).join(', ')}`
}
