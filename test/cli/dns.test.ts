/** `sallyport dns` (M10): what is printed, and what it says of a real resolver on loopback that is right, wrong, or gone. */

import t from 'tap'
import type { DnsAnswer } from '../support/dns.ts'
import { startDns } from '../support/dns.ts'
import { CONFIG, house } from './run.ts'

const CONFIGURED = CONFIG.replace(
  '  - { protocol: imap, port: 0, tls: implicit }\n',
  `  - { protocol: imap, port: 993, tls: implicit }
  - { protocol: imap, port: 143, tls: starttls }
  - { protocol: https, port: 443, serves: [autoconfig] }
clientSetup:
  host: mail.example.org
  smtp: [{ port: 465, tls: implicit }, { port: 587, tls: starttls }]
  pop3: [{ port: 995, tls: implicit }]
`,
)

const srv = (port: number, target = 'mail.example.org'): DnsAnswer[] => [
  { type: 'SRV', priority: 0, weight: 1, port, target },
]
const cname = (target = 'mail.example.org'): DnsAnswer[] => [{ type: 'CNAME', target }]

/** Everything as it should be for one domain. */
const zone = (domain: string): Record<string, readonly DnsAnswer[]> => ({
  [`_imaps._tcp.${domain}`]: srv(993),
  [`_imap._tcp.${domain}`]: srv(143),
  [`_pop3s._tcp.${domain}`]: srv(995),
  [`_submissions._tcp.${domain}`]: srv(465),
  [`_submission._tcp.${domain}`]: srv(587),
  [`_autodiscover._tcp.${domain}`]: srv(443),
  [`autoconfig.${domain}`]: cname(),
  [`autodiscover.${domain}`]: cname(),
  'mail.example.org': [{ type: 'A', address: '192.0.2.1' }],
})

interface Row {
  readonly name: string
  readonly value: string
  readonly state: string
  readonly found: readonly string[]
}

t.test('prints lines for a zone file, for every served domain', async (t) => {
  const { run } = house(t, CONFIGURED)
  const { status, stdout, stderr } = await run(['dns'])
  t.equal(status, 0)
  const lines = stdout.trimEnd().split('\n')
  t.equal(lines.length, 16)
  t.strictSame(
    lines.slice(0, 8).map((line) => line.replace(/ +/g, ' ')),
    [
      '_imaps._tcp.example.org. IN SRV 0 1 993 mail.example.org.',
      '_imap._tcp.example.org. IN SRV 10 1 143 mail.example.org.',
      '_pop3s._tcp.example.org. IN SRV 20 1 995 mail.example.org.',
      '_submissions._tcp.example.org. IN SRV 0 1 465 mail.example.org.',
      '_submission._tcp.example.org. IN SRV 10 1 587 mail.example.org.',
      '_autodiscover._tcp.example.org. IN SRV 0 1 443 mail.example.org.',
      'autoconfig.example.org. IN CNAME mail.example.org.',
      'autodiscover.example.org. IN CNAME mail.example.org.',
    ],
  )
  t.match(stderr, 'Address records (A, AAAA) must lead to this server for mail.example.org.')
  t.match(lines[8], '_imaps._tcp.example.net.')
  t.match(stderr, /certificate on port 443 must be good for autoconfig\.example\.org, autodiscover\.example\.org, /)
  const json = await run(['dns', '--json'])
  t.equal(json.stderr, '')
  t.strictSame(json.json<Row[]>()[0], {
    domain: 'example.org',
    name: '_imaps._tcp.example.org',
    type: 'SRV',
    value: '0 1 993 mail.example.org.',
  })
})

t.test('--check: all right, exit 0', async (t) => {
  const { run } = house(t, CONFIGURED)
  await using dns = await startDns()
  dns.set({ ...zone('example.org'), ...zone('example.net') })
  const { status, stdout, stderr } = await run(['dns', '--check', '--server', dns.address])
  t.equal(status, 0, stderr)
  t.equal(stdout.match(/^right /gm)?.length, 17)
  t.match(stderr, /All are right/)
  t.ok(dns.asked.includes('SRV _imaps._tcp.example.net'), 'the server that was named was asked')
})

