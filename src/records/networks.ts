/**
 * Networks that an app password may be used from, as an administrator types them → CIDR blocks in one spelling. Pure.
 */

import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** `::ffff:0:0/96`: an IPv4 address in IPv6 clothes. */
const MAPPED_BITS = 96

/**
 * `10.1.2.3/8` → `10.0.0.0/8`, `192.0.2.7` → `192.0.2.7/32`, `2001:DB8::1/32` → `2001:db8::/32`, `::ffff:10.0.0.0/104` →
 * `10.0.0.0/8`. null: not an address or block in a form that everybody reads alike (no octal, no short forms, no zones).
 */
export function normaliseNetwork(raw: string): string | null {
  const [address = '', prefix, more] = raw.trim().split('/')
  if (more !== undefined || isIP(address) === 0 || address.includes('%')) return null
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return null
  let parsed = ipaddr.parse(address)
  let bits = prefix === undefined ? (parsed.kind() === 'ipv4' ? 32 : 128) : Number(prefix)
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress()) {
    if (bits < MAPPED_BITS) return null
    parsed = parsed.toIPv4Address()
    bits -= MAPPED_BITS
  }
  const bytes = parsed.toByteArray()
  if (bits > bytes.length * 8) return null
  const network = bytes.map((byte, i) => byte & (0xff << Math.max(0, 8 - Math.max(0, bits - i * 8))) & 0xff)
  return `${ipaddr.fromByteArray(network).toString()}/${bits}`
}
