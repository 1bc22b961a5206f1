/**
 * What is open to strangers: listeners, their certificates, ports for devices that know no better.
 */

import { isIP } from 'node:net'
import type { MailListenerConfig } from '../../config.ts'
import { isLoopback, isNearlyEverybody } from '../units.ts'
import type { Check } from './check.ts'
import { slipOfTls, suggest } from './check.ts'

export function checkListeners({ config, refuse, warn }: Check): void {
  for (const [index, listener] of config.listeners.entries()) {
    const path = ['listeners', index]
    const twin = config.listeners.findIndex(
      (other) => other.port === listener.port && isSameAddress(other.bind, listener.bind),
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
    if (listener.proxyProtocol?.from.some(isNearlyEverybody)) {
      warn(
        [...path, 'proxyProtocol', 'from'],
        'believes everybody: name the load balancer’s addresses, or any client can claim any address',
      )
    }
    if (listener.protocol === 'https') continue
    checkScanner({ config, refuse, warn }, listener, path)
    const slip = slipOfTls(listener)
    if (slip !== null) warn([...path, 'tls'], `${slip}: clients that are set up as usual can’t connect`)
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

/** Whether something that listens at the one gets what is for the other; null: listens at all addresses. */
export function isSameAddress(one: string | null, other: string | null): boolean {
  const [a, b] = [one, other].map((bind) => (bind === null ? '::' : canonical(bind)))
  if (a === b || a === '::' || b === '::') return true
  return (a === '0.0.0.0' && isIP(b ?? '') === 4) || (b === '0.0.0.0' && isIP(a ?? '') === 4)
}

/** One spelling of an address. */
function canonical(ip: string): string {
  return isIP(ip) === 6 && !ip.includes('%') ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip
}

function checkScanner(
  { config, refuse, warn }: Pick<Check, 'config' | 'refuse' | 'warn'>,
  { scanner, tls, tlsMinVersion }: MailListenerConfig,
  listenerPath: readonly PropertyKey[],
): void {
  if (scanner === null) return
  const path = [...listenerPath, 'scanner']
  if (scanner.allowedNetworks.some(isNearlyEverybody)) {
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

export function checkCertificates({ config, warn }: Check): void {
  const needed = config.listeners.some(
    (listener) => listener.protocol === 'https' || ('tls' in listener && listener.tls !== 'none'),
  )
  if (needed && config.tls.certificates.length === 0) {
    warn(['tls', 'certificates'], 'is empty: clients get a self-made certificate, which they will not trust')
  }
}
