/**
 * Whatever people, programs and administrators send, nobody connects to a place that they name (threats D10): the whole product
 * between clients that name a trap in every field there is, and upstreams that are still found afterwards.
 */

import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { friendlyUpstream } from '../edge/login/house.ts'
import { listen } from '../edge/net/sockets.ts'
import { friendlyUpstream as friendlyPop3 } from '../edge/pop3/house.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient, scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { startSallyport } from '../support/sallyport.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'

const ANN = 'ann@example.org'
const base64 = (text: string): string => Buffer.from(text).toString('base64')

t.setTimeout(240_000)

interface House {
  readonly gate: Sallyport
  /** 'host:port' where nobody must go. */
  readonly at: string
  readonly trapPort: number
  readonly https: number
  readonly api: number
  readonly password: string
}

/** A submission server that takes everything. */
async function anySmtp(peer: ScriptedPeer): Promise<void> {
  peer.send('220 upstream ESMTP\r\n')
  for (;;) {
    const line = await peer.line().catch(() => null)
    if (line === null) return
    if (/^EHLO /.test(line)) peer.send('250-upstream\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n')
    else peer.send(/^AUTH /.test(line) ? '235 in\r\n' : '250 ok\r\n')
  }
}

t.test('D10: places that clients and administrators name', async (t) => {
  let trapped = 0
  const trap = createServer((socket) => {
    trapped += 1
    socket.destroy()
  })
  const trapPort = await listen(trap)
  t.teardown(() => trap.close())
  const at = `127.0.0.1:${trapPort}`

  await using imap = await scriptedServer(friendlyUpstream())
  await using pop3 = await scriptedServer(friendlyPop3())
  await using smtp = await scriptedServer(anySmtp)
  const asked: string[] = []
  const eas = createHttpServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url}`)
    response.end('ok')
  })
  const easPort = await listen(eas)
  t.teardown(() => eas.close())

  const [https, api] = [await freePort(), await freePort()]
  await using gate = await startSallyport({
    upstreams: {
      main: {
        imap: { host: '127.0.0.1', port: imap.port, tls: 'none' },
        pop3: { host: '127.0.0.1', port: pop3.port, tls: 'none' },
        smtp: { host: '127.0.0.1', port: smtp.port, tls: 'none' },
        eas: { url: `http://127.0.0.1:${easPort}` },
        identity: { method: 'stored-secret' },
      },
    },
    listeners: [
      { protocol: 'https', bind: '127.0.0.1', port: https, serves: ['portal', 'eas', 'autoconfig'] },
      { protocol: 'http', bind: '127.0.0.1', port: api, serves: ['api'] },
    ],
    settings: { portal: { url: `https://localhost:${https}` }, signIn: { local: true } },
    workers: 1,
  })
  await gate.addUser(ANN)
  await gate.cli(['secret', 'set', '--user', ANN, '--upstream', 'main'], plainPassword())
  const { letters: password } = await gate.createAppPassword(ANN, 'phone')
  const house: House = { gate, at, trapPort, https, api, password }

  await t.test('mail', (t) => mail(t, house))
  await t.test('the public port', (t) => publicPort(t, house))
  await t.test('the admin API', (t) => adminApi(t, house))
  t.ok(imap.connections >= 2 && pop3.connections >= 1 && smtp.connections >= 2, 'who is configured was found')
  t.ok(
    asked.length >= 1 && asked.every((each) => each.startsWith(`127.0.0.1:${easPort} /Microsoft-Server-ActiveSync?`)),
  )
  t.equal(trapped, 0, 'nobody went anywhere else')
  t.same(gate.lines('bug'), [])
})

/** Names with a place in them. */
const namesOf = (at: string): readonly string[] => [
  `ann@${at}`,
  `ann@127.0.0.1`,
  `ann@[127.0.0.1]`,
  `ann%${at}@example.org`,
  `@${at}:ann@example.org`,
  `imap://ann@${at}/INBOX`,
  `ann@example.org@${at}`,
  `ann@example.org:${at}`,
]

