import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import { noteSecret } from '../support/secrets.ts'
import type { TestServer } from './server.ts'
import { isAlive, startMailbox, startServer, until } from './server.ts'

const PATH = '/Microsoft-Server-ActiveSync'
const LISTENERS = `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }
  - { protocol: https, bind: 127.0.0.1, port: 0, serves: [eas] }
  - { protocol: http, bind: 127.0.0.1, port: 0, serves: [health, metrics] }`

/** An upstream that answers everything but a Ping; a server in front of it, and people with a phone. */
async function setUp(t: Test, workers: number) {
  let waiting = 0
  const upstream = createServer({ requestTimeout: 0 }, (incoming, response) => {
    incoming.resume()
    if (!incoming.url?.includes('Cmd=Ping')) return void response.end(incoming.headers.authorization)
    waiting += 1
    response.on('close', () => {
      waiting -= 1
    })
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => {
    upstream.closeAllConnections()
    upstream.close()
  })
  const mailbox = await startMailbox(t)
  const server = await startServer(t, {
    mailbox,
    workers,
    listeners: LISTENERS,
    upstreamSections: `    eas:
      url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}"
      identity: { method: master-user, user: phones, passwordFile: phones }`,
    identity: '{ method: authzid, user: sallyport, passwordFile: master }',
    files: { phones: noteSecret('first-of-the-phones') },
  })
  return { server, waiting: () => waiting, phoneOf: (name: string) => phoneOf(server, name) }
}

type House = Awaited<ReturnType<typeof setUp>>

async function phoneOf(server: TestServer, name: string) {
  const address = `${name}@example.org`
  const { id, password } = await server.user(address)
  function ask(command: string, device = 'PHONE1') {
    const asked = request({
      ...server.address('https'),
      method: 'POST',
      path: `${PATH}?Cmd=${command}&User=${name}&DeviceId=${device}&DeviceType=iPhone`,
      rejectUnauthorized: false,
      agent: false,
      headers: { authorization: `Basic ${Buffer.from(`${address}:${password}`).toString('base64')}` },
    })
    asked.end('x')
    return asked
  }
  async function answer(asked: ReturnType<typeof ask>) {
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    return { status: response.statusCode, body: Buffer.concat(parts) }
  }
  return { address, id, ask, answer }
}

for (const workers of [1, 0]) {
  t.test(`workers: ${workers}`, async (t) => {
    const house = await setUp(t, workers)
    await t.test('a phone comes in, waits, and is answered when its app password is deleted', (t) => deleted(t, house))
    await t.test('a reload: ActiveSync’s own identity changes, and what waits goes on', (t) => reloaded(t, house))
    if (workers === 0) return
    await t.test('the keeper dies under a waiting poll: the poll goes on, and can be ended by its successor', (t) =>
      keeperDies(t, house),
    )
    await t.test(
      'M2, M6: a device that is blocked right after the keeper died loses its poll at once, and only its own',
      (t) => blocked(t, house),
    )
    await t.test('I-9: a drain answers waiting polls, and the https edge ends', (t) => drained(t, house))
  })
}

async function deleted(t: Test, { server, waiting, phoneOf }: House): Promise<void> {
  const { id, ask, answer } = await phoneOf('ann')
  t.equal(saidUpstream(await answer(ask('Sync'))), 'ann@example.org*phones:first-of-the-phones')
  const poll = answer(ask('Ping'))
  await until(() => waiting() === 1, 'the poll is upstream')
  const services = await server.services()
  t.teardown(() => services.close())
  const since = performance.now()
  const done = await services.call('app-password.delete', { id })
  t.match(done, { sessionsEnded: 1 }, 'M2')
  t.strictSame((await poll).body, PING_OVER)
  t.ok(performance.now() - since < 60_000, 'a poll that nobody ends has no end')
  await until(() => waiting() === 0, 'the upstream’s side is over')
  t.equal((await answer(ask('Ping'))).status, 401)
}

/** What the upstream was told, which it answers. */
function saidUpstream({ body }: { readonly body: Buffer }): string {
  return Buffer.from(body.toString().replace('Basic ', ''), 'base64').toString()
}

async function reloaded(t: Test, { server, waiting, phoneOf }: House): Promise<void> {
  const { id, ask, answer } = await phoneOf('eve')
  const poll = answer(ask('Ping'))
  await until(() => waiting() === 1, 'the poll is upstream')
  const reload = async () => {
    const before = server.lines.filter(({ event }) => event === 'config_reloaded').length
    server.program.signal('SIGHUP')
    await until(
      () => server.lines.filter(({ event }) => event === 'config_reloaded').length > before,
      'the configuration is taken over',
    )
  }
  writeFileSync(join(server.directory, 'phones'), noteSecret('second-of-the-phones'))
  await reload()
  t.equal(
    saidUpstream(await answer(ask('Sync'))),
    'eve@example.org*phones:second-of-the-phones',
    'the file is read again',
  )
  const text = readFileSync(server.configFile, 'utf8')
  writeFileSync(server.configFile, text.replace('user: phones', 'user: handsets'))
  await reload()
  t.equal(saidUpstream(await answer(ask('Sync'))), 'eve@example.org*handsets:second-of-the-phones')
  t.equal(waiting(), 1, 'a change of identity ends nothing')
  const services = await server.services()
  t.teardown(() => services.close())
  t.match(await services.call('app-password.delete', { id }), { sessionsEnded: 1 })
  t.strictSame((await poll).body, PING_OVER)
  await until(() => waiting() === 0, 'the upstream’s side is over')
}

async function keeperDies(t: Test, { server, waiting, phoneOf }: House): Promise<void> {
  const { id, ask, answer } = await phoneOf('bob')
  const poll = answer(ask('Ping'))
  await until(() => waiting() === 1, 'the poll is upstream')
  await new Promise((resolve) => setTimeout(resolve, 100))
  const before = server.pidOf('keeper')
  process.kill(before, 'SIGKILL')
  await until(() => server.pidOf('keeper') !== before && isAlive(server.pidOf('keeper')), 'another keeper')
  t.equal((await answer(ask('Sync'))).status, 200)
  t.equal(waiting(), 1, 'it still waits')
  const services = await server.services()
  t.teardown(() => services.close())
  // The end of the other request is told a moment behind its answer.
  await until(async () => (await services.call('session.list', {})).sessions.length === 1, 'one session is left')
  const done = await services.call('app-password.delete', { id })
  t.match(done, { sessionsEnded: 1 })
  t.strictSame((await poll).body, PING_OVER)
}

async function blocked(t: Test, { server, waiting, phoneOf }: House): Promise<void> {
  const { address, ask, answer } = await phoneOf('cid')
  const poll = answer(ask('Ping', 'lost'))
  const others = answer(ask('Ping', 'kept'))
  await until(() => waiting() === 2, 'both polls are upstream')
  const before = server.pidOf('keeper')
  process.kill(before, 'SIGKILL')
  await until(() => server.pidOf('keeper') !== before && isAlive(server.pidOf('keeper')), 'another keeper')
  const again = await server.services()
  t.teardown(() => again.close())
  const since = performance.now()
  const done = await again.call('device.block', { user: address, id: 'lost' })
  t.match(done, { device: { state: 'blocked' } })
  // An edge that is not back within a second, on a busy machine, is named, and ends the poll when it is.
  if (done.unanswered.length === 0) t.equal(done.sessionsEnded, 1)
  t.strictSame((await poll).body, PING_OVER)
  t.ok(performance.now() - since < 60_000, 'a poll that nobody ends has no end')
  await until(() => waiting() === 1, 'the upstream’s side is over')
  t.equal((await answer(ask('Ping', 'lost'))).status, 403)
  t.match(await again.call('session.list', {}), { sessions: { length: 1 } })
  const ended = await again.call('device.block', { user: address, id: 'kept' })
  t.equal(ended.sessionsEnded, 1)
  t.strictSame((await others).body, PING_OVER)
}

async function drained(t: Test, { server, waiting, phoneOf }: House): Promise<void> {
  const { ask, answer } = await phoneOf('dot')
  const poll = answer(ask('Ping'))
  await until(() => waiting() === 1, 'the poll is upstream')
  const pid = server.pidOf('https')
  process.kill(server.pid, 'SIGTERM')
  t.strictSame((await poll).body, PING_OVER)
  t.equal(await server.program.exit, 0)
  t.notOk(isAlive(pid))
}
