import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { ANN, basic, openHouse, PATH, QUERY } from './house.ts'

/** A request head with Ann's credentials, whole but for what a case adds. */
const head = (line: string, more: string) => `${line}\r\nHost: eas.example.org\r\nAuthorization: ${ANN}\r\n${more}`
const POST = `POST ${PATH}?${QUERY} HTTP/1.1`
const SMUGGLED = `POST ${PATH}?Cmd=SendMail&User=bob&DeviceId=x HTTP/1.1\r\nHost: x\r\n\r\n`

t.test('G-1: whatever is ambiguous about where a request ends is refused, and the connection closed', async (t) => {
  const house = await openHouse(t)
  for (const [text, why] of [
    [head(POST, `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`), 'CL.TE'],
    [head(POST, `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`), 'TE.CL'],
    [head(POST, `Content-Length: 0\r\nContent-Length: 5\r\n\r\n${SMUGGLED}`), 'two Content-Length'],
    [head(POST, `Content-Length: 5, 5\r\n\r\nhello`), 'a list of lengths'],
    [head(POST, `Content-Length: +5\r\n\r\nhello`), 'a signed length'],
    [head(POST, `Content-Length: 0x5\r\n\r\nhello`), 'a hexadecimal length'],
    [head(POST, `Content-Length: -1\r\n\r\nhello`), 'a negative length'],
    [head(POST, `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`), 'TE: xchunked'],
    [head(POST, `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`), 'TE: chunked, identity'],
    [head(POST, `Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`), 'TE: gzip, chunked'],
    [head(POST, `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`), 'two codings'],
    [head(POST, `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`), 'space before the colon'],
    [head(POST, `X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n`), 'obs-fold'],
    [head(POST, `Content-Length: 0\n\n${SMUGGLED}`), 'bare LF'],
    [head(POST, `Content-Length: 0\r\r\n\r\n`), 'bare CR'],
    [head(POST, `X: a\0b\r\nContent-Length: 0\r\n\r\n`), 'NUL in a header'],
    [head(POST, `Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`), '0x size'],
    [head(POST, `Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`), 'blank behind a size'],
    [head(POST, `Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n`), 'a size past 64 bits'],
    [head(POST, `Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n`), 'a chunk longer than it says'],
    [head(`POST  ${PATH} HTTP/1.1`, `Content-Length: 0\r\nConnection: close\r\n\r\n`), 'two blanks'],
    [head(`POST ${PATH} HTTP/1.2`, `Content-Length: 0\r\n\r\n`), 'a version that is none'],
    [head(`POST ${PATH} HTTP/0.9`, `\r\n`), 'HTTP/0.9'],
    [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, 'HTTP/2 by prior knowledge'],
    [`\x16\x03\x01\x02\x00\x01\x00\x01`, 'TLS inside TLS'],
  ] as const) {
    const answer = await house.raw(text)
    t.notMatch(answer, /HTTP\/1\.1 200/, why)
    t.notMatch(answer, /HTTP\/1\.1 [^4]/, `${why}: 4xx if anything`)
    t.ok((answer.match(/HTTP\/1\.1/g) ?? []).length <= 1, `${why}: one answer`)
  }
  await house.quiet()
  t.strictSame(
    house.seen.map(({ url }) => url).filter((url) => url.includes('SendMail')),
    [],
    'nothing smuggled has arrived',
  )
  t.equal(house.logs.log.bugs, 0)
})

