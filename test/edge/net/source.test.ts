import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { lentBuffers } from '../../../src/edge/net/pool.ts'
import type { Sink } from '../../../src/edge/net/source.ts'
import { SocketReader } from '../../../src/edge/net/source.ts'
import { listen, localTls } from './sockets.ts'

const { leaf } = await localTls()

/** A socket dialled as upstreams are, with its reader, and the server's end of it. */
async function dialled(t: Test, tls: boolean): Promise<{ near: Socket; reader: SocketReader; far: Socket }> {
  const accepted = Promise.withResolvers<Socket>()
  const onConnection = (socket: Socket) => accepted.resolve(socket)
  const server: Server = tls
    ? createTlsServer({ cert: leaf.cert, key: leaf.key }, onConnection)
    : createServer({ noDelay: true }, onConnection)
  const port = await listen(server)
  const reader = new SocketReader()
  const options = { port, host: '127.0.0.1', onread: reader.onread() }
  const near = tls ? connectTls({ ...options, rejectUnauthorized: false } as object) : connect(options)
  reader.attach(near, true)
  const far = await accepted.promise
  far.on('error', () => {})
  server.close()
  t.teardown(() => {
    near.destroy()
    far.destroy()
  })
  return { near, reader, far }
}

/** Keeps what comes, lent or not, until the test gives it back. */
function collector() {
  const received = { bytes: 0, parts: [] as Buffer[], held: [] as (() => void)[] }
  const sink: Sink = {
    data(bytes, release) {
      received.bytes += bytes.length
      received.parts.push(bytes)
      if (release) received.held.push(release)
    },
    end: () => {},
    closed: () => {},
  }
  return { received, sink }
}

function digest(parts: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

async function until(condition: () => boolean): Promise<void> {
  const last = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > last) throw new Error('it did not come about')
    await sleep(2)
  }
}

for (const tls of [false, true]) {
  t.test(`a connection in bulk borrows buffers, and holds none when it is quiet again, TLS: ${tls}`, async (t) => {
    const { near, reader, far } = await dialled(t, tls)
    const { received, sink } = collector()
    reader.take(sink)
    near.resume()
    /** Sends, waits until it is there, and tells how much of it was lent. */
    const pass = async (bytes: Buffer) => {
      far.write(bytes)
      await until(() => received.bytes === bytes.length)
      const lent = received.held.length
      t.equal(digest(received.parts), digest([bytes]), `${bytes.length} bytes`)
      for (const release of received.held) release()
      Object.assign(received, { bytes: 0, parts: [], held: [] })
      return lent
    }
    t.equal(await pass(Buffer.from('* OK\r\n')), 0, 'a line is copied')
    t.ok((await pass(randomBytes(8_000_003))) > 0, 'a download is not')
    await pass(randomBytes(20_000))
    t.equal(lentBuffers(), 0, 'nothing is held while the connection is open and quiet')
    t.ok((await pass(randomBytes(3_000_001))) > 0)
    await pass(randomBytes(20_000))
    t.equal(lentBuffers(), 0)
  })

  t.test(`a buffer that is in use is not read into; when too many are, bytes are copied, TLS: ${tls}`, async (t) => {
    const payload = randomBytes(8_000_000)
    const want = digest([payload])
    // Together they want more than the pool lends.
    const all = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const { near, reader, far } = await dialled(t, tls)
        const { received, sink } = collector()
        reader.take(sink)
        near.resume()
        far.write(payload)
        await until(() => received.bytes === payload.length)
        return { near, received }
      }),
    )
    const most = lentBuffers()
    t.ok(most > 12 && most <= 128, `${most} buffers of 256 KiB are in use`)
    for (const { received } of all) t.equal(digest(received.parts), want, 'nobody has written into them')
    for (const { near, received } of all) {
      for (const release of received.held) release()
      const closed = once(near, 'close')
      near.destroy()
      await closed
    }
    t.equal(lentBuffers(), 0, 'all came back')
  })
}
