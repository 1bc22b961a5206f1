import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import type { Peer } from '../../../src/contract/admission.ts'
import { connectionsThatFit } from '../../../src/edge/net/descriptors.ts'
import type { Listener, ListenerLimits, ListenerOptions } from '../../../src/edge/net/listener.ts'
import { createListener } from '../../../src/edge/net/listener.ts'
import { formatProxyHeader } from '../../../src/edge/net/proxy-header.ts'
import type { RoomLimits } from '../../../src/edge/net/room.ts'
import { addressBlock, createRoom } from '../../../src/edge/net/room.ts'
import type { Wire } from '../../../src/edge/net/wire.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { captureLog } from '../../support/logs.ts'
import { Program } from '../../support/program.ts'
import { PLAIN } from './plain-listener.ts'
import { allOf, localTls } from './sockets.ts'

const { authority, contexts } = await localTls()

interface Opened {
  readonly listener: Listener
  readonly port: number
  readonly connections: (state?: 'login' | 'session') => Promise<number>
  readonly bugs: () => Promise<number>
  readonly capture: ReturnType<typeof captureLog>
  /** A connection from an address of 127/8, to be destroyed with the test. */
  call(localAddress?: string): Socket
}

/** Says hello and then echoes lines, upper case. */
async function echo(wire: Wire, peer: Peer): Promise<void> {
  try {
    wire.write(`hello ${peer.ip} ${peer.tls?.version ?? 'plain'}\r\n`)
    for (;;) {
      const line = await wire.readLine()
      if (line === null) break
      wire.write(`${line.toUpperCase()}\r\n`)
    }
  } catch {
    return wire.end('bye\r\n')
  }
  await wire.end()
}

async function opened(
  t: Test,
  {
    limits,
    ...options
  }: Partial<Omit<ListenerOptions, 'limits'>> & { limits?: Partial<ListenerLimits & RoomLimits> } = {},
): Promise<Opened> {
  const metrics = createMetrics()
  const capture = captureLog()
  const listener = createListener({
    name: 'imap:test',
    protocol: 'imap',
    ...PLAIN,
    contexts,
    log: capture.log,
    metrics,
    onConnection: echo,
    room: createRoom({ connections: 1000, perAddress: 1000, ...limits }),
    ...options,
    limits: { ...PLAIN.limits, ...limits },
  })
  const port = await listener.start()
  const calls: Socket[] = []
  t.teardown(async () => {
    await listener.stop()
    listener.destroyAll()
    for (const socket of calls) socket.destroy()
  })
  return {
    listener,
    port,
    capture,
    connections: async (state = 'login') =>
      (await metrics.connections.get()).values.find(({ labels }) => labels.state === state)?.value ?? 0,
    bugs: async () => (await metrics.bugs.get()).values[0]?.value ?? 0,
    call(localAddress = '127.0.0.1') {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      socket.on('error', () => {})
      calls.push(socket)
      return socket
    },
  }
}

/** The first thing a socket hears: text, or null when it is closed before. */
async function firstWord(socket: Socket): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  socket.once('data', (bytes) => resolve(String(bytes)))
  socket.once('close', () => resolve(null))
  return promise
}
const untilClosed = (socket: Socket) => new Promise((resolve) => socket.resume().once('close', resolve))
async function until(is: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const startedAt = performance.now(); !(await is()); ) {
    if (performance.now() - startedAt > 30_000) throw new Error(`not in time: ${what}`)
    await sleep(10)
  }
}

t.test('a connection: peer, count, metric, and all of it back to nothing', async (t) => {
  const { port, call, listener, connections } = await opened(t, {
    async onConnection(wire, peer) {
      wire.write(`${JSON.stringify(peer)}\r\n`)
      await wire.readLine()
      await wire.end()
    },
  })
  const socket = call()
  const peer = JSON.parse((await firstWord(socket)) ?? '') as Peer
  t.strictSame(peer, { ip: '127.0.0.1', port: socket.localPort, localIp: '127.0.0.1', localPort: port, tls: null })
  t.equal(listener.connections, 1)
  t.equal(await connections(), 1)
  socket.end('x\r\n')
  await untilClosed(socket)
  await until(() => listener.connections === 0, 'no connections')
  t.equal(await connections(), 0)
})

