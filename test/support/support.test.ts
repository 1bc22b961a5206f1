/**
 * The test support itself: what other tests believe without asking.
 */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { createCa } from './certificates.ts'
import { messagesOnDisk, SAMPLE_USER, startDovecot } from './dovecot.ts'
import { captureLog } from './logs.ts'
import { scriptedClient, scriptedServer } from './peer.ts'
import { accepts, freePort } from './ports.ts'
import { run } from './program.ts'
import { startRedis } from './redis.ts'
import { requireService } from './services.ts'

t.test('certificates: trusted for their names, refused for others and when expired', async (t) => {
  const ca = await createCa()
  const talk = async (pair: { cert: string; key: string }, servername: string): Promise<string> => {
    await using server = await scriptedServer((peer) => peer.end('hello\r\n'), { tls: pair })
    return await new Promise((resolve) => {
      const socket = connect({ port: server.port, host: '127.0.0.1', ca: ca.cert, servername })
      socket.once('secureConnect', () => resolve('ok'))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      socket.once('close', () => resolve('closed'))
    })
  }
  const good = await ca.issue({ names: ['mail.example.org', '127.0.0.1'] })
  t.equal(await talk(good, 'mail.example.org'), 'ok')
  t.equal(await talk(good, 'other.example.org'), 'ERR_TLS_CERT_ALTNAME_INVALID')
  t.equal(await talk(await ca.expired(['mail.example.org']), 'mail.example.org'), 'CERT_HAS_EXPIRED')
  t.equal(
    await talk(await (await createCa()).issue({ names: ['x.test'] }), 'x.test'),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  )
})

t.test('a scripted peer reads lines and bytes, and says what it missed', async (t) => {
  const pair = await (await createCa()).issue()
  await using server = await scriptedServer(async (peer) => {
    peer.send('hello\r\n')
    await peer.expect(/^starttls$/)
    peer.send('go\r\n')
    await peer.startTlsServer(pair)
    t.equal((await peer.bytes(4)).toString('latin1'), 'a\r\n\xff')
    peer.end('bye\r\n')
  })
  using client = await scriptedClient(server.port)
  t.equal(await client.line(), 'hello')
  client.send('starttls\r\n')
  await client.expect(/^go$/)
  await client.startTls({ rejectUnauthorized: false })
  client.send('a\r\n\xff')
  t.equal(await client.rest(), 'bye\r\n')
  await t.rejects(client.line(), /other side closed/)
  await server.finished()
  t.same(server.errors, [])
})

t.test('a peer that waits in vain fails with what it has', async (t) => {
  await using server = await scriptedServer((peer) => peer.send('half a line'))
  using client = await scriptedClient(server.port, { timeoutMs: 100 })
  await t.rejects(client.line(), /no line in 100 ms; unread: "half a line"/)
})

t.test('noted secrets are in the file that the runner reads', async (t) => {
  const file = join(tmpdir(), `sp-secrets-${process.pid}`)
  t.teardown(() => rmSync(file, { force: true }))
  const script = join(import.meta.dirname, 'secrets.ts')
  const code = `import('${script}').then(m => { m.noteSecret('first-secret'); m.noteSecret('tiny'); m.plainPassword() })`
  const { status } = await run(process.execPath, ['-e', code], {
    env: { ...process.env, SALLYPORT_TEST_SECRETS: file },
  })
  t.equal(status, 0)
  const { output } = await run('cat', [file])
  t.match(output, /^first-secret\nPw[0-9a-f]{24}\n$/)
})

t.test('captured log lines are found by event, also those still to come', async (t) => {
  const capture = captureLog()
  const soon = capture.wait('session_ended', (line) => line.user === 'ann@example.org')
  capture.log.event('info', 'session_ended', 'hello', { user: 'bob@example.org' })
  capture.log.event('info', 'session_ended', 'hello', { user: 'ann@example.org' })
  t.equal((await soon).user, 'ann@example.org')
  t.equal(capture.of('session_ended').length, 2)
  await t.rejects(capture.wait('stopped', undefined, 30), /no log line stopped/)
})

t.test('a free port is free, and never given twice', async (t) => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()))
  t.equal(new Set(ports).size, 20)
  t.notOk(await accepts(ports[0] ?? 0))
  // Another process asks in the same way, and must not be given one of these before they are bound or while a server restarts.
  const other = createSocket('udp4').bind({ port: ports[0] ?? 0, address: '127.0.0.1', exclusive: true })
  const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException]
  t.equal(error.code, 'EADDRINUSE')
})