t.test('--check: missing and different, each told, exit 1', async (t) => {
  const { run } = house(t, CONFIGURED)
  await using dns = await startDns()
  const other: DnsAnswer[] = [{ type: 'A', address: '192.0.2.1' }]
  dns.set({
    ...zone('example.org'),
    ...zone('example.net'),
    '_imaps._tcp.example.org': srv(993, 'old.example.org'),
    '_imap._tcp.example.org': srv(1143),
    '_pop3s._tcp.example.org': [],
    '_submissions._tcp.example.org': [...srv(465), ...srv(465, 'old.example.org')],
    '_submission._tcp.example.org': [{ type: 'SRV', priority: 7, weight: 9, port: 587, target: 'MAIL.example.org' }],
    'autoconfig.example.org': other,
    'autodiscover.example.org': [{ type: 'A', address: '192.0.2.9' }],
    'mail.example.org': other,
    '_autodiscover._tcp.example.net': srv(443, '.'),
    'autodiscover.example.net': cname('old.example.org'),
  })
  const checked = await run(['dns', '--check', '--json', '--server', dns.address])
  t.equal(checked.status, 1)
  const rows = checked.json<Row[]>()
  const state = (name: string) => rows.find((row) => row.name === name)
  for (const [name, want, found, why] of [
    ['_imaps._tcp.example.org', 'different', ['0 1 993 old.example.org.'], 'another host'],
    ['_imap._tcp.example.org', 'different', ['0 1 1143 mail.example.org.'], 'another port'],
    ['_pop3s._tcp.example.org', 'missing', [], 'the name is there, the record is not'],
    ['_submission._tcp.example.org', 'right', ['7 9 587 MAIL.example.org.'], 'priority and weight are free'],
    ['autoconfig.example.org', 'right', ['192.0.2.1'], 'an address record to the same machine'],
    ['autodiscover.example.org', 'different', ['192.0.2.9'], 'to another machine'],
    ['autodiscover.example.net', 'different', ['old.example.org.'], 'an alias of something else'],
    ['_autodiscover._tcp.example.net', 'different', ['0 1 443 .'], 'RFC 6186 §3.4: said not to be offered'],
  ] as const) {
    t.match(state(name), { state: want, found }, why)
  }
  t.equal(state('_submissions._tcp.example.org')?.state, 'different', 'ours and another')
  t.equal(state('_submissions._tcp.example.org')?.found.length, 2)

  dns.set(zone('example.org'))
  const text = await run(['dns', '--check', '--server', dns.address])
  t.equal(text.status, 1)
  t.match(text.stdout, /^missing +_imaps\._tcp\.example\.net\. +SRV +0 1 993 mail\.example\.org\.$/m)
  t.match(text.stderr, /8 records to set/)
})

t.test('--check: records that lead to a host without an address are not all', async (t) => {
  const { run } = house(
    t,
    CONFIGURED.replace('serves: [autoconfig]', 'serves: [autoconfig, eas]')
      .replace('clientSetup:', 'eas: { host: eas.example.org }\nclientSetup:')
      .replace(/( +)(identity:)/g, '$1eas: { url: https://mail.internal }\n$1$2'),
  )
  await using dns = await startDns()
  const all = { ...zone('example.org'), ...zone('example.net') }
  dns.set({ ...all, 'mail.example.org': [] })
  const checked = await run(['dns', '--check', '--json', '--server', dns.address])
  t.equal(checked.status, 1, checked.stderr)
  const hosts = checked.json<(Row & { readonly type: string })[]>().filter(({ type }) => type === 'A')
  t.strictSame(hosts, [
    { domain: 'mail.example.org', name: 'mail.example.org', type: 'A', value: null, state: 'missing', found: [] },
    { domain: 'eas.example.org', name: 'eas.example.org', type: 'A', value: null, state: 'missing', found: [] },
  ])
  dns.set({
    ...all,
    'eas.example.org': [{ type: 'CNAME', target: 'mail.example.org' }, ...(all['mail.example.org'] ?? [])],
  })
  const right = await run(['dns', '--check', '--server', dns.address])
  t.equal(right.status, 0, right.stdout)
  t.match(right.stdout, /^right +eas\.example\.org\. +A +any address$/m)
  t.match(right.stderr, /certificate on port 443 must be good for .*eas\.example\.org as well/)
})

