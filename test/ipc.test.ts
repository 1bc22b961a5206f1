import { once } from 'node:events'
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { encodeFrame, FrameDecoder } from '../src/ipc/frames.ts'
import type { IpcClientOptions, IpcHandlers, IpcLimits, IpcPeer, IpcServerOptions } from '../src/ipc.ts'
import { connectIpc, ensurePrivateDirectory, IpcError, IpcFailure, serveIpc } from '../src/ipc.ts'
import { Secret } from '../src/secret.ts'

const KEY = new Secret('the-key-of-this-test')

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'ipc-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

interface Side {
  readonly handlers: IpcHandlers
  readonly notices: [string, unknown][]
  readonly bugs: unknown[]
  readonly closed: Promise<IpcError>
}

function side(request: (method: string, params: unknown) => Promise<unknown> = async (_, params) => params): Side {
  const notices: [string, unknown][] = []
  const bugs: unknown[] = []
  const { promise, resolve } = Promise.withResolvers<IpcError>()
  return {
    handlers: {
      request,
      notice: (method, params) => void notices.push([method, params]),
      closed: resolve,
      bug: (error) => void bugs.push(error),
    },
    notices,
    bugs,
    closed: promise,
  }
}

async function pair(
  t: Test,
  given: {
    keeper?: Side
    edge?: Side
    limits?: Partial<IpcLimits>
    edgeLimits?: Partial<IpcLimits>
    server?: Partial<IpcServerOptions>
    client?: Partial<IpcClientOptions>
  } = {},
) {
  const keeper = given.keeper ?? side()
  const edge = given.edge ?? side()
  const accepted = Promise.withResolvers<IpcPeer>()
  const refused: IpcError[] = []
  const path = join(directory(t), 'run/test.sock')
  const server = await serveIpc({
    path,
    role: 'edge',
    keyFor: (name) => (name === 'edge-1' ? KEY : null),
    accept(peer) {
      accepted.resolve(peer)
      return keeper.handlers
    },
    refused: (why) => void refused.push(why),
    limits: given.limits ?? {},
    ...given.server,
  })
  t.teardown(() => server.close())
  const connectAs = (client: Partial<IpcClientOptions> = {}) =>
    connectIpc({
      path,
      role: 'edge',
      name: 'edge-1',
      key: KEY,
      handlers: edge.handlers,
      limits: given.edgeLimits ?? {},
      ...client,
    })
  return { keeper, edge, accepted: accepted.promise, refused, path, server, connectAs }
}

t.test('both sides ask and tell, in order, and answers find their questions', async (t) => {
  const keeper = side(async (method, params) => {
    if (method === 'slow') await new Promise((resolve) => setTimeout(resolve, 20))
    return { method, params }
  })
  const house = await pair(t, { keeper })
  const peer = await house.connectAs()
  const back = await house.accepted
  t.equal(back.name, 'edge-1')
  const slow = peer.request('slow', 1, 30_000)
  peer.notify('one', { n: 1 })
  const quick = peer.request('quick', 'żółw', 30_000)
  peer.notify('two', null)
  t.strictSame(await quick, { method: 'quick', params: 'żółw' })
  t.strictSame(keeper.notices, [
    ['one', { n: 1 }],
    ['two', null],
  ])
  t.strictSame(await slow, { method: 'slow', params: 1 })
  t.strictSame(await back.request('hello', [1, 2], 30_000), [1, 2])
  back.notify('end', 'x')
  await back.request('after', null, 30_000)
  t.strictSame(house.edge.notices, [['end', 'x']], 'a notice goes before the request that was sent behind it')
})