t.test('E2: connections in total; one line in the log however many are turned away', async (t) => {
  const { call, listener, capture } = await opened(t, { limits: { connections: 2 } })
  const [a, b] = [call(), call()]
  t.ok((await firstWord(a)) && (await firstWord(b)))
  for (let i = 0; i < 5; i++) t.equal(await firstWord(call()), null, 'no place for the third')
  t.match(capture.of('warning'), [
    {
      listener: 'imap:test',
      msg: /limits\.connections/,
      detail: '2 connections are open in this process, which has room for 2',
    },
  ])
  t.equal(capture.of('warning').length, 1)
  a.destroy()
  await until(() => listener.connections === 1, 'one left')
  t.ok(await firstWord(call()), 'a place that became free')
})

t.test('E2: silent connections make room for new ones; sessions and fresh logins never do', async (t) => {
  for (const tls of ['none', 'implicit'] as const) {
    let now = 0
    const { listener, connections, port, call, capture } = await opened(t, {
      tls,
      room: createRoom({ connections: 4, perAddress: 100, makeRoomAfterMs: 150 }, () => now),
      async onConnection(wire) {
        wire.write('hello\r\n')
        if ((await wire.readLine().catch(() => null)) !== 'login') return wire.end()
        const leg = wire.release()
        leg.socket.write('welcome\r\n')
      },
    })
    const greeted = async () => {
      const socket =
        tls === 'none'
          ? call()
          : connectTls({ port, host: '127.0.0.1', ca: authority.cert, servername: 'localhost' }).on('error', () => {})
      t.teardown(() => socket.destroy())
      return { socket, word: await firstWord(socket) }
    }
    const sessions = [await greeted(), await greeted()]
    for (const { socket } of sessions) {
      socket.write('login\r\n')
      t.equal(await firstWord(socket), 'welcome\r\n')
    }
    t.strictSame([await connections('login'), await connections('session')], [0, 2], tls)
    const oldest = await greeted()
    const oldestGone = untilClosed(oldest.socket)
    now += 200
    const fresh = await greeted()
    const late = await greeted()
    t.equal(late.word, 'hello\r\n', 'there is room for it')
    await oldestGone
    t.equal((await greeted()).word, null, 'a login under way is not disturbed')
    for (const { socket } of [fresh, late]) {
      socket.write('login\r\n')
      t.equal(await firstWord(socket), 'welcome\r\n')
    }
    now += 200
    t.equal((await greeted()).word, null, 'nor is a session')
    t.equal(listener.connections, 4)
    t.strictSame([await connections('login'), await connections('session')], [0, 4], tls)
    t.equal(capture.of('warning').length, 1)
  }
})

t.test('E2: silent connections on one port make room for those on another', async (t) => {
  let now = 0
  const room = createRoom({ connections: 3, perAddress: 100, makeRoomAfterMs: 100 }, () => now)
  const [imap, smtp] = [await opened(t, { room }), await opened(t, { room, name: 'smtp:test', protocol: 'smtp' })]
  const silent = [imap.call(), imap.call(), imap.call()]
  for (const socket of silent) t.ok(await firstWord(socket))
  const gone = Promise.race(silent.map(untilClosed))
  t.equal(await firstWord(smtp.call()), null, 'not at once: it may be a login')
  now += 120
  t.ok(await firstWord(smtp.call()), 'there is room for it')
  await gone
  await until(() => imap.listener.connections === 2, 'one less there')
  t.equal(room.size, 3)
  t.strictSame([await imap.connections(), await smtp.connections()], [2, 1])
})

