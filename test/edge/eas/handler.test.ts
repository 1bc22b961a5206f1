import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LOGIN_FAILURE_REASONS, LoginFailure } from '../../../src/contract/failure.ts'
import { PING_OVER } from '../../../src/edge/eas/replies.ts'
import { scriptedClient } from '../../support/peer.ts'
import type { EasHouse } from './house.ts'
import { ANN, basic, MASTER_SECRET, openHouse, PASSWORD, PATH, QUERY } from './house.ts'

const FIXTURES = resolve(import.meta.dirname, '../../../../shared/eas-fixtures/public-hex')
const PING = `${PATH}?Cmd=Ping&User=ann&DeviceId=PHONE1&DeviceType=iPhone`
const MASTER = basic('ann@example.org*master', MASTER_SECRET)

t.test('M6: a request goes upstream as the upstream’s user, and its answer comes back as it is', async (t) => {
  const body = Buffer.from('03016a000045', 'hex')
  const house = await openHouse(t, {
    path: '/SOGo',
    upstream: (_, response) => {
      response.writeHead(200, {
        'Content-Type': 'application/vnd.ms-sync.wbxml',
        'MS-Server-ActiveSync': '16.1',
        'MS-ASProtocolVersions': '2.5,12.1,14.1,16.1',
        'X-MS-RP': '14.0,14.1',
        'Set-Cookie': 'X-BackEndCookie=1',
        'Content-Encoding': 'gzip',
      })
      response.end(body)
    },
  })
  const answer = await house.send({
    headers: {
      'MS-ASProtocolVersion': '14.1',
      'X-MS-PolicyKey': '1234',
      'Content-Type': 'application/vnd.ms-sync.wbxml',
      'Content-Encoding': 'gzip',
      'User-Agent': 'Apple-iPhone12C1/1808.123',
      'X-Forwarded-For': '10.0.0.1',
      'X-HTTP-Method-Override': 'POST',
      'X-WebObjects-Remote-Host': '10.0.0.1',
    },
    body: Buffer.from([1, 2, 3, 0, 255]),
  })
  t.equal(answer.status, 200)
  t.strictSame(answer.body, body)
  t.match(answer.headers, {
    'content-type': 'application/vnd.ms-sync.wbxml',
    'ms-asprotocolversions': '2.5,12.1,14.1,16.1',
    'x-ms-rp': '14.0,14.1',
    'content-encoding': 'gzip',
    'x-content-type-options': 'nosniff',
    'content-security-policy': /^sandbox/,
    'content-disposition': 'attachment',
  })
  t.notOk(answer.headers['set-cookie'], 'G-5: no cookie of the upstream is set under our name')
  const [asked] = house.seen
  t.equal(asked?.url, `/SOGo${PATH}?Cmd=Sync&User=ann@example.org&DeviceId=PHONE1&DeviceType=iPhone`)
  t.strictSame(asked?.body, Buffer.from([1, 2, 3, 0, 255]))
  // Of two headers an HTTP server would show the first one only.
  const said = asked?.rawHeaders.join('\n') ?? ''
  t.equal(said.match(/^authorization$/gim)?.length, 1, 'G-5: one credential goes upstream')
  t.notOk(said.includes(ANN.slice(6)), 'G-5: and it is not the phone’s')
  t.match(asked?.headers, {
    host: 'mail.internal',
    authorization: MASTER,
    'x-ms-policykey': '1234',
    'ms-asprotocolversion': '14.1',
    'content-encoding': 'gzip',
    'user-agent': 'Apple-iPhone12C1/1808.123',
    connection: 'keep-alive',
  })
  for (const name of ['x-forwarded-for', 'x-webobjects-remote-host', 'x-http-method-override', 'cookie'])
    t.notOk(asked?.headers[name], name)
  await house.quiet()
  t.strictSame(house.gate.outcomes, ['accepted'])
  t.match(house.gate.ends, [{ end: { reason: 'upstream-closed', netInBytes: 5, netOutBytes: 6 } }])
  t.match(house.gate.attempts[0], {
    protocol: 'eas',
    mechanism: 'BASIC',
    agent: 'Apple-iPhone12C1/1808.123',
    device: { id: 'phone1', type: 'iPhone', protocolVersion: '14.1' },
  })
  const line = house.logs.lines.find(({ event }) => event === 'session_ended')
  t.match(line, { command: 'Sync', device: 'phone1', device_type: 'iPhone', status: 200, user: 'ann@example.org' })
})

