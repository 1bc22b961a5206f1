import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import { isAlive, startMailbox, startServer, until } from './server.ts'

const PATH = '/Microsoft-Server-ActiveSync'
const LISTENERS = `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }
  - { protocol: https, bind: 127.0.0.1, port: 0, serves: [eas] }
  - { protocol: http, bind: 127.0.0.1, port: 0, serves: [health, metrics] }`

/** An upstream that answers everything but a Ping; a server in front of it, and a phone. */
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
    upstreamSections: `    eas: { url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}" }`,
    identity: '{ method: master-user, user: sallyport, passwordFile: master }',
  })
  const { id, password } = await server.user('ann@example.org')
  function ask(command: string, device = 'PHONE1') {
    const asked = request({
      ...server.address('https'),
      method: 'POST',
      path: `${PATH}?Cmd=${command}&User=ann&DeviceId=${device}&DeviceType=iPhone`,
      rejectUnauthorized: false,
      agent: false,
      headers: { authorization: `Basic ${Buffer.from(`ann@example.org:${password}`).toString('base64')}` },
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
  return { server, id, ask, answer, waiting: () => waiting }
}

for (const workers of [1, 0]) {
  t.test(
    `workers: ${workers}: a phone comes in, waits, and is answered when its app password is deleted`,
    async (t) => {
      const { server, id, ask, answer, waiting } = await setUp(t, workers)
      const sync = await answer(ask('Sync'))
      t.equal(sync.status, 200)
      t.match(Buffer.from(sync.body.toString().slice(6), 'base64').toString(), /^ann@example\.org\*sallyport:/)
      const poll = answer(ask('Ping'))
      await until(() => waiting() === 1, 'the poll is upstream')
      const services = await server.services()
      t.teardown(() => services.close())
      const since = performance.now()
      const done = await services.call('app-password.delete', { id })
      t.match(done, { sessionsEnded: 1 }, 'M2')
      t.strictSame((await poll).body, PING_OVER)
      t.ok(performance.now() - since < 1500)
      await until(() => waiting() === 0, 'the upstream’s side is over')
      t.equal((await answer(ask('Ping'))).status, 401)
    },
  )
}

t.test('I-9: a drain answers waiting polls, and the https edge ends', async (t) => {
  const { server, ask, answer, waiting } = await setUp(t, 1)
  const poll = answer(ask('Ping'))
  await until(() => waiting() === 1, 'the poll is upstream')
  const pid = server.pidOf('https')
  process.kill(server.pid, 'SIGTERM')
  t.strictSame((await poll).body, PING_OVER)
  t.equal(await server.program.exit, 0)
  t.notOk(isAlive(pid))
})

t.test('the keeper dies under a waiting poll: the poll goes on, and can be ended by its successor', async (t) => {
  const { server, id, ask, answer, waiting } = await setUp(t, 1)
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
})

t.test(
  'M2, M6: a device that is blocked right after the keeper died loses its poll at once, and only its own',
  async (t) => {
    const { server, ask, answer, waiting } = await setUp(t, 1)
    const poll = answer(ask('Ping', 'lost'))
    const others = answer(ask('Ping', 'kept'))
    await until(() => waiting() === 2, 'both polls are upstream')
    const before = server.pidOf('keeper')
    process.kill(before, 'SIGKILL')
    await until(() => server.pidOf('keeper') !== before && isAlive(server.pidOf('keeper')), 'another keeper')
    const again = await server.services()
    t.teardown(() => again.close())
    const since = performance.now()
    const done = await again.call('device.block', { user: 'ann@example.org', id: 'lost' })
    t.match(done, { device: { state: 'blocked' }, sessionsEnded: 1, unanswered: [] })
    t.strictSame((await poll).body, PING_OVER)
    t.ok(performance.now() - since < 1500)
    await until(() => waiting() === 1, 'the upstream’s side is over')
    t.equal((await answer(ask('Ping', 'lost'))).status, 403)
    t.match(await again.call('session.list', {}), { sessions: { length: 1 } })
    const ended = await again.call('device.block', { user: 'ann@example.org', id: 'kept' })
    t.equal(ended.sessionsEnded, 1)
    t.strictSame((await others).body, PING_OVER)
  },
)
