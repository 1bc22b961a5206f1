import { createHash, randomBytes } from 'node:crypto'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { Peer, UpstreamTarget } from '../../../src/contract/admission.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { lentBuffers } from '../../../src/edge/net/source.ts'
import type { SpliceEnd, SpliceLimits } from '../../../src/edge/net/splice.ts'
import { splice } from '../../../src/edge/net/splice.ts'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import { Wire } from '../../../src/edge/net/wire.ts'
import { Secret } from '../../../src/secret.ts'
import { createCa } from '../../support/certificates.ts'

const peer: Peer = { ip: '192.0.2.1', port: 4000, localIp: '192.0.2.2', localPort: 993, tls: null }
const never = new AbortController().signal
const authority = await createCa()
const leaf = await authority.issue({ names: ['localhost', '127.0.0.1'] })
const contexts = new TlsContexts({ pairs: [{ cert: leaf.cert, key: leaf.key, certFile: 'c', keyFile: 'k' }] })

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

interface Ends {
  /** The mail client and the mail server, as sockets of this test. */
  readonly client: Socket
  readonly server: Socket
  readonly ended: Promise<SpliceEnd>
  /** Bytes that wait in this process for the client and for the server. */
  waiting(): readonly [number, number]
}

interface Shape {
  readonly clientTls: boolean
  readonly upstreamTls: boolean
  readonly pending?: { readonly client: string; readonly server: string }
}

/** A client and a server with a splice between them, made of the real listener's and dialler's parts. */
async function joined(
  t: Test,
  shape: Shape,
  options: { idleMs?: number; end?: AbortSignal; limits?: SpliceLimits } = {},
): Promise<Ends> {
  const upstreamSide = Promise.withResolvers<Socket>()
  const upstreamServer = shape.upstreamTls
    ? createTlsServer({ cert: leaf.cert, key: leaf.key, allowHalfOpen: true } as object, (socket) =>
        upstreamSide.resolve(socket),
      )
    : createServer({ allowHalfOpen: true }, (socket) => upstreamSide.resolve(socket))
  const upstreamPort = await listen(upstreamServer)
  const accepted = Promise.withResolvers<Socket>()
  const front = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => accepted.resolve(socket))
  const frontPort = await listen(front)
  t.teardown(() => {
    front.close()
    upstreamServer.close()
  })

  const raw = connect({ port: frontPort, host: '127.0.0.1', allowHalfOpen: true })
  const clientWire = new Wire(await accepted.promise, { budgetBytes: 65_536, deadline: never })
  let client: Socket = raw
  if (shape.clientTls) {
    client = connectTls({ socket: raw, ca: authority.cert, servername: 'localhost', allowHalfOpen: true } as object)
    await clientWire.startTls({ side: 'server', contexts })
  }
  const target: UpstreamTarget = {
    name: 'main',
    hosts: [{ host: '127.0.0.1', port: upstreamPort }],
    tls: shape.upstreamTls ? 'implicit' : 'none',
    ca: authority.cert,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'x', authzid: '', secret: new Secret('x') },
    trusted: false,
  }
  const upstreamWire = await createDialer().dial(target, peer, never)
  const server = await upstreamSide.promise
  for (const socket of [client, server]) socket.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    server.destroy()
  })
  if (shape.pending) {
    client.write(shape.pending.client)
    server.write(shape.pending.server)
    while (clientWire.buffered < shape.pending.client.length || upstreamWire.buffered < shape.pending.server.length)
      await sleep(5)
  }
  const legs = [clientWire.release(), upstreamWire.release()] as const
  const ended = splice(...legs, options.idleMs ?? 60_000, options.end ?? never, options.limits)
  return { client, server, ended, waiting: () => [legs[0].socket.writableLength, legs[1].socket.writableLength] }
}

const SHAPES: readonly (readonly [string, Shape])[] = [
  ['plain, plain', { clientTls: false, upstreamTls: false }],
  ['TLS, plain', { clientTls: true, upstreamTls: false }],
  ['plain, TLS', { clientTls: false, upstreamTls: true }],
  ['TLS, TLS', { clientTls: true, upstreamTls: true }],
]

/** Reads a socket to its end, at once or in bits with pauses. */
async function digest(socket: Socket, slow: boolean): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    hash.update(chunk)
    if (slow) await sleep(1)
  }
  return { bytes, hash: hash.digest('hex') }
}