t.test('G-4: Basic, as clients write it', async (t) => {
  const house = await openHouse(t)
  for (const [authorization, wants, why] of [
    [ANN, ['ann@example.org', PASSWORD], 'user@domain'],
    [ANN.replace('Basic', 'basic'), ['ann@example.org', PASSWORD], 'lower-case scheme'],
    [basic('CORP\\ann', PASSWORD), ['ann@example.org', PASSWORD], 'DOMAIN\\user'],
    [basic('ann', PASSWORD), ['ann@example.org', PASSWORD], 'bare user'],
    [basic('ann@example.org', 'a:b:c'), ['ann@example.org', 'a:b:c'], 'the first colon splits'],
    [basic('ann@example.org', 'pässword'), ['ann@example.org', 'pässword'], 'UTF-8'],
    [basic('ann@example.org', 'pässword', 'latin1'), ['ann@example.org', 'pässword'], 'Latin-1 (Outlook)'],
    [basic('änn@example.org', PASSWORD), ['', PASSWORD], 'a name that is none takes the path of a wrong password'],
  ] as const) {
    await house.send({ headers: { Authorization: authorization } })
    const { credential } = house.gate.attempts.at(-1) ?? {}
    t.strictSame([credential?.authcid, house.gate.secrets.at(-1)], wants, why)
  }
  const before = house.gate.attempts.length
  for (const [headers, status, why] of [
    [{ Authorization: 'Bearer abc' }, 401, 'another scheme: asked for Basic'],
    [{ Authorization: 'Basic ====' }, 400, 'no base64'],
    [{ Authorization: `Basic ${Buffer.from('no colon').toString('base64')}` }, 400, 'no colon'],
    [{ Authorization: `Basic ${Buffer.from('a:b\0').toString('base64')}` }, 400, 'NUL'],
  ] as const) {
    const answer = await house.send({ headers })
    t.equal(answer.status, status, why)
    if (status === 401) t.equal(answer.headers['www-authenticate'], 'Basic realm="Mail", charset="UTF-8"')
  }
  const twice = await house.raw(
    `POST ${PATH}?${QUERY} HTTP/1.1\r\nHost: x\r\nAuthorization: ${ANN}\r\nauthorization: ${ANN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  )
  t.match(twice, /^HTTP\/1\.1 400 /, 'two Authorization headers')
  t.equal(house.gate.attempts.length, before, 'the gate was not asked')
})

t.test('each reason of a failed login has its status, and no fault of ours reads as a wrong password', async (t) => {
  const house = await openHouse(t)
  for (const reason of LOGIN_FAILURE_REASONS) {
    house.gate.decide = () => {
      throw new LoginFailure(reason, 'as the test wants')
    }
    const { status, headers } = await house.send()
    const isUsers = /credentials|app-password|protocol$/.test(reason) && reason !== 'upstream-protocol'
    if (isUsers) t.equal(status, 401, reason)
    else if (/^(?:device|tls)/.test(reason)) t.equal(status, 403, reason)
    else {
      t.equal(status, reason === 'throttled' ? 429 : 503, reason)
      t.match(headers['retry-after'], /^\d+$/, reason)
    }
    t.not(status, 500)
  }
  t.strictSame(house.seen, [])
  t.strictSame(house.gate.settled, [], 'there was no grant')
})

t.test('the delay of a refusal is served before it is told', async (t) => {
  const house = await openHouse(t)
  house.gate.decide = () => {
    throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 150 })
  }
  const since = performance.now()
  t.equal((await house.send()).status, 401)
  t.ok(performance.now() - since >= 149)
})

t.test('credentials are checked before anything else; then method, query and device', async (t) => {
  const house = await openHouse(t)
  const wrong = { Authorization: basic('ann@example.org', 'wrong') }
  for (const [sent, status, why] of [
    [{ method: 'GET' }, 405, 'GET'],
    [{ method: 'PUT' }, 405, 'PUT'],
    [{ path: PATH }, 400, 'no query'],
    [{ path: `${PATH}?Cmd=Sync&User=ann` }, 400, 'no device: it could not be told from a blocked one'],
    [{ path: `${PATH}?User=ann&DeviceId=x&DeviceType=y` }, 400, 'no command'],
    [{ path: `${PATH}?Cmd=Sync&User=ann&User=bob&DeviceId=x` }, 400, 'two users'],
    [{ path: `${PATH}?Cmd=Sync&%55ser=bob&DeviceId=x` }, 400, 'a name in disguise'],
    [{ path: `${PATH}?AAAA` }, 400, 'base64 of nothing'],
  ] as const) {
    t.equal((await house.send({ ...sent, headers: wrong })).status, 401, `${why}, wrong password`)
    t.equal((await house.send(sent)).status, status, why)
  }
  t.strictSame(house.seen, [])
  const told = house.logs.lines.filter(({ event }) => event === 'session_ended')
  t.strictSame(
    told.map(({ user, status, detail }) => [user, status, detail]),
    [
      ...Array(2).fill([405, 'a method other than POST and OPTIONS']),
      [400, 'no query'],
      [400, 'no device'],
      [400, 'a query that is no-command'],
      [400, 'a query that is ambiguous'],
      ...Array(2).fill([400, 'a query that is malformed']),
    ].map(([status, detail]) => ['ann@example.org', status, detail]),
    'and whoever looks after a phone can read what is wrong with it',
  )
  t.equal((await house.send({ method: 'OPTIONS', path: PATH })).status, 200, 'OPTIONS needs no query')
  t.equal(house.seen[0]?.url, PATH)
  await house.quiet()
  t.equal(house.gate.settled.length, house.gate.attempts.length - 8, 'invariant 4: each grant is settled once')
})

t.test('what a browser sends is refused: nothing here renders in the portal’s origin', async (t) => {
  const house = await openHouse(t)
  for (const name of ['Origin', 'Cookie', 'Sec-Fetch-Site', 'Sec-Fetch-Mode']) {
    t.equal((await house.send({ headers: { [name]: 'x' } })).status, 403, name)
  }
  t.strictSame(house.gate.attempts, [])
})

t.test('eas §9: what is wrong with the upstream never reaches the phone as 401 or 500', async (t) => {
  let status = 500
  let headers: Record<string, string> = {}
  const house = await openHouse(t, {
    upstream: (_, response) => void response.writeHead(status, headers).end('words of the upstream'),
  })
  for (const [given, wants, more] of [
    [401, 503, { 'WWW-Authenticate': 'Basic realm="upstream"' }],
    [457, 503, {}],
    [407, 503, {}],
    [500, 503, {}],
    [502, 503, {}],
    [504, 503, {}],
    [302, 503, { Location: 'https://mail.internal/owa' }],
    [503, 503, {}],
    [503, 503, { 'Retry-After': '77' }],
    [403, 403, {}],
    [449, 449, {}],
    [501, 501, {}],
    [507, 507, {}],
  ] as const) {
    status = given
    headers = more
    const answer = await house.send()
    t.equal(answer.status, wants, `upstream says ${given}`)
    t.notOk(answer.headers['www-authenticate'])
    if (wants === 503) t.equal(answer.headers['retry-after'], more['Retry-After'] ?? '30')
    const passes = answer.status === given
    t.equal(answer.body.includes('upstream'), passes, 'its words, or none of them')
  }
  await house.quiet()
  t.strictSame(house.gate.outcomes.slice(0, 3), ['upstream-refused', 'upstream-refused', 'failed'])
  const alarm = house.logs.lines.find(({ event, level }) => event === 'upstream_failed' && level === 'error')
  t.match(alarm, { reason: 'upstream-refused', user: 'ann@example.org', upstream: 'main' })
})

t.test('451: the phone is sent to us, not past us', async (t) => {
  const house = await openHouse(t, {
    upstream: (_, response) =>
      void response.writeHead(451, { 'X-MS-Location': 'https://cas2.internal/Microsoft-Server-ActiveSync' }).end(),
  })
  const answer = await house.send({ headers: { Host: 'eas.example.org:8443' } })
  t.equal(answer.status, 451)
  t.equal(answer.headers['x-ms-location'], `https://eas.example.org:8443${PATH}`)
  await house.quiet()
  t.match(
    house.logs.lines.find(({ event }) => event === 'upstream_failed'),
    { reason: 'upstream-protocol', detail: /mailbox is at https:\/\/cas2\.internal\/.*a route for this user/ },
    'and the operator is told, or the phone would come back for ever',
  )
})

t.test('an upstream that is away, hangs up, or speaks no HTTP: 503; a Ping is told to ping again', async (t) => {
  for (const [what, socket] of [
    ['hangs up at once', (s) => s.destroy()],
    ['hangs up after the request', (s) => s.once('data', () => s.destroy())],
    ['closes in good order after the request', (s) => s.once('data', () => s.end())],
    ['speaks no HTTP', (s) => s.once('data', () => s.end('* OK IMAP4rev1 ready\r\n'))],
    ['half a head', (s) => s.once('data', () => s.end('HTTP/1.1 200 OK\r\nConten'))],
    ['an endless head', (s) => s.once('data', () => s.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`))],
  ] as [string, (socket: import('node:net').Socket) => void][]) {
    const house = await openHouse(t, { socket })
    const sync = await house.send({ body: 'x' })
    t.equal(sync.status, 503, what)
    t.ok(sync.headers['retry-after'])
    const ping = await house.send({ path: PING, body: 'x' })
    t.equal(ping.status, 200, `${what}: Ping`)
    t.equal(ping.headers['content-type'], 'application/vnd.ms-sync.wbxml')
    t.strictSame(ping.body, PING_OVER)
    await house.quiet()
    t.equal(house.gate.settled.length, 2)
    t.equal(house.logs.log.bugs, 0)
  }
  const away = await openHouse(t)
  away.gate.target = { ...away.gate.target, hosts: [{ host: '127.0.0.1', port: 1 }] }
  t.equal((await away.send()).status, 503)
  t.equal((await away.send({ path: PING })).status, 503, 'a Ping that would come back at once is told to wait')
  await away.quiet()
  t.strictSame(away.gate.outcomes, ['failed', 'failed'])
})

t.test('a Ping that is cut early is answered only after a while, so that no phone pings without a pause', async (t) => {
  const house = await openHouse(t, {
    socket: (socket) => socket.once('data', () => socket.destroy()),
    deps: { pollAtLeastMs: 300 },
  })
  const since = performance.now()
  t.strictSame((await house.send({ path: PING })).body, PING_OVER)
  t.ok(performance.now() - since >= 295)
})

t.test(
  'eas §9: a poll that a front end of the upstream has cut is over; one that it refuses at once is not',
  async (t) => {
    let status = 504
    const house = await openHouse(t, {
      upstream: (_, response) => void setTimeout(() => response.writeHead(status).end('nginx'), 120),
      deps: { pollWaitedMs: 100 },
    })
    for (const given of [502, 504]) {
      status = given
      const ping = await house.send({ path: PING, body: 'x' })
      t.equal(ping.status, 200, `${given} after a while`)
      t.strictSame(ping.body, PING_OVER)
      t.equal((await house.send({ body: 'x' })).status, 503, 'a Sync has no such answer')
    }
    for (const given of [500, 503, 401]) {
      status = given
      t.equal((await house.send({ path: PING, body: 'x' })).status, 503, `${given} is no front end’s`)
    }
    await house.quiet()
    const failure = house.logs.lines.find(({ event }) => event === 'upstream_failed')
    t.match(failure?.detail, /^the upstream answered 502: let what stands before it wait .*proxy_read_timeout/)

    const soon = await openHouse(t, { upstream: (_, response) => void response.writeHead(504).end() })
    t.equal((await soon.send({ path: PING, body: 'x' })).status, 503, 'at once: it is away')
  },
)

t.test('half an answer does not look like a whole one', async (t) => {
  const house = await openHouse(t, {
    upstream: (_, response) => {
      response.writeHead(200, { 'Content-Length': '1000' })
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    },
  })
  await t.rejects(house.send(), { code: 'ECONNRESET' })
  await house.quiet()
  t.match(house.gate.ends, [{ end: { reason: 'error' } }])
})

t.test('G-6: a poll waits as long as it takes; the client’s end ends the upstream’s within a second', async (t) => {
  let upstreamClosed: Promise<unknown> | null = null
  const house = await openHouse(t, {
    upstream: (_, response) => {
      upstreamClosed = once(response, 'close')
    },
    deps: { takenAfterMs: 50 },
  })
  const poll = house.begin({ path: PING })
  poll.on('error', () => {})
  while (house.gate.settled.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  t.strictSame(house.gate.outcomes, ['accepted'], 'an upstream that says nothing has taken it')
  t.match(house.sessions.list(), [{ protocol: 'eas', logName: 'ann@example.org', settled: true }], 'invariant 7')
  const since = performance.now()
  poll.destroy()
  await upstreamClosed
  t.ok(performance.now() - since < 10_000, 'at once: nothing else looks after it so soon')
  await house.quiet()
  t.match(house.gate.ends, [{ end: { reason: 'client-closed' } }])
})

t.test('M2: ending a session answers its waiting poll', async (t) => {
  let waiting: (() => void) | null = null
  const house = await openHouse(t, { upstream: () => waiting?.() })
  for (const [path, check] of [
    [PING, (answer: { status: number; body: Buffer }) => t.strictSame(answer.body, PING_OVER, 'Ping: ping again')],
    [`${PATH}?${QUERY}`, (answer: { status: number; body: Buffer }) => t.equal(answer.status, 503, 'Sync: come back')],
  ] as const) {
    const arrived = new Promise<void>((resolve) => {
      waiting = resolve
    })
    const answer = house.send({ path })
    await arrived
    const [session] = house.sessions.list()
    const since = performance.now()
    house.sessions.end(session?.grantId ?? '')
    check(await answer)
    t.ok(performance.now() - since < 10_000, 'at once')
  }
  await house.quiet()
  t.equal(house.gate.settled.length, 2, 'each settled once')
})

t.test('I-9: an answer that an edge owes when it goes down is the last one of its connection', async (t) => {
  let finish = () => {}
  const house = await openHouse(t, {
    upstream({ url }, response) {
      if (url.includes('Ping')) return
      response.writeHead(200, { 'Content-Length': '4' }).write('ha')
      finish = () => response.end('lf')
    },
    tuning: { keepAliveMs: 10 * 60_000 },
  })
  const request = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: eas.example.org\r\nAuthorization: ${ANN}\r\nContent-Length: 0\r\n\r\n`
  const poll = await scriptedClient(house.port)
  poll.send(request(PING))
  while (house.seen.length === 0) await sleep(5)
  const download = await scriptedClient(house.port)
  download.send(request(`${PATH}?${QUERY}`))
  await download.linesUntil(/^$/)
  await download.bytes(2)
  house.stop()
  finish()
  t.match(await download.rest(5000), /^lf$/, 'one that has begun')
  house.sessions.endAll('drained')
  t.match(await poll.rest(5000), /^HTTP\/1\.1 200 .*\r\nconnection: close\r\n/is, 'one that has not')
})

t.test('an upstream that is silent for too long is given up', async (t) => {
  const house = await openHouse(t, { upstream: () => {}, deps: { headMs: 300, takenAfterMs: 10 } })
  t.equal((await house.send()).status, 503)
  await house.quiet()
  t.match(house.gate.ends, [{ end: { reason: 'error' } }])
})

t.test(
  'verifiedBy upstream: its refusal of a primary password is a wrong password, asked before the request goes',
  async (t) => {
    let status = 200
    const house = await openHouse(t, { upstream: (_, response) => void response.writeHead(status).end() })
    house.gate.verifiedBy = 'upstream'
    t.equal((await house.send({ path: PING })).status, 200)
    t.strictSame(
      house.seen.map(({ method }) => method),
      ['OPTIONS', 'POST'],
    )
    status = 401
    const refused = await house.send({ path: PING })
    t.equal(refused.status, 401)
    t.ok(refused.headers['www-authenticate'])
    t.equal(house.seen.length, 3, 'the request itself did not go')
    status = 500
    t.equal((await house.send({ path: PING })).status, 503, 'invariant 11')
    await house.quiet()
    t.strictSame(house.gate.outcomes, ['accepted', 'upstream-refused', 'failed'])
  },
)

t.test(
  'verifiedBy upstream: a device that may not be used is told so behind a right password, and no request goes',
  async (t) => {
    let status = 200
    const house = await openHouse(t, { upstream: (_, response) => void response.writeHead(status).end() })
    house.gate.verifiedBy = 'upstream'
    house.gate.deviceRefused = 'the device waits to be allowed'
    t.equal((await house.send({ path: PING })).status, 403)
    status = 401
    t.equal((await house.send({ path: PING })).status, 401, 'invariant 6')
    t.strictSame(
      house.seen.map(({ method }) => method),
      ['OPTIONS', 'OPTIONS'],
    )
    await house.quiet()
    t.strictSame(house.gate.outcomes, ['accepted', 'upstream-refused'])
    t.match(house.gate.ends, [{ end: { reason: 'revoked' } }])
    t.strictSame(house.logs.of('login_accepted'), [])
    t.match(house.logs.of('login_refused')[0], { reason: 'device-refused', user: 'ann@example.org' })
  },
)

t.test('a refusal by the upstream is told when its time has come, and is no session meanwhile', async (t) => {
  const house = await openHouse(t, { upstream: (_, response) => void response.writeHead(401).end() })
  house.gate.verifiedBy = 'upstream'
  house.gate.refusedAfterMs = 400
  const from = performance.now()
  const sending = house.send({ path: PING })
  while (house.gate.outcomes.length === 0) await sleep(5)
  t.strictSame(house.sessions.list(), [], 'a new keeper would take it for one that goes on')
  t.equal((await sending).status, 401)
  t.ok(performance.now() - from >= 395, `invariant 6: ${performance.now() - from} ms`)
  await house.quiet()
  t.strictSame(house.gate.outcomes, ['upstream-refused'])
})

t.test('20 MB go through in both directions', async (t) => {
  const big = Buffer.alloc(20 * 1024 * 1024, 'sallyport ')
  const house = await openHouse(t, { upstream: ({ body }, response) => void response.end(body) })
  const answer = await house.send({ body: big })
  t.ok(answer.body.equals(big))
  await house.quiet()
  t.match(house.gate.ends, [{ end: { netInBytes: big.length, netOutBytes: big.length } }])
})

t.test('whoever does not read holds the other side up: nothing is collected in between', async (t) => {
  const MB = 1024 * 1024
  const part = Buffer.alloc(64 * 1024, 'x')
  /** Writes as much as the other side takes; resolves with the bytes when it has taken nothing for half a second. */
  async function pushed(to: Writable): Promise<number> {
    let bytes = 0
    while (bytes < 200 * MB) {
      bytes += part.length
      if (to.write(part)) continue
      const [more] = await Promise.race([once(to, 'drain').then(() => [true]), sleep(500, [false])])
      if (!more) return bytes
    }
    return bytes
  }
  let sent: Promise<number> | null = null
  const down = await openHouse(t, {
    upstream: (_, response) => {
      response.writeHead(200)
      sent = pushed(response)
    },
    tuning: { stalledMs: 1000 },
  })
  const asked = down.begin({ body: 'x' })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.pause()
  const downMb = (await ((sent as Promise<number> | null) ?? 0)) / MB
  t.ok(downMb > 0 && downMb < 20, `an upstream got rid of ${downMb} MB that nobody reads`)
  await down.quiet()
  t.match(down.gate.ends, [{ end: { reason: 'client-closed' } }], 'E1: and who stays away for too long is cut off')
  asked.destroy()

  let stalled: Socket | null = null
  const up = await openHouse(t, {
    socket: (socket) => {
      stalled = socket.pause()
    },
  })
  const sending = up.begin({ headers: { 'Content-Length': String(500 * MB) } }, false)
  sending.on('error', () => {})
  const upMb = (await pushed(sending)) / MB
  t.ok(upMb > 0 && upMb < 20, `a client got rid of ${upMb} MB that nobody reads`)
  sending.destroy()
  // A client that is not read from can't be seen to leave; the end of the other side is what ends it.
  ;(stalled as Socket | null)?.destroy()
  await up.quiet()
})

t.test('M2: a client whose session is ended does not stay by not reading the end of its answer', async (t) => {
  const part = Buffer.alloc(32 * 1024, 'x')
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise(setImmediate)
  }
  const ended = Promise.withResolvers<void>()
  const house: EasHouse = await openHouse(t, {
    async upstream(_, response) {
      response.writeHead(200)
      // Until the system takes no more for the client: the upstream is done then, and the client’s answer is not.
      for (let sent = 0; ; sent += part.length) {
        response.write(part)
        const { socket } = house.answer() ?? {}
        while ((socket?.bytesWritten ?? 0) < sent) await turns(1)
        await turns(3)
        if (socket && socket.writableLength > 0) await turns(50)
        if (socket && socket.writableLength > 0) break
      }
      response.end()
      while (!house.answer()?.writableEnded) await turns(1)
      ended.resolve()
    },
  })
  const asked = house.begin({ body: 'x' })
  const closed = once(asked, 'close')
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.pause().on('error', () => {}) // half of it is missing
  await ended.promise
  const [session] = house.sessions.list()
  t.ok(session, 'nothing has ended it so far')
  house.sessions.end(session?.grantId ?? '')
  await house.quiet()
  t.match(house.gate.ends, [{ end: { reason: 'revoked' } }])
  answer.resume()
  await closed
  t.notOk(answer.complete, 'half an answer does not look like a whole one')
})

t.test('no secret and no query in a log line', async (t) => {
  const house = await openHouse(t)
  await house.send()
  await house.send({ headers: { Authorization: basic('ann@example.org', 'wrong-secret') } })
  await house.quiet()
  const text = JSON.stringify(house.logs.lines)
  for (const secret of [PASSWORD, MASTER_SECRET, 'wrong-secret', MASTER, ANN, 'CollectionId']) {
    t.notOk(text.includes(secret))
  }
})

t.test(
  'documents of real clients and servers pass byte for byte, in both directions',
  { skip: existsSync(FIXTURES) ? false : 'the collection of real documents is not on this machine' },
  async (t) => {
    const house = await openHouse(t, { upstream: ({ body }, response) => void response.end(body) })
    const files = readdirSync(FIXTURES).filter((name) => name.endsWith('.bin'))
    t.ok(files.length > 0)
    for (const name of files) {
      const document = readFileSync(join(FIXTURES, name))
      const answer = await house.send({ body: document })
      t.strictSame(house.seen.at(-1)?.body, document, `${name}: to the upstream`)
      t.strictSame(answer.body, document, `${name}: to the client`)
    }
  },
)
