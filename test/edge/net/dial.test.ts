import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { Endpoint, Peer, UpstreamTarget } from '../../../src/contract/admission.ts'
import { createBreakers } from '../../../src/edge/net/breaker.ts'
import type { Dialer } from '../../../src/edge/net/dial.ts'
import { createDialer, DialError } from '../../../src/edge/net/dial.ts'
import { parseProxyHeader } from '../../../src/edge/net/proxy-header.ts'
import { Resumption } from '../../../src/edge/net/resumption.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'
import { createCa } from '../../support/certificates.ts'
import { captureLog } from '../../support/logs.ts'
import { freePort } from '../../support/ports.ts'
import { quickest } from '../../support/quickest.ts'
import { listen, localTls, never } from './sockets.ts'

const { authority, leaf, contexts } = await localTls()
const stranger = await createCa('somebody else')
const peer: Peer = { ip: '192.0.2.7', port: 40_001, localIp: '198.51.100.3', localPort: 993, tls: null }

function to(port: number | readonly Endpoint[], more: Partial<UpstreamTarget> = {}): UpstreamTarget {
  return {
    name: 'main',
    hosts: typeof port === 'number' ? [{ host: '127.0.0.1', port }] : port,
    tls: 'none',
    ca: authority.cert,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'x', authzid: '', secret: new Secret('x') },
    trusted: false,
    ...more,
  }
}
const at = (port: number, host = '127.0.0.1'): Endpoint => ({ host, port })

/** A server that hands its connections to `onSocket`; they are gone with the test. */
async function serving(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return listen(server)
}
const silent = (t: Test) => serving(t, () => {})
const greeting = (t: Test, text = '* OK\r\n') => serving(t, (socket) => socket.write(text))

async function servingTls(t: Test, pair = leaf, options: object = {}): Promise<number> {
  const open = new Set<Socket>()
  const server = createTlsServer({ ...pair, ...options }, (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.write('* OK\r\n')
  })
  server.on('tlsClientError', () => {})
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return listen(server)
}

/** The greeting of whoever was reached. */
async function reached(dialer: Dialer, target: UpstreamTarget): Promise<string | null> {
  using wire = await dialer.dial(target, peer, never)
  return await wire.readLine()
}
const failure = async (dialer: Dialer, target: UpstreamTarget, signal = never): Promise<DialError> => {
  try {
    const wire = await dialer.dial(target, peer, signal)
    wire[Symbol.dispose]()
  } catch (error) {
    if (error instanceof DialError) return error
    throw error
  }
  throw new Error('it was reached')
}

t.test('a host by address and by name, plain and with TLS', async (t) => {
  const dialer = createDialer()
  const plain = await greeting(t)
  const secure = await servingTls(t)
  t.equal(await reached(dialer, to(plain)), '* OK')
  t.equal(await reached(dialer, to([at(plain, 'localhost')])), '* OK')
  t.equal(await reached(dialer, to(secure, { tls: 'implicit' })), '* OK', 'an address in the certificate')
  t.equal(await reached(dialer, to([at(secure, 'localhost')], { tls: 'implicit' })), '* OK')
  t.equal(await reached(dialer, to(secure, { tls: 'implicit', serverName: 'localhost' })), '* OK', 'a name of its own')
})

