import t from 'tap'
import { formatProxyHeader, parseProxyHeader, unmapped } from '../../../src/edge/net/proxy-header.ts'

const v4 = { sourceIp: '192.0.2.7', sourcePort: 40_001, destinationIp: '198.51.100.3', destinationPort: 993 }
const v6 = { sourceIp: '2001:db8::7', sourcePort: 1, destinationIp: '2001:db8:0:1::3', destinationPort: 65_535 }
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'

function v2(versionAndCommand: number, family: number, body: Buffer, length = body.length): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt8(versionAndCommand, 0)
  head.writeUInt8(family, 1)
  head.writeUInt16BE(length, 2)
  return Buffer.concat([Buffer.from(SIGNATURE, 'latin1'), head, body])
}
const body4 = Buffer.from([192, 0, 2, 7, 198, 51, 100, 3, 0x9c, 0x41, 3, 0xe1])

t.test('what is formatted is parsed, in both versions and families; every beginning of it wants more', async (t) => {
  for (const version of ['v1', 'v2'] as const) {
    for (const addresses of [v4, v6]) {
      const header = formatProxyHeader(version, addresses)
      const bytes = Buffer.concat([header, Buffer.from('a1 NOOP\r\n')])
      t.strictSame(
        parseProxyHeader(bytes),
        { kind: 'done', length: header.length, addresses },
        `${version} ${addresses.sourceIp}`,
      )
      for (let cut = 0; cut < header.length; cut++) {
        if (parseProxyHeader(header.subarray(0, cut)).kind !== 'more') t.fail(`${version} cut at ${cut}`)
      }
    }
  }
  t.equal(String(formatProxyHeader('v1', v4)), 'PROXY TCP4 192.0.2.7 198.51.100.3 40001 993\r\n')
  t.equal(
    String(formatProxyHeader('v1', { ...v4, destinationIp: '::1' })),
    'PROXY TCP6 ::ffff:192.0.2.7 ::1 40001 993\r\n',
  )
})

