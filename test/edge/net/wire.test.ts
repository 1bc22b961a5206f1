import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { trusting } from '../../../src/edge/net/tls.ts'
import type { WireOptions } from '../../../src/edge/net/wire.ts'
import { Wire } from '../../../src/edge/net/wire.ts'
import { quickest } from '../../support/quickest.ts'
import { allOf, localTls, never, socketPair } from './sockets.ts'

const { authority, contexts } = await localTls()

async function wired(t: Test, options: Partial<WireOptions> = {}) {
  const { near, far } = await socketPair(t)
  const wire = new Wire(near, { budgetBytes: 65_536, deadline: never, ...options })
  return { wire, near, far }
}

t.test('A8: lines and octets are the same however the bytes are cut', async (t) => {
  const text = 'a1 NOOP\r\nbare\n\r\nin\rside\r\n\r\r\n12345\r\nlast'
  for (const size of [1, 2, 3, 5, 100]) {
    const { wire, far } = await wired(t)
    const read = (async () => {
      const lines = []
      for (let i = 0; i < 5; i++) lines.push(await wire.readLine())
      return [...lines, (await wire.readBytes(7))?.toString(), await wire.readLine()]
    })()
    for (let at = 0; at < text.length; at += size) {
      far.write(text.slice(at, at + size))
      await sleep(0)
    }
    far.end()
    t.strictSame(await read, ['a1 NOOP', 'bare', '', 'in\rside', '\r', '12345\r\n', null], `${size} at a time`)
  }
})

t.test('octets above 127 are one character each', async (t) => {
  const { wire, far } = await wired(t)
  far.write(Buffer.from([0xfc, 0x00, 0xff, 0x0d, 0x0a]))
  t.equal(await wire.readLine(), '\u00fc\u0000\u00ff')
})

t.test('A6: a line is as long as it may be, and no longer', async (t) => {
  for (const [bytes, end, limit, fits] of [
    [8192, '\r\n', undefined, true],
    [8192, '\n', undefined, true],
    [8193, '\r\n', undefined, false],
    [8194, '', undefined, false],
    [12_288, '\r\n', 12_288, true],
    [12_289, '\r\n', 12_288, false],
  ] as const) {
    const { wire, far } = await wired(t)
    far.write('x'.repeat(bytes) + end)
    const line = wire.readLine(limit)
    if (fits) t.equal((await line)?.length, bytes)
    else await t.rejects(line, { code: 'ERR_WIRE_LINE_TOO_LONG' }, `${bytes} bytes and ${JSON.stringify(end)}`)
  }
})

t.test('A6: one budget for everything that is read', async (t) => {
  const { wire, far } = await wired(t, { budgetBytes: 1000 })
  far.write(`${'x'.repeat(98)}\r\n`.repeat(11))
  for (let i = 0; i < 10; i++) t.equal((await wire.readLine())?.length, 98)
  await t.rejects(wire.readLine(), { code: 'ERR_WIRE_BUDGET' })
  await t.rejects(wire.readLine(), { code: 'ERR_WIRE_BUDGET' }, 'and that is final')
  const other = await wired(t, { budgetBytes: 1000 })
  await t.rejects(other.wire.readBytes(1001), { code: 'ERR_WIRE_BUDGET' }, 'not even asked for')
})

t.test('A11: the deadline is absolute; dripping does not extend it, and the last words still go out', async (t) => {
  const deadline = new AbortController()
  const { wire, far } = await wired(t, { deadline: deadline.signal })
  const heard = allOf(far)
  const drip = setInterval(() => far.write('x'), 5)
  setTimeout(() => deadline.abort(), 60)
  await t.rejects(wire.readLine(), { code: 'ERR_WIRE_DEADLINE' })
  clearInterval(drip)
  const ended = wire.end('* BYE Too slow.\r\n')
  t.equal(await heard, '* BYE Too slow.\r\n')
  far.end()
  await ended
})

t.test('A9: who reads nothing is not sent to without end, and loses nothing', async (t) => {
  // More than the kernel holds for both sockets of a loopback connection.
  const lines = 6000
  const { wire, far } = await wired(t, { budgetBytes: lines * 8002 })
  const lineOf = (i: number) => String(i).padStart(8000, '0')
  let sent = 0
  const send = (async () => {
    for (; sent < lines; sent++) if (!far.write(`${lineOf(sent)}\r\n`)) await once(far, 'drain')
  })()
  await sleep(150)
  t.ok(wire.buffered <= 192 * 1024, `${wire.buffered} bytes held`)
  t.ok(sent < lines, `the peer was held back at ${sent}`)
  for (let i = 0; i < lines; i++) {
    const line = await wire.readLine()
    if (line !== lineOf(i)) return void t.fail(`line ${i} is ${line?.replace(/^0+/, '')}`)
  }
  await send
  t.pass('all lines, in order')
})

