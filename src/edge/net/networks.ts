/**
 * Lists of networks: who must bring a PROXY header, who may connect at all.
 */

import { BlockList, isIPv6 } from 'node:net'

export interface Networks {
  /** @param ip not a v4-mapped one */
  has(ip: string): boolean
}

/** @param blocks CIDR blocks and single addresses, checked by the configuration; none: nobody is in them */
export function networksOf(blocks: readonly string[]): Networks {
  const list = new BlockList()
  for (const block of blocks) {
    const [address = '', prefix] = block.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  return { has: (ip) => list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4') }
}
