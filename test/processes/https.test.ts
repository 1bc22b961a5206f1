import { once } from 'node:events'
import { readdirSync, unlinkSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request as askPlainly } from 'node:http'
import type { RequestOptions as SecureOptions } from 'node:https'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { connectPortal } from '../../src/contract/portal-channel.ts'
import { createLog } from '../../src/log.ts'
import { Secret } from '../../src/secret.ts'
import type { TestServer } from './server.ts'
import { isAlive, lives, startMailbox, startServer, until, withDescriptors } from './server.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

const LISTENERS = `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }
  - { protocol: https, bind: 127.0.0.1, port: 0, serves: [portal] }
  - { protocol: http, bind: 127.0.0.1, port: 0, serves: [health, metrics, api] }`
const PORTAL = 'portal: { url: "https://mail.example.org" }\n'

async function send(options: SecureOptions, body = '', isTls = true): Promise<Answer> {
  const asked = (isTls ? request : askPlainly)({ agent: false, ...options })
  asked.end(body)
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const part of response) text += part
  return { status: response.statusCode, headers: response.headers, text }
}

/** A request on the https port. */
function get(server: TestServer, path: string, more: SecureOptions = {}): Promise<Answer> {
  return send({ ...server.address('https'), path, rejectUnauthorized: false, ...more })
}

function api(server: TestServer, path: string): Promise<Answer> {
  return send({ ...server.address('http'), path }, '', false)
}

t.test('workers: 0', async (t) => {
  const server = await startServer(t, {
    mailbox: await startMailbox(t),
    workers: 0,
    listeners: LISTENERS,
    extra: PORTAL,
  })
  await t.test('pages through the https port, the API through the operators’ port', (t) => pages(t, server))
})

t.test('workers: 1', async (t) => {
  const server = await startServer(t, {
    mailbox: await startMailbox(t),
    workers: 1,
    listeners: LISTENERS,
    extra: PORTAL,
    through: withDescriptors(2000),
  })
  t.match(
    await Promise.all(
      ['edge-1', 'https'].map((edge) =>
        server.wait('warning', (line) => line.process === edge && /descr/.test(line.msg ?? '')),
      ),
    ),
    Array(2).fill({
      event: 'warning',
      msg: 'fewer file descriptors than connections: raise LimitNOFILE or lower limits.connections',
      detail: /^968 connections fit, \d+ are allowed$/, // (2000 - 64) / 2
    }),
    'each kind of edge says so',
  )
  const lingering = await answeredTooEarly(t, server)
  await t.test('pages through the https edge, the API through the operators’ port', (t) => pages(t, server))
  await t.test('web’s sockets ask for a key: a process of the same user gets nothing', (t) => strangers(t, server))
  await t.test('web dies: a page of the edge says so, mail goes on, and web is back', (t) => webDies(t, server))
  await t.test('web away for longer: 503 with words in the client’s language, and never a reset', (t) =>
    webStaysAway(t, server),
  )
  await t.test('the keeper dies: web says 503 within a moment, and answers again when it is back', (t) =>
    keeperDies(t, server),
  )
  await t.test(
    'E1: who is answered 404 and goes on sending is heard for ten seconds, and no longer',
    () => lingering.cut,
  )
  await t.test('the https edge dies and is back; a reload reaches it and web; a drain ends both', (t) =>
    edgeDies(t, server),
  )
})

/** Two that are answered before they have sent all: one sends the rest, the other does not. Resolves when that one is cut off. */
async function answeredTooEarly(t: Test, server: TestServer): Promise<{ readonly cut: Promise<void> }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const begin = async () => {
    const headers = { 'content-length': '20' }
    const more = { path: '/Microsoft-Server-ActiveSync', method: 'POST', headers, agent, rejectUnauthorized: false }
    const asked = request({ ...server.address('https'), ...more })
    asked.write('0123456789')
    const [response] = await once(asked, 'response')
    t.equal(response.statusCode, 404)
    response.resume()
    return asked
  }
  const polite = await begin()
  const { socket } = polite
  polite.end('0123456789')
  await once(polite, 'close')
  const silent = await begin()
  t.equal(silent.socket, socket, 'who sends the rest goes on with the same connection')
  const answeredAt = performance.now()
  const cut = once(silent, 'close').then(() => {
    t.ok(performance.now() - answeredAt > 9000, 'not before')
  })
  return { cut }
}

