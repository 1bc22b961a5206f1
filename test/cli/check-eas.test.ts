/** `sallyport check` where ActiveSync is spoken: a real SOGo, and servers that are something else. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { checkEas } from '../../src/cli/check/eas.ts'
import type { Step } from '../../src/cli/check/report.ts'
import { Report } from '../../src/cli/check/report.ts'
import type { PemPair } from '../support/certificates.ts'
import { createCa } from '../support/certificates.ts'
import { SAMPLE_USER, startDovecot } from '../support/dovecot.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { requireService } from '../support/services.ts'
import { startSogo } from '../support/sogo.ts'
import { house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

const STORED = '{ method: stored-secret }'
const MASTER = '{ method: master-user, user: sallyport, passwordFile: master }'
const SECRET = 'what-the-server-knows'

const shared = house(t)
await shared.run(['user', 'add', SAMPLE_USER])

function config(eas: string, { identity = STORED, extra = '' } = {}): string {
  return `dataDirectory: ${shared.directory}/data
domains: [example.org]
listeners: [{ protocol: https, port: 0, serves: [eas] }]
upstreams: { main: { eas: { ${eas} }, identity: ${identity}, ${extra} } }
`
}

/** Runs `check --json` as the sample user and answers the steps of the upstream. */
async function check(t: Test, text: string, { secret = SECRET, files = {} as Record<string, string> } = {}) {
  const { run, directory } = house(t, text)
  writeFileSync(join(directory, 'master'), secret)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content, { mode: 0o600 })
  if (text.includes(STORED)) {
    const set = await run(['secret', 'set', '--user', SAMPLE_USER, '--upstream', 'main'], { input: `${secret}\n` })
    t.equal(set.status, 0, set.stderr)
  }
  const { status, stdout, stderr } = await run(['check', '--json', '--user', SAMPLE_USER])
  t.notMatch(stdout + stderr, secret, 'no secret is printed')
  t.notMatch(stdout + stderr, Buffer.from(`${SAMPLE_USER}:${secret}`).toString('base64'))
  const steps = (JSON.parse(stdout) as Step[]).filter(({ hop }) => hop.startsWith('upstream'))
  return { status, steps, failed: steps.filter(({ ok }) => !ok), names: steps.map(({ step }) => step) }
}

/** The steps against one server, without a process of its own. */
async function steps(url: string, more: Partial<Parameters<typeof checkEas>[1]> = {}) {
  const report = new Report(() => {})
  const eas = { url, ca: null, serverName: null, ...more.eas }
  const identity = { upstream: 'main', kind: 'password' as const, authcid: SAMPLE_USER, authzid: '', secret: SECRET }
  const configured = { method: 'stored-secret', key: 'upstreams.main.identity' }
  const rest = { name: 'main', proxyProtocol: null, configured, identity, timeoutMs: 5000 }
  await checkEas(report, { ...rest, ...more, eas })
  return { steps: report.steps, failed: report.steps.filter(({ ok }) => !ok), last: report.steps.at(-1) }
}

async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

const CHALLENGE = { 'www-authenticate': 'Basic realm="x"' }
const EAS = {
  'ms-server-activesync': '14.1',
  'ms-asprotocolversions': '2.5,12.0,12.1,14.0,14.1',
  'ms-asprotocolcommands': 'Sync,FolderSync,Ping,Provision',
}

/** An origin that asks for a password, and answers as it is told once it is there. */
const origin =
  (status: number, headers: Record<string, string> = {}): RequestListener =>
  (request, response) => {
    if (request.headers.authorization === undefined) response.writeHead(401, CHALLENGE).end()
    else response.writeHead(status, headers).end()
  }