t.test('what may wait is told by itself, in order with all else, and before the end', async (t) => {
  const keeper = side()
  const house = await pair(t, { keeper })
  const peer = await house.connectAs()
  await house.accepted
  const names = () => keeper.notices.map(([name]) => name)
  const until = async (count: number) => {
    while (keeper.notices.length < count) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  peer.notifySoon('one', null)
  await until(1)
  peer.notifySoon('two', null)
  peer.notify('three', null)
  peer.notifySoon('four', null)
  await peer.request('after', null, 30_000)
  t.strictSame(names(), ['one', 'two', 'three', 'four'])
  peer.notifySoon('last', null)
  peer.close()
  await until(5)
  t.equal(names()[4], 'last')
  peer.notifySoon('after the end', null)
})

t.test('a no is a code, a message and data; a bug is a word', async (t) => {
  const keeper = side(async (method) => {
    if (method === 'no') throw new IpcFailure('not-found', 'no such user', { user: 'ann' })
    throw new TypeError('secret-in-a-message')
  })
  const house = await pair(t, { keeper })
  const peer = await house.connectAs()
  await t.rejects(peer.request('no', null, 30_000), {
    name: 'IpcFailure',
    code: 'not-found',
    message: 'no such user',
    data: { user: 'ann' },
  })
  const error = await peer.request('bug', null, 30_000).catch((error: unknown) => error)
  t.match(error, { name: 'IpcFailure', code: 'internal' })
  t.notMatch(String(error), /secret-in-a-message/)
  t.match(keeper.bugs, [{ message: 'secret-in-a-message' }])
})

t.test('hello: role, name and key must be right, and said in time', async (t) => {
  const house = await pair(t)
  for (const [client, why] of [
    [{ key: new Secret('another-key-of-this-tes') }, 'wrong key'],
    [{ key: new Secret('') }, 'no key'],
    [{ role: 'control' }, 'another role'],
    [{ name: 'edge-2' }, 'a name that is not expected'],
    [{ name: 'edge\n1' }, 'a name that is not printable'],
  ] as const) {
    await t.rejects(house.connectAs(client), { code: 'ERR_IPC_REFUSED' }, why)
  }
  t.equal(house.refused.length, 5)
  t.notMatch(house.refused.map(String).join(), /another-key/, 'no key is quoted')

  const hurried = await pair(t, { server: { helloMs: 60 } })
  const silent = connect(hurried.path)
  silent.resume()
  await once(silent, 'close')
  t.match(hurried.refused, [{ message: /did not say hello/ }], 'whoever says nothing is shown out')

  const eager = connect(house.path)
  eager.resume()
  eager.write(
    Buffer.concat([
      encodeFrame({ role: 'edge', name: 'edge-1', key: KEY.reveal() }),
      encodeFrame({ q: 1, m: 'admit', p: null }),
    ]),
  )
  await once(eager, 'close')
  t.match(house.refused.at(-1)?.message, /before it was welcomed/)

  const long = connect(house.path)
  long.on('error', () => {})
  long.resume()
  long.write(encodeFrame({ role: 'edge', name: 'edge-1', key: 'k'.repeat(2000) }))
  await once(long, 'close')
  t.equal(house.refused.at(-1)?.code, 'ERR_IPC_PROTOCOL', 'a stranger gets a kilobyte')
})

t.test('strangers are bounded, and the last to come is served', async (t) => {
  const house = await pair(t)
  const strangers = Array.from({ length: 80 }, () => connect(house.path))
  let gone = 0
  for (const stranger of strangers)
    stranger
      .on('error', () => {})
      .on('close', () => {
        gone += 1
      })
      .resume()
  await Promise.all(strangers.map((stranger) => stranger.readyState === 'open' || once(stranger, 'connect')))
  const peer = await house.connectAs()
  t.equal(await peer.request('x', 1, 30_000), 1)
  while (gone < 16) await new Promise((resolve) => setTimeout(resolve, 2))
  t.pass('the oldest are turned out')
  for (const stranger of strangers) stranger.destroy()
})

t.test('a frame that breaks the rules closes the channel, told by its header', async (t) => {
  for (const [bytes, why] of [
    [Buffer.of(0, 1, 0, 1), 'over 64 KiB'],
    [Buffer.of(0, 0, 0, 0), 'empty'],
    [encodeFrame({ hello: 1 }), 'neither request, answer nor notice'],
    [encodeFrame({ q: 'x', m: 'y' }), 'an id that is none'],
    [encodeFrame({ m: 'm'.repeat(65) }), 'a method name without end'],
    [encodeFrame({ a: 99, r: 1 }), 'an answer to nothing'],
  ] as const) {
    const house = await pair(t)
    const socket = connect(house.path)
    socket.on('error', () => {})
    socket.resume()
    socket.write(encodeFrame({ role: 'edge', name: 'edge-1', key: KEY.reveal() }))
    await house.accepted
    socket.write(bytes)
    t.equal((await house.keeper.closed).code, 'ERR_IPC_PROTOCOL', why)
    await once(socket, 'close')
    t.strictSame(house.keeper.bugs, [], why)
  }
})

t.test('a notice that the handler refuses closes the channel; a handler that breaks is a bug', async (t) => {
  for (const bug of [false, true]) {
    const keeper = side()
    const house = await pair(t, {
      keeper: {
        ...keeper,
        handlers: {
          ...keeper.handlers,
          notice() {
            throw bug ? new TypeError('oops') : new IpcError('ERR_IPC_PROTOCOL', 'no such notice')
          },
        },
      },
    })
    const peer = await house.connectAs()
    peer.notify('x', null)
    t.equal((await keeper.closed).code, 'ERR_IPC_PROTOCOL')
    t.equal(keeper.bugs.length, bug ? 1 : 0)
    await house.edge.closed
  }
})

t.test('requests in work are bounded by not reading on', async (t) => {
  let inWork = 0
  let most = 0
  const release: (() => void)[] = []
  const keeper = side(async () => {
    inWork += 1
    most = Math.max(most, inWork)
    await new Promise<void>((resolve) => release.push(resolve))
    inWork -= 1
    return null
  })
  const house = await pair(t, { keeper, limits: { inWork: 4 } })
  const peer = await house.connectAs()
  const answers = Array.from({ length: 50 }, () => peer.request('x', 'y'.repeat(1000), 5000))
  let answered = 0
  for (const answer of answers) {
    void answer.then(() => {
      answered += 1
    })
  }
  while (answered < answers.length) {
    release.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(most, 4)
})

t.test('our own requests are bounded, and time out', async (t) => {
  const keeper = side(() => new Promise(() => {}))
  const house = await pair(t, { keeper, edgeLimits: { pending: 3 } })
  const peer = await house.connectAs()
  const waiting = Array.from({ length: 3 }, () => peer.request('x', null, 30).catch((error: IpcError) => error.code))
  await t.rejects(peer.request('x', null, 30), { code: 'ERR_IPC_BUSY' })
  t.strictSame(await Promise.all(waiting), Array(3).fill('ERR_IPC_TIMEOUT'))
  await t.rejects(peer.request('x', 'y'.repeat(70_000), 30), { code: 'ERR_IPC_TOO_LARGE' })
  t.ok(peer.isOpen, 'none of this closes the channel')
})

t.test('an answer that comes after its time is dropped', async (t) => {
  const { promise: late, resolve: release } = Promise.withResolvers<string>()
  const keeper = side(async (method) => (method === 'late' ? late : 'soon'))
  const house = await pair(t, { keeper })
  const peer = await house.connectAs()
  await t.rejects(peer.request('late', null, 10), { code: 'ERR_IPC_TIMEOUT' })
  release('too late')
  t.equal(await peer.request('x', null, 30_000), 'soon')
})

t.test('frames a second are bounded by reading more slowly', async (t) => {
  const house = await pair(t, { limits: { framesPerSecond: 100 } })
  const peer = await house.connectAs()
  const started = performance.now()
  for (let i = 0; i < 120; i++) peer.notify('n', i)
  await peer.request('x', null, 30_000)
  const took = performance.now() - started
  t.ok(took >= 150, `121 frames at 100 a second after a burst of 100 took ${Math.round(took)} ms`)
  t.strictSame(
    house.keeper.notices.map(([, n]) => n),
    Array.from({ length: 120 }, (_, i) => i),
    'none is lost, none overtakes',
  )
})

t.test('a peer that does not read is first refused, then closed', async (t) => {
  const house = await pair(t, { limits: { queuedBytes: 100_000 } })
  const socket = connect(house.path)
  socket.on('error', () => {})
  socket.write(encodeFrame({ role: 'edge', name: 'edge-1', key: KEY.reveal() }))
  const back = await house.accepted
  let sent = 0
  while (back.isOpen && sent < 10_000) {
    back.notify('end', 'x'.repeat(10_000))
    sent += 1
    if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  t.notOk(back.isOpen)
  t.ok(sent < 500, `closed after ${sent} frames of 10 kB`)
  t.match((await house.keeper.closed).message, /does not read/)
  socket.destroy()
})

t.test('while a peer does not read its answers, we do not read its requests', async (t) => {
  let asked = 0
  const keeper = side(async () => {
    asked += 1
    return 'x'.repeat(60_000)
  })
  const house = await pair(t, { keeper, limits: { queuedBytes: 300_000, inWork: 4 } })
  const socket = connect(house.path)
  socket.on('error', () => {})
  socket.write(encodeFrame({ role: 'edge', name: 'edge-1', key: KEY.reveal() }))
  await house.accepted
  for (let i = 1; i <= 500; i++) socket.write(encodeFrame({ q: i, m: 'x', p: null }))
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.ok(asked < 100, `${asked} of 500 requests were taken up while nobody read the answers`)
  // Now the peer reads: all is answered.
  const decoder = new FrameDecoder()
  let answers = 0
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk)
      for (let message = decoder.next(); message; message = decoder.next()) if (message.a) answers += 1
      if (answers === 500) resolve()
    })
  })
  await all
  t.equal(asked, 500)
  socket.destroy()
})

