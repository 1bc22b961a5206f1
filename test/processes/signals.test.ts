import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { CertificateAuthority, PemPair } from '../support/certificates.ts'
import { createCa } from '../support/certificates.ts'
import { accepts } from '../support/ports.ts'
import type { Mailbox, TestServer } from './server.ts'
import { isAlive, lives, startMailbox, startServer, until } from './server.ts'

t.test('workers: 2', async (t) => {
  const ca = await createCa()
  const mailbox = await startMailbox(t)
  const extra = 'tls: { certificates: [{ certFile: cert.pem, keyFile: key.pem }] }\n'
  const listeners = `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: implicit }
  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }
  - { protocol: http, bind: 127.0.0.1, port: 0, serves: [health, metrics] }`
  const first = await ca.issue({ names: ['localhost', '127.0.0.1'] })
  const server = await startServer(t, {
    mailbox,
    workers: 2,
    drain: '120s',
    listeners,
    extra,
    files: { 'cert.pem': first.cert, 'key.pem': first.key },
  })
  await t.test('I-12: certificates are swapped without a drop, and a pair that does not fit is not', (t) =>
    certificatesSwapped(t, server, ca, first),
  )
  await t.test('I-9: SIGTERM drains', (t) => drains(t, server, mailbox))
})

t.test('I-9: who stays is cut after the grace', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1 })
  const { password } = await server.user('ann@example.org')
  const session = await server.login('ann@example.org', password)
  const children = [server.pidOf('keeper'), server.pidOf('edge-1')]
  const started = performance.now()
  server.program.signal('SIGINT')
  await session.untilClosed()
  const tookMs = performance.now() - started
  t.ok(tookMs >= 490, `cut after ${Math.round(tookMs)} ms`)
  t.equal(await server.program.exit, 0, 'SIGINT is as SIGTERM')
  t.notOk(children.some(isAlive))
})

t.test('a second signal ends at once', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1, drain: '120s' })
  const { password } = await server.user('ann@example.org')
  const session = await server.login('ann@example.org', password)
  const children = [server.pidOf('keeper'), server.pidOf('edge-1')]
  server.program.signal('SIGTERM')
  await server.wait('draining')
  await delay(200)
  t.ok(await lives(session, 'a'))
  const started = performance.now()
  server.program.signal('SIGTERM')
  t.equal(await server.program.exit, 143)
  t.ok(performance.now() - started < 60_000, 'and not after the grace')
  t.match(await server.wait('stopped'), { level: 'warn', msg: /^SIGTERM .*stopped at once/ }, 'and the log says so')
  await until(() => !children.some(isAlive), 'all children are gone')
  await session.untilClosed()
})

t.test('workers: 1', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1, drain: '120s' })
  await t.test('I-11: SIGHUP with a bad configuration keeps the old one and says why', (t) =>
    badConfiguration(t, server),
  )
  await t.test('I-9: a reload that hangs keeps nobody from stopping the server', (t) => hangingReload(t, server))
})

t.test('I-12: workers: 0: a reload reaches the mail ports and the https port', async (t) => {
  const ca = await createCa()
  const first = await ca.issue()
  const second = await ca.issue({ names: ['localhost', 'new.example.org'] })
  const server = await startServer(t, {
    mailbox: await startMailbox(t),
    workers: 0,
    listeners: `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: implicit }
  - { protocol: https, bind: 127.0.0.1, port: 0, serves: [portal] }`,
    extra: `portal: { url: "https://mail.example.org" }
tls: { certificates: [{ certFile: cert.pem, keyFile: key.pem }] }
`,
    files: { 'cert.pem': first.cert, 'key.pem': first.key },
  })
  for (const scheme of ['imaps', 'https']) t.notMatch(await namesShown(server, scheme), /new\.example\.org/)
  writeFileSync(join(server.directory, 'cert.pem'), second.cert)
  writeFileSync(join(server.directory, 'key.pem'), second.key)
  server.program.signal('SIGHUP')
  await server.wait('config_reloaded')
  for (const scheme of ['imaps', 'https']) t.match(await namesShown(server, scheme), /new\.example\.org/, scheme)
})