t.test('M15: a real SOGo', async (t) => {
  if (!requireService(t, 'sogo', 'postgresql', 'nginx', 'dovecot')) return
  await using dovecot = await startDovecot()
  await using sogo = await startSogo(dovecot)
  const password = dovecot.users[SAMPLE_USER] ?? ''

  await t.test('every step, to what it speaks', async (t) => {
    const { status, names, steps } = await check(t, config(`url: "${sogo.url}"`), { secret: password })
    t.equal(status, 0, JSON.stringify(steps))
    t.strictSame(names, ['dns', 'connect', 'OPTIONS', 'login', 'ActiveSync'])
    t.match(steps[0], { hop: `upstream main, eas 127.0.0.1:${sogo.port}` })
    t.match(steps[2], { detail: /^HTTP\/1\.1 401 .*, asks for a password \(Basic\)$/, advice: null })
    t.match(steps[3], { detail: /^as ann@example\.org, \d+ ms$/, advice: null })
    t.match(steps[4], { detail: /^versions .*14\.1.*server 14/, advice: null })
  })

  await t.test('refused: a stored secret that is out of date, a master user whom SOGo does not know', async (t) => {
    const stored = await check(t, config(`url: "${sogo.url}"`))
    t.equal(stored.status, 1)
    t.match(stored.failed, [{ step: 'login', detail: /^as ann@example\.org: HTTP.* 401/, advice: /secret set/ }])
    const { password: master } = dovecot.master
    const other = await check(t, config(`url: "${sogo.url}"`, { identity: MASTER }), { secret: master })
    t.match(other.failed, [
      { step: 'login', detail: /^as ann@example\.org\*sallyport: .* 401/, advice: /SOGo asks its own user source/ },
    ])
  })

  await t.test('IMAP by master user, ActiveSync by a stored secret: each is tried with its own', async (t) => {
    const imap = `imap: { host: localhost, port: ${dovecot.ports.imaps}, caFile: "${dovecot.caFile}" }`
    const both = config(`url: "${sogo.url}", identity: ${STORED}`, { identity: MASTER, extra: imap })
    const files = { 'master-password': dovecot.master.password }
    const text = both.replace('passwordFile: master', 'passwordFile: master-password')
    const found = await check(t, text, { secret: password, files })
    t.equal(found.status, 0, JSON.stringify(found.steps))
    t.match(
      found.steps.filter(({ step }) => step === 'login'),
      [
        { hop: /imap/, detail: /as ann@example\.org\*sallyport/ },
        { hop: /eas/, detail: /^as ann@example\.org, / },
      ],
    )

    await shared.run(['secret', 'delete', '--user', SAMPLE_USER, '--upstream', 'main'])
    const { run, directory } = house(t, text)
    writeFileSync(join(directory, 'master-password'), dovecot.master.password, { mode: 0o600 })
    const none = await run(['check', '--json', '--user', SAMPLE_USER])
    t.equal(none.status, 1)
    t.match(
      none.json<Step[]>().filter(({ hop, ok }) => hop.startsWith('user') || !ok),
      [
        { step: 'route and identity', ok: true, detail: 'goes to upstream main' },
        { step: 'route and identity', ok: false, detail: /secret set/, advice: /upstreams\.main\.eas\.identity/ },
      ],
      'that one of the ways is closed is not hidden by the others',
    )
  })

  await t.test('another path of the same nginx', async (t) => {
    const { failed } = await check(t, config(`url: "${sogo.url}/mail"`), { secret: password })
    t.match(failed, [
      { hop: /\/mail$/, step: 'OPTIONS', detail: /405/, advice: /not at this address.*sogo-activesync/ },
    ])
  })
})