t.test('long answers come in parts, to those who allow it', async (t) => {
  const long = { text: 'ł\ud800"\u0001'.repeat(60_000) }
  const keeper = side(async () => long)
  const house = await pair(t, { keeper })
  const trusting = await house.connectAs({ limits: { answerBytes: 4_000_000 } })
  t.strictSame(await trusting.request('x', null, 30_000), long)
  const edge = side()
  const wary = await house.connectAs({ handlers: edge.handlers, limits: { answerBytes: 50_000 } })
  await t.rejects(wary.request('x', null, 30_000), { code: 'ERR_IPC_PROTOCOL' })
  t.equal((await edge.closed).code, 'ERR_IPC_PROTOCOL')
})

t.test('the end of a channel rejects what is pending, on both sides, once', async (t) => {
  const keeper = side(() => new Promise(() => {}))
  const house = await pair(t, { keeper })
  const peer = await house.connectAs()
  const pending = t.rejects(peer.request('x', null, 30_000), { code: 'ERR_IPC_CLOSED' })
  await house.accepted
  await house.server.close()
  await pending
  t.equal((await house.edge.closed).code, 'ERR_IPC_CLOSED')
  await house.keeper.closed
  await t.rejects(peer.request('x', null, 10), { code: 'ERR_IPC_CLOSED' })
  peer.notify('x', null)
  peer.close()
  t.notOk(peer.isOpen)
})