t.test('what went wrong is said, with host and port', async (t) => {
  const dialer = createDialer({ deadlineMs: 2000 })
  const closed = await freePort()
  const rude = await serving(t, (socket) => socket.destroy())
  const garbage = await serving(t, (socket) => socket.end('* OK this is not TLS\r\n'))
  const expired = await servingTls(t, await authority.expired())
  const other = await servingTls(t, await authority.issue({ names: ['other.example'] }))
  const unknown = await servingTls(t, await stranger.issue())
  const old = await servingTls(t, leaf, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' })
  for (const [target, code, message] of [
    [to(closed), 'ERR_DIAL_REFUSED', /nothing listens at 127\.0\.0\.1:\d+/],
    [to([at(closed, 'host.invalid')]), 'ERR_DIAL_DNS', /name of host\.invalid:\d+ can't be resolved \(E/],
    [to(rude, { tls: 'implicit' }), 'ERR_DIAL_TLS', /127\.0\.0\.1:\d+: .*(hung up|disconnected|ECONNRESET)/],
    [to(garbage, { tls: 'implicit' }), 'ERR_DIAL_TLS', /wrong version number|packet length/],
    [to(expired, { tls: 'implicit' }), 'ERR_DIAL_TLS', /expired \(CERT_HAS_EXPIRED\)/],
    [to(other, { tls: 'implicit' }), 'ERR_DIAL_TLS', /127\.0\.0\.1 is not in the cert|IP: 127\.0\.0\.1/],
    [
      to([at(other, 'localhost')], { tls: 'implicit' }),
      'ERR_DIAL_TLS',
      /localhost\. is not in the cert's altnames: DNS:other\.example/,
    ],
    [to(other, { tls: 'implicit', serverName: 'wrong.example' }), 'ERR_DIAL_TLS', /wrong\.example\. is not in/],
    [to(unknown, { tls: 'implicit' }), 'ERR_DIAL_TLS', /UNABLE_TO_VERIFY_LEAF_SIGNATURE|issuer/],
    [to(unknown, { tls: 'implicit', ca: null }), 'ERR_DIAL_TLS', /UNABLE_TO_VERIFY_LEAF_SIGNATURE|issuer/],
    [to(old, { tls: 'implicit' }), 'ERR_DIAL_TLS', /version/],
    [to([]), 'ERR_DIAL_UNREACHABLE', /main has no hosts/],
  ] as const) {
    t.match(await failure(dialer, target), { code, message }, String(message))
  }
})

t.test(
  'A3: whoever fails verification hears nothing of us behind the handshake, and is not called again in clear',
  async (t) => {
    let connections = 0
    let octets = ''
    const pair = await stranger.issue()
    const port = await serving(t, (socket) => {
      connections += 1
      const secure = new TLSSocket(socket, { isServer: true, ...pair })
      secure.on('error', () => {})
      secure.on('data', (bytes) => {
        octets += bytes
      })
    })
    t.match(await failure(createDialer(), to(port, { tls: 'implicit' })), { code: 'ERR_DIAL_TLS' })
    t.match(await failure(createDialer(), to(port, { tls: 'implicit', proxyProtocol: 'v2' })), { code: 'ERR_DIAL_TLS' })
    await sleep(20)
    t.equal(connections, 2)
    t.equal(octets, '')
  },
)

t.test('R29, D8: the next host is tried, inside one deadline', async (t) => {
  const capture = captureLog()
  const good = await greeting(t)
  const closed = await freePort()
  const mute = await silent(t)
  t.equal(await reached(createDialer({ log: capture.log }), to([at(closed), at(good)])), '* OK')
  t.match(capture.of('upstream_failed'), [{ upstream: 'main', error_code: 'ERR_DIAL_REFUSED', detail: /127/ }])

  // With TLS a host that accepts and says nothing is noticed before the login; as much time as for it is for each other one.
  const secure = await servingTls(t)
  const startedAt = performance.now()
  const dialer = createDialer({ deadlineMs: 8000 })
  t.equal(await reached(dialer, to([at(mute), ...Array(7).fill(at(secure))], { tls: 'implicit' })), '* OK')
  const tookMs = performance.now() - startedAt
  t.ok(tookMs > 900 && tookMs < 8000, `${tookMs} ms`)

  const lateMs = await quickest(1100, async () => {
    const lateAt = performance.now()
    const mutes = to([at(mute), at(mute), at(mute)], { tls: 'implicit' })
    const late = await failure(createDialer({ deadlineMs: 400 }), mutes)
    t.match(late, { code: 'ERR_DIAL_TIMEOUT', message: /TLS did not come about with 127\.0\.0\.1/ })
    return performance.now() - lateAt
  })
  t.ok(lateMs < 1100, `one for all three: ${Math.round(lateMs)} ms`)
})

t.test('D3: what is left of the deadline is for the login dialogue', async (t) => {
  const port = await greeting(t, '* OK\r\n* still')
  const startedAt = performance.now()
  using wire = await createDialer({ deadlineMs: 150 }).dial(to(port), peer, never)
  t.equal(await wire.readLine(), '* OK')
  await t.rejects(wire.readLine(), { code: 'ERR_WIRE_DEADLINE' })
  t.ok(performance.now() - startedAt < 5000, 'and not one of its own')
})

t.test('D2: an upstream that talks without end before the login is left', async (t) => {
  const port = await serving(t, (socket) => {
    const talk = () => {
      while (!socket.destroyed && socket.write(`* ${'x'.repeat(1000)}\r\n`.repeat(50)));
    }
    socket.on('drain', talk)
    talk()
  })
  using wire = await createDialer().dial(to(port), peer, never)
  let lines = 0
  const reading = (async () => {
    for (;;) if ((await wire.readLine()) !== null) lines += 1
  })()
  await t.rejects(reading, { code: 'ERR_WIRE_BUDGET' })
  t.ok(lines < 66, `${lines} lines`)
})

t.test('invariant 7: giving up ends the call at once, whatever it waits for', async (t) => {
  const dialer = createDialer({ deadlineMs: 60_000 })
  for (const [what, more] of [
    ['TLS', { tls: 'implicit' }],
    ['TLS behind a PROXY header', { tls: 'implicit', proxyProtocol: 'v1' }],
  ] as const) {
    const arrived = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const port = await serving(t, (socket) => {
      socket.resume().once('close', () => left.resolve())
      arrived.resolve()
    })
    const giveUp = new AbortController()
    const call = failure(dialer, to([at(port), at(port)], more), giveUp.signal)
    await arrived.promise
    await sleep(10)
    const startedAt = performance.now()
    giveUp.abort()
    t.match(await call, { code: 'ERR_DIAL_ABORTED' }, what)
    await left.promise
    t.ok(performance.now() - startedAt < 20_000, 'and the server sees it')
  }
  // Nobody answers a SYN to this one: a firewall drops it, or there is no way, which is said at once.
  const giveUp = new AbortController()
  const dropped = failure(dialer, to([at(143, '192.0.2.1')]), giveUp.signal)
  setTimeout(() => giveUp.abort(), 20)
  t.match(await dropped, { code: /ERR_DIAL_(ABORTED|UNREACHABLE|REFUSED)/ }, 'TCP')
  const before = await failure(dialer, to(await greeting(t)), AbortSignal.abort())
  t.match(before, { code: 'ERR_DIAL_ABORTED' }, 'given up before it began')
})

t.test('a PROXY header goes before anything else, also before TLS', async (t) => {
  for (const version of ['v1', 'v2'] as const) {
    const heard = Promise.withResolvers<Buffer>()
    const plain = await serving(t, (socket) => socket.once('data', (bytes) => heard.resolve(bytes)))
    using wire = await createDialer().dial(to(plain, { proxyProtocol: version }), peer, never)
    const header = parseProxyHeader(await heard.promise)
    const addresses = {
      sourceIp: peer.ip,
      sourcePort: peer.port,
      destinationIp: peer.localIp,
      destinationPort: peer.localPort,
    }
    t.match(header, { kind: 'done', addresses }, version)
    t.equal(wire.buffered, 0)

    const before = Promise.withResolvers<Buffer>()
    const secure = await serving(t, (socket) => {
      socket.once('data', (bytes) => {
        socket.pause()
        const { kind, length } = parseProxyHeader(bytes) as { kind: string; length: number }
        before.resolve(bytes.subarray(0, kind === 'done' ? length : 0))
        if (bytes.length > length) socket.unshift(bytes.subarray(length))
        const tls = new TLSSocket(socket, { isServer: true, secureContext: contexts.choose(null) })
        tls.on('error', () => {})
        tls.once('secure', () => tls.write('* OK\r\n'))
      })
    })
    t.equal(await reached(createDialer(), to(secure, { tls: 'implicit', proxyProtocol: version })), '* OK')
    t.match(parseProxyHeader(await before.promise), { kind: 'done', addresses }, `${version}, TLS`)
  }
})

t.test('STARTTLS with an upstream: verified as what was dialled, and D5: nothing may wait before it', async (t) => {
  const port = await serving(t, (socket) => {
    socket.write('* OK\r\n')
    socket.once('data', () => {
      socket.write('a1 OK\r\n')
      const tls = new TLSSocket(socket, { isServer: true, secureContext: contexts.choose(null) })
      tls.on('error', () => {})
      tls.once('secure', () => tls.write('* OK again\r\n'))
    })
  })
  for (const [more, ok] of [
    [{}, true],
    [{ serverName: 'localhost' }, true],
    [{ serverName: 'other.example' }, false],
    [{ ca: stranger.cert }, false],
  ] as const) {
    using wire = await createDialer().dial(to(port, { tls: 'starttls', ...more }), peer, never)
    await wire.readLine()
    wire.write('a1 STARTTLS\r\n')
    t.equal(await wire.readLine(), 'a1 OK')
    if (!ok) await t.rejects(wire.startTls(), { code: 'ERR_WIRE_TLS' }, JSON.stringify(more))
    else {
      await wire.startTls()
      t.equal(await wire.readLine(), '* OK again')
    }
  }
  const injecting = await greeting(t, '* OK\r\na1 OK\r\n* CAPABILITY AUTH=PLAIN\r\n')
  using wire = await createDialer().dial(to(injecting, { tls: 'starttls' }), peer, never)
  await wire.readLine()
  wire.write('a1 STARTTLS\r\n')
  t.equal(await wire.readLine(), 'a1 OK')
  await t.rejects(wire.startTls(), { code: 'ERR_WIRE_INJECTED' })
})

t.test('D6: records that come in one packet with the last line of the login are lost nowhere', async (t) => {
  const lines = Array.from({ length: 10 }, (_, i) => `* ${i} EXISTS\r\n`)
  const server = createTlsServer(leaf, async (socket) => {
    socket.on('error', () => {})
    for (const line of ['a1 OK\r\n', ...lines]) await new Promise((resolve) => socket.write(line, resolve))
  })
  t.teardown(() => server.close())
  const secure = await listen(server)
  // Stands between us and the server and gathers what it sends, as a slow network would.
  const port = await serving(t, (front) => {
    const back = connect(secure, '127.0.0.1')
    back.on('error', () => {})
    front.on('close', () => back.destroy())
    front.pipe(back)
    let gathered: Buffer[] = []
    let timer: NodeJS.Timeout | undefined
    back.on('data', (bytes) => {
      gathered.push(bytes)
      clearTimeout(timer)
      timer = setTimeout(() => {
        front.write(Buffer.concat(gathered))
        gathered = []
      }, 30)
    })
  })
  for (const between of ['at once', 'later']) {
    const wire = await createDialer().dial(to(port, { tls: 'implicit' }), peer, never)
    t.equal(await wire.readLine(), 'a1 OK')
    const leg = wire.release()
    if (between === 'later') await sleep(20)
    let text = leg.pending.toString()
    const all = Promise.withResolvers<void>()
    const data = (bytes: Buffer, release: (() => void) | null) => {
      text += bytes
      release?.()
      if (text.length >= lines.join('').length) all.resolve()
    }
    leg.take({ data, end: () => {}, closed: () => all.resolve() })
    leg.socket.resume()
    // What was lost would not be waited for without end.
    const guard = setTimeout(() => leg.socket.destroy(), 20_000)
    await all.promise
    clearTimeout(guard)
    t.equal(text, lines.join(''), `the next owner comes ${between}`)
    leg.socket.destroy()
  }
})

t.test('a breaker opens after failures in a row, and lets one through when its time is up', async (t) => {
  let now = 1000
  const breakers = createBreakers(3, 10_000, () => now)
  const a = at(1)
  const b = at(2)
  const fail = (host: Endpoint) => {
    breakers.trying(host)
    return breakers.failed(host)
  }
  t.strictSame(breakers.order([a, b]), [a, b])
  t.strictSame([fail(a), fail(a)], [false, false])
  breakers.trying(a)
  t.equal(breakers.succeeded(a), false, 'it was not open')
  t.strictSame([fail(a), fail(a), fail(a)], [false, false, true], 'in a row, and said once')
  t.equal(fail(a), false)
  t.strictSame(breakers.order([a, b]), [b, a], 'passed over')
  t.strictSame(breakers.order([a]), [a], 'but not when there is no other')
  now += 10_000
  t.strictSame(breakers.order([a, b]), [a, b], 'its time is up')
  t.strictSame(breakers.order([a, b]), [a, b], 'looking is not trying')
  breakers.trying(a)
  t.strictSame(breakers.order([a, b]), [b, a], 'half open: one tries, the others wait')
  now += 9999
  t.strictSame(breakers.order([a, b]), [b, a])
  now += 1
  t.strictSame(breakers.order([a, b]), [a, b], 'the one that tried never came back: the next one may')
  breakers.trying(a)
  t.equal(breakers.failed(a), false, 'still open')
  t.strictSame(breakers.order([a, b]), [b, a])
  now += 10_000
  breakers.trying(a)
  t.equal(breakers.succeeded(a), true, 'closed')
  t.strictSame(breakers.order([a, b]), [a, b])
})

t.test('R29: a dead host is passed over until it is back, and a metric says so', async (t) => {
  let now = 0
  const metrics = createMetrics()
  const dialer = createDialer({ metrics, breakerFailures: 2, breakerOpenMs: 10_000, now: () => now })
  const deadPort = await freePort()
  const other = await greeting(t, '* OK other\r\n')
  const target = to([at(deadPort), at(other)])
  const isOpen = async () =>
    (await metrics.upstreamBreaker.get()).values.find(({ labels }) => labels.host === `127.0.0.1:${deadPort}`)?.value
  t.equal(await reached(dialer, target), '* OK other')
  t.equal(await isOpen(), undefined)
  t.equal(await reached(dialer, target), '* OK other')
  t.equal(await isOpen(), 1)

  let calls = 0
  const back = createServer((socket) => {
    calls += 1
    socket.end('* OK back\r\n')
  })
  await new Promise<void>((resolve) => back.listen(deadPort, '127.0.0.1', resolve))
  t.teardown(() => back.close())
  t.equal(await reached(dialer, target), '* OK other')
  t.equal(calls, 0, 'not even called')
  // What one upstream can't stand (its certificate) says nothing about another that has the same host.
  t.equal(await reached(dialer, { ...target, name: 'twin' }), '* OK back')
  t.equal(await isOpen(), 1, 'and takes no alarm back')
  now += 10_000
  t.equal(await reached(dialer, target), '* OK back')
  t.equal(await isOpen(), 0)
})

t.test('a call that was given up says nothing about the host', async (t) => {
  const dialer = createDialer({ breakerFailures: 1 })
  const good = await greeting(t)
  const other = await greeting(t, '* OK other\r\n')
  for (let i = 0; i < 3; i++) await failure(dialer, to(good), AbortSignal.abort())
  t.equal(await reached(dialer, to([at(good), at(other)])), '* OK')
})

t.test('TLS sessions are taken up again, with the same server under the same authorities only', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    const reused: boolean[] = []
    const server = createTlsServer({ ...leaf, maxVersion } as object, (socket) => {
      reused.push(socket.isSessionReused())
      socket.on('error', () => {})
      // Behind the tickets.
      setImmediate(() => socket.write('* OK\r\n'))
    })
    t.teardown(() => server.close())
    const port = await listen(server)
    const dialer = createDialer()
    const target = to(port, { tls: 'implicit' })
    for (let i = 0; i < 3; i++) await reached(dialer, target)
    t.strictSame(reused, [false, true, true], maxVersion)
    await reached(dialer, { ...target, serverName: 'localhost' })
    t.equal(reused.at(-1), false, 'not under another name')
    t.match(
      await failure(dialer, { ...target, serverName: 'other.example' }),
      { code: 'ERR_DIAL_TLS' },
      'nor for a name that it has no certificate for',
    )
    t.match(
      await failure(dialer, { ...target, ca: stranger.cert }),
      { code: 'ERR_DIAL_TLS' },
      'nor for somebody who does not trust it',
    )
    await reached(dialer, target)
    t.equal(reused.at(-1), true)
  }
})