/** Writes all of it in pieces of odd sizes, waiting whenever the socket says so, then a FIN. */
async function send(socket: Socket, bytes: Buffer, piece: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    if (!socket.write(bytes.subarray(at, at + piece))) await new Promise((resolve) => socket.once('drain', resolve))
  }
  socket.end()
}

for (const [name, shape] of SHAPES) {
  t.test(`20 MB through eight slow and fast readers at once, both ways, ${name} (client 15, E1)`, async (t) => {
    const payload = randomBytes(20_000_000)
    const want = createHash('sha256').update(payload).digest('hex')
    const all: Ends[] = []
    let peak = 0
    const sampler = setInterval(() => {
      peak = Math.max(peak, ...all.flatMap(({ waiting }) => waiting()))
    }, 1)
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const ends = await joined(t, shape)
        all.push(ends)
        const { client, server, ended } = ends
        const [down, up] = await Promise.all([
          digest(client, i % 2 === 0),
          digest(server, i % 4 < 2),
          send(server, payload, [65_536, 7, 16_385, 100_003][i % 4] === 7 ? 7919 : 65_521 + i),
          send(client, payload, 30_011 + 977 * i),
        ])
        t.strictSame(
          [down, up],
          [
            { bytes: payload.length, hash: want },
            { bytes: payload.length, hash: want },
          ],
          `pair ${i}`,
        )
        t.match(await ended, { netInBytes: payload.length, netOutBytes: payload.length, error: null })
      }),
    )
    clearInterval(sampler)
    t.ok(peak > 0 && peak <= 1024 * 1024, `at most ${peak} bytes wait for anybody`)
    t.equal(lentBuffers(), 0, 'every pooled buffer came back')
  })

  t.test(`invariant 2, D6: what was pending on either side goes first, ${name}`, async (t) => {
    const pending = { client: '2 SELECT INBOX\r\n', server: '* 3 EXISTS\r\n' }
    const { client, server, ended } = await joined(t, { ...shape, pending })
    client.end('3 NOOP\r\n')
    server.end('3 OK\r\n')
    const read = async (socket: Socket) => {
      let text = ''
      for await (const chunk of socket) text += chunk
      return text
    }
    t.strictSame(await Promise.all([read(client), read(server)]), [
      '* 3 EXISTS\r\n3 OK\r\n',
      '2 SELECT INBOX\r\n3 NOOP\r\n',
    ])
    await ended
  })

  t.test(`E6: a FIN is passed on and the other direction drains, ${name}`, async (t) => {
    const { client, server, ended } = await joined(t, shape)
    client.end('quit\r\n')
    const heard = await digest(server, false)
    t.equal(heard.bytes, 6, 'the server reads to the FIN')
    server.end('still here\r\n')
    t.equal((await digest(client, false)).bytes, 12, 'and its answer arrives')
    t.match(await ended, { reason: 'client-closed' })
  })

  t.test(`D9, E4: a side that breaks takes the other with it, ${name}`, async (t) => {
    const { client, server, ended } = await joined(t, shape)
    const closed = new Promise((resolve) => client.once('end', resolve))
    client.resume()
    if (shape.upstreamTls) server.destroy()
    else server.resetAndDestroy()
    await closed
    client.end()
    t.match((await ended).reason, /upstream-closed|error/)
  })

  t.test(`invariant 7: ending cuts both sides at once, ${name}`, async (t) => {
    const end = new AbortController()
    const { client, server, ended } = await joined(t, shape, { end: end.signal })
    const gone = Promise.all(
      [client, server].map(
        (socket) =>
          new Promise((resolve) =>
            socket
              .resume()
              .once('close', resolve)
              .once('end', () => socket.end()),
          ),
      ),
    )
    const startedAt = performance.now()
    end.abort()
    t.match(await ended, { reason: 'ended' })
    await gone
    t.ok(performance.now() - startedAt < 10_000, 'at once (M2): what else ends a splice takes longer')
  })

  t.test(`invariant 7: ending cuts a side that does not read, ${name}`, async (t) => {
    const end = new AbortController()
    const { server, ended } = await joined(t, shape, { end: end.signal })
    server.write(randomBytes(8_000_000))
    await sleep(100)
    end.abort()
    t.match(await ended, { reason: 'ended' })
  })
}

