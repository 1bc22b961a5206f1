/**
 * Address blocks and lists of networks (pure).
 *
 * One household or one attacker owns an IPv4 address or an IPv6 /64, often a /48: those are what limits count by.
 */

import ipaddr from 'ipaddr.js'

/** The blocks that an address is counted under: `host` is the v4 /32 or v6 /64, `site` the v6 /48 (null for v4). */
export interface AddressBlocks {
  readonly host: string
  readonly site: string | null
}

/** @param ip as `Peer` carries it: normalised, no v4-mapped v6. Text that is no address is its own block. */
export function addressBlocks(ip: string): AddressBlocks {
  if (!ip.includes(':')) return { host: ip, site: null }
  if (!ipaddr.IPv6.isValid(ip)) return { host: ip, site: null }
  const parts = ipaddr.IPv6.parse(ip).parts.map((part) => part.toString(16))
  return { host: `${parts.slice(0, 4).join(':')}::/64`, site: `${parts.slice(0, 3).join(':')}::/48` }
}

/** Whether `ip` lies in one of `networks` (CIDR blocks or single addresses). An address or network that can't be read never matches. */
export function inNetworks(ip: string, networks: readonly string[]): boolean {
  if (networks.length === 0 || !ipaddr.isValid(ip)) return false
  const address = ipaddr.process(ip)
  return networks.some((network) => {
    const block = parseNetwork(network)
    if (block === null) return false
    const [base, prefix] = block
    return base.kind() === address.kind() && address.match(base, prefix)
  })
}

/** A CIDR block or a single address; null when the text is neither. */
export function parseNetwork(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] | null {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text)
  if (!ipaddr.isValid(text)) return null
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}
