/**
 * The crew: the keeper, web and the edges, made as children or in this process, and told when there is something new.
 *
 * What each is given with its start stands here, and who hears of what. When they start and stop is the supervisor's to say.
 * It makes the keys by which they know each other; no certificate, no port of its own, no signal.
 */

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Config, LoadedConfig } from '../config.ts'
import { edgeKey } from '../contract/gate-server.ts'
import { webSettingsOf } from '../contract/web-settings.ts'
import { messageOf } from '../log/error-message.ts'
import type { Log } from '../log.ts'
import type { Metrics, MetricsSnapshot } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { CertificatePair } from './certificates.ts'
import type { ChildOptions } from './child.ts'
import { Child } from './child.ts'
import type { ChildRole } from './launch.ts'
import { launchOf } from './launch.ts'
import type { DrainOptions, EdgeIdentity, EdgeInit, EdgeListener, HttpsInit, HttpsListener, Init } from './messages.ts'
import { resolvePorts } from './ports.ts'
import type { EdgeRole, InProcessRoles, KeeperRole, WebRole } from './roles.ts'
import { edgeChild, keeperChild, webChild } from './roles.ts'
import { edgeSlice, httpsListeners, mailListeners } from './slice.ts'
import type { WebWay } from './web.ts'
import { createWebWay, needsWeb } from './web.ts'

/** What the server runs on: replaced by a reload, and by new certificates. */
export interface InUse {
  readonly loaded: LoadedConfig
  readonly certificates: readonly CertificatePair[]
}

export interface CrewOptions {
  readonly version: string
  readonly roles: InProcessRoles
  readonly log: Log
  readonly metrics: Metrics
  /** As it is now; asked at each start of a child and each time they are told what is new. */
  readonly inUse: () => InUse
}

const TICKET_KEY_BYTES = 48

const newTicketKeys = (): string => randomBytes(TICKET_KEY_BYTES).toString('base64')

export class Crew {
  readonly #options: CrewOptions
  readonly #log: Log
  readonly #edgeSecret = new Secret(randomBytes(32).toString('base64url'))
  #ticketKeys = newTicketKeys()
  #keeper: KeeperRole | null = null
  /** Mail edges and the https edge. */
  readonly #edges: EdgeRole[] = []
  /** Name → id of each edge that is ready. */
  readonly #runningEdges = new Map<string, string>()
  /** null: nothing is served that web answers. */
  readonly #way: WebWay | null
  #web: WebRole | null = null

  constructor(options: CrewOptions) {
    this.#options = options
    this.#log = options.log
    this.#way = needsWeb(this.#config) ? createWebWay(this.#config.runtimeDirectory) : null
  }