t.test('E4: the end of a peer', async (t) => {
  const gone = await wired(t)
  const reading = gone.wire.readLine()
  gone.far.end('half a line')
  t.equal(await reading, null, 'FIN: null, and half a line is no line')

  const reset = await wired(t)
  const failing = reset.wire.readLine()
  reset.far.resetAndDestroy()
  await t.rejects(failing, { code: 'ERR_WIRE_RESET' })
  t.equal(reset.wire.closed.aborted, true)

  const idle = await wired(t)
  idle.far.end()
  await once(idle.wire.closed, 'abort')
  t.pass('a FIN is noticed while nobody reads')

  const piped = await wired(t)
  piped.far.end('a1 NOOP\r\na2 LOGOUT\r\n')
  t.equal(await piped.wire.readLine(), 'a1 NOOP')
  t.equal(piped.wire.closed.aborted, false, 'a FIN behind commands waits for their answers')
  t.equal(await piped.wire.readLine(), 'a2 LOGOUT')
  t.equal(await piped.wire.readLine(), null)
})

t.test('a peer that never reads can not make us keep what we say', async (t) => {
  const { wire, far } = await wired(t)
  far.pause()
  for (let i = 0; i < 20_000 && !wire.closed.aborted; i++) {
    wire.write('x'.repeat(1000))
    if (i % 100 === 0) await sleep(0)
  }
  await t.rejects(wire.readLine(), { code: 'ERR_WIRE_BUDGET' })
})

t.test('invariant 3, A1, D5: bytes that wait where TLS begins end the connection, on either side', async (t) => {
  for (const side of ['server', 'client'] as const) {
    for (const injected of ['a2 LOGIN ann secret\r\n', 'x']) {
      const { wire, near, far } = await wired(t)
      far.write(`a1 STARTTLS\r\n${injected}`)
      await wire.readLine()
      while (wire.buffered === 0) await sleep(1)
      const tls =
        side === 'server'
          ? ({ side, contexts } as const)
          : ({ side, serverName: 'localhost', context: trusting(authority.cert) } as const)
      await t.rejects(wire.startTls(tls), { code: 'ERR_WIRE_INJECTED' }, `${side}, ${injected.length} bytes`)
      t.equal(near.destroyed, true)
    }
  }
})

t.test('invariant 3: bytes that are still on their way when TLS begins are no command either', async (t) => {
  const { wire, far } = await wired(t)
  const tls = wire.startTls({ side: 'server', contexts })
  far.write('a2 LOGIN ann secret\r\n')
  await t.rejects(tls, { code: 'ERR_WIRE_TLS' })
})

t.test('TLS as a server, with data right behind the handshake', async (t) => {
  const { wire, far } = await wired(t)
  const tls = wire.startTls({ side: 'server', contexts })
  const client = connectTls({ socket: far, ca: authority.cert, servername: 'localhost' })
  client.write('a1 NOOP\r\n')
  t.match(await tls, { version: 'TLSv1.3', serverName: 'localhost' })
  t.equal(await wire.readLine(), 'a1 NOOP')
  wire.write('a1 OK\r\n')
  t.equal(String((await once(client, 'data'))[0]), 'a1 OK\r\n')
})