t.test('a TLS session is offered for an hour after a certificate was seen; who takes none is left alone', async (t) => {
  let now = 0
  const resumption = new Resumption(() => now)
  const session = Buffer.from('session')
  const socket = (isReused: boolean) =>
    ({ isSessionReused: () => isReused, getProtocol: () => 'TLSv1.2', getSession: () => session }) as never
  t.equal(resumption.session, null)
  resumption.use(socket(false), null)
  t.equal(resumption.session, session)
  for (let minutes = 1; minutes <= 60; minutes++) {
    now += 60_000
    resumption.use(socket(true), session)
  }
  t.equal(resumption.session, session)
  now += 1
  t.equal(resumption.session, null, 'a full handshake is due')
  resumption.use(socket(false), null)
  t.equal(resumption.session, session)
  resumption.forget()
  t.equal(resumption.session, null)

  resumption.use(socket(false), null)
  for (let i = 0; i < 3; i++) resumption.use(socket(false), session)
  t.equal(resumption.session, null, 'refused three times in a row')
  now += 10 * 60_000
  resumption.use(socket(false), null)
  t.equal(resumption.session, session)
})

t.test('a wire that was given away keeps no timer, and a dial leaves none behind', async (t) => {
  const port = await greeting(t)
  const dialer = createDialer({ deadlineMs: 60 })
  const wire = await dialer.dial(to(port), peer, never)
  const leg = wire.release()
  const closed = once(leg.socket, 'close').then(() => 'closed')
  t.equal(await Promise.race([closed, sleep(120, 'open')]), 'open', 'the deadline is over')
  leg.socket.destroy()
})
