/**
 * One suite for everything that can keep level 2 of the login cache.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import t from 'tap'
import type { SealedLogins } from '../../src/keeper/cache.ts'
import { createRedisLogins, openRedis } from '../../src/keeper/redis.ts'
import { createEmbeddedLogins } from '../../src/keeper/sealed-embedded.ts'
import { createMetrics } from '../../src/metrics.ts'
import { openStore } from '../../src/records/store/open.ts'
import { redisConfig, untilUp } from '../keeper/redis-config.ts'
import { captureLog } from '../support/logs.ts'
import { startRedis } from '../support/redis.ts'
import { requireService } from '../support/services.ts'

interface Kept {
  readonly logins: SealedLogins
  /** Lets time pass, for the life of entries. */
  pass(ms: number): Promise<void>
}

async function embedded(t: Test): Promise<Kept> {
  const directory = mkdtempSync(join(tmpdir(), 'sp-cache-'))
  const store = await openStore({ sqlite: join(directory, 'store.db') })
  t.teardown(async () => {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })
  let aheadMs = 0
  return {
    logins: createEmbeddedLogins(store, () => new Date(Date.now() + aheadMs)),
    async pass(ms) {
      aheadMs += ms
    },
  }
}

async function redis(t: Test): Promise<Kept> {
  const server = await startRedis()
  const config = redisConfig(server.port)
  // A machine that is busy is not a Redis that hangs.
  const link = openRedis({ config, log: captureLog().log, metrics: createMetrics(), withinMs: 30_000 })
  const client = new Redis({ port: server.port })
  t.teardown(async () => {
    client.disconnect()
    await link.close()
    await server.stop()
  })
  await untilUp(link)
  return {
    logins: createRedisLogins(link),
    async pass(ms) {
      for (const key of await client.keys('*')) await client.pexpire(key, (await client.pttl(key)) - ms)
    },
  }
}

for (const [name, open] of [
  ['embedded', embedded],
  ['redis', redis],
] as const) {
  t.test(`sealed logins: ${name}`, async (t) => {
    if (name === 'redis' && !requireService(t, 'redis')) return
    const { logins, pass } = await open(t)
    const key = () => randomBytes(32).toString('base64url')

    await t.test('what was put is there, until it is deleted', async (t) => {
      const [one, other] = [key(), key()]
      t.equal(await logins.get(one), null)
      await logins.put(one, 'value one', 60_000)
      await logins.put(other, 'value two', 60_000)
      t.equal(await logins.get(one), 'value one')
      await logins.put(one, 'value three', 60_000)
      t.equal(await logins.get(one), 'value three')
      await logins.delete(one)
      await logins.delete(one)
      t.equal(await logins.get(one), null)
      t.equal(await logins.get(other), 'value two')
    })

    await t.test('an entry lives as long as it was given', async (t) => {
      const one = key()
      await logins.put(one, 'a minute', 60_000)
      await pass(30_000)
      t.equal(await logins.get(one), 'a minute')
      await pass(30_000)
      t.equal(await logins.get(one), null)
    })

    await t.test('long values and many at once', async (t) => {
      const keys = Array.from({ length: 200 }, key)
      await Promise.all(keys.map((each, i) => logins.put(each, `${i} ${'x'.repeat(2000)}`, 60_000)))
      const values = await Promise.all(keys.map((each) => logins.get(each)))
      t.ok(values.every((value, i) => value?.startsWith(`${i} x`)))
    })
  })
}
