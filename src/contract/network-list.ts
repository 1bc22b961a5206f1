/**
 * A list of networks, compiled: a question is one binary search, however long the list is (pure). One reading for all who ask:
 * what an edge lets connect, what the keeper counts and lets an app password be used from.
 *
 * node:net's BlockList goes through all of them at each question, and takes 3 µs to be told of one. Here an address is its
 * hexadecimal digits, 8 for IPv4 and 32 for IPv6, which sort as the addresses do.
 */

import { isIP } from 'node:net'

export interface NetworkList {
  /** Text that is no address is in none. */
  has(ip: string): boolean
}

/** From the first address of each to its last; in order, and no two share an address. */
interface Ranges {
  readonly first: string[]
  readonly last: string[]
}

const IPV4_DIGITS = 8
const IPV6_DIGITS = 32

/**
 * The families are apart: an IPv4 address is in no IPv6 block, not even in `::/0`.
 *
 * @param networks CIDR blocks and single addresses; one that can't be read holds nobody
 */
export function networkList(networks: readonly string[]): NetworkList {
  const reader = readNetworks()
  reader.add(networks)
  return reader.list()
}

/** The same a part at a time: some 4 µs for each network. */
export function readNetworks(): { add(networks: readonly string[]): void; list(): NetworkList } {
  const blocks: Blocks = { ipv4: [], ipv6: [] }
  return { add: (networks) => read(networks, blocks), list: () => listOf(blocks) }
}

/** Each is its first and its last address, one behind the other. */
interface Blocks {
  readonly ipv4: string[]
  readonly ipv6: string[]
}

function read(networks: readonly string[], { ipv4, ipv6 }: Blocks): void {
  for (const network of networks) {
    const slash = network.indexOf('/')
    const digits = digitsOf(slash < 0 ? network : network.slice(0, slash))
    const prefix = slash < 0 ? null : network.slice(slash + 1)
    if (digits === null || (prefix !== null && !/^\d{1,3}$/.test(prefix))) continue
    const width = digits.length * 4
    const bits = prefix === null ? width : Number(prefix)
    if (bits > width) continue
    const blocks = digits.length === IPV4_DIGITS ? ipv4 : ipv6
    blocks.push(filled(digits, bits, 0) + filled(digits, bits, 15))
  }
}

function listOf(blocks: Blocks): NetworkList {
  const [ipv4, ipv6] = [rangesOf(blocks.ipv4), rangesOf(blocks.ipv6)]
  return {
    has(ip) {
      const digits = digitsOf(ip)
      if (digits === null) return false
      return isInOne(digits.length === IPV4_DIGITS ? ipv4 : ipv6, digits)
    },
  }
}

/** null: no address, or one with a zone. */
function digitsOf(text: string): string | null {
  const family = isIP(text)
  if (family === 4) return ipv4Digits(text)
  return family === 6 && !text.includes('%') ? ipv6Digits(text) : null
}

function ipv4Digits(text: string): string {
  let value = 0
  for (const part of text.split('.')) value = value * 256 + Number(part)
  return value.toString(16).padStart(IPV4_DIGITS, '0')
}

function ipv6Digits(text: string): string {
  // RFC 4291 §2.2: the last 32 bits may be written as an IPv4 address.
  const dotted = text.includes('.') ? text.lastIndexOf(':') + 1 : text.length
  const end = dotted < text.length ? ipv4Digits(text.slice(dotted)) : ''
  const [head = '', tail] = text.slice(0, dotted).split('::')
  if (tail === undefined) return groups(head) + end
  const before = groups(head)
  return before + (groups(tail) + end).padStart(IPV6_DIGITS - before.length, '0')
}

/** `2001:db8` → `20010db8`; a colon at the end does nothing. */
function groups(text: string): string {
  let digits = ''
  for (const group of text.split(':')) if (group !== '') digits += group.toLowerCase().padStart(4, '0')
  return digits
}

/** The first `bits` bits as they are, behind them all 0 or all 1. */
function filled(digits: string, bits: number, fill: 0 | 15): string {
  const whole = bits >> 2
  if (bits % 4 === 0) return digits.slice(0, whole).padEnd(digits.length, fill.toString(16))
  const rest = 15 >> (bits % 4)
  const digit = (Number.parseInt(digits.charAt(whole), 16) & ~rest) | (fill & rest)
  return (digits.slice(0, whole) + digit.toString(16)).padEnd(digits.length, fill.toString(16))
}

/** @param blocks sorted in place */
function rangesOf(blocks: string[]): Ranges {
  const ranges: Ranges = { first: [], last: [] }
  let end = ''
  for (const block of blocks.sort()) {
    const [first, last] = [block.slice(0, block.length / 2), block.slice(block.length / 2)]
    if (first > end) {
      ranges.first.push(first)
      ranges.last.push(last)
    } else if (last > end) ranges.last[ranges.last.length - 1] = last
    else continue
    end = last
  }
  return ranges
}

function isInOne({ first, last }: Ranges, digits: string): boolean {
  // The last range that begins at or before it.
  let [from, to] = [0, first.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((first[middle] ?? '') <= digits) from = middle + 1
    else to = middle
  }
  return digits <= (last[from - 1] ?? '')
}
