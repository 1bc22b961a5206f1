import { X509Certificate } from 'node:crypto'
import { chmodSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { createMetrics } from '../../src/metrics.ts'
import { createExpiryWatch, loadCertificates } from '../../src/supervisor/certificates.ts'
import { selfMadeCertificate } from '../../src/supervisor/self-made.ts'
import { createCa } from '../support/certificates.ts'
import { captureLog } from '../support/logs.ts'

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'cert-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}
const DAY_MS = 86_400_000

t.test('pairs are read in order, and one that is wrong names its file', async (t) => {
  const path = directory(t)
  const ca = await createCa()
  const a = await ca.issue({ names: ['a.example.org'] })
  const b = await ca.issue({ names: ['b.example.org'] })
  const put = (name: string, text: string) => {
    writeFileSync(join(path, name), text, { mode: 0o600 })
    return join(path, name)
  }
  const { log } = captureLog()
  const load = (...files: { certFile: string; keyFile: string }[]) =>
    loadCertificates({ files, dataDirectory: path, names: [], log })
  const pair = (name: string, { cert, key }: { cert: string; key: string }) => ({
    certFile: put(`${name}.crt`, cert),
    keyFile: put(`${name}.key`, key),
  })
  const good = [pair('a', a), pair('b', b)] as const
  const loaded = await load(...good)
  t.strictSame(
    loaded.map(({ cert }) => cert),
    [a.cert, b.cert],
  )
  t.ok((loaded[0]?.expiresAt.getTime() ?? 0) > Date.now())

  for (const [files, words, why] of [
    [pair('swapped', { cert: a.cert, key: b.key }), /swapped\.key is not that of .*swapped\.crt/, 'a key of another'],
    [pair('garbage', { cert: 'garbage', key: a.key }), /garbage\.crt holds no certificate/, 'no certificate'],
    [pair('no-key', { cert: a.cert, key: 'garbage' }), /no-key\.key holds no private key/, 'no key'],
    [{ certFile: good[0].certFile, keyFile: join(path, 'none.key') }, /none\.key can't be read \(ENOENT\)/, 'no file'],
    [
      pair('cut', { cert: `${a.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, key: a.key }),
      /cut\.crt/,
      'a broken chain',
    ],
    [pair('huge', { cert: 'x'.repeat(2_000_000), key: a.key }), /huge\.crt has 2000000 bytes/, 'no PEM file'],
  ] as const) {
    await t.rejects(load(good[0], files), { name: 'CertificateError', message: words }, why)
    const error = await load(files).catch((error: unknown) => error)
    t.notMatch(String((error as Error).stack), /BEGIN PRIVATE|MIG[A-Za-z0-9+/]{20}/, 'invariant 5: no key is quoted')
  }
})

t.test('the self-made certificate: ours alone, trusted when one says so, kept, and remade when it must', async (t) => {
  const path = join(directory(t), 'data')
  const names = ['mail.example.org', 'Example.ORG']
  const first = await selfMadeCertificate({ dataDirectory: path, names })
  t.ok(first.isNew)
  t.equal(lstatSync(first.file).mode & 0o777, 0o600)
  t.equal(lstatSync(path).mode & 0o777, 0o700)
  const leaf = new X509Certificate(first.cert)
  for (const name of ['mail.example.org', 'example.org', 'localhost']) t.ok(leaf.checkHost(name), name)
  for (const address of ['127.0.0.1', '::1']) t.ok(leaf.checkIP(address), address)
  t.notOk(leaf.ca)

  const server = createServer({ cert: first.cert, key: first.key }, (socket) => socket.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const greeting = await new Promise((resolve, reject) => {
    const socket = connect({
      socket: createConnection(port, '127.0.0.1'),
      ca: first.cert,
      servername: 'mail.example.org',
    })
    socket.once('data', (data: Buffer) => resolve(data.toString()))
    socket.once('error', reject)
  })
  t.equal(greeting, 'hello', 'a client that was given it trusts it')

  const again = await selfMadeCertificate({ dataDirectory: path, names })
  t.match(again, { isNew: false, cert: first.cert, key: first.key }, 'kept')
  const other = await selfMadeCertificate({ dataDirectory: path, names: ['other.example.org'] })
  t.ok(other.isNew, 'remade for other names')
  const later = () => new Date(Date.now() + 395 * DAY_MS)
  const renewed = await selfMadeCertificate({ dataDirectory: path, names: ['other.example.org'], now: later })
  t.ok(renewed.isNew, 'remade before it runs out')
  writeFileSync(renewed.file, 'garbage')
  t.ok((await selfMadeCertificate({ dataDirectory: path, names })).isNew, 'remade when broken')
  t.match(readFileSync(renewed.file, 'utf8'), /BEGIN CERTIFICATE[\s\S]*BEGIN PRIVATE KEY/)

  const capture = captureLog()
  const [pair] = await loadCertificates({ files: [], dataDirectory: path, names, log: capture.log })
  t.match(pair, { name: renewed.file })
  t.match(capture.of('warning'), [{ level: 'warn', msg: /clients will not trust it/ }])
  if (process.geteuid?.() !== 0) {
    chmodSync(path, 0o500)
    await t.rejects(selfMadeCertificate({ dataDirectory: path, names: ['x.example.org'] }), { code: 'EACCES' })
  }
})

t.test('I-12: what runs out is told at 30, 7 and 1 days and at the end, once each, and is a metric', async (t) => {
  const { log, of } = captureLog()
  const metrics = createMetrics()
  const expiresAt = new Date(Date.UTC(2027, 0, 31))
  let now = new Date(0)
  const watch = createExpiryWatch(log, metrics, () => now)
  const pair = { name: '/etc/c.pem', cert: '', key: '', validFrom: new Date(Date.UTC(2026, 0, 1)), expiresAt }
  const lines = () => of('warning').map(({ msg }) => msg)
  for (const [daysBefore, count] of [
    [60, 0],
    [29, 1],
    [20, 1],
    [6, 2],
    [5, 2],
    [0.9, 3],
    [-1, 4],
    [-2, 4],
  ] as const) {
    now = new Date(expiresAt.getTime() - daysBefore * DAY_MS)
    watch.look([pair])
    t.equal(lines().length, count, `${daysBefore} days before`)
  }
  t.match(lines(), [/less than 30 days/, /less than 7 days/, /less than a day/, /has run out/])
  t.match(
    await metrics.registry.metrics(),
    new RegExp(`certificate_expiry_timestamp_seconds\\{certificate="/etc/c\\.pem"\\} ${expiresAt.getTime() / 1000}`),
  )
  now = new Date(Date.UTC(2025, 0, 1))
  watch.look([{ ...pair, name: '/etc/later.pem' }])
  t.match(lines().at(-1), /not valid before 2026-01-01/)
})