t.test('E2: an address has its connections on all ports together', async (t) => {
  const room = createRoom({ connections: 100, perAddress: 2 })
  const [imap, smtp] = [await opened(t, { room }), await opened(t, { room, proxyFrom: ['127.0.0.9'] })]
  t.ok(await firstWord(imap.call()))
  const other = smtp.call()
  t.ok(await firstWord(other))
  t.equal(await firstWord(imap.call()), null)
  const proxied = smtp.call('127.0.0.9')
  proxied.write('PROXY TCP4 127.0.0.1 198.51.100.1 1 993\r\n')
  t.equal(await firstWord(proxied), null, 'behind a proxy as well')
  const [direct] = imap.capture.of('warning')
  t.match(direct, {
    remote_ip: '127.0.0.1',
    msg: /raise limits\.perAddress, or, if it is a load balancer, name it in proxyP/,
  })
  const [behind] = smtp.capture.of('warning')
  t.match(behind, { remote_ip: '127.0.0.1', msg: /raise limits\.perAddress$/ }, 'the address is the client’s')
  other.destroy()
  await until(() => smtp.listener.connections === 0, 'it has left')
  t.ok(await firstWord(imap.call()))
})

t.test('E2: which silent connection makes room is a matter of chance', async (t) => {
  let now = 0
  const { call } = await opened(t, {
    room: createRoom({ connections: 4, perAddress: 100, makeRoomAfterMs: 20 }, () => now),
    async onConnection(wire) {
      wire.write('hello\r\n')
      await wire.readLine().catch(() => null)
    },
  })
  const turns = new Set<number>()
  let sitting: Awaited<ReturnType<typeof call>>[] = []
  const sit = async () => {
    const socket = call()
    t.equal(await firstWord(socket), 'hello\r\n')
    sitting.push(socket)
  }
  for (let i = 0; i < 4; i++) await sit()
  // Always the same of four in forty rounds: once in 10^24.
  for (let round = 0; round < 40 && turns.size < 3; round++) {
    now += 30
    const gone = Promise.race(sitting.map((socket, i) => untilClosed(socket).then(() => i)))
    await sit()
    const index = await gone
    turns.add(index)
    sitting = sitting.filter((_, i) => i !== index)
  }
  t.ok(turns.size >= 3, `${turns.size} of four`)
})

t.test('E2: connections of one address; a v6 address stands for its /64', async (t) => {
  const { call, listener, capture } = await opened(t, { limits: { perAddress: 2 } })
  const [a, b] = [call('127.0.0.1'), call('127.0.0.1')]
  t.ok((await firstWord(a)) && (await firstWord(b)))
  for (let i = 0; i < 5; i++) t.equal(await firstWord(call('127.0.0.1')), null)
  t.ok(await firstWord(call('127.0.0.2')), 'another address')
  t.match(capture.of('connection_closed')[0], { remote_ip: '127.0.0.1', reason: 'perAddress' })
  const told = capture.of('warning')
  t.match(told[0], { level: 'warn', listener: 'imap:test', remote_ip: '127.0.0.1', msg: /limits\.perAddress/ })
  t.match(told[0], { detail: '127.0.0.1 has 2 connections in this process, as many as it may have' })
  t.equal(told.length, 1, 'one line however many there are')
  a.destroy()
  await until(() => listener.connections === 2, 'one less')
  t.ok(await firstWord(call('127.0.0.1')), 'a place that became free')

  for (const [ip, want] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
  ] as const) {
    t.equal(addressBlock(ip), want, ip)
  }
})

