/**
 * A DNS server on a loopback port of its own (RFC 1035 over UDP) that answers from a table: SRV, CNAME, A. Labels are put into an
 * answer as they are, one octet a character, so that a table can hold what no name should.
 */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export type DnsAnswer =
  | { readonly type: 'A'; readonly address: string }
  | { readonly type: 'CNAME'; readonly target: string }
  | {
      readonly type: 'SRV'
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }

export interface DnsServer extends AsyncDisposable {
  /** '127.0.0.1:12345', for --server. */
  readonly address: string
  /** Replaces the table: lower-case names without a final dot. Names that are not in it don't exist. */
  set(records: Readonly<Record<string, readonly DnsAnswer[]>>): void
  /** From now on: fail (SERVFAIL), or answer again. */
  fail(fails: boolean): void
  /** 'SRV _imaps._tcp.example.org' of all questions so far. */
  readonly asked: readonly string[]
}

const TYPES = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 } as const
const NXDOMAIN = 3
const SERVFAIL = 2

export async function startDns(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  let records: Readonly<Record<string, readonly DnsAnswer[]>> = {}
  let fails = false
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = question(query)
    const typeName = Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? String(type)
    asked.push(`${typeName} ${name}`)
    const here = records[name.toLowerCase()]
    const answers = (here ?? []).filter((answer) => answer.type === typeName)
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    const code = fails ? SERVFAIL : here === undefined ? NXDOMAIN : 0
    header.writeUInt16BE(0x8580 | code, 2) // an answer, authoritative, recursion available
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(fails ? 0 : answers.length, 6)
    const bodies = fails ? [] : answers.map(resource)
    socket.send(Buffer.concat([header, query.subarray(12, end), ...bodies]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    set(next) {
      records = next
    },
    fail(next) {
      fails = next
    },
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** One resource record, its name a pointer to the question's. */
function resource(answer: DnsAnswer): Buffer {
  const data = dataOf(answer)
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(TYPES[answer.type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(60, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function dataOf(answer: DnsAnswer): Buffer {
  if (answer.type === 'A') return Buffer.from(answer.address.split('.').map(Number))
  if (answer.type === 'CNAME') return encodedName(answer.target)
  const numbers = Buffer.alloc(6)
  numbers.writeUInt16BE(answer.priority, 0)
  numbers.writeUInt16BE(answer.weight, 2)
  numbers.writeUInt16BE(answer.port, 4)
  return Buffer.concat([numbers, encodedName(answer.target)])
}

function encodedName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')])),
    Buffer.of(0),
  ])
}
