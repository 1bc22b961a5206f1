/**
 * A log that nobody takes and a disk that is full, with the whole server and real bytes in the way (threat I-10).
 */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { connectServices } from '../../src/contract/services-channel.ts'
import { ScriptedPeer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { run } from '../support/program.ts'
import { noteSecret } from '../support/secrets.ts'
import type { Mailbox } from './server.ts'
import { configText, MAIN, prepare, startMailbox, until } from './server.ts'

t.setTimeout(240_000)

interface Started {
  readonly child: ChildProcess
  readonly directory: string
  readonly password: string
  /** Answers the line that a login gets. */
  login(): Promise<string>
  connect(): Promise<ScriptedPeer>
  metric(name: string): Promise<number>
  services: Awaited<ReturnType<typeof connectServices>>
}

/** A server whose standard output is what the test says. */
async function start(
  t: Test,
  mailbox: Mailbox,
  stdout: 'pipe' | number,
  { extra = '', dataDirectory = 'data' } = {},
): Promise<Started> {
  const [imap, http] = [await freePort(), await freePort()]
  const listeners = `  - { protocol: imap, bind: 127.0.0.1, port: ${imap}, tls: none }
  - { protocol: http, bind: 127.0.0.1, port: ${http}, serves: [health, metrics] }`
  const text = configText({ mailbox, workers: 1, listeners, extra }).replace(
    'dataDirectory: data',
    `dataDirectory: ${dataDirectory}`,
  )
  const { directory, configFile } = prepare(t, text)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SALLYPORT|NODE|TAP)_?/.test(name)))
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', configFile], {
    stdio: ['ignore', stdout, 'inherit'],
    env,
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  const ready = () =>
    fetch(`http://127.0.0.1:${http}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    )
  await until(ready, 'the server is up', 90_000)
  const services = await connectServices(resolve(directory, dataDirectory, 'run'), 'cli:test')
  t.teardown(() => services.close())
  await services.call('user.add', { address: 'ann@example.org' })
  const { password } = await services.call('app-password.create', { user: 'ann@example.org', name: 'phone' })
  noteSecret(password)
  async function connect() {
    const socket = createConnection({ host: '127.0.0.1', port: imap })
    t.teardown(() => socket.destroy())
    const peer = new ScriptedPeer(socket)
    await peer.expect(/^\* OK /)
    return peer
  }
  return {
    child,
    directory,
    password,
    services,
    connect,
    async login() {
      using peer = await connect()
      peer.send(`1 LOGIN ann@example.org "${password}"\r\n`)
      return await peer.line()
    },
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text()
      return Number(new RegExp(`^sallyport_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
    },
  }
}

/** Logs that much: more than the pipe and the stream before it take. */
async function makeNoise(server: Started): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await Promise.all(Array.from({ length: 15 }, async () => (await server.connect()).socket.destroy()))
  }
}

for (const audit of ['best-effort', 'required'] as const) {
  t.test(`I-10: nobody takes the log, audit ${audit}`, async (t) => {
    const mailbox = await startMailbox(t)
    const server = await start(t, mailbox, 'pipe', { extra: `audit: ${audit}\nlog: { level: debug }\n` })
    const { child } = server
    t.match(await server.login(), /^1 OK /)
    await makeNoise(server)
    if (audit === 'required') {
      await until(async () => !(await server.login()).startsWith('1 OK'), 'the log counts as gone')
      t.match(await server.login(), /^1 NO \[UNAVAILABLE\] /, 'invariant 11: temporary, no wrong password')
      child.stdout?.resume()
      await until(async () => (await server.login()).startsWith('1 OK'), 'it is taken again')
      child.stdout?.pause()
      await makeNoise(server)
    } else {
      for (let i = 0; i < 5; i++) t.match(await server.login(), /^1 OK /, 'a login does not wait for the log')
    }
    child.kill('SIGTERM')
    t.strictSame((await once(child, 'exit'))[0], 0, 'and it ends when it is told to')
  })
}

t.test('I-10: the log is on a full disk: lines are lost and counted, and nothing dies of it', async (t) => {
  const mailbox = await startMailbox(t)
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const server = await start(t, mailbox, full)
  const { pid, keeperPid } = await server.services.call('health', {})
  t.equal(pid, server.child.pid, 'signals go to the server, whose keeper is a child')
  for (let i = 0; i < 5; i++) t.match(await server.login(), /^1 OK /)
  await until(async () => (await server.metric('log_lost_total')) > 5, 'lost lines are counted')
  t.equal((await server.services.call('health', {})).keeperPid, keeperPid, 'the keeper is the one it was')
  server.child.kill('SIGTERM')
  t.strictSame((await once(server.child, 'exit'))[0], 0)
})

t.test('I-10: the store is on a full disk', async (t) => {
  const { directory: place } = prepare(t, '')
  const disk = join(place, 'disk')
  mkdirSync(disk)
  const mounted =
    process.getuid?.() === 0 && (await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'none', disk])).status === 0
  if (!mounted) return void t.pass('no disk of our own', { skip: 'a small disk can be mounted by root only' })
  t.teardown(() => run('umount', ['-l', disk]))
  const mailbox = await startMailbox(t)
  const sink = openSync('/dev/null', 'w')
  t.teardown(() => closeSync(sink))

  for (const audit of ['best-effort', 'required'] as const) {
    const server = await start(t, mailbox, sink, { dataDirectory: join(disk, audit), extra: `audit: ${audit}\n` })
    t.match(await server.login(), /^1 OK /)
    const fill = () => {
      // To the last byte: what is left after the big pieces, too.
      for (const size of [1 << 20, 1 << 16, 1 << 12, 512]) {
        for (let i = 0; i < 30; i++) {
          try {
            writeFileSync(join(disk, `fill-${size}-${i}`), Buffer.alloc(size))
          } catch {
            break
          }
        }
      }
    }
    fill()
    const add = (name: string) => server.services.call('user.add', { address: `${name}@example.org` })
    let added = 0
    await t.rejects(
      (async () => {
        for (; added < 5000; added++) await add(`user${added}`)
      })(),
      { code: 'unavailable' },
      `${audit}: what can't be recorded is not done`,
    )
    if (audit === 'required') {
      await until(async () => !(await server.login()).startsWith('1 OK'), 'nobody is let in')
      t.match(await server.login(), /^1 NO \[UNAVAILABLE\] /, 'temporary')
    } else t.match(await server.login(), /^1 OK /, 'logins go on')
    for (const size of [1 << 20, 1 << 16, 1 << 12, 512]) {
      for (let i = 0; i < 30; i++) rmSync(join(disk, `fill-${size}-${i}`), { force: true })
    }
    await until(async () => (await server.login()).startsWith('1 OK'), 'as before when there is room')
    await add(`again-${audit}`)
    t.match(await server.services.call('audit.verify', {}), { ok: true }, 'J3: nothing is missing in between')
    server.services.close()
    server.child.kill('SIGTERM')
    await once(server.child, 'exit')
    rmSync(join(disk, audit), { recursive: true })
  }
})