t.test('A13: from a listed network a PROXY header is believed, and mandatory', async (t) => {
  const { call, capture, listener } = await opened(t, {
    proxyFrom: ['127.0.0.0/30', '::1'],
    limits: { proxyHeaderMs: 60_000 },
  })
  const addresses = { sourceIp: '203.0.113.9', sourcePort: 1234, destinationIp: '198.51.100.1', destinationPort: 993 }
  for (const version of ['v1', 'v2'] as const) {
    const header = formatProxyHeader(version, addresses)
    const whole = call()
    whole.write(Buffer.concat([header, Buffer.from('in the same packet\r\n')]))
    const said = `hello 203.0.113.9 plain\r\nIN THE SAME PACKET\r\n`
    let words = ''
    while (words.length < said.length) words += await firstWord(whole)
    t.equal(words, said, version)

    const cut = call()
    cut.setNoDelay(true)
    const heard = firstWord(cut)
    for (const octet of header) {
      cut.write(Buffer.from([octet]))
      await sleep(0)
    }
    t.equal(await heard, 'hello 203.0.113.9 plain\r\n', `${version}, a byte at a time`)
    cut.write('then\r\n')
    t.equal(await firstWord(cut), 'THEN\r\n')
  }
  const local = call()
  local.write('PROXY UNKNOWN\r\n')
  t.equal(await firstWord(local), 'hello 127.0.0.1 plain\r\n', 'the proxy itself')

  const looking = call()
  looking.end('PROXY')
  await untilClosed(looking)
  t.match(capture.of('connection_closed').at(-1), { detail: /ended before its PROXY header/ })
  t.strictSame(capture.of('warning'), [], 'a load balancer that looks whether we are there is nothing to tell of')

  for (const [text, why] of [
    ['a1 NOOP\r\n', /did not begin with a PROXY header/],
    ['\x16\x03\x01\x02\x00\x01', /did not begin with a PROXY header/],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n', /wrong ports/],
  ] as const) {
    const socket = call()
    socket.write(text, 'latin1')
    t.equal(await firstWord(socket), null, JSON.stringify(text))
    t.match(capture.of('connection_closed').at(-1), { error_code: 'ERR_PROXY_HEADER', detail: why })
  }
  const hurried = await opened(t, { proxyFrom: ['127.0.0.1'], limits: { proxyHeaderMs: 200 } })
  for (const text of ['PROXY TCP4 1.2.3.4', '']) {
    const socket = hurried.call()
    if (text !== '') socket.write(text)
    t.equal(await firstWord(socket), null, JSON.stringify(text))
    const detail = /no PROXY header within 200 ms/
    t.match(hurried.capture.of('connection_closed').at(-1), { error_code: 'ERR_PROXY_HEADER', detail })
  }
  t.match(capture.of('warning'), [
    { remote_ip: '127.0.0.1', reason: 'proxy-header', msg: /proxyProtocol\.from/, detail: /did not begin with/ },
  ])
  t.equal(capture.of('warning').length, 1, 'whoever comes through it is locked out: said once a minute')

  const direct = call('127.0.0.9')
  t.equal(await firstWord(direct), 'hello 127.0.0.9 plain\r\n', 'from anywhere else the address is what it is')
  direct.write(formatProxyHeader('v1', addresses))
  t.match(await firstWord(direct), /^PROXY TCP4/, 'and the header is what the client says')
  await until(() => listener.connections === 6, 'all others gone')
})

t.test('A13, E2: behind a proxy the limit is for the address in the header', async (t) => {
  const { call, listener } = await opened(t, { proxyFrom: ['127.0.0.1'], limits: { perAddress: 1 } })
  const from = async (ip: string) => {
    const socket = call()
    socket.write(`PROXY TCP4 ${ip} 198.51.100.1 1 993\r\n`)
    return { socket, word: await firstWord(socket) }
  }
  const first = await from('203.0.113.1')
  t.ok(first.word)
  t.equal((await from('203.0.113.1')).word, null, 'a second one of the same client')
  t.ok((await from('203.0.113.2')).word, 'another client of the same proxy')
  first.socket.destroy()
  await until(() => listener.connections === 1, 'it is gone')
  t.ok((await from('203.0.113.1')).word)
  // What is given up in the middle of its header takes no place with it.
  for (let i = 0; i < 20; i++) {
    const socket = call()
    socket.write('PROXY TCP4 203.0.113.3 198.51.100.1 1 993\r\n')
    if (i % 2 === 0) socket.resetAndDestroy()
    else socket.destroy()
  }
  await until(() => listener.connections === 2, 'they are gone')
  t.ok((await from('203.0.113.3')).word)
})