t.test('M15: what may be wrong with TLS, each by its name', async (t) => {
  const ca = await createCa()
  const serve = async (pair: PemPair) => listening(t, createTlsServer(pair, origin(200, EAS)))
  const port = await serve(await ca.issue({ names: ['localhost'] }))
  const eas = (url: string) => ({ url, ca: ca.cert, serverName: null })
  const url = `https://localhost:${port}`

  const good = await check(t, config(`url: "${url}", caFile: ca.pem`), { files: { 'ca.pem': ca.cert } })
  t.equal(good.status, 0, JSON.stringify(good.failed))
  t.strictSame(good.names, ['dns', 'connect', 'tls', 'OPTIONS', 'login', 'ActiveSync'])

  const unknown = await steps(url)
  t.match(unknown.failed, [{ step: 'tls', detail: /no authority that is trusted/, advice: /caFile/ }])
  t.equal(unknown.last?.step, 'tls', 'nothing is asked of a server whose certificate is in doubt')
  const wrongCa = await steps(url, { eas: { url, ca: (await createCa()).cert, serverName: null } })
  t.match(wrongCa.failed, [{ step: 'tls', advice: /CaFile does not hold/ }])
  const other = await serve(await ca.issue({ names: ['mail.example.org'] }))
  const wrongName = await steps('', { eas: eas(`https://localhost:${other}`) })
  t.match(wrongName.failed, [
    {
      step: 'tls',
      detail: /is for mail\.example\.org, not for localhost/,
      advice: /eas\.url: https:\/\/mail\.example\.org/,
    },
  ])
  const named = { ...eas(`https://localhost:${other}`), serverName: 'mail.example.org' }
  t.strictSame((await steps('', { eas: named })).failed, [], 'serverName says which name to expect')
  const expired = await serve(await ca.expired(['localhost']))
  t.match((await steps('', { eas: eas(`https://localhost:${expired}`) })).failed, [
    { step: 'tls', detail: /ran out on/, advice: /Renew/ },
  ])

  const clear = await listening(t, createServer(origin(200, EAS)))
  t.match((await steps(`https://localhost:${clear}`)).failed, [
    { step: 'tls', detail: /does not speak TLS/, advice: /eas\.url/ },
  ])
  t.match((await steps(`http://localhost:${port}`)).failed, [
    { step: 'OPTIONS', advice: /^Does the port speak TLS \(https:\/\/\)/ },
  ])
})

t.test('a server that is none: before the login', async (t) => {
  for (const [why, answer, want] of [
    ['a web site', [200, {}], { detail: /without a word of ActiveSync/, advice: /web site/ }],
    [
      'a page to sign in at',
      [302, { location: 'https://sso.example.org/login' }],
      { advice: /sends us to https:\/\/sso\.example\.org\/login.*past that page/ },
    ],
    ['forbidden', [403, {}], { detail: /403/, advice: /listed addresses/ }],
    ['not found', [404, {}], { advice: /not at this address/ }],
    ['no OPTIONS', [405, { allow: 'GET' }], { advice: /no ActiveSync server/ }],
    ['down', [502, {}], { advice: /is down/ }],
    ['a name that it does not serve', [421, {}], { advice: /does not serve this name/ }],
    ['something else', [418, {}], { detail: /418/, advice: /server’s log/ }],
    [
      'no Basic',
      [401, { 'www-authenticate': 'Negotiate' }],
      { detail: /negotiate and not Basic/, advice: /BasicAuth/ },
    ],
    ['no scheme at all', [401, {}], { detail: /names no scheme/ }],
  ] as const) {
    const [status, headers] = answer
    const port = await listening(
      t,
      createServer((_, response) => void response.writeHead(status, headers).end('<html>\u001b[31m')),
    )
    const { failed, last } = await steps(`http://127.0.0.1:${port}`)
    t.match(failed, [{ step: 'OPTIONS', ...want }], why)
    t.equal(failed.length, 1)
    t.equal(last?.step, 'OPTIONS', 'no credentials go there')
  }
})

