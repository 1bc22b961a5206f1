/**
 * Address blocks and lists of networks (pure).
 *
 * One household or one attacker owns an IPv4 address or an IPv6 /64, often a /48: those are what limits count by.
 */

import { BlockList, isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'

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
  if (networks.length === 0) return false
  const blocks = blocksOf(networks)
  if (blocks.last?.ip !== ip) blocks.last = { ip, isIn: isIn(ip, blocks) }
  return blocks.last.isIn
}

function isIn(ip: string, blocks: Blocks): boolean {
  const family = isIP(ip)
  if (family === 0) return false
  const type = family === 6 ? 'ipv6' : 'ipv4'
  return blocks[type].check(ip, type)
}

/** A memory of what was read, and of nothing else: the lists of records and of the configuration never change. */
const read = new WeakMap<readonly string[], Blocks>()
/**
 * The same by what stands in them, for rows that were just read: making lists of blocks takes long enough for a clock to tell
 * (invariant 6).
 */
const readBefore = new LRUCache<string, Blocks>({ max: 1000 })

/** Apart, because a BlockList takes an IPv4 address for its mapped IPv6 one: ::/0 would hold it. */
interface Blocks {
  readonly ipv4: BlockList
  readonly ipv6: BlockList
  /** The last answer: one login asks the same several times, and a wrong network must not be told by it (invariant 6). */
  last: { readonly ip: string; readonly isIn: boolean } | null
}

function blocksOf(networks: readonly string[]): Blocks {
  const known = read.get(networks) ?? readBefore.get(networks.join(' '))
  if (known) {
    read.set(networks, known)
    return known
  }
  const blocks: Blocks = { ipv4: new BlockList(), ipv6: new BlockList(), last: null }
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address)
    const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix)
    if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > (family === 4 ? 32 : 128)) continue
    const type = family === 6 ? 'ipv6' : 'ipv4'
    blocks[type].addSubnet(address, bits, type)
  }
  read.set(networks, blocks)
  readBefore.set(networks.join(' '), blocks)
  return blocks
}
