/**
 * A keeper with a real embedded store in a directory of the test's own, and edges that do as they are told.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Config } from '../../src/config.ts'
import { loadConfig } from '../../src/config.ts'
import type { EdgePort, Grant, LoginAttempt, Outcome, ProtocolName } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { PortalAnswer, PortalMethodName, PortalRequest } from '../../src/contract/portal.ts'
import { PORTAL_METHODS } from '../../src/contract/portal.ts'
import type { IssuedAppPassword, ServiceAnswer, ServiceName, ServiceRequest } from '../../src/contract/services.ts'
import { SERVICE_METHODS } from '../../src/contract/services.ts'
import type { Keeper, KeeperOptions } from '../../src/keeper/keeper.ts'
import { openKeeper } from '../../src/keeper/keeper.ts'
import { createMetrics } from '../../src/metrics.ts'
import { openStore } from '../../src/records/store/open.ts'
import type { Store } from '../../src/records/store/store.ts'
import { Secret } from '../../src/secret.ts'
import { captureLog } from '../support/logs.ts'
import { noteSecret } from '../support/secrets.ts'

export interface HouseOptions extends Partial<Omit<KeeperOptions, 'config' | 'log' | 'metrics' | 'version'>> {
  /** YAML that stands in the configuration besides what every house has. */
  readonly yaml?: string
  /** Instead of the one listener that every house has, in YAML. */
  readonly listeners?: string
  /** The identity of upstream "main", in YAML. */
  readonly identity?: string
  /** A directory of an earlier house, to open it again. */
  readonly directory?: string
  readonly config?: (config: Config) => Config
  readonly wrapStore?: (store: Store) => Store
}

/** A cheap argon2: what is tested is how often it runs. */
const CHEAP = { memoryKiB: 1024, passes: 1, concurrency: 2 }

export async function house(t: Test, options: HouseOptions = {}) {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'sp-house-'))
  if (options.directory === undefined) t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const config = await writeConfig(directory, options)
  const capture = captureLog()
  const metrics = createMetrics()
  const { wrapStore = (store: Store) => store } = options
  let opened: Store | null = null
  const keeper: Keeper = await openKeeper({
    hasher: CHEAP,
    throttleDelaysMs: [],
    // A machine that is busy is not a Redis that hangs.
    redisWithinMs: 30_000,
    openStore: async (store) => {
      opened = await openStore({ sqlite: 'sqlite' in store ? store.sqlite : '' })
      return wrapStore(opened)
    },
    ...options,
    config,
    log: capture.log,
    metrics,
    version: 'test',
  })
  let closed = false
  async function close() {
    if (closed) return
    closed = true
    await keeper.close()
  }
  t.teardown(close)

  /** A service call as the channel would make it: checked by its schema first. */
  async function call<N extends ServiceName>(name: N, request: ServiceRequest<N>): Promise<ServiceAnswer<N>> {
    const params = SERVICE_METHODS[name].request.parse(request) as never
    return (await keeper.services[name](params, 'cli:test')) as ServiceAnswer<N>
  }

  /** A call of web, as the channel would make it. */
  async function ask<N extends PortalMethodName>(name: N, request: PortalRequest<N>): Promise<PortalAnswer<N>> {
    const params = PORTAL_METHODS[name].request.parse(request) as never
    return (await keeper.portal[name](params)) as PortalAnswer<N>
  }

  if (opened === null) throw new Error('the keeper opened no store')
  const store: Store = opened

  return {
    directory,
    config,
    keeper,
    /** Behind the keeper's back, as another node would change it. */
    store,
    capture,
    metrics,
    close,
    call,
    ask,

    async addUser(address: string, groups: readonly string[] = []) {
      return await call('user.add', { address, groups: [...groups] })
    },

    async issue(
      user: string,
      request: Partial<ServiceRequest<'app-password.create'>> = {},
    ): Promise<IssuedAppPassword> {
      const issued = await call('app-password.create', { user, name: 'phone', ...request })
      noteSecret(issued.password)
      return issued
    },

    /** How often each path of verification was taken: cache, argon2, miss. */
    async paths() {
      const counts = { cache: 0, argon2: 0, miss: 0 }
      for (const { labels, value } of (await metrics.verify.get()).values) {
        const path = labels.path as keyof typeof counts
        counts[path] += value
      }
      return counts
    },
  }
}
export type House = Awaited<ReturnType<typeof house>>

