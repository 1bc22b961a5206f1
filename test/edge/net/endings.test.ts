/**
 * D9, E4: whatever happens to the two sides of a session, in whatever order, it ends, and nothing of it is left.
 *
 * SALLYPORT_SEED repeats a failure.
 */

import { randomBytes } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { UpstreamTarget } from '../../../src/contract/admission.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { createListener } from '../../../src/edge/net/listener.ts'
import { lentBuffers } from '../../../src/edge/net/pool.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import type { SpliceEnd } from '../../../src/edge/net/splice.ts'
import { splice } from '../../../src/edge/net/splice.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'
import { createRandom } from '../../fuzz/random.ts'
import { captureLog } from '../../support/logs.ts'
import { PLAIN } from './plain-listener.ts'
import { listen, localTls } from './sockets.ts'

const { authority, leaf, contexts } = await localTls()
const SEED = Number(process.env.SALLYPORT_SEED ?? 20260101)
const ROUNDS = 40

// A busy machine takes its time.
t.setTimeout(240_000)

interface Side {
  /** What the test speaks on, and what is below it. */
  readonly socket: Socket
  readonly raw: Socket
}

/** A house of one room: listener, dial and splice as in production; the client and the server are the test's. */
async function house(t: Test, clientTls: boolean, upstreamTls: boolean) {
  const arrived: ((side: Side) => void)[] = []
  const raws: Socket[] = []
  const onArrival = (socket: Socket) => {
    socket.on('error', () => {})
    arrived.shift()?.({ socket, raw: raws.pop() ?? socket })
  }
  const server = upstreamTls
    ? createTlsServer({ cert: leaf.cert, key: leaf.key, allowHalfOpen: true } as object, onArrival)
    : createServer({ allowHalfOpen: true }, onArrival)
  if (upstreamTls) server.on('connection', (raw: Socket) => raws.push(raw.on('error', () => {})))
  await listen(server)
  const target: UpstreamTarget = {
    name: 'main',
    hosts: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
    tls: upstreamTls ? 'implicit' : 'none',
    ca: authority.cert,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'x', authzid: '', secret: new Secret('x') },
    trusted: false,
  }
  const dialer = createDialer()
  const ends: { end: AbortController; ended: Promise<SpliceEnd> }[] = []
  const { log } = captureLog()
  const metrics = createMetrics()
  const listener = createListener({
    name: 'imap:test',
    protocol: 'imap',
    ...PLAIN,
    tls: clientTls ? 'implicit' : 'none',
    contexts,
    room: createRoom({ connections: 100, perAddress: 100 }),
    log,
    metrics,
    async onConnection(wire, peer) {
      const upstream = await dialer.dial(target, peer, wire.closed)
      const end = new AbortController()
      const ended = splice(wire.release(), upstream.release(), 60_000, end.signal, { stalledMs: 2000, halfOpenMs: 300 })
      ends.push({ end, ended })
      await ended
    },
  })
  const port = await listener.start()
  t.teardown(async () => {
    await listener.stop()
    listener.destroyAll()
    server.close()
  })
  return {
    listener,
    log,
    async pair() {
      const upstream = Promise.withResolvers<Side>()
      arrived.push(upstream.resolve)
      const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
      const socket: Socket | TLSSocket = clientTls
        ? connectTls({ socket: raw, ca: authority.cert, servername: 'localhost', allowHalfOpen: true } as object)
        : raw
      socket.on('error', () => {})
      const server = await upstream.promise
      // Node may not be made to free a connection from inside its handshake (tls.ts), and a test may not do it either.
      await setImmediate()
      while (ends.length === 0) await sleep(1)
      const { end, ended } = ends.pop() as (typeof ends)[number]
      return { client: { socket, raw }, server, end, ended }
    },
  }
}

/** What may happen to one side of a session. */
const ACTIONS: readonly ((side: Side, below: (n: number) => number) => void)[] = [
  ({ socket }, below) => socket.write(randomBytes(1 + below(200))),
  ({ socket }, below) => socket.write(randomBytes(1 + below(2_000_000))),
  ({ socket }) => socket.resume(),
  ({ socket }) => socket.pause(),
  ({ socket }) => socket.end(),
  ({ socket }) => socket.end('last words\r\n'),
  ({ socket }) => socket.destroy(),
  ({ raw }) => raw.destroy(),
  // quirk: Node 24 leaves the descriptor of a socket that was ended and is then reset, and may turn in circles over it. The
  // program itself resets nothing.
  ({ socket, raw }) => (socket.writableEnded || raw.writableEnded ? raw.destroy() : raw.resetAndDestroy()),
  // In the middle of TLS this is a broken record, elsewhere some bytes.
  ({ raw }) => raw.writable && raw.write(Buffer.from('\x17\x03\x03\x00\x10 no such record ', 'latin1')),
]

for (const [clientTls, upstreamTls] of [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const) {
  t.test(`E4: whatever happens to a session, it ends, TLS: ${clientTls}, ${upstreamTls}, seed ${SEED}`, async (t) => {
    const { below } = createRandom(SEED)
    const { listener, log, pair } = await house(t, clientTls, upstreamTls)
    const reasons = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const { client, server, end, ended } = await pair()
      const done: string[] = []
      for (let i = below(8); i >= 0; i--) {
        const at = below(ACTIONS.length)
        const side = below(2)
        done.push(`${side === 0 ? 'client' : 'server'} ${at}`)
        ACTIONS[at]?.(side === 0 ? client : server, below)
        if (below(2) === 0) await sleep(below(4))
      }
      // Whoever is left behaves; if nobody has ended it, we do.
      for (const { socket } of [client, server]) socket.resume().once('end', () => socket.end())
      if (below(2) === 0) end.abort()
      else client.socket.end()
      const result = await Promise.race([ended, sleep(20_000, null, { ref: false })])
      if (result === null) return void t.fail(`round ${round} did not end: ${done.join(', ')}`)
      reasons.add(result.reason)
      for (const { socket, raw } of [client, server]) {
        socket.destroy()
        raw.destroy()
      }
    }
    while (listener.connections > 0) await sleep(2)
    t.pass(`all closed: ${[...reasons].join(', ')}`)
    t.ok(reasons.size >= 3, 'in many ways')
    t.equal(lentBuffers(), 0, 'every buffer came back')
    t.equal(log.bugs, 0)
  })
}
