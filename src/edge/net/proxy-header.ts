/**
 * PROXY protocol headers, versions 1 and 2: parse and format. Pure.
 *
 * "The PROXY protocol, versions 1 & 2" (HAProxy), §2.1 for the text form, §2.2 for the binary one. TLVs are skipped; a header
 * is read whole before anything in it is believed.
 */

import { isIPv4, isIPv6 } from 'node:net'

/** The connection as the proxy in front of us saw it. */
export interface ProxiedAddresses {
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string
  readonly destinationPort: number
}

export type ProxyHeader =
  /** Not enough bytes yet. */
  | { readonly kind: 'more' }
  /** `length` bytes are the header. `addresses` null: the proxy speaks for itself (LOCAL) or does not say (UNKNOWN, UNSPEC). */
  | { readonly kind: 'done'; readonly length: number; readonly addresses: ProxiedAddresses | null }
  | { readonly kind: 'bad'; readonly why: string }

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** §2.1: the longest text header, CRLF included. */
const MAX_V1 = 107
/** Addresses and TLVs of the binary header. The format allows 64 KiB; nobody sends more than a few hundred bytes. */
const MAX_V2_BODY = 4096
const V2_HEAD = 16

const MORE: ProxyHeader = { kind: 'more' }
const bad = (why: string): ProxyHeader => ({ kind: 'bad', why })

/** Looks for a header at the start of what a connection sent so far. Call again with more after 'more'. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return MORE
  const start = bytes.subarray(0, SIGNATURE.length)
  if (start.equals(SIGNATURE.subarray(0, start.length))) return bytes.length < V2_HEAD ? MORE : parseV2(bytes)
  const word = bytes.toString('latin1', 0, 6)
  if (word === 'PROXY '.slice(0, word.length)) return parseV1(bytes)
  return bad('the connection did not begin with a PROXY header')
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1).indexOf('\r\n')
  if (end < 0) return bytes.length >= MAX_V1 ? bad('a PROXY line longer than 107 bytes') : MORE
  const [, family = '', source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] = bytes
    .toString('latin1', 0, end)
    .split(' ')
  const length = end + 2
  // §2.1: whatever follows UNKNOWN must be ignored.
  if (family === 'UNKNOWN') return { kind: 'done', length, addresses: null }
  const isIp = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null
  if (isIp === null) return bad('a PROXY line for neither TCP4, TCP6 nor UNKNOWN')
  if (rest.length > 0 || !isIp(source) || !isIp(destination) || source.includes('%') || destination.includes('%')) {
    return bad('a PROXY line with wrong addresses')
  }
  const from = parsePort(sourcePort)
  const to = parsePort(destinationPort)
  if (from === null || to === null) return bad('a PROXY line with wrong ports')
  return {
    kind: 'done',
    length,
    addresses: {
      sourceIp: unmapped(source),
      sourcePort: from,
      destinationIp: unmapped(destination),
      destinationPort: to,
    },
  }
}

function parsePort(text: string): number | null {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text)) return null
  const port = Number(text)
  return port <= 65_535 ? port : null
}

function parseV2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const bodyLength = bytes.readUInt16BE(14)
  if (versionAndCommand >> 4 !== 2) return bad(`a PROXY header of version ${versionAndCommand >> 4}`)
  const command = versionAndCommand & 0x0f
  if (command > 1) return bad(`a PROXY header with command ${command}`)
  if (bodyLength > MAX_V2_BODY) return bad(`a PROXY header of ${bodyLength} bytes`)
  const length = V2_HEAD + bodyLength
  if (bytes.length < length) return MORE
  // §2.2: LOCAL is the proxy's own connection, such as a health check; its addresses must be ignored.
  if (command === 0) return { kind: 'done', length, addresses: null }
  const body = bytes.subarray(V2_HEAD, length)
  switch (family) {
    case 0x00: // UNSPEC
      return { kind: 'done', length, addresses: null }
    case 0x11: // TCP over IPv4
      if (bodyLength < 12) return bad('a PROXY header too short for IPv4')
      return { kind: 'done', length, addresses: addressesOf(body, 4, ipv4At) }
    case 0x21: // TCP over IPv6
      if (bodyLength < 36) return bad('a PROXY header too short for IPv6')
      return { kind: 'done', length, addresses: addressesOf(body, 16, ipv6At) }
    default:
      return bad(`a PROXY header for the family 0x${family.toString(16)}`)
  }
}

function addressesOf(body: Buffer, size: number, at: (body: Buffer, offset: number) => string): ProxiedAddresses {
  return {
    sourceIp: unmapped(at(body, 0)),
    destinationIp: unmapped(at(body, size)),
    sourcePort: body.readUInt16BE(2 * size),
    destinationPort: body.readUInt16BE(2 * size + 2),
  }
}

const ipv4At = (body: Buffer, offset: number): string => [...body.subarray(offset, offset + 4)].join('.')

function ipv6At(body: Buffer, offset: number): string {
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(body.readUInt16BE(offset + i).toString(16))
  // The URL parser writes IPv6 addresses in their canonical form (RFC 5952).
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** An IPv4 address that came as IPv6 (RFC 4291 §2.5.5.2) as what it is; IPv6 in its canonical form; anything else as it is. */
export function unmapped(ip: string): string {
  if (!isIPv6(ip) || ip.includes('%')) return ip.split('%')[0] ?? ip
  const canonical = new URL(`http://[${ip}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  if (mapped === null) return canonical
  const high = Number.parseInt(mapped[1] ?? '0', 16)
  const low = Number.parseInt(mapped[2] ?? '0', 16)
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** The header that tells a server behind us who its client is. Addresses of two families are written as IPv6. */
export function formatProxyHeader(version: 'v1' | 'v2', addresses: ProxiedAddresses): Buffer {
  const { sourceIp, sourcePort, destinationIp, destinationPort } = addresses
  const isV4 = isIPv4(sourceIp) && isIPv4(destinationIp)
  const source = isV4 ? sourceIp : asIpv6(sourceIp)
  const destination = isV4 ? destinationIp : asIpv6(destinationIp)
  if (version === 'v1') {
    const line = `PROXY ${isV4 ? 'TCP4' : 'TCP6'} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`
    return Buffer.from(line, 'latin1')
  }
  const size = isV4 ? 4 : 16
  const header = Buffer.alloc(V2_HEAD + 2 * size + 4)
  SIGNATURE.copy(header)
  header.writeUInt8(0x21, 12)
  header.writeUInt8(isV4 ? 0x11 : 0x21, 13)
  header.writeUInt16BE(2 * size + 4, 14)
  octetsOf(source).copy(header, V2_HEAD)
  octetsOf(destination).copy(header, V2_HEAD + size)
  header.writeUInt16BE(sourcePort, V2_HEAD + 2 * size)
  header.writeUInt16BE(destinationPort, V2_HEAD + 2 * size + 2)
  return header
}

const asIpv6 = (ip: string): string => (isIPv4(ip) ? `::ffff:${ip}` : ip)

function octetsOf(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.from(ip.split('.').map(Number))
  const canonical = new URL(`http://[${ip}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  const octets = Buffer.alloc(16)
  for (const [i, group] of all.entries()) octets.writeUInt16BE(Number.parseInt(group, 16), 2 * i)
  return octets
}