t.test('requireService skips, or fails where everything must be there', async (t) => {
  const script = join(tmpdir(), `sp-require-${process.pid}.mjs`)
  t.teardown(() => rmSync(script, { force: true }))
  const here = import.meta.dirname
  writeFileSync(
    script,
    `import t from '${import.meta.resolve('tap')}'
     import { requireService } from '${here}/services.ts'
     process.env.PATH = ''
     t.test('x', async (t) => { if (requireService(t, 'mbsync')) t.fail('found') })`,
  )
  const env = { ...process.env, TAP: '1' }
  const skipped = await run(process.execPath, [script], { env: { ...env, SALLYPORT_REQUIRE_SERVICES: '' } })
  t.equal(skipped.status, 0)
  t.match(skipped.output, /ok 1 - .*# SKIP mbsync not installed/)
  const failed = await run(process.execPath, [script], { env: { ...env, SALLYPORT_REQUIRE_SERVICES: '1' } })
  t.equal(failed.status, 1)
  t.match(failed.output, /not ok 1 - mbsync not installed/)
})

t.test('Dovecot: every door, both master methods, and a log of every secret it was told', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot({
    users: { [SAMPLE_USER]: 'anns-own-password', 'bob@example.org': 'bobs-own-password' },
  })
  const { ports, master } = dovecot
  const tls = { ca: dovecot.ca, servername: 'localhost' }
  const plain = (authzid: string, authcid: string, password: string): string =>
    Buffer.from(`${authzid}\0${authcid}\0${password}`).toString('base64')

  for (const [port, secure, hello] of [
    [ports.imap, false, ''],
    [ports.imaps, true, ''],
    [ports.imapProxy, false, 'PROXY TCP4 192.0.2.7 127.0.0.1 40007 143\r\n'],
  ] as const) {
    using peer = await scriptedClient(port, secure ? { tls } : {})
    peer.send(hello)
    await peer.expect(/^\* OK /)
    peer.send(`1 AUTHENTICATE PLAIN ${plain(SAMPLE_USER, master.user, master.password)}\r\n`)
    await peer.expect(/^1 OK \[CAPABILITY .* COMPRESS=DEFLATE .*QUOTA/)
  }
  await dovecot.waitForLog(/Login: user=<ann@example\.org>, .*rip=192\.0\.2\.7, rport=40007/)
  t.pass('PROXY header in')

  const mark = dovecot.mark()
  using peer = await scriptedClient(ports.imap)
  await peer.expect(/STARTTLS/)
  peer.send('1 STARTTLS\r\n')
  await peer.expect(/^1 OK/)
  await peer.startTls(tls)
  peer.send('2 ID ("x-originating-ip" "192.0.2.9")\r\n')
  await peer.linesUntil(/^2 OK/)
  peer.send(`3 LOGIN "bob@example.org*${master.user}" wrong-secret-1\r\n`)
  await peer.expect(/^3 NO \[AUTHENTICATIONFAILED\]/)
  peer.send(`4 LOGIN "bob@example.org*${master.user}" ${master.password}\r\n`)
  await peer.expect(/^4 OK/)
  await dovecot.waitForLog(/Login: user=<bob@example\.org>.*TLS/, mark)
  await dovecot.waitForLog(/rip=192\.0\.2\.9/, mark)
  t.pass('ID from a trusted network')
  await dovecot.waitForLog(/bob@example\.org\*sallyport wrong-secret-1/, mark)
  t.pass('a wrong secret can be read in the log')

  await dovecot.deliver('bob@example.org', 'Subject: hello\r\n\r\n.dot\r\n')
  t.equal(messagesOnDisk(dovecot, 'bob@example.org'), 1)

  await dovecot.setMasterPassword('another-password')
  using after = await scriptedClient(ports.imap)
  await after.expect(/^\* OK/)
  after.send(`1 AUTHENTICATE PLAIN ${plain(SAMPLE_USER, master.user, master.password)}\r\n`)
  await after.expect(/^1 NO/)

  await dovecot.stop()
  t.notOk(await accepts(ports.imap))
  await dovecot.start()
  t.ok(await accepts(ports.imap))
})

t.test('Redis: up, killed, back', async (t) => {
  if (!requireService(t, 'redis')) return
  await using redis = await startRedis()
  using peer = await scriptedClient(redis.port)
  peer.send('PING\r\n')
  await peer.expect(/^\+PONG/)
  await redis.kill()
  t.notOk(await accepts(redis.port))
  await redis.restart()
  t.ok(await accepts(redis.port))
})
