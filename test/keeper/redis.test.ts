import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import t from 'tap'
import type { Config } from '../../src/config.ts'
import { freePort, waitForPort } from '../support/ports.ts'
import { ordinaryAccount, Program } from '../support/program.ts'
import { startRedis } from '../support/redis.ts'
import { program, requireService } from '../support/services.ts'
import type { House, HouseOptions } from './house.ts'
import { edge, house } from './house.ts'
import { redisConfig } from './redis-config.ts'

const WRONG = 'wron gwro ngwr ongw'

const withRedis = (port: number) => (config: Config) => ({ ...config, redis: redisConfig(port) })

async function redisIs(h: House, state: 'up' | 'down'): Promise<void> {
  const deadline = Date.now() + 60_000
  while ((await h.keeper.health()).redis !== state) {
    if (Date.now() > deadline) throw new Error(`Redis is not ${state} after a minute`)
    await delay(5)
  }
}

async function redisHouse(t: Test, port: number, options: HouseOptions = {}) {
  const h = await house(t, { ...options, config: withRedis(port) })
  await redisIs(h, 'up')
  return h
}

/** A way to Redis that can stop passing bytes without closing: Redis accepts and does not answer. */
async function stallable(t: Test, port: number) {
  const sockets = new Set<Socket>()
  let stalled = false
  let swallowed = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.on('data', (chunk) => {
        if (!stalled) to.write(chunk)
        else if (from === client) swallowed += String(chunk).split('login').length - 1
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    /** Commands about logins that came while it was stalled. */
    get swallowed() {
      return swallowed
    },
    set stalled(on: boolean) {
      stalled = on
      if (on) return
      // What was swallowed will never be answered.
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
  }
}

t.test('level 2 in Redis: sealed, under keys that tell nothing, and there after a restart', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const first = await redisHouse(t, server.port)
  const user = await first.addUser('ann@a.test')
  const { id, password } = await first.issue('ann@a.test')
  t.equal(await edge(first.keeper).result('ann@a.test', password), 'in')
  await first.close()

  const client = new Redis({ port: server.port })
  t.teardown(() => client.disconnect())
  const keys = await client.keys('*')
  t.equal(keys.length, 1)
  t.match(keys[0], /^sp:\{[A-Za-z0-9_-]{43}\}:login$/)
  const everything = `${keys[0]} ${await client.get(keys[0] ?? '')}`
  const decoded = Buffer.from(everything.split(' ')[1] ?? '', 'base64url').toString('latin1')
  for (const secret of ['ann', user.id, id, password, password.replaceAll(' ', '')]) {
    t.notOk(everything.includes(secret) || decoded.includes(secret))
  }
  const ttl = await client.pttl(keys[0] ?? '')
  t.ok(ttl > 23 * 3_600_000 && ttl <= 24 * 3_600_000, 'lives a day')

  const second = await redisHouse(t, server.port, { directory: first.directory })
  t.equal(await edge(second.keeper).result('ann@a.test', password), 'in')
  t.strictSame(await second.paths(), { cache: 1, argon2: 0, miss: 0 })
  await second.call('app-password.delete', { id })
  await second.close()
  t.strictSame(await client.keys('*'), [], 'a revoked login is deleted there, too')
})

t.test('invariant 10, I-1: a value that we did not seal, or sealed long ago, admits nobody', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const client = new Redis({ port: server.port })
  t.teardown(() => client.disconnect())

  const h = await redisHouse(t, server.port)
  for (const name of ['ann@a.test', 'bob@a.test']) await h.addUser(name)
  const [ann, old, bob] = [await h.issue('ann@a.test'), await h.issue('ann@a.test'), await h.issue('bob@a.test')]
  const e = edge(h.keeper)
  const keyOf = async (login: () => Promise<unknown>) => {
    const before = new Set(await client.keys('*'))
    await login()
    for (;;) {
      const key = (await client.keys('*')).find((each) => !before.has(each))
      if (key) return { key, value: (await client.get(key)) ?? '' }
      await delay(5)
    }
  }
  const oldEntry = await keyOf(() => e.result('ann@a.test', old.password))
  const annEntry = await keyOf(() => e.result('ann@a.test', ann.password))
  const bobEntry = await keyOf(() => e.result('bob@a.test', bob.password))
  await h.call('app-password.delete', { id: old.id })
  await h.close()

  const alarms = async (
    what: string,
    write: () => Promise<unknown>,
    login: [string, string],
    want: string,
    alarm: boolean,
  ) => {
    await client.flushall()
    await write()
    const again = await redisHouse(t, server.port, { directory: h.directory })
    t.equal(await edge(again.keeper).result(...login), want, what)
    t.equal(again.capture.of('cache_entry_refused').length, alarm ? 1 : 0, `${what}: ${alarm ? 'an' : 'no'} alarm`)
    t.equal((await again.paths()).cache, 0, `${what}: a miss`)
    await again.close()
  }
  const flipped = Buffer.from(annEntry.value, 'base64url')
  flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
  const asAnn: [string, string] = ['ann@a.test', ann.password]
  for (const [what, value] of [
    ['rubbish', 'rubbish'],
    ['nothing', ''],
    ['a plain entry', JSON.stringify(['u', 'p', 1, Date.now()])],
    ['one bit changed', flipped.toString('base64url')],
    ["bob's entry under ann's key", bobEntry.value],
    ['an envelope cut short', annEntry.value.slice(0, 40)],
    ['megabytes', 'A'.repeat(3_000_000)],
  ] as const) {
    await alarms(what, () => client.set(annEntry.key, value), asAnn, 'in', true)
  }
  await alarms(
    "ann's entry under bob's key",
    () => client.set(bobEntry.key, annEntry.value),
    ['bob@a.test', bob.password],
    'in',
    true,
  )
  await alarms(
    'a true entry, replayed after its app password was deleted',
    () => client.set(oldEntry.key, oldEntry.value),
    ['ann@a.test', old.password],
    'app-password-deleted',
    false,
  )
  await alarms('a true entry with an old epoch', () => client.set(annEntry.key, annEntry.value), asAnn, 'in', false)
  await alarms('a wrong type', () => client.lpush(annEntry.key, 'x'), asAnn, 'in', false)
})