t.test('G-1: chunk extensions and trailers end at us; framing upstream is our own', async (t) => {
  const house = await openHouse(t)
  const answer = await house.raw(
    head(
      POST,
      'Transfer-Encoding: chunked\r\nTrailer: X-Late\r\nConnection: close, X-Secret-Hop\r\nX-Secret-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic eA==\r\nUpgrade: h2c\r\n\r\n5;ext="a;b"\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n',
    ),
  )
  t.match(answer, /^HTTP\/1\.1 200/)
  const [seen] = house.seen
  t.equal(seen?.body.toString(), 'hello')
  for (const name of ['x-secret-hop', 'x-late', 'trailer', 'te', 'keep-alive', 'proxy-authorization', 'upgrade']) {
    t.notOk(seen?.headers[name], name)
  }
  t.equal(seen?.headers.connection, 'keep-alive')

  const options = head(
    `OPTIONS ${PATH} HTTP/1.1`,
    `Connection: close, Content-Length\r\nContent-Length: ${SMUGGLED.length}\r\n`,
  )
  await house.raw(`${options}\r\n${SMUGGLED}`)
  t.equal(house.seen.length, 2, 'a length that Connection takes away leaves no second request behind')
  t.equal(house.seen[1]?.body.length, SMUGGLED.length)
})

t.test('A13: a client’s word for where it comes from, or who it is, ends here, also with underscores', async (t) => {
  const house = await openHouse(t)
  const names = [
    'X-Forwarded-For',
    'X_Forwarded_For',
    'x-webobjects-remote-user',
    'X_WebObjects_Remote_User',
    'Content_Length',
    'Remote-User',
    'X-Remote-User',
    'X-Auth-Request-User',
    'X-Authenticated-Userid',
    'SSL-Client-Verify',
    'X-SSL-Client-S-DN',
    'X-HTTP-Method-Override',
  ]
  await house.send({ headers: Object.fromEntries(names.map((name) => [name, '7'])) })
  for (const name of names) t.notOk(house.seen[0]?.headers[name.toLowerCase()], name)
})

t.test('G-2: what an upstream says behind its answer reaches nobody', async (t) => {
  const house = await openHouse(t, {
    socket: (socket) =>
      socket.once('data', () => {
        const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        socket.write(`${answer}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`)
      }),
  })
  for (let i = 0; i < 3; i++) t.equal((await house.send()).body.toString(), 'ok')
})