async function drains(t: Test, server: TestServer, mailbox: Mailbox): Promise<void> {
  const { password } = await server.user('ann@example.org')
  const sessions = await Promise.all(Array.from({ length: 4 }, () => server.login('ann@example.org', password)))
  const [leaving, ...staying] = sessions
  const idle = await server.connect()
  const inFlight = await server.connect()
  mailbox.delayMs = 300
  inFlight.send(`1 LOGIN ann@example.org "${password}"\r\n`)
  await until(() => mailbox.logins.length === 5, 'the login is on its way upstream')

  server.program.signal('SIGTERM')
  await server.wait('draining')
  const drainedAt = performance.now()
  await until(async () => !(await accepts(server.address('imap').port)), 'no port is open')
  const ready = await server.get('/readyz')
  t.equal(ready.status, 503)
  t.match(JSON.parse(ready.text), { ready: false, reasons: ['draining'] })
  t.equal((await server.get('/healthz')).status, 200, 'still alive')

  await inFlight.expect(/^1 OK /)
  t.ok(await lives(inFlight, 'a'), 'a login in flight finishes and has its session')
  t.match(await idle.line(), /^\* BYE /, 'who has not logged in is told goodbye')
  await idle.untilClosed()
  leaving?.send('9 LOGOUT\r\n')
  t.ok(await lives(staying[0] ?? idle, 'b'), 'sessions go on during the grace')
  for (const peer of [...sessions, inFlight]) peer.end()
  t.equal(await server.program.exit, 0)
  t.ok(performance.now() - drainedAt < 60_000, 'nobody holds it up any more, so it is over before the grace')
  await server.wait('stopped')
}

async function hangingReload(t: Test, server: TestServer): Promise<void> {
  const { password } = await server.user('bob@example.org')
  const session = await server.login('bob@example.org', password)
  const keeper = server.pidOf('keeper')
  process.kill(keeper, 'SIGSTOP')
  server.program.signal('SIGHUP')
  await delay(300) // the reload waits for the keeper by now, and says nothing of it
  const started = performance.now()
  server.program.signal('SIGTERM')
  await server.wait('draining')
  await until(async () => !(await accepts(server.address('imap').port)), 'no port is open')
  t.ok(await lives(session, 'a'), 'accepting has stopped, and sessions go on')
  server.program.signal('SIGTERM')
  t.equal(await server.program.exit, 143, 'and a second signal ends it')
  t.ok(performance.now() - started < 90_000, 'and not after the grace')
  await until(() => !isAlive(keeper), 'the keeper is gone')
}

async function badConfiguration(t: Test, server: TestServer): Promise<void> {
  const { password } = await server.user('ann@example.org')
  const session = await server.login('ann@example.org', password)
  const good = readFileSync(server.configFile, 'utf8')

  // Where the server's files are is for its next start, also for a child that is started again before that.
  const moved = `${good.replace('dataDirectory: data', 'dataDirectory: elsewhere')}\nredis: { url: 'redis://127.0.0.1:1' }\n`
  writeFileSync(server.configFile, moved)
  await reloaded(server)
  for (const key of ['dataDirectory', 'runtimeDirectory', 'store', 'redis', 'keys']) {
    t.ok(
      server.lines.some(({ msg }) => String(msg).startsWith(`${key} changed`)),
      `${key}: said`,
    )
  }

  writeFileSync(server.configFile, `${moved}\nnonsense: true\n`)
  server.program.signal('SIGHUP')
  const refused = await server.wait('config_refused')
  t.match(refused.detail, /sallyport\.yaml:\d+.*nonsense/)
  await server.login('ann@example.org', password)
  t.ok(await lives(session, 'a'), 'nobody noticed')
  const keeper = server.pidOf('keeper')
  process.kill(keeper, 'SIGKILL')
  await server.wait('worker_started', ({ process: name, pid }) => name === 'keeper' && pid !== keeper)
  await server.login('ann@example.org', password)
  t.ok(await lives(session, 'b'), 'a keeper that is started again has the one that was accepted')

  // The keeper reads the file itself; a name rule shows that the edges have the new one, too.
  writeFileSync(server.configFile, `${moved}\nnames: { windowsDomains: { CONTOSO: example.org } }\n`)
  const before = await server.connect()
  before.send(`1 LOGIN "CONTOSO\\\\ann" "${password}"\r\n`)
  await before.expect(/^1 NO \[AUTHENTICATIONFAILED\]/)
  await reloaded(server)
  const after = await server.connect()
  after.send(`1 LOGIN "CONTOSO\\\\ann" "${password}"\r\n`)
  await after.expect(/^1 OK /)
  t.ok(await lives(session, 'c'))

  // A child that is started later has the new one, too.
  const died = server.pidOf('edge-1')
  process.kill(died, 'SIGKILL')
  await server.wait('worker_started', ({ process: name, pid }) => name === 'edge-1' && pid !== died)
  const third = await server.connect()
  third.send(`1 LOGIN "CONTOSO\\\\ann" "${password}"\r\n`)
  await third.expect(/^1 OK /)

  writeFileSync(server.configFile, good.replace('limits: {', 'limits: { login: 1s,'))
  await reloaded(server)
  await (await server.connect()).untilClosed()
  t.pass('limits.login of before is 60 s')
  writeFileSync(server.configFile, good)
  await reloaded(server)
}