export async function writeConfig(directory: string, options: HouseOptions): Promise<Config> {
  const file = join(directory, 'sallyport.yaml')
  writeFileSync(join(directory, 'master'), 'master secret\n', { mode: 0o600 })
  const identity = options.identity ?? `{ method: master-user, user: sp, passwordFile: ${join(directory, 'master')} }`
  writeFileSync(
    file,
    `
dataDirectory: ${directory}
domains: [a.test, b.test]
listeners: ${options.listeners ?? '[{ protocol: imap, bind: 127.0.0.1, port: 1143, tls: none }]'}
upstreams:
  main:
    imap: { host: 127.0.0.1, port: 1993, tls: implicit }
    smtp: { host: 127.0.0.1, port: 1465, tls: implicit }
    identity: ${identity}
${options.yaml ?? ''}
`,
  )
  const { config } = await loadConfig({ path: file, env: {} })
  return (options.config ?? ((same: Config) => same))(config)
}

export interface AttemptOptions {
  readonly ip?: string
  readonly protocol?: ProtocolName
  readonly authzid?: string
}

export function attempt(user: string, secret: string, options: AttemptOptions = {}): LoginAttempt {
  const { ip = '192.0.2.1', protocol = 'imap', authzid = '' } = options
  return {
    protocol,
    mechanism: 'PLAIN',
    credential: { kind: 'password', authcid: user, authzid, secret: new Secret(secret) },
    peer: {
      ip,
      port: 40_000,
      localIp: '192.0.2.100',
      localPort: 993,
      tls: { version: 'TLSv1.3', cipher: 'x', serverName: null },
    },
    agent: 'test',
  }
}

/** An edge: keeps sessions, and ends those it is told to. */
export function edge(keeper: Keeper, behaviour: { readonly deaf?: boolean; readonly id?: string } = {}) {
  /** Grant id → whether it has been accepted. */
  const sessions = new Map<string, boolean>()
  const told: string[] = []
  const port: EdgePort = keeper.gateHouse.attach(
    {
      end(id) {
        told.push(id)
        const accepted = sessions.get(id)
        if (behaviour.deaf || accepted === undefined) return
        sessions.delete(id)
        if (accepted) port.ended(id, { reason: 'revoked', netInBytes: 1, netOutBytes: 2, durationMs: 3 })
        else port.settle(id, 'client-gone')
      },
    },
    behaviour.id,
  )

  async function admit(login: LoginAttempt): Promise<Grant> {
    const grant = await port.admit(login)
    sessions.set(grant.id, false)
    return grant
  }

  function settle(grant: Grant, outcome: Outcome): void {
    if (outcome === 'accepted') sessions.set(grant.id, true)
    else sessions.delete(grant.id)
    port.settle(grant.id, outcome)
  }

  return {
    port,
    sessions,
    told,
    admit,
    settle,
    /** Logs in and stays. */
    async login(user: string, secret: string, options?: AttemptOptions): Promise<Grant> {
      const grant = await admit(attempt(user, secret, options))
      settle(grant, 'accepted')
      return grant
    },
    /** Logs in and out again: the reason of the refusal, or 'in'. */
    async result(user: string, secret: string, options?: AttemptOptions): Promise<string> {
      try {
        const grant = await admit(attempt(user, secret, options))
        settle(grant, 'accepted')
        this.logout(grant)
        return 'in'
      } catch (error) {
        if (error instanceof LoginFailure) return error.reason
        throw error
      }
    },
    /** The refusal itself. */
    async refusal(user: string, secret: string, options?: AttemptOptions): Promise<LoginFailure> {
      try {
        const grant = await admit(attempt(user, secret, options))
        throw new Error(`admitted: ${grant.id}`)
      } catch (error) {
        if (error instanceof LoginFailure) return error
        throw error
      }
    },
    logout(grant: Grant): void {
      sessions.delete(grant.id)
      port.ended(grant.id, { reason: 'client-closed', netInBytes: 0, netOutBytes: 0, durationMs: 0 })
    },
  }
}
