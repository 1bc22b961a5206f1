import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { connect as connectTls } from 'node:tls'
import * as x509 from '@peculiar/x509'
import type { Test } from 'tap'
import t from 'tap'
import type { CertificatePair } from '../../../src/edge/net/tls.ts'
import { CertificateError, TlsContexts } from '../../../src/edge/net/tls.ts'
import { Wire } from '../../../src/edge/net/wire.ts'
import { createCa } from '../../support/certificates.ts'
import { asPair, never, socketPair } from './sockets.ts'

const authority = await createCa()
const pairFor = async (...names: string[]) => asPair(await authority.issue({ names }))

/** A connection whose near side has TLS of these contexts. The far side has not verified anything. */
async function secured(
  t: Test,
  contexts: TlsContexts,
  client: ConnectionOptions = {},
  applicationProtocol?: string,
): Promise<{ far: TLSSocket; wire: Wire; info: Awaited<ReturnType<Wire['startTls']>> }> {
  const { near, far: raw } = await socketPair(t)
  const wire = new Wire(near, { budgetBytes: 65_536, deadline: never })
  const far = connectTls({ socket: raw, rejectUnauthorized: false, ...client })
  far.on('error', () => {})
  const isUp = new Promise((resolve) => far.once('secureConnect', resolve).once('close', resolve))
  const info = await wire.startTls({
    side: 'server',
    contexts,
    ...(applicationProtocol !== undefined && { applicationProtocol }),
  })
  await isUp
  return { far, wire, info }
}

const commonNameSeenBy = async (t: Test, contexts: TlsContexts, servername?: string): Promise<string> => {
  const { far } = await secured(t, contexts, servername === undefined ? {} : { servername })
  return far.getPeerCertificate().subject.CN as string
}

/** A self-signed RSA certificate, which most servers still have. */
async function rsaPair(name: string): Promise<CertificatePair> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '51',
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return asPair({ cert: certificate.toString('pem'), key })
}

t.test('the certificate is chosen by the name that the client asks for (RFC 6066 §3)', async (t) => {
  const contexts = new TlsContexts({
    pairs: [
      await pairFor('first.example'),
      await pairFor('mail.example', 'imap.example'),
      await pairFor('*.tenants.example'),
      await pairFor('special.tenants.example'),
    ],
  })
  for (const [asked, want, why] of [
    ['mail.example', 'mail.example', 'exact'],
    ['imap.example', 'mail.example', 'another of its names'],
    ['IMAP.Example', 'mail.example', 'in any case'],
    ['a.tenants.example', '*.tenants.example', 'a wildcard'],
    ['special.tenants.example', 'special.tenants.example', 'an exact name goes before a wildcard, whatever the order'],
    ['a.b.tenants.example', 'first.example', 'a wildcard is one label (RFC 6125 §6.4.3)'],
    ['tenants.example', 'first.example', 'and not none'],
    ['unknown.example', 'first.example', 'the first for a name that nobody has'],
    [undefined, 'first.example', 'the first for a client that names none'],
  ] as const) {
    t.equal(await commonNameSeenBy(t, contexts, asked), want, why)
  }
  const { info } = await secured(t, contexts, { servername: 'imap.example' })
  t.match(info, { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', serverName: 'imap.example' })
  t.equal((await secured(t, contexts)).info.serverName, null)
})

t.test('a certificate without alternative names goes by its common name', async (t) => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const old = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'O=Old Ltd, CN=old.example',
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
  })
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  const contexts = new TlsContexts({
    pairs: [await pairFor('first.example'), asPair({ cert: old.toString('pem'), key })],
  })
  t.equal(await commonNameSeenBy(t, contexts, 'old.example'), 'old.example')
})

t.test('a pair that does not fit, or is none, is refused and both files are named', async (t) => {
  const good = await pairFor('good.example')
  const other = await pairFor('other.example')
  const files = { certFile: '/etc/tls/mail.crt', keyFile: '/etc/tls/mail.key' }
  for (const [pair, why] of [
    [{ ...good, key: other.key, ...files }, 'mismatch'],
    [{ ...good, cert: 'nothing', ...files }, 'no certificate'],
    [{ ...good, key: '', ...files }, 'no key'],
  ] as const) {
    const error = t.throws(() => new TlsContexts({ pairs: [pair] }), CertificateError, why) as CertificateError
    t.match(error, { code: 'ERR_TLS_CERTIFICATE', message: /\/etc\/tls\/mail\.crt and \/etc\/tls\/mail\.key/ }, why)
    t.notMatch(error.message, /BEGIN/, 'and nothing of what is in them')
  }
  t.throws(() => new TlsContexts({ pairs: [] }), CertificateError)

  const contexts = new TlsContexts({ pairs: [good] })
  t.throws(() => contexts.reload({ pairs: [other, { ...good, key: other.key }] }), CertificateError)
  t.equal(await commonNameSeenBy(t, contexts), 'good.example', 'a failed reload changes nothing')
})

