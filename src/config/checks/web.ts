/**
 * What browsers and set-up programs are served: the portal, how people sign in to it, mails, profiles.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { providerId } from '../provider-id.ts'
import { isLoopback } from '../units.ts'
import type { Check } from './check.ts'
import { suggest } from './check.ts'

export function checkPortal({ config, refuse }: Check): void {
  const { portal, eas, listeners } = config
  for (const [index, listener] of listeners.entries()) {
    if (listener.protocol === 'https' && listener.serves.includes('portal') && portal === null) {
      refuse(
        ['listeners', index, 'serves'],
        'names portal, but there is no portal section: add portal: { url: https://mail.example.org }',
      )
    }
  }
  if (portal === null) return
  const { pathname, search, hash, hostname } = new URL(portal.url)
  if (pathname !== '/' || search !== '' || hash !== '') {
    refuse(['portal', 'url'], 'must end behind the host: the portal’s pages are at its top (https://mail.example.org)')
  }
  if (eas.host === hostname) {
    refuse(
      ['eas', 'host'],
      'is the host of portal.url, where nothing but ActiveSync would be served: give it another name',
    )
  }
}

export function checkSignIn(check: Check): void {
  const { config, warn } = check
  if (config.signIn === null) return
  const { local, oidc, ldap } = config.signIn
  if (ldap !== null) checkDirectory(check, ldap)
  checkProviders(check, oidc)
  if (!local && oidc.length === 0 && ldap === null) {
    warn(['signIn'], 'lets nobody in: local is false, and there is no oidc or ldap')
  }
}

type SignIn = NonNullable<Check['config']['signIn']>

function checkDirectory({ refuse }: Check, ldap: NonNullable<SignIn['ldap']>): void {
  if (ldap.url.startsWith('ldap:') && !ldap.startTls && !isLoopback(new URL(ldap.url).hostname)) {
    refuse(['signIn', 'ldap', 'url'], 'is without TLS, and passwords go there: use ldaps://, or startTls: true')
  }
  if (ldap.url.startsWith('ldaps:') && ldap.startTls) {
    refuse(['signIn', 'ldap', 'startTls'], 'is for an ldap:// address: ldaps:// has TLS from the first byte')
  }
  if (!ldap.userFilter.includes('{user}')) {
    refuse(['signIn', 'ldap', 'userFilter'], 'must hold {user}, which stands for the name: (mail={user})')
  } else if (!isInParentheses(ldap.userFilter)) {
    refuse(
      ['signIn', 'ldap', 'userFilter'],
      'has a parenthesis too few or too many: (&(objectClass=person)(mail={user}))',
    )
  }
}

/** A filter is one pair of parentheses with others inside; in a value they are written \28 and \29. */
function isInParentheses(filter: string): boolean {
  const characters = [...filter]
  let open = 0
  for (const [at, character] of characters.entries()) {
    if (character === '(') open += 1
    else if (character === ')') open -= 1
    if (open <= 0 && at < characters.length - 1) return false
  }
  return open === 0
}

function checkProviders({ config, refuse }: Check, providers: SignIn['oidc']): void {
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
}

export function checkMail({ config, refuse, warn }: Check): void {
  if (config.mail === null) return
  const { from } = config.mail
  const [, domain = ''] = from.split('@')
  if (!config.domains.includes(domain)) {
    refuse(['mail', 'from'], `is of no served domain${suggest(domain, config.domains)}`)
    return
  }
  const route = config.routes.find(({ users, domain: of }) => users?.includes(from) ?? of === domain)
  if (route !== undefined && config.upstreams[route.upstream]?.smtp === null) {
    warn(['mail', 'from'], `sends nothing: upstreams.${route.upstream}, which should, has no smtp section`)
  }
}

/** It goes into every profile. */
const MAX_CHAIN_CHARS = 32 * 1024

/** Whoever sets itself up by what we say needs a name to connect to, and must be able to believe a signature. */
export function checkClientSetup({ config, refuse }: Check): void {
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