t.test('TLS from the start, alone and behind a PROXY header in the same packet', async (t) => {
  const alone = await opened(t, { tls: 'implicit' })
  const tls = connectTls({ socket: alone.call(), ca: authority.cert, servername: 'localhost' })
  t.equal(await firstWord(tls), 'hello 127.0.0.1 TLSv1.3\r\n')
  tls.write('abc\r\n')
  t.equal(await firstWord(tls), 'ABC\r\n')

  const behind = await opened(t, { tls: 'implicit', proxyFrom: ['127.0.0.1'] })
  for (const version of ['v1', 'v2'] as const) {
    const header = { sourceIp: '2001:db8::9', sourcePort: 1, destinationIp: '::1', destinationPort: 2 }
    const socket = prefixed(behind.call(), formatProxyHeader(version, header))
    const over = connectTls({ socket, ca: authority.cert, servername: 'localhost' })
    t.equal(await firstWord(over), 'hello 2001:db8::9 TLSv1.3\r\n', version)
  }
})

/** A socket whose first write has something in front of it. */
function prefixed(socket: Socket, prefix: Buffer): Duplex {
  let before: Buffer = prefix
  const duplex = new Duplex({
    read: () => {},
    write(chunk: Buffer, _, done) {
      socket.write(Buffer.concat([before, chunk]), done)
      before = Buffer.alloc(0)
    },
  })
  socket.on('data', (bytes) => duplex.push(bytes))
  return duplex
}

t.test('A11: a client that says nothing where TLS should begin is left after its time', async (t) => {
  const { call, listener, capture } = await opened(t, { tls: 'implicit', limits: { handshakeMs: 60 } })
  const startedAt = performance.now()
  t.equal(await firstWord(call()), null)
  t.ok(performance.now() - startedAt < 10_000, 'its own, not the usual one')
  t.match(capture.of('connection_closed'), [{ error_code: 'ERR_WIRE_TLS', detail: /took too long/ }])
  const plain = call()
  plain.write('a1 LOGIN ann secret\r\n')
  t.equal(await firstWord(plain).then((word) => word && /hello/.test(word)), null, 'nor is plain text heard')
  await until(() => listener.connections === 0, 'gone')
  t.equal(JSON.stringify(capture.lines).includes('secret'), false)
})

t.test('A11: the time for a login counts from the accept, whatever is said meanwhile', async (t) => {
  const { call } = await opened(t, { limits: { loginMs: 100 } })
  const startedAt = performance.now()
  const socket = call()
  const drip = setInterval(() => socket.write('x'), 10)
  const heard = await allOf(socket)
  clearInterval(drip)
  const tookMs = performance.now() - startedAt
  t.match(heard, /^hello .*\r\nbye\r\n$/)
  // Deadlines are kept in quarters of a second; nobody gets less than was promised.
  t.ok(tookMs >= 100 && tookMs < 30_000, `${tookMs} ms`)
})

t.test('stop closes the port first; who is there goes on; expireLogins and destroyAll end them', async (t) => {
  const { call, listener, port } = await opened(t)
  const [a, b] = [call(), call()]
  await firstWord(a)
  await firstWord(b)
  await listener.stop()
  const late = connect(port, '127.0.0.1')
  t.match((await once(late, 'error'))[0], { code: 'ECONNREFUSED' })
  a.write('still here\r\n')
  t.equal(await firstWord(a), 'STILL HERE\r\n')

  const words = [allOf(a), allOf(b)]
  listener.expireLogins()
  t.strictSame(await Promise.all(words), ['bye\r\n', 'bye\r\n'])
  await until(() => listener.connections === 0, 'gone')
  await listener.stop()

  const other = await opened(t)
  const c = other.call()
  await firstWord(c)
  other.listener.destroyAll()
  await untilClosed(c)
  await until(() => other.listener.connections === 0, 'gone')
})