t.test('I-7: an entry from the future or from the day before yesterday is not taken', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const first = await redisHouse(t, server.port)
  await first.addUser('ann@a.test')
  const { password } = await first.issue('ann@a.test')
  t.equal(await edge(first.keeper).result('ann@a.test', password), 'in')
  await first.close()
  const client = new Redis({ port: server.port })
  t.teardown(() => client.disconnect())
  const [key = ''] = await client.keys('*')
  const value = (await client.get(key)) ?? ''
  for (const [aheadMs, cache] of [
    [0, 1],
    [-60_000, 1],
    [-10 * 60_000, 0],
    [25 * 3_600_000, 0],
  ] as const) {
    await client.set(key, value)
    const clock = () => new Date(Date.now() + aheadMs)
    const later = await redisHouse(t, server.port, { directory: first.directory, clock })
    t.equal(await edge(later.keeper).result('ann@a.test', password), 'in')
    t.strictSame(await later.paths(), { cache, argon2: 1 - cache, miss: 0 }, `${aheadMs} ms ahead`)
    await later.close()
  }
})

t.test('I-3: Redis dies: logins go on, one line says so, and it comes back by itself', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const h = await redisHouse(t, server.port)
  await h.addUser('ann@a.test')
  const issued = [await h.issue('ann@a.test'), await h.issue('ann@a.test'), await h.issue('ann@a.test')] as const
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', issued[0].password), 'in')
  t.equal((await h.metrics.redisUp.get()).values[0]?.value, 1)

  await server.kill()
  for (const [i, { password }] of issued.entries()) {
    const start = performance.now()
    t.equal(await e.result('ann@a.test', password), 'in', `login ${i}`)
    // A connection would be waited for five seconds; a hash takes its own time.
    t.ok(performance.now() - start < 4500, `${Math.round(performance.now() - start)} ms`)
  }
  t.equal(await e.result('ann@a.test', WRONG), 'bad-credentials')
  await redisIs(h, 'down')
  t.equal((await h.metrics.redisUp.get()).values[0]?.value, 0)
  await delay(300) // a few attempts to reconnect
  t.equal(h.capture.of('redis_lost').length, 1, 'one line')

  await server.restart()
  await redisIs(h, 'up')
  t.equal(h.capture.of('redis_back').length, 1)
  t.equal((await h.metrics.redisUp.get()).values[0]?.value, 1)
  const fresh = await h.issue('ann@a.test')
  t.equal(await e.result('ann@a.test', fresh.password), 'in')
  t.equal(h.capture.log.bugs, 0)
})