t.test('TLS as a client, on an accepted connection and on one that is told later what to verify', async (t) => {
  const tls = { side: 'client', serverName: 'localhost', context: trusting(authority.cert) } as const
  for (const [options, given] of [
    [{}, tls],
    [{ dialled: { ...tls, endpoint: { host: 'localhost', port: 993 } } }, undefined],
  ] as const) {
    const { wire, far } = await wired(t, options)
    far.write('* OK\r\n')
    t.equal(await wire.readLine(), '* OK')
    const server = new TLSSocket(far, { isServer: true, secureContext: contexts.choose(null) })
    server.once('secure', () => server.write('* OK again\r\n'))
    t.match(await wire.startTls(given), { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' })
    t.equal(await wire.readLine(), '* OK again')
    wire.write('a1 NOOP\r\n')
    t.equal(String((await once(server, 'data'))[0]), 'a1 NOOP\r\n')
    t.equal((server as { servername?: unknown }).servername, 'localhost', 'SNI names the server')
  }
  const { wire } = await wired(t)
  await t.rejects(wire.startTls(), /certificates/, 'nothing to verify: a bug')
})

t.test('A3: as a client, a certificate for somebody else ends the connection', async (t) => {
  for (const [serverName, ca, why] of [
    ['other.example', authority.cert, /other\.example/],
    ['192.0.2.1', authority.cert, /192\.0\.2\.1/],
    ['localhost', null, /certificate|issuer/],
  ] as const) {
    const { wire, near, far } = await wired(t)
    new TLSSocket(far, { isServer: true, secureContext: contexts.choose(null) }).on('error', () => {})
    const error = await wire.startTls({ side: 'client', serverName, context: trusting(ca) }).catch((e: unknown) => e)
    t.match(error, { code: 'ERR_WIRE_TLS', message: why })
    t.equal(near.destroyed, true)
  }
})

t.test('A11: a handshake that does not come about', async (t) => {
  const silent = await wired(t)
  await t.rejects(
    silent.wire.startTls({ side: 'server', contexts, handshakeMs: 30 }),
    { code: 'ERR_WIRE_TLS' },
    'silence',
  )
  t.equal(silent.near.destroyed, true)

  const garbage = await wired(t)
  garbage.far.write('GET / HTTP/1.1\r\n\r\n')
  await t.rejects(garbage.wire.startTls({ side: 'server', contexts }), { code: 'ERR_WIRE_TLS' }, 'garbage')

  const left = await wired(t)
  left.far.end()
  await t.rejects(left.wire.startTls({ side: 'server', contexts }), { message: /hung up/ }, 'hung up meanwhile')
  t.equal(left.wire.closed.aborted, true, 'and whoever waits for something else knows')

  const gone = await wired(t)
  gone.far.end()
  await once(gone.wire.closed, 'abort')
  await t.rejects(gone.wire.startTls({ side: 'server', contexts }), { message: /hung up/ }, 'hung up before')

  const broken = await wired(t)
  broken.far.resetAndDestroy()
  await t.rejects(broken.wire.startTls({ side: 'server', contexts }), { code: 'ERR_WIRE_TLS' }, 'reset')

  const late = new AbortController()
  const slow = await wired(t, { deadline: late.signal })
  setTimeout(() => late.abort(), 20)
  await t.rejects(slow.wire.startTls({ side: 'server', contexts }), { code: 'ERR_WIRE_DEADLINE' }, 'the login deadline')
})

t.test('invariant 2: release hands over what was received and not read, and what comes after', async (t) => {
  const { wire, far } = await wired(t)
  far.write('a1 LOGIN\r\na2 SELECT\r\n')
  await wire.readLine()
  while (wire.buffered < 11) await sleep(1)
  const leg = wire.release()
  t.equal(leg.pending.toString(), 'a2 SELECT\r\n')
  far.end('a3 NOOP\r\n')
  await sleep(20)
  let text = ''
  const ended = Promise.withResolvers<void>()
  leg.take({
    data: (bytes, release) => {
      text += bytes
      release?.()
    },
    end: () => ended.resolve(),
    closed: () => {},
  })
  leg.socket.resume()
  await ended.promise
  t.equal(text, 'a3 NOOP\r\n')
  await t.rejects(async () => wire.readLine(), 'the wire is of no use any more')
})

t.test('an error between two owners is told to the next one', async (t) => {
  const { wire, far } = await wired(t)
  const leg = wire.release()
  leg.socket.resume()
  const closed = new Promise((resolve) => leg.socket.once('close', resolve))
  far.resetAndDestroy()
  await closed
  const told = Promise.withResolvers<Error | null>()
  leg.take({ data: () => {}, end: () => {}, closed: (error) => told.resolve(error) })
  t.match(await told.promise, { code: 'ECONNRESET' })
})

t.test('after release the deadline is over, and disposing does nothing', async (t) => {
  const deadline = new AbortController()
  const { wire, near } = await wired(t, { deadline: deadline.signal })
  wire.release()
  deadline.abort()
  wire[Symbol.dispose]()
  await sleep(5)
  t.equal(near.destroyed, false)
})

t.test('a wire that was not released takes its socket with it', async (t) => {
  const { wire, near, far } = await wired(t)
  const reading = wire.readLine()
  wire[Symbol.dispose]()
  t.equal(near.destroyed, true)
  t.equal(await reading, null, 'whoever reads is not left waiting')
  t.equal(await allOf(far), '')
})

t.test('the last word arrives although input was never read', async (t) => {
  const { wire, far } = await wired(t)
  const heard = allOf(far)
  far.write('x'.repeat(200_000))
  await sleep(20)
  const ended = wire.end('* BYE\r\n')
  t.equal(await heard, '* BYE\r\n')
  far.end()
  await ended
})

t.test('a reader that wants more than is read ahead gets it, also when the wire was held back before', async (t) => {
  const { wire, far } = await wired(t, { budgetBytes: 1_000_000 })
  far.write('x'.repeat(900_000))
  await sleep(30)
  t.ok(wire.buffered < 900_000)
  t.equal((await wire.readBytes(900_000))?.length, 900_000)
})

t.test('invariant 5: nothing that has been read stays in a buffer', async (t) => {
  const { near, far } = await socketPair(t)
  const buffers: Buffer[] = []
  const { alloc } = Buffer
  t.teardown(() => {
    Buffer.alloc = alloc
  })
  Buffer.alloc = (...args: Parameters<typeof alloc>) => {
    const made = alloc(...args)
    buffers.push(made)
    return made
  }
  near.on('data', (chunk: Buffer) => buffers.push(chunk))
  const wire = new Wire(near, { budgetBytes: 65_536, deadline: never })
  const holding = () => buffers.filter((bytes) => bytes.includes('hunter2')).length
  // In pieces, so that the store has to grow and to move.
  for (const piece of ['a1 LOG', `IN ann "${'hunter2'.repeat(40)}`, `${'hunter2'.repeat(90)}"\r\nhunter2\r\na2 `]) {
    far.write(piece)
    await sleep(5)
  }
  t.ok(holding() > 0, 'as long as nobody has read it')
  t.match(await wire.readLine(), /hunter2/)
  t.equal((await wire.readBytes(9))?.toString(), 'hunter2\r\n')
  t.equal(holding(), 0)
  t.equal(wire.buffered, 3)
  far.write('hunter2')
  while (wire.buffered < 10) await sleep(1)
  wire[Symbol.dispose]()
  t.equal(holding(), 0, 'nor what was never read')
})

t.test("what breaks a caller's promise is a bug and says so", async (t) => {
  const { wire, far } = await wired(t)
  const reading = wire.readLine()
  await t.rejects(wire.readLine(), /being read/)
  far.write('a1 NOOP\r\n')
  t.equal(await reading, 'a1 NOOP')
  wire.release()
  t.throws(() => wire.release(), /released/)
  await t.rejects(wire.startTls({ side: 'server', contexts }), /released/)
})

t.test('E2: dismiss says the last words without waiting, in clear and over TLS', async (t) => {
  for (const isSecure of [false, true]) {
    const tookMs = await quickest(900, async () => {
      const { wire, near, far } = await wired(t)
      const client = isSecure ? connectTls({ socket: far, ca: authority.cert, servername: 'localhost' }) : far
      if (isSecure) await wire.startTls({ side: 'server', contexts })
      const heard = allOf(client)
      const gone = once(near, 'close')
      const reading = wire.readLine()
      t.equal(wire.dismiss('bye\r\n'), true)
      await t.rejects(reading, { code: 'ERR_WIRE_DISMISSED' })
      t.throws(() => wire.release(), { code: 'ERR_WIRE_DISMISSED' })
      const startedAt = performance.now()
      // The other side has not closed, and never will.
      await gone
      const goneMs = performance.now() - startedAt
      t.equal(await heard, 'bye\r\n')
      t.equal(wire.closed.aborted, true)
      t.equal(wire.dismiss('bye\r\n'), false, 'once')
      return goneMs
    })
    t.ok(tookMs < 900, `not by the timer of last resort: ${Math.round(tookMs)} ms`)
  }
})

t.test('E2: dismiss says nothing to a peer that does not read, in a handshake, or after the release', async (t) => {
  const full = await wired(t)
  while (full.near.writableLength === 0) full.wire.write('x'.repeat(16_384))
  t.equal(full.wire.dismiss('bye\r\n'), false)
  t.equal(full.near.destroyed, false, 'nothing has happened')

  const begun = await wired(t)
  const handshake = begun.wire.startTls({ side: 'server', contexts })
  t.equal(begun.wire.dismiss('bye\r\n'), false)
  const client = connectTls({ socket: begun.far, ca: authority.cert, servername: 'localhost' })
  await Promise.all([handshake, once(client, 'secureConnect')])
  begun.wire.write('hello\r\n')
  t.equal(String((await once(client, 'data'))[0]), 'hello\r\n', 'it has not been disturbed')

  const released = await wired(t)
  released.wire.release()
  t.equal(released.wire.dismiss('bye\r\n'), false)
  t.equal(released.near.destroyed, false)
})
