/**
 * Settings of where things are kept: the store, Redis, the key file.
 *
 * A password inside a URL is taken out of it here and becomes a Secret, so that the URL can be printed.
 */

import { z } from 'zod'
import { Secret } from '../secret.ts'
import { count, flag, hostPort, path, text } from './units.ts'

/** Splits the user name and password off a URL. */
function withoutUserInfo(url: string): {
  readonly url: URL
  readonly username: string | null
  readonly password: Secret | null
} {
  const parsed = new URL(url)
  const username = parsed.username === '' ? null : decodeURIComponent(parsed.username)
  const password = parsed.password === '' ? null : new Secret(decodeURIComponent(parsed.password))
  parsed.username = ''
  parsed.password = ''
  return { url: parsed, username, password }
}

const POSTGRES_URL = 'must be an address: postgres://user@db.internal/sallyport'

export const store = z
  .strictObject(
    {
      sqlite: path('SQLite file, relative to dataDirectory. One node only').optional(),
      postgres: z
        .strictObject(
          {
            url: z
              .url({ protocol: /^postgres(ql)?$/, error: POSTGRES_URL })
              .transform(withoutUserInfo)
              .meta({
                description: 'Address of the database',
                example: 'postgres://sallyport@db.internal/sallyport',
              }),
            passwordFile: path('File with the password, mode 0600').nullable().default(null),
          },
          'must be a section with url and passwordFile',
        )
        .optional()
        .meta({ description: 'PostgreSQL, for several nodes' }),
    },
    'must be a section: { sqlite: sallyport.db }',
  )
  .check((context) => {
    const { sqlite, postgres } = context.value
    if (sqlite !== undefined && postgres !== undefined) {
      context.issues.push({
        code: 'custom',
        input: undefined,
        path: ['postgres'],
        message: 'stands beside sqlite: there is one store, write one of the two',
      })
    }
  })
  .prefault({})
  .meta({ description: 'Where users and app passwords are kept', example: { sqlite: 'sallyport.db' } })

const REDIS_URL = 'must be an address: redis://127.0.0.1:6379, or rediss:// for TLS'

export const redis = z
  .strictObject(
    {
      url: z
        .url({ protocol: /^rediss?$/, error: REDIS_URL })
        .transform(withoutUserInfo)
        .optional()
        .meta({ description: 'One server; rediss:// for TLS', example: 'redis://127.0.0.1:6379' }),
      sentinels: z
        .array(hostPort('Sentinel as host:port; port 26379 when left out'), 'must be a list of host:port')
        .min(1, 'must name at least one sentinel')
        .optional()
        .meta({
          description: 'Sentinels to ask for the master, instead of url',
          example: ['sentinel-1.internal', 'sentinel-2.internal'],
        }),
      name: text('Name of the master that the sentinels watch').optional(),
      cluster: z
        .array(hostPort('Node of the cluster as host:port; port 6379 when left out'), 'must be a list of host:port')
        .min(1, 'must name at least one node')
        .optional()
        .meta({
          description: 'Some nodes of a Redis Cluster, instead of url',
          example: ['redis-1.internal', 'redis-2.internal'],
        }),
      tls: flag('With sentinels or cluster: speak TLS to every server').default(false),
      caFile: path('Certificate authorities to trust instead of the public ones, PEM').nullable().default(null),
      username: text('User name (Redis ACL)').nullable().default(null),
      passwordFile: path('File with the password, mode 0600').nullable().default(null),
      sentinelPasswordFile: path('File with the password of the sentinels, mode 0600').nullable().default(null),
      database: count('Number of the database; not with cluster', 0, 1023).default(0),
      allowUnprotectedRedis: flag(
        'Use a Redis on another machine although it asks for no password or speaks no TLS. Whoever reaches it can switch the throttle off',
      ).default(false),
    },
    'must be a section: { url: redis://127.0.0.1:6379 }',
  )
  .check((context) => {
    const { url, sentinels, cluster, name } = context.value
    const ways = Object.entries({ url, sentinels, cluster }).filter(([, value]) => value !== undefined)
    const refuse = (key: string, message: string) =>
      context.issues.push({ code: 'custom', input: undefined, path: key === '' ? [] : [key], message })
    if (ways.length === 0) refuse('', 'must say where Redis is: url, sentinels or cluster')
    if (ways.length > 1)
      refuse(ways[1]?.[0] ?? '', `stands beside ${ways[0]?.[0]}: write one of url, sentinels and cluster`)
    if (sentinels !== undefined && name === undefined)
      refuse('name', 'is missing: the name of the master that the sentinels watch')
    if (sentinels === undefined && name !== undefined) refuse('name', 'is for sentinels only')
  })
  .transform(({ url, sentinels, cluster, name = null, ...rest }) => {
    const at = (nodes: readonly { host: string; port: number | null }[], port: number) =>
      nodes.map((node) => ({ host: node.host, port: node.port ?? port }))
    const common = {
      ...rest,
      name,
      username: rest.username ?? url?.username ?? null,
      urlPassword: url?.password ?? null,
    }
    if (sentinels) return { ...common, mode: 'sentinel' as const, nodes: at(sentinels, 26_379) }
    if (cluster) return { ...common, mode: 'cluster' as const, nodes: at(cluster, 6379) }
    const host = url?.url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1'
    return {
      ...common,
      mode: 'single' as const,
      nodes: at([{ host, port: url?.url.port ? Number(url.url.port) : null }], 6379),
      tls: url?.url.protocol === 'rediss:' || rest.tls,
      database: Number(/^\/(\d{1,4})$/.exec(url?.url.pathname ?? '')?.[1] ?? rest.database),
    }
  })
  .nullable()
  .default(null)
  .meta({
    description: 'Shared cache and counters. Left out: both live in this process and the store, for one node',
    example: { url: 'redis://127.0.0.1:6379' },
  })

export const keys = z
  .strictObject(
    {
      file: path(
        'Key file, relative to dataDirectory; made at the first start of an empty store, mode 0600. In production better on another mount than the store, and with a copy in a safe place',
      ).default('keys'),
    },
    'must be a section: { file: keys }',
  )
  .prefault({})
  .meta({ description: 'The keys that everything else is sealed with. Never in the store, never in a backup' })
