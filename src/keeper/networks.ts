/**
 * Address blocks and lists of networks (pure).
 *
 * One household or one attacker owns an IPv4 address or an IPv6 /64, often a /48: those are what limits count by.
 */

import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import type { NetworkList } from '../contract/network-list.ts'
import { networkList, readNetworks } from '../contract/network-list.ts'
import { inPieces } from '../records/in-pieces.ts'

/** Read in one turn of the event loop: some 2 ms. */
const NETWORKS_A_TURN = 500

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
  const known = listOf(networks)
  if (known.last?.ip !== ip) known.last = { ip, isIn: known.list.has(ip) }
  return known.last.isIn
}

/** Has a list ready before the first question: compiling a long one in pieces keeps nobody waiting. */
export async function prepareNetworks(networks: readonly string[]): Promise<void> {
  if (read.has(networks)) return
  const reader = readNetworks()
  await inPieces(networks, NETWORKS_A_TURN, reader.add)
  read.set(networks, { list: reader.list(), last: null })
}

interface KnownList {
  readonly list: NetworkList
  /** The last answer: one login asks the same several times, and a wrong network must not be told by it (invariant 6). */
  last: { readonly ip: string; readonly isIn: boolean } | null
}

/** A memory of what was read, and of nothing else: the lists of records and of the configuration never change. */
const read = new WeakMap<readonly string[], KnownList>()
/**
 * The same by what stands in them, for rows that were just read: compiling a list takes long enough for a clock to tell
 * (invariant 6).
 */
const readBefore = new LRUCache<string, KnownList>({ max: 1000 })

function listOf(networks: readonly string[]): KnownList {
  const itself = read.get(networks)
  if (itself) return itself
  const text = networks.join(' ')
  const known = readBefore.get(text) ?? { list: networkList(networks), last: null }
  read.set(networks, known)
  readBefore.set(text, known)
  return known
}