t.test('G-2, D4: an answer that is there before the request was sent is nobody’s', async (t) => {
  const dialer = createDialer()
  let dialled = 0
  const house = await openHouse(t, {
    socket: (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly'),
    dialer: {
      async dial(...call) {
        const wire = await dialer.dial(...call)
        dialled += 1
        // Not to depend on who is quicker.
        while (wire.buffered === 0) await sleep(1)
        return wire
      },
    },
  })
  const { status, body } = await house.send()
  t.equal(status, 503)
  t.not(body.toString(), 'early')
  t.equal(dialled, 1)
  t.match(await house.logs.wait('upstream_failed'), { detail: /spoke before it was asked/ })
})

t.test('G-3: path and host tricks', async (t) => {
  const house = await openHouse(t)
  for (const target of [
    `http://eas.example.org${PATH}?${QUERY}`,
    `https://mail.internal${PATH}?${QUERY}`,
    `/${PATH}?${QUERY}`,
    `/x/..${PATH}?${QUERY}`,
    `/.${PATH}?${QUERY}`,
    `/..;${PATH}?${QUERY}`,
    `${PATH}%2f..?${QUERY}`,
    `\\Microsoft-Server-ActiveSync?${QUERY}`,
    `${PATH}%00?${QUERY}`,
    `${PATH}?${QUERY}#DeviceId=other`,
    '*',
  ]) {
    t.match(await house.raw(head(`POST ${target} HTTP/1.1`, 'Content-Length: 0\r\n\r\n')), /^HTTP\/1\.1 400/, target)
  }
  for (const hosts of [
    '',
    'Host: a\r\nHost: b\r\n',
    'Host: a\r\nhost: a\r\n',
    'Host: a b\r\n',
    'Host: a@b\r\n',
    'Host: a/b\r\n',
    'Host: \r\n',
    'Host: a:99999999\r\n',
  ]) {
    const text = `${POST}\r\n${hosts}Authorization: ${ANN}\r\nContent-Length: 0\r\n\r\n`
    t.match(await house.raw(text), /^HTTP\/1\.1 400/, JSON.stringify(hosts))
  }
  t.strictSame(house.seen, [])
  await house.send({ headers: { Host: 'evil.example.net' } })
  t.equal(house.seen[0]?.headers.host, 'mail.internal', 'Host is the configuration’s')
  t.match(house.seen[0]?.url, /User=ann@example\.org/, 'and User is whoever logged in')
})

t.test('G-1: what makes no sense behind a request does not get into its answer', async (t) => {
  const house = await openHouse(t, {
    upstream: (_, response) => void response.writeHead(200, { 'Content-Length': '500' }).write('half'),
  })
  const socket = connect(house.port, '127.0.0.1')
  socket.on('error', () => {})
  let answer = ''
  socket.on('data', (part: Buffer) => {
    if (!answer.includes('half') && String(part).includes('half')) socket.write('no request\r\n\r\n')
    answer += part
  })
  socket.write(head(POST, 'Content-Length: 0\r\n\r\n'))
  await once(socket, 'close')
  t.match(answer, /\r\n\r\nhalf$/)
  await house.quiet()
})

t.test('G-8: header bombs, slow heads, slow bodies', async (t) => {
  const house = await openHouse(t)
  const bomb = await house.raw(head(POST, `X: ${'x'.repeat(20_000)}\r\n\r\n`))
  t.match(bomb, /^HTTP\/1\.1 431/, 'over 16 KiB')
  const many = Array.from({ length: 101 }, (_, i) => `X-${i}: 1\r\n`).join('')
  t.match(await house.raw(head(POST, `${many}Content-Length: 0\r\n\r\n`)), /^HTTP\/1\.1 431/, 'over 100 headers')
  const hidden = Array.from({ length: 1200 }, (_, i) => `a${i}:\r\n`).join('')
  const late = await house.raw(head(POST, `${hidden}Authorization: Basic eA==\r\nContent-Length: 0\r\n\r\n`))
  t.match(late, /^HTTP\/1\.1 431/, 'none is dropped without a word')

  const hurried = await openHouse(t, { tuning: { headMs: 300 } })
  const socket = connect(hurried.port, '127.0.0.1')
  const drip = setInterval(() => socket.write('X'), 50)
  socket.write(`${POST}\r\nX`)
  let answer = ''
  socket.on('data', (part) => {
    answer += part
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  clearInterval(drip)
  t.match(answer, /^HTTP\/1\.1 408/, 'dripping does not extend the deadline')
  t.strictSame([...house.seen, ...hurried.seen], [])
})

t.test('G-8: a client that waits for leave gets it after its credentials were right, and not before', async (t) => {
  const house = await openHouse(t)
  const wrong = basic('ann@example.org', 'wrong')
  const expect = 'Expect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n'
  const refused = await house.raw(`${POST}\r\nHost: x\r\nAuthorization: ${wrong}\r\n${expect}`)
  t.match(refused, /^HTTP\/1\.1 401/)
  const socket = connect(house.port, '127.0.0.1')
  socket.write(head(POST, expect))
  const [leave] = await once(socket, 'data')
  t.match(String(leave), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  socket.write('hello')
  const [answer] = await once(socket, 'data')
  t.match(String(answer), /^HTTP\/1\.1 200/)
  t.equal(house.seen[0]?.body.toString(), 'hello')
  t.notOk(house.seen[0]?.headers.expect)
  socket.destroy()
})

t.test('an upload that was sent ahead of a poll’s answer hides no client that has gone', async (t) => {
  const house = await openHouse(t, {
    upstream: ({ url }, response) => void (url.includes('Ping') || response.end('ok')),
    tuning: { turnMs: 300 },
  })
  const socket = connect(house.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(head(`POST ${PATH}?Cmd=Ping&User=ann&DeviceId=x HTTP/1.1`, 'Content-Length: 0\r\n\r\n'))
  socket.write(head(POST, 'Content-Length: 5000000\r\n\r\n'))
  socket.write(Buffer.alloc(1_000_000))
  while (house.sessions.size === 0) await sleep(5)
  socket.end()
  await house.quiet()
  t.equal(house.seen.length, 1, 'the second was not asked')
})

t.test('requests sent ahead are answered one by one, in order; a flood of them is not taken', async (t) => {
  const house = await openHouse(t, {
    upstream: ({ url }, response) => void response.writeHead(200, { 'X-N': /Id=n(\d)/.exec(url)?.[1] }).end(),
  })
  const one = (n: number) =>
    head(
      `POST ${PATH}?Cmd=Sync&User=ann&DeviceId=n${n} HTTP/1.1`,
      `Content-Length: 0\r\n${n === 3 ? 'Connection: close\r\n' : ''}\r\n`,
    )
  const answer = await house.raw(one(1) + one(2) + one(3))
  t.strictSame(
    [...answer.matchAll(/X-N: (\d)\r\n/g)].map(([, n]) => n),
    ['1', '2', '3'],
  )
  const flood = await house.raw(Array.from({ length: 50 }, () => one(1)).join(''))
  t.ok((flood.match(/HTTP\/1\.1 200/g) ?? []).length < 20)
  await house.quiet()
  t.equal(house.logs.log.bugs, 0)
})

t.test('an upload whose upstream ends before it does: answered, read to its end, and nothing breaks', async (t) => {
  const PART = Buffer.alloc(64 * 1024, 'x')
  const parts = 40
  const answerOf = (status: string) => `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  for (const [what, upstream, wants] of [
    ['hangs up', (s) => s.resetAndDestroy(), 503],
    ['has no room', (s) => s.write(answerOf('507 Insufficient Storage')), 507],
    ['refuses us', (s) => s.write(answerOf('401 Unauthorized')), 503],
    ['is in trouble', (s) => s.write(answerOf('500 Internal Server Error')), 503],
    ['is told to end', null, 503],
  ] as [string, ((socket: Socket) => void) | null, number][]) {
    let isFirst = true
    const house = await openHouse(t, {
      socket(socket) {
        socket.resume()
        socket.once('data', () => {
          if (!isFirst) socket.end(answerOf('200 OK'))
          else if (upstream) upstream(socket)
          else house.sessions.end(house.sessions.list()[0]?.grantId ?? '')
          isFirst = false
        })
      },
    })
    const socket = connect(house.port, '127.0.0.1')
    let answer = ''
    socket.on('data', (part) => {
      answer += part
    })
    const status = async (nth: number): Promise<string | undefined> => {
      for (;;) {
        const [, found] = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)][nth] ?? []
        if (found !== undefined || socket.destroyed) return found
        await Promise.race([once(socket, 'data'), once(socket, 'close')])
      }
    }
    socket.write(head(POST, `Content-Length: ${parts * PART.length}\r\n\r\n`))
    socket.write(PART)
    t.equal(await status(0), String(wants), `upstream ${what}`)
    for (let i = 1; i < parts; i++) socket.write(PART)
    socket.write(head(POST, 'Content-Length: 0\r\n\r\n'))
    t.equal(await status(1), '200', `${what}: and the next request on that connection is read where it begins`)
    socket.destroy()
    await house.quiet()
    t.equal(house.logs.log.bugs, 0)
  }
})

t.test('an upstream that takes none of an upload is given up; one whose client is slow is not', async (t) => {
  const bodyMs = 300
  const stuck = await openHouse(t, { socket: (socket) => socket.pause(), deps: { bodyMs } })
  const body = Buffer.alloc(50 * 1024 * 1024)
  t.equal((await stuck.send({ body, headers: { Connection: 'keep-alive' } })).status, 503)
  await stuck.quiet()
  t.match(stuck.logs.lines.find(({ event }) => event === 'upstream_failed')?.detail, /took nothing of a body/)

  const house = await openHouse(t, { deps: { bodyMs } })
  const slow = house.begin({ headers: { 'Content-Length': '2' } }, false)
  slow.write('a')
  await sleep(3 * bodyMs)
  slow.end('b')
  const [response] = await once(slow, 'response')
  t.equal(response.statusCode, 200)
  response.resume()
  await house.quiet()
})