t.test('expireLogins reaches who is still in a handshake, and leaves who has logged in alone', async (t) => {
  const released = Promise.withResolvers<void>()
  const { call, listener } = await opened(t, {
    async onConnection(wire) {
      wire.release().socket.write('in\r\n')
      released.resolve()
    },
  })
  const socket = call()
  t.equal(await firstWord(socket), 'in\r\n')
  await released.promise
  listener.expireLogins()
  await sleep(20)
  t.equal(listener.connections, 1)

  const secure = await opened(t, { tls: 'implicit' })
  const silent = secure.call()
  await once(silent, 'connect')
  await until(() => secure.listener.connections === 1, 'accepted')
  secure.listener.expireLogins()
  await untilClosed(silent)
})

t.test('two listeners share a port (SO_REUSEPORT), as two edges do', async (t) => {
  const first = await opened(t, { reusePort: true })
  const second = await opened(t, { reusePort: true, port: first.port })
  t.equal(second.port, first.port)
  const calls = Array.from({ length: 60 }, () => first.call())
  await Promise.all(calls.map(firstWord))
  const counts = [first.listener.connections, second.listener.connections]
  t.ok(Math.min(...counts) > 0, counts.join(' and '))
  await first.listener.stop()
  t.ok(await firstWord(second.call()), 'one stops, the other goes on')

  const alone = await opened(t)
  await t.rejects(opened(t, { port: alone.port }), { code: 'EADDRINUSE' }, 'without it a port is taken')
})

t.test('a fault in what serves a connection ends that connection only, and is counted', async (t) => {
  const { call, listener, capture, bugs } = await opened(t, {
    onConnection(wire, peer) {
      if (peer.ip === '127.0.0.2') throw new Error('at once')
      if (peer.ip === '127.0.0.3') return Promise.reject(new Error('later'))
      return echo(wire, peer)
    },
  })
  const good = call()
  await firstWord(good)
  t.equal(await firstWord(call('127.0.0.2')), null)
  t.equal(await firstWord(call('127.0.0.3')), null)
  good.write('abc\r\n')
  t.equal(await firstWord(good), 'ABC\r\n')
  t.equal(await bugs(), 2)
  t.match(capture.of('bug'), [{ stack: /at once/ }, { stack: /later/ }])
  t.equal(listener.connections, 1)
})

t.test('E2: 300 silent connections do not slow an honest one', async (t) => {
  const { call, listener } = await opened(t, { tls: 'implicit', limits: { handshakeMs: 60_000 } })
  const silent = Array.from({ length: 300 }, () => call())
  await until(() => listener.connections === 300, 'all there')
  const tls = connectTls({ socket: call('127.0.0.2'), ca: authority.cert, servername: 'localhost' })
  t.match(await firstWord(tls), /^hello/)
  t.equal(listener.connections, 301, 'while all of them sit there')
  for (const socket of silent) socket.destroy()
  await until(() => listener.connections === 1, 'gone')
})