/** Resolves when the configuration as it is now is in use. */
async function reloaded(server: TestServer): Promise<void> {
  const count = () => server.lines.filter(({ event }) => event === 'config_reloaded').length
  const before = count()
  server.program.signal('SIGHUP')
  await until(() => count() > before, 'the new configuration is in use')
}

/** The names in the certificate that a port shows. */
async function namesShown(server: TestServer, scheme: string): Promise<string> {
  const socket = connectTls({ ...server.address(scheme), rejectUnauthorized: false, servername: 'localhost' })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerX509Certificate()?.subjectAltName ?? ''
  } finally {
    socket.destroy()
  }
}

async function certificatesSwapped(
  t: Test,
  server: TestServer,
  ca: CertificateAuthority,
  first: PemPair,
): Promise<void> {
  const second = await ca.issue({ names: ['localhost', '127.0.0.1', 'new.example.org'] })
  const write = (directory: string, cert: string, key: string) => {
    writeFileSync(join(directory, 'cert.pem'), cert)
    writeFileSync(join(directory, 'key.pem'), key, { mode: 0o600 })
  }
  const shown = () => namesShown(server, 'imaps')
  t.notMatch(await shown(), /new\.example\.org/)
  const raw = createConnection(server.address('imap'))
  t.teardown(() => raw.destroy())

  write(server.directory, second.cert, first.key)
  server.program.signal('SIGHUP')
  t.match((await server.wait('config_refused')).detail, /key\.pem is not that of the certificate in .*cert\.pem/)
  t.notMatch(await shown(), /new\.example\.org/, 'the old pair is still shown')

  write(server.directory, second.cert, second.key)
  server.program.signal('SIGHUP')
  // Whoever is first, the signal or the watch of the directory, takes them.
  await server.wait('config_reloaded')
  await server.wait('certificate_reloaded')
  for (let i = 0; i < 6; i++) t.match(await shown(), /new\.example\.org/, 'by both edges')
  t.notOk(raw.destroyed, 'open connections notice nothing')

  // Without a signal: their directory is watched. (It was above, too: only what is said from here on counts.)
  const since = new Date().toISOString()
  const third = await ca.issue({ names: ['localhost', '127.0.0.1', 'third.example.org'] })
  write(server.directory, third.cert, second.key)
  const { detail } = await server.wait(
    'warning',
    ({ error_code, time }) => error_code === 'ERR_CERTIFICATE' && String(time) >= since,
  )
  t.match(detail, /key\.pem is not that of the certificate/)
  t.match(await shown(), /new\.example\.org/, 'half a renewal is none')
  write(server.directory, third.cert, third.key)
  await server.wait(
    'certificate_reloaded',
    ({ detail, time }) => detail === 'their files changed' && String(time) >= since,
  )
  for (let i = 0; i < 6; i++) t.match(await shown(), /third\.example\.org/, 'by both edges')
  t.match(
    (await server.get('/metrics')).text,
    /sallyport_certificate_expiry_timestamp_seconds\{certificate=".*cert\.pem"\} \d+/,
  )
}