async function pages(t: Test, server: TestServer): Promise<void> {
  const page = await get(server, '/no-such-page', { headers: { accept: 'text/html' } })
  t.equal(page.status, 404)
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'content-security-policy': /frame-ancestors 'none'/,
    'cache-control': 'no-store',
    'strict-transport-security': /max-age=\d+/,
    'x-request-id': /^[0-9a-f]{16}$/,
  })
  t.equal((await get(server, '/api/health')).status, 404, 'the API is on no public port')
  t.equal((await get(server, '/Microsoft-Server-ActiveSync')).status, 404, 'serves has no eas')

  const health = await api(server, '/api/health')
  t.equal(health.status, 200)
  t.strictSame(JSON.parse(health.text), { web: 'up', keeper: 'up' })
  t.notOk(health.headers['strict-transport-security'], 'said where TLS was')
  const missing = await api(server, '/api/v1/no-such-thing')
  t.equal(missing.status, 404)
  t.equal(missing.headers['content-type'], 'application/problem+json; charset=utf-8', 'RFC 9457')
  t.equal((await server.get('/readyz')).status, 200)
  t.match((await server.get('/metrics')).text, /sallyport_connections\{protocol="https",state="login"\}/)
}

async function strangers(t: Test, server: TestServer): Promise<void> {
  const run = join(server.directory, 'data/run')
  const pages = readdirSync(run).find((name) => name.startsWith('pages-')) ?? ''
  for (const headers of [
    {},
    { 'x-sallyport-key': 'guess', 'x-sallyport-client': Buffer.from('{"ip":"10.0.0.1"}').toString('base64url') },
  ]) {
    const asked = askPlainly({ socketPath: join(run, pages), path: '/', headers, agent: false })
    asked.end()
    const [error] = await once(asked, 'error')
    t.equal(error.code, 'ECONNRESET', 'no word')
  }
  const log = createLog({ level: 'error', version: 'test', process: 'test', destination: { write() {} } })
  const portal = connectPortal({ path: join(run, 'web.sock'), key: new Secret('guess'), log, waitMs: 500 })
  t.teardown(() => portal.close())
  await t.rejects(portal.call('sign-in.options', {}), { code: 'unavailable' })
  await server.wait('warning', ({ msg }) => msg === 'a caller was turned away')
}

async function webDies(t: Test, server: TestServer): Promise<void> {
  const { password } = await server.user('ann@example.org')
  const session = await server.login('ann@example.org', password)
  const before = server.pidOf('web')
  const sockets = () => readdirSync(join(server.directory, 'data/run')).filter((name) => name.startsWith('pages-'))
  t.equal(sockets().length, 1)

  process.kill(before, 'SIGSTOP') // so that it is not back before we have asked
  process.kill(before, 'SIGKILL')
  const answers = new Set<number>()
  await until(async () => {
    answers.add((await get(server, '/help')).status)
    return server.pidOf('web') !== before && (await get(server, '/help')).status === 200
  }, 'web is back')
  t.notOk([...answers].some((status) => ![200, 502, 503].includes(status)))
  t.ok(await lives(session, 'a'), 'mail is untouched')
  t.equal(sockets().length, 1, 'the socket that the dead one left is gone')
}

async function webStaysAway(t: Test, server: TestServer): Promise<void> {
  // Stopped, it is not restarted for three beats: its socket takes connections and nobody answers; so the file is taken away.
  const pid = server.pidOf('web')
  process.kill(pid, 'SIGSTOP')
  for (const name of readdirSync(join(server.directory, 'data/run'))) {
    if (name.startsWith('pages-')) unlinkSync(join(server.directory, 'data/run', name))
  }
  const english = await get(server, '/')
  t.equal(english.status, 503)
  t.match(english.text, /Not available just now/)
  t.match(english.headers, { 'retry-after': /^\d+$/, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  const dutch = await get(server, '/', { headers: { 'accept-language': 'nl-NL,nl;q=0.9' } })
  t.match(dutch.text, /Even niet beschikbaar/)
  process.kill(pid, 'SIGKILL')
  await until(async () => (await get(server, '/help')).status === 200, 'web is back', 60_000)
}

async function keeperDies(t: Test, server: TestServer): Promise<void> {
  t.equal((await api(server, '/api/health')).status, 200)
  const before = server.pidOf('keeper')
  process.kill(before, 'SIGSTOP')
  process.kill(before, 'SIGKILL')
  await until(async () => {
    const { status } = await api(server, '/api/health')
    if (status !== 200 && status !== 503) t.fail(`status ${status}`)
    return server.pidOf('keeper') !== before && status === 200
  }, 'the keeper is back')
}

async function edgeDies(t: Test, server: TestServer): Promise<void> {
  const before = server.pidOf('https')
  process.kill(before, 'SIGKILL')
  await until(() => server.pidOf('https') !== before, 'the https edge is back')
  t.equal((await get(server, '/help')).status, 200)
  process.kill(server.pid, 'SIGHUP')
  await server.wait('config_reloaded')
  t.equal((await get(server, '/help')).status, 200)

  const pids = ['https', 'web', 'keeper'].map((name) => server.pidOf(name))
  process.kill(server.pid, 'SIGTERM')
  t.equal(await server.program.exit, 0)
  t.notOk(pids.some(isAlive))
  t.strictSame(
    readdirSync(join(server.directory, 'data/run')).filter((name) => name.endsWith('.sock')),
    [],
  )
}
