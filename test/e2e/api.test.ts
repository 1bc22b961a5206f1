/**
 * The admin API as an operator meets it: the whole product, a token made by the command line, curl and raw sockets against the
 * operators' port, and a real mailbox behind.
 */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import { command, connectTls, loggedIn, quoted, succeed } from '../support/imap.ts'
import { freePort } from '../support/ports.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
const SECOND = 1000
const EVERYTHING = [
  'users:read,users:write,administrators:write,app-passwords:read,app-passwords:write,policies:read,policies:write',
  'devices:read,devices:write,sessions:read,sessions:write,throttle:read,throttle:write,audit:read,tokens:read,tokens:write',
].join(',')

interface Api {
  readonly gate: Sallyport
  readonly root: string
  readonly port: number
  readonly token: string
  call(verb: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiAnswer>
}
interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly json: Readonly<Record<string, unknown>>
}

for (const workers of [2, 0]) {
  t.test(`workers ${workers}`, async (t) => {
    if (!requireService(t, 'dovecot')) return
    const port = await freePort()
    const https = await freePort()
    await using dovecot = await startDovecot({ users: { [ANN]: plainPassword() } })
    await using gate = await startSallyport({
      upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot)) },
      workers,
      listeners: [
        { protocol: 'http', bind: '127.0.0.1', port, serves: ['api'] },
        { protocol: 'https', bind: '127.0.0.1', port: https, serves: ['portal'] },
      ],
      settings: { portal: { url: `https://localhost:${https}` } },
    })
    const token = await tokenOf(gate, EVERYTHING)
    const api = apiOf(gate, port, token)
    await t.test('the examples of the documentation', (t) => examples(t, api))
    await t.test('from an app password to the end of its session', (t) => lifeAndEnd(t, api))
    await t.test('H8: tokens of the command line', (t) => tokens(t, api))
    await t.test('A13: what a client says of itself', (t) => smuggling(t, api))
    await t.test('big bodies, broken requests', (t) => broken(t, api))
    await t.test('no public port knows the API', (t) => publicPort(t, api, https))
    await t.test('what changed is in the audit trail, and no secret is anywhere', (t) => audited(t, api))
    t.same(gate.lines('bug'), [])
  })
}

async function tokenOf(gate: Sallyport, scopes: string, more: readonly string[] = []): Promise<string> {
  const args = ['token', 'create', '--name', 'test', '--scopes', scopes, ...more]
  const { token } = await gate.json<{ token: string }>(args)
  return noteSecret(token)
}

function apiOf(gate: Sallyport, port: number, token: string): Api {
  const root = `http://127.0.0.1:${port}/api/v1`
  return {
    gate,
    root,
    port,
    token,
    async call(verb, path, body, headers = {}) {
      const response = await fetch(`${root}${path}`, {
        method: verb,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const json = text === '' ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>)
      return { status: response.status, headers: response.headers, json }
    },
  }
}

/** Every block of shell in docs/api.md, in its order, as somebody would type it. */
async function examples(t: Test, { root, token }: Api): Promise<void> {
  const text = readFileSync(join(import.meta.dirname, '../../docs/api.md'), 'utf8')
  const blocks = [...text.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '')
  t.ok(blocks.length >= 10)
  let id = ''
  for (const block of blocks) {
    const env = { ...cleanEnvironment(), API: root, TOKEN: token, ID: id }
    const script = block.replaceAll('curl -sS', "curl -sS --fail-with-body -w '\\n'")
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], { env, encoding: 'utf8' })
    t.equal(status, 0, `${block.split('\n')[0]} ${stderr}`)
    for (const line of stdout.split('\n').filter((line) => line !== '')) {
      const answer = JSON.parse(line) as Readonly<Record<string, unknown>>
      if (typeof answer.password === 'string') noteSecret(answer.password)
      if (typeof answer.id === 'string') ({ id } = answer as { id: string })
    }
  }
}

