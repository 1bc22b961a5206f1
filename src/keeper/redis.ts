/**
 * The keeper's connection to Redis: standalone, Sentinel or Cluster.
 *
 * Redis makes things fast and shared, and nothing depends on it. A command gets 150 ms. While Redis is away, or hangs,
 * commands are not even tried, so a login never waits for it twice; the client reconnects by itself in the background.
 */

import { Cluster, Redis } from 'ioredis'
import type { RedisConfig } from '../config.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { SealedLogins } from './cache.ts'

export interface RedisLink {
  /** The command's answer, or null when Redis is away, slow or refuses. Never rejects. */
  run<T>(command: (client: Redis | Cluster) => Promise<T>): Promise<T | null>
  readonly up: boolean
  close(): Promise<void>
}

export interface RedisOptions {
  readonly config: RedisConfig
  readonly log: Log
  readonly metrics: Metrics
  /** For a command. Default 150 ms. */
  readonly withinMs?: number | undefined
  /** How long no command is tried after one went unanswered. */
  readonly restMs?: number
}

const WITHIN_MS = 150
const REST_MS = 1000
const CONNECT_TIMEOUT_MS = 5000
const MAX_RECONNECT_DELAY_MS = 2000

/** Returns at once; the connection is made in the background. */
export function openRedis(options: RedisOptions): RedisLink {
  const { config, log, metrics } = options
  const client = createClient(config, options.withinMs ?? WITHIN_MS)
  const restMs = options.restMs ?? REST_MS
  let state: 'starting' | 'up' | 'down' | 'closed' = 'starting'
  let probe: NodeJS.Timeout | null = null
  let lastError = ''
  metrics.redisUp.set(0)

  function isUp(): void {
    if (state === 'closed' || state === 'up') return
    if (state === 'down') log.event('info', 'redis_back', 'Redis answers again')
    state = 'up'
    metrics.redisUp.set(1)
  }

  function isDown(why: string): void {
    if (state === 'closed' || state === 'down') return
    state = 'down'
    metrics.redisUp.set(0)
    log.event('warn', 'redis_lost', 'Redis does not answer; logins go on without it', { detail: why })
  }

  /** Redis accepts connections but does not answer: ask again from time to time, on nobody's login. */
  function rest(): void {
    if (probe !== null || state === 'closed') return
    probe = setTimeout(async () => {
      probe = null
      if (client.status !== 'ready') return // 'ready' will say when it is
      try {
        await client.ping()
        isUp()
      } catch {
        rest()
      }
    }, restMs)
    probe.unref()
  }

  // Without a listener the client writes each failed attempt to stderr.
  client.on('error', (error: Error) => {
    lastError = error.message
    if (client.status !== 'ready') isDown(error.message)
  })
  client.on('close', () => isDown(lastError || 'the connection was closed'))
  // 'ready' is sent again after each reconnection, but a server that hangs can be connected to.
  client.on('ready', () => {
    client.ping().then(isUp, rest)
  })

  return {
    get up() {
      return state === 'up'
    },
    async run(command) {
      if (state !== 'up' || client.status !== 'ready') return null
      try {
        return await command(client)
      } catch (error) {
        lastError = error instanceof Error ? error.message : String(error)
        // An answer that is an error (OOM, READONLY) or none at all: either way it is of no use just now.
        isDown(lastError)
        rest()
        return null
      }
    },
    async close() {
      state = 'closed'
      if (probe !== null) clearTimeout(probe)
      client.disconnect()
    },
  }
}

function createClient(config: RedisConfig, withinMs: number): Redis | Cluster {
  const tls = config.tls ? { tls: config.ca === null ? {} : { ca: config.ca } } : {}
  const auth = {
    ...(config.username === null ? {} : { username: config.username }),
    ...(config.password === null ? {} : { password: config.password.reveal() }),
  }
  const common = {
    ...auth,
    ...tls,
    db: config.database,
    commandTimeout: withinMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    retryStrategy: (attempts: number) => Math.min(attempts * 100, MAX_RECONNECT_DELAY_MS),
  }
  switch (config.mode) {
    case 'single': {
      const [node] = config.nodes
      return new Redis({ ...common, host: node?.host ?? '127.0.0.1', port: node?.port ?? 6379 })
    }
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: config.nodes.map(({ host, port }) => ({ host, port })),
        name: config.name ?? '',
        ...(config.sentinelPassword === null ? {} : { sentinelPassword: config.sentinelPassword.reveal() }),
        ...(config.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} } : {}),
        sentinelRetryStrategy: (attempts: number) => Math.min(attempts * 100, MAX_RECONNECT_DELAY_MS),
      })
    case 'cluster': {
      const { db: _, retryStrategy, maxRetriesPerRequest, enableOfflineQueue, ...redisOptions } = common
      return new Cluster(
        config.nodes.map(({ host, port }) => ({ host, port })),
        { redisOptions, enableOfflineQueue, clusterRetryStrategy: retryStrategy },
      )
    }
  }
}

/** Level 2 of the login cache in Redis. One hash tag per key, so a cluster spreads them. */
export function createRedisLogins(redis: RedisLink): SealedLogins {
  const name = (key: string) => `sp:{${key}}:login`
  return {
    get: (key) => redis.run((client) => client.get(name(key))),
    async put(key, value, ttlMs) {
      await redis.run((client) => client.set(name(key), value, 'PX', ttlMs))
    },
    async delete(key) {
      await redis.run((client) => client.del(name(key)))
    },
  }
}