t.test('E1: a side that does not read holds back the other; memory stays below 1 MiB a direction', async (t) => {
  const { server, ended, waiting } = await joined(
    t,
    { clientTls: false, upstreamTls: false },
    { limits: { stalledMs: 300, halfOpenMs: 60_000 } },
  )
  let taken = 0
  const piece = randomBytes(65_536)
  const push = () => {
    while (server.writableLength < 1_000_000 && taken < 200_000_000) {
      taken += piece.length
      server.write(piece)
    }
  }
  let peak = 0
  const timer = setInterval(() => {
    push()
    peak = Math.max(peak, ...waiting())
  }, 5)
  const end = await ended
  clearInterval(timer)
  t.equal(end.reason, 'stalled', 'and is left after its time')
  t.ok(taken < 40_000_000, `the sender could not go on: ${taken}`)
  t.ok(peak > 0 && peak <= 1024 * 1024, `${peak} bytes waited`)
})

t.test('a session without a byte either way is closed after its idle time, and one with bytes is not', async (t) => {
  const busy = await joined(t, { clientTls: false, upstreamTls: false }, { idleMs: 200 })
  const quiet = await joined(t, { clientTls: false, upstreamTls: false }, { idleMs: 200 })
  const timer = setInterval(() => busy.client.write('x'), 20)
  busy.server.resume()
  t.match(await quiet.ended, { reason: 'idle', netInBytes: 0, netOutBytes: 0 })
  const second = await joined(t, { clientTls: false, upstreamTls: false }, { idleMs: 200 })
  t.match(await second.ended, { reason: 'idle' })
  t.equal(busy.client.destroyed, false)
  clearInterval(timer)
  t.match(await busy.ended, { reason: 'idle' })
})

t.test('E6: whoever goes on for too long after the other has finished is cut off', async (t) => {
  const { client, server, ended } = await joined(
    t,
    { clientTls: false, upstreamTls: false },
    { limits: { stalledMs: 60_000, halfOpenMs: 100 } },
  )
  client.end()
  const timer = setInterval(() => server.write('x'), 10)
  client.resume()
  t.match(await ended, { reason: 'client-closed' })
  clearInterval(timer)
})

t.test('E1: a side that takes nothing is left, however busy the other direction is', async (t) => {
  const { client, server, ended } = await joined(
    t,
    { clientTls: false, upstreamTls: false },
    { limits: { stalledMs: 200, halfOpenMs: 60_000 } },
  )
  server.write(randomBytes(20_000_000))
  server.resume()
  const timer = setInterval(() => client.write('noop\r\n'), 10)
  t.match(await ended, { reason: 'stalled' })
  clearInterval(timer)
})

t.test('sessions that fell silent after a large read do not use up the buffers of those that are busy', async (t) => {
  const pairs = []
  const end = new AbortController()
  for (let i = 0; i < 100; i++) {
    const pair = await joined(t, { clientTls: false, upstreamTls: false }, { end: end.signal })
    pair.client.resume()
    pair.server.write(randomBytes(40_000))
    pairs.push(pair)
  }
  while (!pairs.every(({ client }) => client.bytesRead === 40_000)) await sleep(5)
  t.ok(lentBuffers() <= 4, `${lentBuffers()} of 128 are out`)
  end.abort()
  for (const { client, server } of pairs) {
    client.end()
    server.resume().end()
  }
  await Promise.all(pairs.map(({ ended }) => ended))
  t.equal(lentBuffers(), 0)
})

t.test('the clock of the splices runs only while there is one, and keeps no process alive', async (t) => {
  const ticking = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const intervals: NodeJS.Timeout[] = []
  const { setInterval: original } = globalThis
  t.teardown(() => {
    globalThis.setInterval = original
  })
  globalThis.setInterval = ((...args: Parameters<typeof original>) => {
    const timer = original(...args)
    intervals.push(timer)
    return timer
  }) as typeof original
  const before = ticking()
  const ends = [new AbortController(), new AbortController()]
  const pairs = []
  for (const end of ends)
    pairs.push(await joined(t, { clientTls: false, upstreamTls: false }, { idleMs: 60_000, end: end.signal }))
  t.equal(intervals.length, 1, 'one for all of them')
  t.equal(intervals[0]?.hasRef(), false)
  for (const { client, server } of pairs) {
    client.resume().once('end', () => client.end())
    server.resume().once('end', () => server.end())
  }
  for (const end of ends) end.abort()
  await Promise.all(pairs.map(({ ended }) => ended))
  t.equal((intervals[0] as unknown as { _destroyed: boolean })._destroyed, true, 'and none for none')
  t.ok(ticking() <= before)
})