async function lifeAndEnd(t: Test, { gate, call }: Api): Promise<void> {
  const made = await call('POST', `/users/${ANN}/app-passwords`, { name: 'tablet' })
  t.equal(made.status, 201)
  t.equal(made.headers.get('cache-control'), 'no-store')
  const { id, password } = made.json as { id: string; password: string }
  noteSecret(password)
  const phone = await loggedIn(gate, ANN, password)
  const [, exists] = await succeed(phone, 'a', 'SELECT INBOX')
  t.ok(exists, 'it is her mailbox')
  const sessions = await call('GET', `/sessions?user=${ANN}`)
  t.match(sessions.json.items, [{ user: ANN, protocol: 'imap', appPassword: { id }, state: 'open', upstream: 'main' }])
  const shown = await gate.json<unknown[]>(['session', 'list'])
  t.strictSame(sessions.json.items, shown, 'the command line sees the same')

  const at = performance.now()
  const deleted = await call('DELETE', `/app-passwords/${id}`)
  await phone.untilClosed()
  t.ok(performance.now() - at < 10 * SECOND, 'R25: at once, and nothing else would end it')
  t.match(deleted, { status: 200, json: { deleted: [{ id, name: 'tablet' }], sessionsEnded: 1, unanswered: [] } })
  const again = await connectTls(gate)
  const refused = await command(again, 'b', `LOGIN ${quoted(ANN)} ${quoted(password)}`)
  t.match(refused.at(-1), /^b NO /)

  const other = (await call('POST', `/users/${ANN}/app-passwords`, { name: 'laptop' })).json as { password: string }
  const laptop = await loggedIn(gate, ANN, noteSecret(other.password))
  const [session] = (await call('GET', '/sessions')).json.items as readonly { readonly id: string }[]
  t.match(await call('DELETE', `/sessions/${session?.id}`), { status: 200, json: { sessionsEnded: 1 } })
  await laptop.untilClosed()
  t.match(await call('DELETE', `/sessions/${session?.id}`), { status: 404 })

  const desk = await loggedIn(gate, ANN, other.password)
  t.match(await call('PATCH', `/users/${ANN}`, { enabled: false }), { status: 200, json: { sessionsEnded: 1 } })
  await desk.untilClosed()
  t.match(await call('PATCH', `/users/${ANN}`, { enabled: true }), { status: 200, json: { enabled: true } })
  const back = await loggedIn(gate, ANN, other.password)
  t.match(await call('DELETE', `/users/${ANN}/app-passwords`), { status: 200, json: { sessionsEnded: 1 } })
  await back.untilClosed()
}

async function tokens(t: Test, { gate, port, call }: Api): Promise<void> {
  const reader = apiOf(gate, port, await tokenOf(gate, 'users:read'))
  t.match(await reader.call('GET', '/users'), { status: 200 })
  t.match(await reader.call('POST', '/users', { address: 'eve' }), { status: 403 })
  const short = apiOf(gate, port, await tokenOf(gate, 'users:read', ['--expires', '1s']))
  let answer = await short.call('GET', '/users')
  for (let tries = 0; tries < 200 && answer?.status === 200; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer = await short.call('GET', '/users')
  }
  t.match(answer, { status: 401 }, 'its second is over')
  const { id, password } = (await call('POST', `/users/${ANN}/app-passwords`, { name: 'R33' })).json as {
    id: string
    password: string
  }
  noteSecret(password)
  t.match(await apiOf(gate, port, password.replaceAll(' ', '')).call('GET', '/users'), { status: 401 }, 'R33')
  await call('DELETE', `/app-passwords/${id}`)

  const listed = await gate.json<readonly { id: string; scopes: string[] }[]>(['token', 'list'])
  const own = listed.find(({ scopes }) => scopes.length === 1 && scopes[0] === 'users:read')
  const items = (await call('GET', '/tokens')).json.items as readonly { id: string }[]
  t.strictSame(items.map(({ id }) => id).sort(), listed.map(({ id }) => id).sort())
  for (const each of listed.filter(({ scopes }) => scopes.length === 1)) {
    t.match(await call('DELETE', `/tokens/${each.id}`), { status: 200 })
  }
  t.ok(own)
  t.match(await reader.call('GET', '/users'), { status: 401 }, 'over at once')
}