t.test('what is said before close arrives', async (t) => {
  const house = await pair(t)
  const peer = await house.connectAs()
  for (let i = 0; i < 1000; i++) peer.notify('n', i)
  peer.close()
  await house.keeper.closed
  t.equal(house.keeper.notices.length, 1000)
})

t.test('who can not be reached is told apart', async (t) => {
  const path = directory(t)
  const base = { role: 'edge', name: 'edge-1', key: KEY, handlers: side().handlers }
  await t.rejects(connectIpc({ ...base, path: join(path, 'none.sock') }), { code: 'ERR_IPC_UNREACHABLE' })
  await t.rejects(connectIpc({ ...base, path: `/${'x'.repeat(100)}` }), { code: 'ERR_IPC_PATH' })
  const mute = createServer(() => {})
  mute.listen(join(path, 'mute.sock'))
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  await t.rejects(connectIpc({ ...base, path: join(path, 'mute.sock'), connectMs: 50 }), { code: 'ERR_IPC_TIMEOUT' })
  const rude = createServer((socket) => socket.destroy())
  rude.listen(join(path, 'rude.sock'))
  await once(rude, 'listening')
  t.teardown(() => rude.close())
  await t.rejects(connectIpc({ ...base, path: join(path, 'rude.sock') }), { code: 'ERR_IPC_CLOSED' })
})

t.test('socket files: 0600 in a directory 0700 of our own', async (t) => {
  const base = directory(t)
  const serve = (path: string) => serveIpc({ path, role: 'edge', keyFor: () => KEY, accept: () => side().handlers })

  const path = join(base, 'a/b/one.sock')
  const server = await serve(path)
  t.equal(lstatSync(path).mode & 0o777, 0o600)
  t.equal(lstatSync(join(base, 'a/b')).mode & 0o777, 0o700)
  await t.rejects(serve(path), { code: 'ERR_IPC_PATH', message: /in use/ }, 'another one answers there')
  await server.close()

  const stale = join(base, 'a/b/stale.sock')
  const { spawnSync } = await import('node:child_process')
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  t.ok(lstatSync(stale).isSocket(), 'a killed process left its socket file')
  const again = await serve(stale)
  await again.close()
  t.throws(() => lstatSync(stale), { code: 'ENOENT' }, 'closed in good order it leaves none')

  writeFileSync(join(base, 'a/b/file.sock'), 'mine')
  await t.rejects(serve(join(base, 'a/b/file.sock')), { code: 'ERR_IPC_PATH', message: /not a socket/ })
  await t.rejects(serve(join(base, 'x'.repeat(100))), { code: 'ERR_IPC_PATH', message: /runtimeDirectory/ })

  mkdirSync(join(base, 'open'))
  chmodSync(join(base, 'open'), 0o755)
  await t.rejects(serve(join(base, 'open/x.sock')), { code: 'ERR_IPC_PATH', message: /chmod 700/ })
  symlinkSync(join(base, 'a/b'), join(base, 'link'))
  await t.rejects(ensurePrivateDirectory(join(base, 'link')), { code: 'ERR_IPC_PATH' }, 'no link')
  await t.rejects(ensurePrivateDirectory(join(base, 'a/b/file.sock')), { code: 'ERR_IPC_PATH' }, 'no file')
  await t.rejects(
    ensurePrivateDirectory('/proc/sallyport/run'),
    { code: 'ERR_IPC_PATH', message: /none can be made there \(ENOENT\): name one that can with runtimeDirectory/ },
    'a file system that knows no new names: told at once',
  )
  if (process.geteuid?.() === 0) {
    const { chownSync } = await import('node:fs')
    mkdirSync(join(base, 'theirs'), { mode: 0o700 })
    chownSync(join(base, 'theirs'), 65534, 65534)
    await t.rejects(ensurePrivateDirectory(join(base, 'theirs')), { code: 'ERR_IPC_PATH', message: /belongs to/ })
  }
})
