/**
 * Counters shared through a real Redis (threats B2, I-1, I-3): two nodes are two throttles with one key file.
 */

import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import t from 'tap'
import type { RedisLink } from '../../../src/keeper/redis.ts'
import { openRedis } from '../../../src/keeper/redis.ts'
import { createKnownGood } from '../../../src/keeper/throttle/known-good.ts'
import { createSharedCounters } from '../../../src/keeper/throttle/shared.ts'
import type { Throttle } from '../../../src/keeper/throttle.ts'
import { createThrottle } from '../../../src/keeper/throttle.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { Keys } from '../../../src/records/keys.ts'
import { createKeys } from '../../../src/records/keys.ts'
import { Secret } from '../../../src/secret.ts'
import { captureLog } from '../../support/logs.ts'
import type { Redis as RedisServer } from '../../support/redis.ts'
import { startRedis } from '../../support/redis.ts'
import { requireService } from '../../support/services.ts'
import { redisConfig, untilUp } from '../redis-config.ts'

const DELAYS = [2000, 4000, 8000, 15_000]
const PRIMARY = 'correct horse'

interface Node {
  readonly throttle: Throttle
  readonly link: RedisLink
  readonly time: { now: number }
  guess(user: string, ip: string): Promise<{ readonly delayMs: number; readonly throttled: boolean }>
}

let guesses = 0

function oneKey(): Keys {
  return createKeys('k1', [{ id: 'k1', createdAt: new Date(), master: randomBytes(32) }])
}

/** @param withinMs default: a machine that is busy is not a Redis that hangs */
async function node(t: Test, server: RedisServer, keys: Keys, withinMs = 30_000): Promise<Node> {
  const metrics = createMetrics()
  const log = captureLog().log
  const link = openRedis({ config: redisConfig(server.port), log, metrics, restMs: 50, withinMs })
  t.teardown(() => link.close())
  await untilUp(link)
  // Each node has a clock of its own, and Redis the real one: what is served in Redis is cleared with `quiet`.
  const time = { now: 1_000_000 }
  const throttle = createThrottle({
    delaysMs: DELAYS,
    trustedNetworks: [],
    knownGood: createKnownGood(),
    shared: createSharedCounters(link, keys),
    metrics,
    now: () => time.now,
    sleep: async (ms) => {
      time.now += ms
    },
  })
  return {
    throttle,
    link,
    time,
    async guess(user, ip) {
      time.now += 15_000
      const typed = new Secret(`guess ${++guesses}`)
      return await throttle.charge(user, ip, typed).failed(typed)
    },
  }
}

/** A look behind the scenes. `quiet` ends all delays that are being served, as time would. */
function behind(t: Test, server: RedisServer) {
  const client = new Redis({ port: server.port })
  client.on('error', () => undefined)
  t.teardown(() => client.disconnect())
  const named = (ending: string) => client.keys(`*${ending}`)
  return {
    client,
    named,
    async quiet() {
      const served = await named(':until')
      if (served.length > 0) await client.del(served)
    },
  }
}

t.test('threat B2: what fails on one node counts on the other, and a success takes nothing back', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const keys = oneKey()
  const [one, two] = [await node(t, server, keys), await node(t, server, keys)]
  const { client, quiet } = behind(t, server)
  t.equal((await one.guess('ann@a.test', '192.0.2.1')).delayMs, 2000)
  await quiet()
  t.equal((await one.guess('ann@a.test', '192.0.2.1')).delayMs, 4000)
  await quiet()
  t.same(await two.guess('ann@a.test', '192.0.2.1'), { delayMs: 8000, throttled: false }, 'her name and his address')
  await quiet()
  t.equal((await two.guess('bob@a.test', '192.0.2.1')).delayMs, 15_000, 'his address')
  await quiet()
  t.equal((await two.guess('bob@a.test', '192.0.2.9')).delayMs, 4000, 'only the name')
  await quiet()
  const before = (await client.keys('*')).length
  one.throttle.charge('cid@a.test', '192.0.2.5', new Secret('x')).accepted({ userId: 'c', appPasswordId: 'p' })
  t.equal((await client.keys('*')).length, before, 'a login that is right asks and writes nothing')
})

t.test('threat B3: guesses made at once on two nodes get one verdict', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const keys = oneKey()
  const nodes = [await node(t, server, keys), await node(t, server, keys)]
  const penalties = await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const typed = new Secret(`at once ${i}`)
      return nodes[i % 2]?.throttle.charge('ann@a.test', `192.0.2.${i}`, typed).failed(typed)
    }),
  )
  t.equal(penalties.filter((penalty) => penalty && !penalty.throttled).length, 1)
  const turn = await nodes[1]?.throttle.primary('ann@a.test', '203.0.113.1', 'password', 0)
  t.match(turn, { go: false, wait: { lane: 'user' } }, 'and a guessable secret waits for what another node serves')
})