  /** The keeper, then all others at once. @returns the ports, with their numbers */
  async start(): Promise<readonly (EdgeListener | HttpsListener)[]> {
    this.#keeper = await this.#startKeeper()
    const [mail, https] = await Promise.all([this.#startMailEdges(), this.#startHttpsEdge(), this.#startWeb()])
    return [...mail, ...https]
  }

  /** @throws when nothing was to be served that web answers */
  wayToWeb(): WebWay {
    if (this.#way === null) throw new Error('web is needed and was not foreseen')
    return this.#way
  }

  /** Asks the keeper whether it can run on a new configuration. @throws when it refuses; it keeps the old one then */
  async offer(loaded: LoadedConfig): Promise<void> {
    await this.#keeper?.reload(loaded)
  }

  /** Tells edges and web of a new configuration that is in use now. */
  async renew(): Promise<void> {
    await this.renewEdges()
    await this.#web
      ?.reload(webSettingsOf(this.#inUse.loaded, this.#options.version))
      .catch((error: unknown) => this.#childFailed('web', error))
  }

  /** An edge that is down takes the new slice with its first message. */
  async renewEdges(): Promise<void> {
    const slice = this.#slice()
    await Promise.all(
      this.#edges.map((edge) => edge.reload(slice).catch((error: unknown) => this.#childFailed('an edge', error))),
    )
  }

  /** Who steals a ticket key can read at most a day of resumed TLS 1.2 sessions. A ticket of yesterday costs a full handshake. */
  async rotateTicketKeys(): Promise<void> {
    this.#ticketKeys = newTicketKeys()
    await this.renewEdges()
  }

  /** Closes the listeners at once, and resolves when the last session is over or cut. */
  async drainEdges(options: DrainOptions): Promise<void> {
    await Promise.all(this.#edges.map((edge) => edge.drainAndStop(options)))
  }

  /** Web, then the keeper; the edges are gone by then. */
  async stop(): Promise<void> {
    await this.#web?.stop()
    await this.#keeper?.stop()
  }

  /** At once, without a word. */
  kill(): void {
    for (const edge of this.#edges) edge.kill()
    this.#web?.kill()
    this.#keeper?.kill()
  }

  /** Why nobody can be let in, in words; empty: all is well. */
  async notReady(): Promise<string[]> {
    const reasons: string[] = []
    if (!this.#edges.some((edge) => edge.isReady)) reasons.push('no edge is listening')
    if (!this.#keeper?.isReady) reasons.push('the keeper is not running')
    else {
      const health = await this.#keeper.health().catch(() => null)
      if (health === null) reasons.push('the keeper does not answer')
      else if (health.store !== 'up') reasons.push('the store can not be reached')
    }
    return reasons
  }

  /** What they have measured, as far as they answer. */
  async metrics(): Promise<readonly MetricsSnapshot[]> {
    const roles = [this.#keeper, this.#web, ...this.#edges].filter((role) => role !== null)
    const snapshots = await Promise.all(roles.map((role) => role.metrics()))
    return snapshots.flat()
  }

  get #inUse(): InUse {
    return this.#options.inUse()
  }

  get #config(): Config {
    return this.#inUse.loaded.config
  }

  get #workers(): number {
    const { workers } = this.#config
    return workers === 'auto' ? availableParallelism() : workers
  }

  #slice() {
    const shares = Math.max(1, this.#workers) + (httpsListeners(this.#config).length > 0 ? 1 : 0)
    return edgeSlice(this.#config, this.#inUse.certificates, this.#ticketKeys, shares)
  }

  #child(
    name: string,
    role: ChildRole,
    init: () => Init | Promise<Init>,
    more: Pick<ChildOptions, 'onReady'> = {},
  ): Child {
    return new Child({
      name,
      launch: launchOf(role, process.env),
      init,
      log: this.#log,
      ...more,
    })
  }

  /** An edge; the keeper is told which of them run. */
  #edgeChild(name: string, role: 'edge' | 'https', initOf: () => EdgeInit | HttpsInit): Child {
    let edgeId = ''
    const init = () => {
      const next = initOf()
      edgeId = next.edgeId
      return next
    }
    return this.#child(name, role, init, {
      onReady: (isReady) => this.#edgeRuns(name, isReady ? edgeId : null),
    })
  }

  async #startKeeper(): Promise<KeeperRole> {
    const { version, roles, log, metrics } = this.#options
    if (this.#workers === 0) return roles.keeper({ config: this.#config, log, metrics, version })
    const child = this.#child('keeper', 'keeper', () => ({
      version,
      config: { file: this.#inUse.loaded.file, settings: this.#inUse.loaded.settings.reveal() },
      logLevel: this.#config.log.level,
      compileCache: join(this.#config.runtimeDirectory, 'compile-cache'),
      edgeSecret: this.#edgeSecret.reveal(),
      edges: [...this.#runningEdges.values()],
      webKey: this.#way?.keeperKey.reveal() ?? null,
    }))
    const role = keeperChild(child)
    this.#keeper = role // to be killed when the start is called off
    await child.start()
    return role
  }

  async #startWeb(): Promise<void> {
    const way = this.#way
    if (way === null) return
    const { version, roles } = this.#options
    const init = async () => {
      await way.clear()
      return {
        version,
        path: way.path,
        doorSecret: way.secret.reveal(),
        keeper: { path: join(this.#config.runtimeDirectory, 'web.sock'), key: way.keeperKey.reveal() },
        settings: webSettingsOf(this.#inUse.loaded, version),
      }
    }
    if (this.#workers === 0) {
      this.#web = await roles.web(await init(), this.#inProcess())
      return
    }
    const child = this.#child('web', 'web', init)
    this.#web = webChild(child)
    await child.start()
  }

  /** What is new with each start of an edge. */
  #edgeInit(name: string) {
    const edgeId = `${name}.${randomBytes(6).toString('hex')}`
    const path = join(this.#config.runtimeDirectory, 'edge.sock')
    const identity: EdgeIdentity = {
      version: this.#options.version,
      name,
      edgeId,
      gate: { path, key: edgeKey(this.#edgeSecret, edgeId).reveal() },
      testHooks: false,
    }
    return { ...this.#slice(), ...identity }
  }

  async #startMailEdges(): Promise<readonly EdgeListener[]> {
    await using ports = await resolvePorts(mailListeners(this.#config))
    const { listeners } = ports
    const { roles } = this.#options
    const initOf = (name: string) => ({ ...this.#edgeInit(name), listeners })
    if (this.#workers === 0) {
      this.#edges.push(await roles.edge(initOf('edge'), this.#inProcess()))
      return listeners
    }
    const children = Array.from({ length: this.#workers }, (_, i) => {
      const name = `edge-${i + 1}`
      return this.#edgeChild(name, 'edge', () => initOf(name))
    })
    this.#edges.push(...children.map(edgeChild))
    await Promise.all(children.map((child) => child.start()))
    return listeners
  }

  #edgeRuns(name: string, edgeId: string | null): void {
    if (edgeId === null) this.#runningEdges.delete(name)
    else this.#runningEdges.set(name, edgeId)
    this.#keeper?.expectEdges([...this.#runningEdges.values()])
  }

  async #startHttpsEdge(): Promise<readonly HttpsListener[]> {
    await using ports = await resolvePorts(httpsListeners(this.#config))
    const { listeners } = ports
    if (listeners.length === 0) return []
    const way = this.wayToWeb()
    const init = () => ({
      ...this.#edgeInit('https'),
      listeners,
      web: { path: way.path, key: way.keys.public.reveal() },
    })
    if (this.#workers === 0) {
      this.#edges.push(await this.#options.roles.https(init(), this.#inProcess()))
      return listeners
    }
    const child = this.#edgeChild('https', 'https', init)
    this.#edges.push(edgeChild(child))
    await child.start()
    return listeners
  }

  #inProcess() {
    const keeper = this.#keeper
    if (keeper === null) throw new Error('the other roles need a keeper')
    return { keeper, log: this.#log, metrics: this.#options.metrics }
  }

  #childFailed(who: string, error: unknown): void {
    this.#log.event('error', 'warning', `${who} did not take over the new configuration`, { detail: messageOf(error) })
  }
}