t.test('a reload is for the handshakes to come; open connections notice nothing', async (t) => {
  const contexts = new TlsContexts({ pairs: [await pairFor('old.example')], minVersion: 'TLSv1.3' })
  const { far, wire } = await secured(t, contexts)
  contexts.reload({ pairs: [await pairFor('new.example')] })
  t.equal(await commonNameSeenBy(t, contexts), 'new.example')
  far.write('a1 NOOP\r\n')
  t.equal(await wire.readLine(), 'a1 NOOP')
  t.equal(far.getPeerCertificate().subject.CN, 'old.example')
  await t.rejects(secured(t, contexts, { maxVersion: 'TLSv1.2' }), { code: 'ERR_WIRE_TLS' }, 'the minimum stays')
})

t.test('A3: TLS 1.2 and 1.3, nothing older; a listener may want 1.3', async (t) => {
  const pairs = [await pairFor('mail.example')]
  const contexts = new TlsContexts({ pairs })
  const strict = new TlsContexts({ pairs, minVersion: 'TLSv1.3' })
  const old = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  t.equal((await secured(t, contexts, { ...old, maxVersion: 'TLSv1.2' })).info.version, 'TLSv1.2')
  t.equal((await secured(t, strict)).info.version, 'TLSv1.3')
  for (const [refusing, maxVersion] of [
    [contexts, 'TLSv1'],
    [contexts, 'TLSv1.1'],
    [strict, 'TLSv1.2'],
  ] as const) {
    const error = await secured(t, refusing, { ...old, maxVersion }).catch((e: unknown) => e)
    t.match(error, { code: 'ERR_WIRE_TLS', message: /unsupported.protocol/i }, `${maxVersion} is refused, and why`)
  }
})

t.test('A3: nobody gets a second handshake on a connection', async (t) => {
  const contexts = new TlsContexts({ pairs: [await pairFor('mail.example')] })
  const { far, wire } = await secured(t, contexts, { maxVersion: 'TLSv1.2' })
  const reading = wire.readLine().catch(() => null)
  const outcome = Promise.withResolvers<unknown>()
  far.once('error', outcome.resolve)
  far.renegotiate({ rejectUnauthorized: false }, (error) => outcome.resolve(error ?? 'renegotiated'))
  t.match(await outcome.promise, { message: /no.renegotiation/i })
  far.destroy()
  t.equal(await reading, null)
})

t.test('RSA certificates, and clients with TLS 1.2 of the Outlook 2010 kind: CBC, NIST curves, no SNI', async (t) => {
  const contexts = new TlsContexts({ pairs: [await rsaPair('rsa.example')] })
  for (const ciphers of ['ECDHE-RSA-AES128-SHA', 'ECDHE-RSA-AES256-SHA', 'ECDHE-RSA-AES256-GCM-SHA384']) {
    const { info, wire, far } = await secured(t, contexts, {
      ciphers,
      maxVersion: 'TLSv1.2',
      ecdhCurve: 'P-256:P-384',
      sigalgs: 'RSA+SHA256:RSA+SHA1:ECDSA+SHA256',
    })
    t.match(info, { version: 'TLSv1.2', cipher: ciphers, serverName: null })
    far.write('a1 NOOP\r\n')
    t.equal(await wire.readLine(), 'a1 NOOP')
  }
  t.match((await secured(t, contexts)).info, { version: 'TLSv1.3' }, 'and a client of today')
})

t.test('a session is resumed in another process that has the same ticket keys (RFC 5077, RFC 8446 §2.2)', async (t) => {
  const pairs = [await pairFor('mail.example'), await pairFor('other.example')]
  const ticketKeys = randomBytes(48)
  const first = new TlsContexts({ pairs, ticketKeys })
  const second = new TlsContexts({ pairs, ticketKeys })
  const stranger = new TlsContexts({ pairs, ticketKeys: randomBytes(48) })
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    for (const servername of ['mail.example', 'other.example']) {
      const client = { maxVersion, servername }
      const { near, far: raw } = await socketPair(t)
      const wire = new Wire(near, { budgetBytes: 65_536, deadline: never })
      const far = connectTls({ socket: raw, rejectUnauthorized: false, ...client })
      far.on('error', () => {})
      const ticket = once(far, 'session')
      await wire.startTls({ side: 'server', contexts: first })
      const session = (await ticket)[0] as Buffer
      const why = `${maxVersion} ${servername}`
      t.equal((await secured(t, second, { ...client, session })).far.isSessionReused(), true, why)
      t.equal((await secured(t, stranger, { ...client, session })).far.isSessionReused(), false, `${why}, other keys`)
      second.reload({ pairs })
      t.equal((await secured(t, second, { ...client, session })).far.isSessionReused(), true, `${why}, after a reload`)
    }
  }
})