t.test('a server that refuses: with our credentials', async (t) => {
  for (const [why, answer, want] of [
    ['401', origin(401, CHALLENGE), { step: 'login', detail: /401/, advice: /secret set/ }],
    ['403', origin(403), { step: 'login', advice: /may not use ActiveSync/ }],
    ['a web site behind a password', origin(200), { step: 'login', detail: /without a word of ActiveSync/ }],
    ['blocked', origin(456), { step: 'login', advice: /blocked this account/ }],
    ['password run out', origin(457), { step: 'login', advice: /run out/ }],
    [
      'elsewhere',
      origin(451, { 'x-ms-location': 'https://two.example.org/Microsoft-Server-ActiveSync' }),
      { step: 'login', advice: /another server \(https:\/\/two\.example\.org/ },
    ],
    ['too busy', origin(503), { step: 'login', advice: /too busy/ }],
  ] as const) {
    const port = await listening(t, createServer(answer))
    const { failed } = await steps(`http://127.0.0.1:${port}`)
    t.match(failed, [want], why)
  }
  const old = await listening(t, createServer(origin(200, { ...EAS, 'ms-asprotocolversions': '2.5,12.1' })))
  t.match((await steps(`http://127.0.0.1:${old}`)).last, { ok: true, step: 'ActiveSync', advice: /newer than 12\.1/ })
  const poor = await listening(t, createServer(origin(200, { ...EAS, 'ms-asprotocolcommands': 'Sync' })))
  t.match((await steps(`http://127.0.0.1:${poor}`)).last, { ok: true, advice: /FolderSync, Ping not among/ })
  const open = await listening(
    t,
    createServer((_, response) => void response.writeHead(200, EAS).end()),
  )
  const anonymous = await steps(`http://127.0.0.1:${open}`, { identity: null })
  t.strictSame(
    anonymous.steps.map(({ step, ok }) => `${step} ${ok}`),
    ['dns true', 'connect true', 'OPTIONS true', 'ActiveSync true'],
    'without a user, what it says unasked is judged',
  )
})

t.test('a server that speaks something else, or nothing', async (t) => {
  const never = async (peer: ScriptedPeer) => void (await peer.linesUntil(/never/).catch(() => undefined))
  for (const [why, script, want] of [
    [
      'HTTP/2 in clear',
      async (peer: ScriptedPeer) => {
        peer.send('\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64')
        await never(peer)
      },
      { detail: 'it answers in HTTP/2', advice: /HTTP\/2 only/ },
    ],
    [
      'a TLS alert',
      async (peer: ScriptedPeer) => peer.end('\x15\x03\x01\0\x02\x02\x46'),
      { detail: 'it answers in TLS', advice: /write https/ },
    ],
    ['SMTP', async (peer: ScriptedPeer) => peer.end('220 mx\r\n'), { detail: /no HTTP greeting/, advice: /SMTP/ }],
    ['silence', never, { detail: 'the server says nothing', advice: /PROXY header/ }],
    ['hangs up', async (peer: ScriptedPeer) => peer.end(), { detail: /closed the connection without an answer/ }],
    [
      'half an answer',
      async (peer: ScriptedPeer) => peer.end('HTTP/1.1 200 OK\r\nA: b\r\n'),
      { detail: /in the middle/ },
    ],
    [
      'no end of headers',
      async (peer: ScriptedPeer) => {
        peer.send(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(500)}`)
        await never(peer)
      },
      { detail: /no end/ },
    ],
    [
      'no end of a line',
      async (peer: ScriptedPeer) => {
        peer.send('x'.repeat(80_000))
        await never(peer)
      },
      { detail: /without end/ },
    ],
  ] as const) {
    await using server = await scriptedServer(script)
    // Where more could come it is waited for; elsewhere the end is seen.
    const timeoutMs = { silence: 500, 'HTTP/2 in clear': 2000 }[why as string] ?? 60_000
    const { failed } = await steps(`http://127.0.0.1:${server.port}`, { timeoutMs })
    t.match(failed, [{ step: 'OPTIONS', ...want }], why)
  }
  const ca = await createCa()
  const http2 = createSecureServer({ ...(await ca.issue({ names: ['localhost'] })), allowHTTP1: false })
  const port = await listening(t, http2)
  const { failed } = await steps('', { eas: { url: `https://localhost:${port}`, ca: ca.cert, serverName: null } })
  t.match(failed, [{ step: 'OPTIONS', advice: /HTTP\/2 only/ }], 'HTTP/2 behind TLS')
  t.match((await steps(`https://127.0.0.1:${await freePort()}`)).failed, [{ step: 'connect', detail: /refuses/ }])
  const silentTls = await scriptedServer(never)
  t.teardown(() => silentTls[Symbol.asyncDispose]())
  t.match((await steps(`https://127.0.0.1:${silentTls.port}`, { timeoutMs: 500 })).failed, [
    { step: 'tls', advice: /port for HTTPS \(443\)/ },
  ])
})

t.test('acting for somebody else has no word in HTTP', async (t) => {
  const port = await listening(t, createServer(origin(200, EAS)))
  const identity = {
    upstream: 'main',
    kind: 'password' as const,
    authcid: 'admin',
    authzid: SAMPLE_USER,
    secret: SECRET,
  }
  const configured = { method: 'authzid', key: 'upstreams.main.identity' }
  t.match((await steps(`http://127.0.0.1:${port}`, { identity, configured })).failed, [
    { step: 'login', advice: /upstreams\.main\.eas\.identity: \{ method: stored-secret \}/ },
  ])
})