t.test('I-3: Redis hangs: the first login waits for 150 ms, the next ones not at all', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const way = await stallable(t, server.port)
  const h = await redisHouse(t, way.port, { redisWithinMs: 150 })
  await h.addUser('ann@a.test')
  const issued = []
  for (let i = 0; i < 6; i++) issued.push(await h.issue('ann@a.test', { name: `device ${i}` }))
  const e = edge(h.keeper)
  way.stalled = true
  const start = performance.now()
  for (const [i, { password }] of issued.entries()) {
    t.equal(await e.result('ann@a.test', password), 'in')
    if (i === 0) t.ok(performance.now() - start > 100, 'the first one noticed')
    t.match(h.capture.of('redis_lost'), [{ detail: /timed out/ }], 'once')
  }
  // What was not asked was not waited for.
  t.equal(way.swallowed, 1, 'the others asked nothing')
  way.stalled = false
  await redisIs(h, 'up')
  t.equal(h.capture.of('redis_back').length, 1)
})

t.test('Redis was never there: the keeper opens and works', async (t) => {
  const h = await house(t, { config: withRedis(1) })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', password), 'in')
  t.equal(await e.result('ann@a.test', WRONG), 'bad-credentials')
  await h.capture.wait('redis_lost')
  t.match(await h.keeper.health(), { ok: true, redis: 'down' })
})

/** A Redis with settings of its own, in a directory of its own. */
async function startServer(t: Test, name: string, settings: readonly string[], more: readonly string[] = []) {
  const account = ordinaryAccount()
  const directory = mkdtempSync(join(tmpdir(), `sp-${name}-`))
  const file = join(directory, 'redis.conf')
  const port = await freePort()
  const head = [`port ${port}`, 'bind 127.0.0.1', `dir ${directory}`]
  writeFileSync(file, [...head, ...settings, ''].join('\n'))
  if (account.uid !== undefined) for (const path of [directory, file]) chownSync(path, account.uid, account.gid ?? 0)
  const server = new Program(program('redis'), [file, ...more], { account })
  t.teardown(async () => {
    await server.stop('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  await waitForPort(port, { signal: server.ended })
  return { port, server }
}

t.test('Redis Cluster', async (t) => {
  if (!requireService(t, 'redis')) return
  const { port } = await startServer(t, 'cluster', ['cluster-enabled yes', 'cluster-announce-ip 127.0.0.1', 'save ""'])
  const client = new Redis({ port })
  t.teardown(() => client.disconnect())
  await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await delay(20)
  const cluster = (config: Config) => ({ ...config, redis: { ...redisConfig(port), mode: 'cluster' as const } })
  const h = await house(t, { config: cluster })
  await redisIs(h, 'up')
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  t.equal(await edge(h.keeper).result('ann@a.test', password), 'in')
  await h.close()
  t.equal(await client.dbsize(), 1)
  const again = await house(t, { directory: h.directory, config: cluster })
  await redisIs(again, 'up')
  t.equal(await edge(again.keeper).result('ann@a.test', password), 'in')
  t.strictSame(await again.paths(), { cache: 1, argon2: 0, miss: 0 })
})

t.test('Redis Sentinel', async (t) => {
  if (!requireService(t, 'redis')) return
  await using master = await startRedis()
  const watching = [`sentinel monitor mymaster 127.0.0.1 ${master.port} 1`]
  const { port } = await startServer(t, 'sentinel', watching, ['--sentinel'])
  const config = (config: Config) => ({
    ...config,
    redis: { ...redisConfig(port), mode: 'sentinel' as const, name: 'mymaster' },
  })
  const h = await house(t, { config })
  await redisIs(h, 'up')
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  t.equal(await edge(h.keeper).result('ann@a.test', password), 'in')
  await h.close()
  const client = new Redis({ port: master.port })
  t.teardown(() => client.disconnect())
  t.equal(await client.dbsize(), 1)
})

t.test('a Redis that asks for a password', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis({ password: 'redis password' })
  const right = await house(t, {
    config: (config) => ({ ...config, redis: redisConfig(server.port, 'redis password') }),
  })
  await redisIs(right, 'up')
  const wrong = await house(t, { config: (config) => ({ ...config, redis: redisConfig(server.port, 'not that one') }) })
  await wrong.capture.wait('redis_lost')
  t.match(await wrong.keeper.health(), { redis: 'down' })
  t.notMatch(right.capture.text + wrong.capture.text, /redis password|not that one/, 'invariant 5')
})