t.test('A13: text headers', async (t) => {
  const done = (addresses: object | null) => ({ kind: 'done', addresses })
  for (const [text, want, why] of [
    ['PROXY TCP4 192.0.2.7 198.51.100.3 40001 993\r\n', done(v4), 'TCP4'],
    ['PROXY TCP6 2001:DB8::7 2001:db8:0:1:0:0:0:3 1 65535\r\n', done(v6), 'TCP6 in another spelling'],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.3 40001 993\r\n', done(v4), 'v4-mapped is v4'],
    ['PROXY UNKNOWN\r\n', done(null), 'UNKNOWN'],
    ['PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n', done(null), 'what follows UNKNOWN is ignored'],
    [`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`, done(null), '107 bytes'],
    [`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, { kind: 'bad' }, '108 bytes'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 40001 993\n', { kind: 'more' }, 'a bare LF does not end it'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 40001\r\n', { kind: 'bad' }, 'a port is missing'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 40001 993 1\r\n', { kind: 'bad' }, 'a field too many'],
    ['PROXY TCP4  192.0.2.7 198.51.100.3 40001 993\r\n', { kind: 'bad' }, 'two blanks'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 040001 993\r\n', { kind: 'bad' }, 'a leading zero'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 70000 993\r\n', { kind: 'bad' }, 'a port over 65535'],
    ['PROXY TCP4 192.0.2.7 198.51.100.3 -1 993\r\n', { kind: 'bad' }, 'a port under 0'],
    ['PROXY TCP4 2001:db8::7 2001:db8::8 1 2\r\n', { kind: 'bad' }, 'another family'],
    ['PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', { kind: 'bad' }, 'a zone'],
    ['PROXY TCP4 192.0.2.07 198.51.100.3 1 2\r\n', { kind: 'bad' }, 'an octal address'],
    ['PROXY UDP4 192.0.2.7 198.51.100.3 1 2\r\n', { kind: 'bad' }, 'another protocol'],
    ['proxy TCP4 192.0.2.7 198.51.100.3 1 2\r\n', { kind: 'bad' }, 'lower case'],
    ['a1 LOGIN ann secret\r\n', { kind: 'bad' }, 'none at all'],
    ['\x16\x03\x01', { kind: 'bad' }, 'TLS where a header is due'],
    ['', { kind: 'more' }, 'nothing'],
  ] as const) {
    t.match(parseProxyHeader(Buffer.from(text, 'latin1')), want, why)
  }
})

t.test('A13: binary headers', async (t) => {
  const tlv = Buffer.from([0x20, 0, 3, 1, 2, 3])
  const body6 = Buffer.alloc(36)
  for (const [bytes, want, why] of [
    [v2(0x21, 0x11, body4), { kind: 'done', length: 28, addresses: v4 }, 'TCP over IPv4'],
    [v2(0x21, 0x11, Buffer.concat([body4, tlv])), { kind: 'done', length: 34, addresses: v4 }, 'TLVs are skipped'],
    [
      v2(0x21, 0x11, Buffer.concat([body4, Buffer.from([0x20, 0xff, 0xff])])),
      { kind: 'done', length: 31, addresses: v4 },
      'a TLV that lies about its length is skipped with the rest',
    ],
    [
      v2(0x21, 0x21, body6),
      { kind: 'done', length: 52, addresses: { sourceIp: '::', sourcePort: 0 } },
      'TCP over IPv6',
    ],
    [v2(0x20, 0x11, body4), { kind: 'done', length: 28, addresses: null }, 'LOCAL: its addresses are ignored'],
    [v2(0x20, 0x00, Buffer.alloc(0)), { kind: 'done', length: 16, addresses: null }, 'LOCAL without addresses'],
    [v2(0x21, 0x00, tlv), { kind: 'done', length: 22, addresses: null }, 'UNSPEC'],
    [v2(0x22, 0x11, body4), { kind: 'bad' }, 'another command'],
    [v2(0x11, 0x11, body4), { kind: 'bad' }, 'another version'],
    [v2(0x21, 0x12, body4), { kind: 'bad' }, 'UDP'],
    [v2(0x21, 0x31, body4), { kind: 'bad' }, 'a unix socket'],
    [v2(0x21, 0x11, body4.subarray(0, 11)), { kind: 'bad' }, 'too short for its family'],
    [v2(0x21, 0x21, body4), { kind: 'bad' }, 'IPv6 with the length of IPv4'],
    [v2(0x21, 0x11, body4, 13), { kind: 'more' }, 'a byte is still to come'],
    [v2(0x21, 0x11, body4, 4097), { kind: 'bad' }, 'longer than anybody needs: refused before it is read'],
  ] as const) {
    t.match(parseProxyHeader(bytes), want, why)
  }
})

t.test('addresses in one spelling', async (t) => {
  for (const [raw, want] of [
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.1', '192.0.2.1'],
  ] as const)
    t.equal(unmapped(raw), want)
})

t.test('nothing that a stranger sends makes the parser throw or claim more than it was given', async (t) => {
  let seed = 20_261_121
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
    // The low bits of such a generator repeat after a few steps.
    return (seed >>> 8) % below
  }
  const seeds = [
    formatProxyHeader('v1', v4),
    formatProxyHeader('v1', v6),
    formatProxyHeader('v2', v4),
    formatProxyHeader('v2', v6),
  ]
  const kinds = { more: 0, done: 0, bad: 0 }
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.concat([seeds[random(seeds.length)] ?? Buffer.alloc(0), Buffer.from('a1 NOOP\r\n')])
    // Behind the signature, mostly: a fault in it is the easiest to see.
    for (let n = random(3); n > 0; n--)
      bytes[random(4) === 0 ? random(6) : 12 + random(bytes.length - 12)] = random(256)
    const cut = random(2) === 0 ? bytes : bytes.subarray(0, random(bytes.length + 1))
    const header = parseProxyHeader(cut)
    kinds[header.kind] += 1
    if (header.kind === 'done' && header.length > cut.length)
      t.fail(`claims ${header.length} of ${cut.toString('hex')}`)
  }
  t.ok(kinds.more > 100 && kinds.done > 100 && kinds.bad > 100, JSON.stringify(kinds))
})
