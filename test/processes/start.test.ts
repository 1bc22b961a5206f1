import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../support/ports.ts'
import { configText, launch, lives, MAIN, prepare, startMailbox, startServer, until } from './server.ts'

t.test('workers: 0 does all of it in one process', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 0 })
  t.equal(server.lines.filter(({ event }) => event === 'worker_started').length, 0)
  const { id, password } = await server.user('ann@example.org')
  const session = await server.login('ann@example.org', password)
  t.ok(await lives(session, 'a'))
  t.equal((await server.get('/readyz')).status, 200)
  t.match((await server.get('/metrics')).text, /^sallyport_sessions\{protocol="imap"\} 1$/m)
  const services = await server.services()
  t.match(await services.call('app-password.delete', { id }), { sessionsEnded: 1, unanswered: [] })
  services.close()
  await session.untilClosed()
  server.program.signal('SIGHUP')
  await server.wait('config_reloaded')
  server.program.signal('SIGTERM')
  t.equal(await server.program.exit, 0)
})

t.test('health and metrics: all processes in one answer', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 2 })
  const { password } = await server.user('ann@example.org')
  await Promise.all(Array.from({ length: 6 }, () => server.login('ann@example.org', password)))
  const { status, text } = await server.get('/metrics')
  t.equal(status, 200)
  t.match(text, /^sallyport_sessions\{protocol="imap"\} 6$/m, 'of two edges, added up')
  t.match(text, /^sallyport_verify_total\{path="[a-z0-9]+"\} \d+$/m, 'of the keeper')
  t.match(text, /^sallyport_build_info\{version="[^"]+",node="v\d+/m, 'of the supervisor')
  t.match(text, /^sallyport_store_up 1$/m)
  t.notMatch(text, /^sallyport_redis_up /m, 'there is none')
  t.notMatch(text, /ann@example/, 'J4: no user in a label')
  t.strictSame(JSON.parse((await server.get('/readyz')).text), { ready: true, reasons: [] })
  t.equal((await server.get('/healthz?x=1')).status, 200)
  t.equal((await server.get('/api/v1/users')).status, 404)
  const { host, port } = server.address('http')
  t.equal((await fetch(`http://${host}:${port}/metrics`, { method: 'POST' })).status, 405)

  process.kill(server.pidOf('keeper'), 'SIGSTOP')
  t.teardown(() => process.kill(server.pidOf('keeper'), 'SIGCONT'))
  const started = performance.now()
  const without = await server.get('/metrics')
  t.ok(performance.now() - started < 60_000, 'a process that does not answer holds nobody up')
  t.match(without.text, /^sallyport_sessions\{protocol="imap"\} 6$/m)
  const ready = await server.get('/readyz')
  t.equal(ready.status, 503)
  t.match(JSON.parse(ready.text).reasons, ['the keeper does not answer'])
  process.kill(server.pidOf('keeper'), 'SIGCONT')
  await until(async () => (await server.get('/readyz')).status === 200, 'ready again')

  process.kill(server.pidOf('keeper'), 'SIGKILL')
  await until(async () => (await server.get('/readyz')).status === 503, 'not ready without a keeper')
  await until(async () => (await server.get('/readyz')).status === 200, 'ready with its successor')
})