t.test('I-3: Redis flushed, killed, hanging: what was counted here stays, and nobody waits for it twice', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const keys = oneKey()
  const [one, two] = [await node(t, server, keys), await node(t, server, keys)]
  const { client, quiet } = behind(t, server)
  await one.guess('ann@a.test', '192.0.2.1')
  await quiet()
  t.equal((await two.guess('ann@a.test', '192.0.2.1')).delayMs, 4000)
  await client.flushall()
  t.equal((await two.guess('ann@a.test', '192.0.2.1')).delayMs, 8000, 'flushed: nor is forgotten what was heard')
  await server.kill()
  t.equal((await one.guess('ann@a.test', '192.0.2.1')).delayMs, 4000, 'killed: its own')
  t.equal((await one.guess('ann@a.test', '192.0.2.1')).delayMs, 8000)
  await server.restart()
  await untilUp(one.link)
  await untilUp(two.link)
  t.equal((await one.guess('ann@a.test', '192.0.2.1')).delayMs, 15_000, 'back, and empty')
  await quiet()

  // One command runs into its time limit; those after it are not even sent.
  const three = await node(t, server, keys, 500)
  server.hang()
  t.teardown(() => server.goOn())
  let hangs = true
  const answered = client.ping().then(() => (hangs = false))
  const start = performance.now()
  t.equal((await three.guess('ann@a.test', '192.0.2.2')).delayMs, 2000, 'hanging: what it has counted itself')
  t.ok(performance.now() - start >= 490, 'the first one waited')
  for (let i = 0; i < 50; i++) await three.guess(`u${i}@a.test`, `198.51.100.${i}`)
  t.equal((await three.throttle.primary('zoe@a.test', '198.51.100.200')).go, true)
  t.ok(performance.now() - start < 10 * 500, 'fifty others did not')
  t.ok(hangs)
  server.goOn()
  await answered
})

t.test(
  'threat I-1: whatever stands in Redis, nobody gets in by it and nobody waits longer than the delays',
  async (t) => {
    if (!requireService(t, 'redis')) return
    await using server = await startRedis()
    const keys = oneKey()
    const one = await node(t, server, keys)
    const { client, named, quiet } = behind(t, server)
    await one.guess('ann@a.test', '192.0.2.1')
    await quiet()
    for (const [what, value] of [
      ['a huge number', '9000000000000000'],
      ['a negative number', '-5'],
      ['as much as a number can hold', '9223372036854775807'],
      ['no number', 'x'.repeat(10_000)],
    ] as const) {
      for (const key of await named(':failures')) await client.set(key, value)
      await untilUp(one.link)
      const { delayMs, throttled } = await one.guess('ann@a.test', '192.0.2.1')
      t.ok(delayMs >= 4000 && delayMs <= 15_000 && !throttled, `${what}: ${delayMs} ms`)
      await untilUp(one.link)
      await quiet()
    }
    await client.flushall()
    await one.guess('ann@a.test', '192.0.2.1')
    for (const key of await named(':until')) await client.set(key, '1', 'PX', 10 * 24 * 3_600_000)
    await untilUp(one.link)
    t.match(await one.guess('ann@a.test', '192.0.2.1'), { delayMs: 15_000, throttled: true }, 'a delay of ten days')
    for (const key of await named(':until')) await client.set(key, '1')
    t.match(await one.guess('ann@a.test', '192.0.2.1'), { throttled: false }, 'a delay without end is none')
    for (const key of await named(':until')) {
      await client.del(key)
      await client.lpush(key, 'a', 'list')
    }
    await untilUp(one.link)
    t.match(await one.guess('ann@a.test', '192.0.2.1'), { delayMs: 15_000 })
  },
)

t.test('I-2, J: keys are digests of a fixed length, whatever the name', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const one = await node(t, server, oneKey())
  const { client } = behind(t, server)
  await one.guess('ann@a.test', '192.0.2.1')
  await one.guess('x\r\nflushall\r\n{}*@a.test', '2001:db8::1')
  const typed = await one.throttle.primary('ann@a.test', '192.0.2.77', 'password', 0)
  if (typed.go) await typed.failed(new Secret(PRIMARY))
  const all = await client.keys('*')
  t.ok(all.length >= 12, `${all.length} keys`)
  for (const key of all) t.match(key, /^sp:\{[A-Za-z0-9_-]{22}\}:(failures|until)$/)
  const values = await Promise.all(all.map((key) => client.get(key)))
  t.ok(values.every((value) => /^[0-9]{1,2}$/.test(value ?? '')))
  const expiries = await Promise.all(all.map((key) => client.pttl(key)))
  t.ok(
    expiries.every((ms) => ms > 0 && ms <= 15 * 60_000),
    'nothing stays',
  )
})

t.test('clearing reaches Redis', async (t) => {
  if (!requireService(t, 'redis')) return
  await using server = await startRedis()
  const keys = oneKey()
  const [one, two] = [await node(t, server, keys), await node(t, server, keys)]
  const { client, quiet } = behind(t, server)
  for (let i = 0; i < 3; i++) {
    await one.guess('ann@a.test', '192.0.2.1')
    await quiet()
  }
  await two.throttle.clear('ann@a.test', '192.0.2.1')
  t.strictSame(await client.keys('*'), [], 'also where this node has counted nothing itself')
})