async function mail(t: Test, { gate, at, trapPort, password }: House): Promise<void> {
  const { ports, tls } = gate
  for (const name of [...namesOf(at), ANN]) {
    using imap = await scriptedClient(ports.imaps, { tls })
    await imap.expect(/^\* OK/)
    imap.send(`i ID ("name" "x" "host" "${at}" "x-connected-ip" "127.0.0.1" "x-connected-port" "${trapPort}")\r\n`)
    await imap.linesUntil(/^i OK/)
    imap.send(`a LOGIN "${name}" ${password}\r\n`)
    const wanted = name === ANN ? /^a OK/ : /^a NO/
    t.match((await imap.linesUntil(/^a /)).at(-1), wanted, `imap: ${name}`)
    if (name !== ANN) {
      imap.send(`b AUTHENTICATE PLAIN ${base64(`${name}\0${ANN}\0${password}`)}\r\n`)
      t.match((await imap.linesUntil(/^b /)).at(-1), /^b NO/, `imap, to act as ${name}`)
    }

    using pop3 = await scriptedClient(ports.pop3s, { tls })
    pop3.send(`XCLIENT ADDR=127.0.0.1 PORT=${trapPort}\r\nUSER ${name}\r\nPASS ${password}\r\n`)
    await pop3.expect(/^\+OK/)
    await pop3.expect(/^-ERR/)
    await pop3.expect(/^\+OK/)
    t.match(await pop3.line(), name === ANN ? /^\+OK/ : /^-ERR/, `pop3: ${name}`)

    using smtp = await scriptedClient(ports.smtps, { tls })
    smtp.send(`EHLO [${at}]\r\nXCLIENT ADDR=127.0.0.1 PORT=${trapPort}\r\nVRFY <${name}>\r\n`)
    await smtp.linesUntil(/^250 /)
    smtp.send(`AUTH PLAIN ${base64(`\0${name}\0${password}`)}\r\n`)
    t.match((await smtp.linesUntil(/^(?:235|535) /)).at(-1), name === ANN ? /^235/ : /^535/, `smtp: ${name}`)
  }
  // Where a load balancer says that the client wanted to go is told upstream and dialled by nobody.
  using proxied = await scriptedClient(ports.imapsProxy)
  proxied.send(`PROXY TCP4 192.0.2.7 127.0.0.1 40000 ${trapPort}\r\n`)
  await proxied.startTls({ ...tls, servername: 'trap.invalid', checkServerIdentity: () => undefined })
  await proxied.expect(/^\* OK/)
  proxied.send(`a LOGIN ${ANN} ${password}\r\n`)
  t.match((await proxied.linesUntil(/^a /)).at(-1), /^a OK/)
}