t.test('what can not start says why and with which exit code', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1 })

  // The same data directory: the store's lock is held.
  const second = launch(t, server.configFile)
  t.equal(await second.exit, 69)
  t.match(second.output, /sallyport: .*(?:lock|in use|server)/i)
  t.ok(
    await lives(await server.login('ann@example.org', (await server.user('ann@example.org')).password), 'a'),
    'the first one goes on',
  )

  const taken = createServer()
  taken.listen(await freePort(), '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const takenBy = (name: string) => new RegExp(`listener ${name}.* is taken by another program or another sallyport`)
  for (const [listeners, code, words] of [
    [`  - { protocol: imap, bind: 127.0.0.1, port: ${port}, tls: none }`, 69, takenBy(`imap-${port}`)],
    [
      `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }\n  - { protocol: http, bind: 127.0.0.1, port: ${port} }`,
      69,
      takenBy(`http-${port}`),
    ],
    // By another server of ours: its sockets would take us in, and half of the clients with us.
    [`  - { protocol: imap, bind: 127.0.0.1, port: ${server.address('imap').port}, tls: none }`, 69, takenBy('imap-')],
  ] as const) {
    const { configFile } = prepare(t, configText({ mailbox, workers: 1, listeners }))
    const failed = launch(t, configFile)
    t.equal(await failed.exit, code, failed.output)
    t.match(failed.output, words)
  }

  const { createCa } = await import('../support/certificates.ts')
  const ca = await createCa()
  const [one, two] = [await ca.issue({ names: ['localhost'] }), await ca.issue({ names: ['localhost'] })]
  const mismatch = prepare(
    t,
    configText({
      mailbox,
      workers: 1,
      listeners: '  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: implicit }',
      extra: 'tls: { certificates: [{ certFile: cert.pem, keyFile: key.pem }] }\n',
    }),
    { 'cert.pem': one.cert, 'key.pem': two.key },
  )
  const refused = launch(t, mismatch.configFile)
  t.equal(await refused.exit, 78, refused.output)
  t.match(
    refused.output,
    /sallyport\.yaml:\d+: tls\.certificates\[0\]: the key in .*key\.pem is not that of the certificate/,
  )

  const firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'))
  const port1023 = `  - { protocol: imap, bind: 127.0.0.1, port: ${firstFree - 1}, tls: none }`
  // A container may let everybody have every port.
  if (firstFree > 1) {
    const { configFile } = prepare(t, configText({ mailbox, workers: 1, listeners: port1023 }))
    // Root has the capability, unless it is taken away.
    const isRoot = process.geteuid?.() === 0
    const unprivileged = launch(t, configFile, isRoot ? ['setpriv', '--bounding-set', '-net_bind_service'] : [])
    t.equal(await unprivileged.exit, 77, unprivileged.output)
    t.match(unprivileged.output, /listener imap-\d+: port \d+ is for privileged programs: .*CAP_NET_BIND_SERVICE/)
  }

  const open = prepare(t, configText({ mailbox, workers: 1, extra: 'runtimeDirectory: .\n' }))
  spawnSync('chmod', ['755', open.directory])
  const exposed = launch(t, open.configFile)
  t.equal(await exposed.exit, 78, exposed.output)
  t.match(exposed.output, /chmod 700/)
})

t.test('I-14: what children are started with', async (t) => {
  const mailbox = await startMailbox(t)
  process.env.SECRET_OF_THE_SHELL = 'not-for-children'
  process.env.NODE_OPTIONS = '--no-deprecation'
  t.teardown(() => {
    delete process.env.SECRET_OF_THE_SHELL
    delete process.env.NODE_OPTIONS
  })
  const server = await startServer(t, { mailbox, workers: 1 })
  for (const name of ['keeper', 'edge-1']) {
    const pid = server.pidOf(name)
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1')
    t.notMatch(environment, /SECRET_OF_THE_SHELL|NODE_OPTIONS|not-for-children/, `${name}: built, not inherited`)
    t.equal(/NODE_COMPILE_CACHE=/.test(environment), name === 'keeper', `${name}: compiled code, where files are read`)
    t.match(readFileSync(`/proc/${pid}/limits`, 'latin1'), /Max core file size +0 +0/, `${name}: no core dump`)
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
    t.ok(command.includes('--disable-sigusr1'))
    t.equal(command.includes('--permission'), name === 'edge-1')
    t.notMatch(command.join(' '), /key|secret/i)
  }
  t.match(readFileSync(`/proc/${server.pidOf('keeper')}/environ`, 'latin1'), /UV_THREADPOOL_SIZE=\d+/)
  // SIGUSR1 opens no debugger, and ends nothing.
  process.kill(server.pidOf('edge-1'), 'SIGUSR1')
  t.equal((await server.get('/healthz')).status, 200)

  const run = join(server.directory, 'data/run')
  for (const name of readdirSync(run)) {
    const { mode } = lstatSync(join(run, name))
    t.equal(mode & 0o077, 0, `${name} is ours alone`)
  }
  t.equal(lstatSync(run).mode & 0o777, 0o700)
  t.equal(server.lines.filter(({ event }) => event === 'worker_died').length, 0)
  const warned = server.lines.some(({ event, msg }) => event === 'warning' && /runs as root/.test(msg))
  t.equal(warned, process.getuid?.() === 0, 'nobody runs it as root without being told')
})

t.test('a role is not for people', async (t) => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'internal-role', 'edge'], { encoding: 'utf8' })
  t.equal(status, 1)
  t.match(stderr, /started by the supervisor/)
})