t.test(
  'A10: a client that says that it speaks another protocol is refused; one that says nothing is not',
  async (t) => {
    const contexts = new TlsContexts({ pairs: [await pairFor('mail.example')] })
    t.equal((await secured(t, contexts, { ALPNProtocols: ['imap'] }, 'imap')).far.alpnProtocol, 'imap')
    t.equal((await secured(t, contexts, { ALPNProtocols: ['h2', 'imap'] }, 'imap')).far.alpnProtocol, 'imap')
    t.equal((await secured(t, contexts, {}, 'imap')).far.alpnProtocol, false)
    for (const ALPNProtocols of [['h2', 'http/1.1'], ['pop3']]) {
      await t.rejects(secured(t, contexts, { ALPNProtocols }, 'imap'), { code: 'ERR_WIRE_TLS' }, ALPNProtocols.join())
    }
  },
)

t.test('E4: a record that is broken, and a reset, end a connection whose handshake is long over', async (t) => {
  const contexts = new TlsContexts({ pairs: [await pairFor('mail.example')] })
  const broken = Buffer.concat([Buffer.from([0x17, 3, 3, 0, 32]), randomBytes(32)])
  for (const [why, harm] of [
    ['a broken record', (raw: Socket) => raw.write(broken)],
    ['a reset', (raw: Socket) => raw.resetAndDestroy()],
  ] as const) {
    const pair = await socketPair(t)
    const wire = new Wire(pair.near, { budgetBytes: 65_536, deadline: never })
    const far = connectTls({ socket: pair.far, rejectUnauthorized: false })
    far.on('error', () => {})
    await wire.startTls({ side: 'server', contexts })
    far.write('a1 NOOP\r\n')
    t.equal(await wire.readLine(), 'a1 NOOP')
    const leg = wire.release()
    const told = Promise.withResolvers<Error | null>()
    leg.take({ data: () => {}, end: () => {}, closed: (error) => told.resolve(error) })
    leg.socket.resume()
    harm(pair.far)
    t.ok((await told.promise) instanceof Error, why)
    t.equal(leg.socket.destroyed && pair.near.destroyed, true)
  }
})

t.test(
  'E4: whoever destroys a connection right after its handshake, and says something, does not end the process',
  async (t) => {
    const contexts = new TlsContexts({ pairs: [await pairFor('mail.example')] })
    const connection = async (session: Buffer | null) => {
      const { near, far: raw } = await socketPair(t)
      const wire = new Wire(near, { budgetBytes: 65_536, deadline: never })
      const far = connectTls({ socket: raw, rejectUnauthorized: false, ...(session && { session }) })
      far.on('error', () => {})
      const ticket = once(far, 'session').catch(() => [])
      await wire.startTls({ side: 'server', contexts })
      return { near, wire, far, ticket }
    }
    const session = (await (await connection(null)).ticket)[0] as Buffer
    for (let i = 0; i < 5; i++) {
      const { near, wire, far } = await connection(session)
      near.destroy()
      wire.write('* OK\r\n')
      await once(near, 'close')
      t.equal(far.isSessionReused(), true)
    }
  },
)

t.test('A3: a port for old devices takes their versions and ciphers, all others refuse both', async (t) => {
  const pairs = [await rsaPair('mail.example')]
  const old = new TlsContexts({ pairs, minVersion: 'TLSv1' })
  const modern = new TlsContexts({ pairs })
  const client = (version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2', cipher = 'ALL'): ConnectionOptions => ({
    minVersion: version,
    maxVersion: version,
    ciphers: `${cipher}:@SECLEVEL=0`,
  })
  for (const version of ['TLSv1', 'TLSv1.1', 'TLSv1.2'] as const) {
    const { info } = await secured(t, old, client(version, 'AES128-SHA'))
    t.match(info, { version, cipher: 'AES128-SHA' }, 'the key goes under the certificate’s RSA key')
    await t.rejects(secured(t, modern, client(version, 'AES128-SHA')), `${version} without forward secrecy`)
  }
  for (const version of ['TLSv1', 'TLSv1.1'] as const) await t.rejects(secured(t, modern, client(version)), version)
  const strict = new TlsContexts({ pairs, minVersion: 'TLSv1.1' })
  await t.rejects(secured(t, strict, client('TLSv1')), 'not older than what is written')
})