/** Sends bytes as they are and answers what comes back. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(10 * SECOND, () => socket.destroy())
  socket.write(bytes)
  let text = ''
  for await (const part of socket) text += String(part)
  return text
}

async function smuggling(t: Test, { gate, port, token, call }: Api): Promise<void> {
  const head = (lines: readonly string[]) =>
    ['GET /api/v1/users HTTP/1.1', 'Host: localhost', 'Connection: close', ...lines, '', ''].join('\r\n')
  const bearer = `Authorization: Bearer ${token}`
  t.match(await raw(port, head([bearer])), /^HTTP\/1\.1 200 /)
  for (const [lines, why] of [
    [[bearer, bearer], 'two tokens'],
    [[`Authorization: Bearer ${'x'.repeat(40)}`, bearer], 'a wrong one in front'],
    [[`authorization : Bearer ${token}`], 'a blank before the colon'],
    [[`X-Sallyport-Client: e30`, `X-Sallyport-Key: x`], 'the headers of our own processes'],
    [[`Connection: Authorization`, bearer], 'a token that the connection takes away'],
    [[`X-Authorization: Bearer ${token}`], 'another header'],
    [[bearer, 'Host: other'], 'two hosts'],
    [[bearer, 'Transfer-Encoding: chunked', 'Content-Length: 5'], 'two lengths'],
    [[bearer, 'Transfer-Encoding: gzip, chunked'], 'another coding'],
  ] as const) {
    t.match(await raw(port, head(lines)), /^HTTP\/1\.1 4(?:00|01) /, why)
  }
  // The second request hides behind the length of the first one: it must be body, or refused, and never a request.
  const hidden = 'GET /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const both = `DELETE /api/v1/users/nobody HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${bearer}\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`
  t.equal((await raw(port, both)).match(/HTTP\/1\.1 \d/g)?.length, 1)

  const forged = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' }
  t.match(await call('POST', '/users', { address: 'forged' }, forged), { status: 201 })
  const entries = await gate.json<readonly { event: string; detail: { ip?: string } }[]>(['audit'])
  const last = entries.findLast(({ event }) => event === 'admin_called')
  t.equal(last?.detail.ip, '127.0.0.1', 'where it came from is what our socket says')
}

async function broken(t: Test, { port, root, token, call }: Api): Promise<void> {
  t.match(await call('POST', '/users', { address: 'x'.repeat(70_000) }), { status: 413 })
  const huge = await fetch(`${root}/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: 'x'.repeat(3 * 1024 * 1024),
  })
  t.equal(huge.status, 413, 'megabytes are not even taken in')
  t.equal(huge.headers.get('content-type'), 'application/problem+json; charset=utf-8')
  const group = String.raw`R&D / Ops; 100% of C:\x`
  t.match(await call('PUT', `/policies/groups/${encodeURIComponent(group)}`, { appPasswords: 'allowed' }), {
    status: 200,
    json: { subject: group },
  })
  t.match(
    await raw(port, 'PROPFIND /api/v1/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 405 .*allow: /is,
  )
  t.match(
    await raw(port, 'GET /api/v1/../../healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 .*application\/problem\+json.*problem:malformed-request/is,
  )
  const options = await fetch(`${root}/users`, { method: 'OPTIONS' })
  t.equal(options.status, 204)
  t.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS, POST')
  const head = await fetch(`${root}/users`, { method: 'HEAD', headers: { authorization: `Bearer ${token}` } })
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
}

async function publicPort(t: Test, { gate, token }: Api, https: number): Promise<void> {
  for (const path of [
    '/api/v1/users',
    '/api/v1/openapi.json',
    '/api/health',
    '/API/v1/users',
    '/api',
    '/%61pi/v1/users',
  ]) {
    const args = ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', gate.caFile, '--path-as-is']
    const url = `https://localhost:${https}${path}`
    const result = spawnSync('curl', [...args, '-H', `Authorization: Bearer ${token}`, url], { encoding: 'utf8' })
    t.match(result.stdout, /^40[04]$/, `${path} ${result.stderr}`)
  }
}

async function audited(t: Test, { gate, call }: Api): Promise<void> {
  const entries: { event: string; actor: string; seq: number }[] = []
  for (let path = '/audit'; ; ) {
    const page = (await call('GET', path)).json as { items: typeof entries; next: string | null }
    entries.push(...page.items)
    if (page.next === null) break
    path = `/audit?cursor=${page.next}`
  }
  t.strictSame(entries, await gate.json(['audit']), 'the command line reads the same')
  const deleted = entries.filter(({ event, actor }) => event === 'app_password_deleted' && actor.startsWith('token:'))
  t.ok(deleted.length >= 3)
  t.notMatch(JSON.stringify(entries) + gate.log(), /sallyport_[\w-]{20}/, 'no token in the trail or the log')
}