t.test('E3: the limit of descriptors is known', async (t) => {
  t.equal(connectionsThatFit(1024), 480)
  t.equal(connectionsThatFit(10), 1)
  t.equal(connectionsThatFit(Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY)
  t.ok(connectionsThatFit() > 1)
})

t.test('E3: out of descriptors: no crash, no spin, one line, and it goes on afterwards', async (t) => {
  for (const counted of [true, false]) {
    const script = fileURLToPath(new URL('few-descriptors.ts', import.meta.url))
    await using program = new Program('/bin/sh', [
      '-c',
      `ulimit -n 200 && exec "${process.execPath}" "${script}" ${counted ? 'counted' : 'uncounted'}`,
    ])
    await until(() => program.ended.aborted || /port \d+\n/.test(program.output), 'a port')
    const port = Number(/port (\d+)/.exec(program.output)?.[1])
    const sockets = Array.from({ length: 250 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    const words = await Promise.all(sockets.map(firstWord))
    const served = words.filter((word) => word !== null).length
    t.ok(counted ? served === 68 : served > 100 && served < 200, `${served} of 250 were served`)
    const cpu = async () => {
      const socket = sockets.find((_, i) => words[i] !== null) as Socket
      socket.write('cpu\r\n')
      return Number(await firstWord(socket))
    }
    const before = await cpu()
    await sleep(300)
    t.ok((await cpu()) - before < 100, 'no spin: less than 100 ms of CPU in 300')
    for (const socket of sockets.slice(0, -1)) socket.destroy()
    const again = await (async () => {
      for (let tries = 0; tries < 100; tries++) {
        const word = await firstWord(connect(port, '127.0.0.1').on('error', () => {}))
        if (word !== null) return word
        await sleep(20)
      }
      return null
    })()
    t.equal(again, 'hello\r\n', 'accepts again')
    t.equal(program.output.match(/turned away/g)?.length ?? 0, counted ? 1 : 0)
    t.equal(program.ended.aborted, false, 'never died')
  }
})

t.test(
  'M11: allowed networks alone may connect; others are turned away unheard and told of once a minute',
  async (t) => {
    const { call, capture, listener, connections } = await opened(t, { allowedFrom: ['127.0.0.0/29', '127.1.0.9'] })
    t.match(await firstWord(call('127.0.0.7')), /^hello 127\.0\.0\.7/)
    t.match(await firstWord(call('127.1.0.9')), /^hello/)
    for (const outside of ['127.0.0.8', '127.1.0.8', '127.0.1.1'])
      t.equal(await firstWord(call(outside)), null, outside)
    t.match(capture.of('warning'), [{ listener: 'imap:test', remote_ip: '127.0.0.8', msg: /allowedNetworks/ }])
    t.equal(capture.of('warning').length, 1)
    t.equal(listener.connections, 2, 'strangers are not even counted')
    t.equal(await connections(), 2)
  },
)

t.test('M11: an empty list lets nobody in', async (t) => {
  const { call } = await opened(t, { allowedFrom: [] })
  t.equal(await firstWord(call()), null)
})

t.test('M11: behind a load balancer nobody comes in past it, and the header’s address counts', async (t) => {
  const { call, listener } = await opened(t, { allowedFrom: ['10.1.0.0/16', '127.0.0.1'], proxyFrom: ['127.0.0.2'] })
  const proxied = async (sourceIp: string | null) => {
    const socket = call('127.0.0.2')
    const addresses = { sourceIp: sourceIp ?? '', sourcePort: 1, destinationIp: '10.9.9.9', destinationPort: 25 }
    // v2, LOCAL (PROXY protocol §2.2): a health check of the proxy's own.
    const local = Buffer.from([...Buffer.from('\r\n\r\n\0\r\nQUIT\n'), 0x20, 0, 0, 0])
    socket.write(sourceIp === null ? local : formatProxyHeader('v2', addresses))
    return firstWord(socket)
  }
  t.match(await proxied('10.1.2.3'), /^hello 10\.1\.2\.3/)
  t.equal(await proxied('10.2.0.1'), null, 'a client of another network')
  t.equal(await proxied('127.0.0.2'), null)
  t.equal(await proxied(null), null, 'the proxy itself is in no allowed network')
  t.equal(await firstWord(call('127.0.0.1')), null, 'an allowed address, but past the proxy')
  await until(() => listener.connections === 1, 'the others are gone')
})