async function publicPort(t: Test, { gate, at, https, password }: House): Promise<void> {
  /** One request as it is, and the status of its answer. */
  const raw = async (head: string, body = ''): Promise<number> => {
    using peer = await scriptedClient(https, { tls: gate.tls })
    const length = body === '' ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
    peer.send(`${head}${length}Connection: close\r\n\r\n${body}`)
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(await peer.rest())?.[1] ?? 0)
  }
  const host = `Host: localhost\r\n`
  const basic = (name: string) => `Authorization: Basic ${base64(`${name}:${password}`)}\r\n`
  const path = '/Microsoft-Server-ActiveSync'
  const query = 'Cmd=FolderSync&DeviceId=PHONE1&DeviceType=x'
  const refused = (status: number) => status >= 400 && status < 500
  for (const [why, status] of [
    ['absolute form', await raw(`POST http://${at}${path}?${query}&User=ann HTTP/1.1\r\n${host}${basic(ANN)}`)],
    ['authority form', await raw(`CONNECT ${at} HTTP/1.1\r\n${host}${basic(ANN)}`)],
    ['an address as path', await raw(`POST /http://${at}${path} HTTP/1.1\r\n${host}${basic(ANN)}`)],
    ['two slashes', await raw(`POST //${at}${path}?${query}&User=ann HTTP/1.1\r\n${host}${basic(ANN)}`)],
  ] as const) {
    t.ok(refused(status) || status === 0, `${why}: ${status}`)
  }
  for (const name of namesOf(at)) {
    t.equal(await raw(`POST ${path}?${query}&User=x HTTP/1.1\r\n${host}${basic(name)}`), 401, `eas: ${name}`)
  }
  for (const [why, status] of [
    ['another User', await raw(`POST ${path}?${query}&User=ann@${at} HTTP/1.1\r\n${host}${basic(ANN)}`, 'x')],
    ['another Host', await raw(`POST ${path}?${query}&User=ann HTTP/1.1\r\nHost: ${at}\r\n${basic(ANN)}`, 'x')],
    [
      'forwarding headers',
      await raw(
        `POST ${path}?${query}&User=ann HTTP/1.1\r\n${host}X-Forwarded-Host: ${at}\r\nForwarded: host=${at}\r\nX-Original-URL: http://${at}/\r\nX-MS-Location: http://${at}/\r\n${basic(ANN)}`,
        'x',
      ),
    ],
  ] as const) {
    t.equal(status, 200, `${why}: it goes where it always goes`)
  }

  const xml = (address: string, dtd = '') =>
    `<?xml version="1.0"?>${dtd}<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>${address}</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>`
  const autodiscover = `POST /autodiscover/autodiscover.xml HTTP/1.1\r\n${host}Content-Type: text/xml\r\n`
  for (const name of namesOf(at)) t.equal(await raw(autodiscover, xml(name)), 200, 'an error document')
  for (const dtd of [
    `<!DOCTYPE a SYSTEM "http://${at}/evil.dtd">`,
    `<!DOCTYPE a [<!ENTITY % x SYSTEM "http://${at}/"> %x;]>`,
  ]) {
    t.equal(await raw(autodiscover, xml(ANN, dtd)), 400)
  }
  await raw(`GET /mail/config-v1.1.xml?emailaddress=ann@${at} HTTP/1.1\r\nHost: autoconfig.${at}\r\n`)
  await raw(`GET /sign-in?next=http://${at}/ HTTP/1.1\r\n${host}`)
  await raw(`GET /sign-in/provider/x/callback?iss=http://${at}&code=x&state=x HTTP/1.1\r\n${host}`)
  await raw(`GET /sign-in/provider/http%3A%2F%2F${encodeURIComponent(at)} HTTP/1.1\r\n${host}`)
  await raw(`GET / HTTP/1.1\r\nHost: ${at}\r\nReferer: http://${at}/\r\nX-Forwarded-Host: ${at}\r\n`)
}

async function adminApi(t: Test, { gate, at, api }: House): Promise<void> {
  const scopes = 'users:read,users:write,app-passwords:read,app-passwords:write,policies:read,policies:write'
  const { token } = await gate.json<{ token: string }>(['token', 'create', '--name', 'x', '--scopes', scopes])
  noteSecret(token)
  const call = async (verb: string, path: string, body: unknown): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${api}/api/v1${path}`, {
      method: verb,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
    return response.status
  }
  for (const [why, body] of [
    ['an address elsewhere', { address: `x@${at}` }],
    ['a host beside it', { address: 'new@example.org', host: at }],
    ['an upstream of its own', { address: 'new@example.org', upstream: `imap://${at}` }],
    ['a place to report to', { address: 'new@example.org', webhook: `http://${at}/` }],
  ] as const) {
    t.equal(await call('POST', '/users', body), 422, why)
  }
  const networks = { name: 'x', networks: [`http://${at}`] }
  t.equal(await call('POST', `/users/${ANN}/app-passwords`, networks), 422)
}