t.test('D11: what comes from DNS is text of strangers: bounded, and nothing to a terminal', async (t) => {
  const { run } = house(t, CONFIGURED)
  await using dns = await startDns()
  const hostile = [
    '\u001b[2J\u001b]0;gotcha\u0007.example.org',
    'a\r\nright    _imaps._tcp.example.org.  SRV.example.org',
    '\u009b31m\u00e2\u0080\u00ae.example.org',
    '$(reboot).<script>.example.org',
    'a'.repeat(63),
    '\0\0\0',
  ]
  const right = { ...zone('example.org'), ...zone('example.net') }
  for (const [why, answers] of [
    ['odd names', hostile.flatMap((target) => srv(993, target))],
    ['hundreds of records', Array.from({ length: 400 }, (_, i) => srv(993, `mx${i}.example.org`)).flat()],
    ['hundreds of odd ones', Array.from({ length: 400 }, (_, i) => srv(i, hostile[i % 4] ?? '')).flat()],
  ] as const) {
    dns.set({ ...right, '_imaps._tcp.example.org': answers, 'autoconfig.example.org': hostile.flatMap(cname) })
    const text = await run(['dns', '--check', '--server', dns.address])
    t.equal(text.status, 1, why)
    t.notMatch(text.stdout + text.stderr, /[^\n\x20-\x7e–…]/, `${why}: only printable text`)
    const lines = text.stdout.trimEnd().split('\n')
    t.equal(lines.length, 18, `${why}: a line for each record, whatever is in it`)
    t.equal(lines.filter((line) => line.startsWith('right ')).length, 15, why)
    t.ok(Math.max(...lines.map(({ length }) => length)) < 2500, `${why}: ${Math.max(...lines.map((l) => l.length))}`)
    const checked = await run(['dns', '--check', '--json', '--server', dns.address])
    t.notMatch(checked.stdout, /[^\n\x20-\x7e]/, `${why}: as JSON, too`)
    const row = checked.json<Row[]>().find(({ name }) => name === '_imaps._tcp.example.org')
    t.match(row, { state: 'different' }, why)
    t.ok((row?.found.length ?? 0) <= 9, `${why}: ${row?.found.length} of them are shown`)
  }
})

t.test('a resolver that fails says nothing about the records: exit 69', async (t) => {
  const { run } = house(t, CONFIGURED)
  await using dns = await startDns()
  dns.fail(true)
  const { status, error } = await run(['dns', '--check', '--json', '--server', dns.address])
  t.equal(status, 69)
  t.match(error(), { code: 'unavailable', message: /did not answer for .*--server/ })
})

t.test('usage, and a configuration that names no host', async (t) => {
  const { run } = house(t)
  const bare = await run(['dns'])
  t.equal(bare.status, 78)
  t.match(bare.stderr, /clientSetup: \{ host: mail\.example\.org \}/)
  const { run: configured } = house(t, CONFIGURED)
  t.equal((await configured(['dns', '--server', '127.0.0.1'])).status, 2, '--server without --check')
  t.equal((await configured(['dns', '--check', '--server', 'dns.example'])).status, 2, 'a name needs a resolver itself')
  const { run: address } = house(t, CONFIGURED.replace('host: mail.example.org', 'host: 192.0.2.1'))
  t.equal((await address(['dns'])).status, 78, 'no record leads to an address')
})
