/**
 * A Redis of the test's own, as the configuration would name it.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { RedisConfig } from '../../src/config.ts'
import type { RedisLink } from '../../src/keeper/redis.ts'
import { Secret } from '../../src/secret.ts'

export function redisConfig(port: number, password: string | null = null): RedisConfig {
  return {
    mode: 'single',
    nodes: [{ host: '127.0.0.1', port }],
    name: null,
    tls: false,
    ca: null,
    username: null,
    password: password === null ? null : new Secret(password),
    sentinelPassword: null,
    database: 0,
    allowUnprotectedRedis: false,
  }
}

/** @throws when it is not up within a minute */
export async function untilUp(link: Pick<RedisLink, 'up'>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!link.up) {
    if (Date.now() > deadline) throw new Error('Redis is not up after a minute')
    await delay(5)
  }
}
