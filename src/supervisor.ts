/**
 * The supervisor: starts the keeper, then web and the edges, keeps them running, passes on reload and drain, and serves health,
 * metrics and the way to the admin API. It carries no login and no stored secret.
 *
 * `runServer` is the whole life of a server: it resolves with the exit code when the last child is gone.
 */

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Config, LoadedConfig } from './config.ts'
import { problemText } from './config.ts'
import { edgeKey } from './contract/gate-server.ts'
import { webSettingsOf } from './contract/web-settings.ts'
import { ensurePrivateDirectory } from './ipc.ts'
import type { Log } from './log.ts'
import { createLog } from './log.ts'
import type { Metrics, MetricsSnapshot } from './metrics.ts'
import { createMetrics, metricsText } from './metrics.ts'
import { Secret } from './secret.ts'
import type { CertificateWatch } from './supervisor/certificate-watch.ts'
import { createCertificateWatch } from './supervisor/certificate-watch.ts'
import type { CertificatePair } from './supervisor/certificates.ts'
import { CertificateError, certificateNames, createExpiryWatch, loadCertificates } from './supervisor/certificates.ts'
import type { ChildOptions, ChildTuning } from './supervisor/child.ts'
import { Child } from './supervisor/child.ts'
import type { OperatorListener, OperatorServer } from './supervisor/http.ts'
import { serveOperators } from './supervisor/http.ts'
import type { ChildRole } from './supervisor/launch.ts'
import { launchOf } from './supervisor/launch.ts'
import { watchLogLoss } from './supervisor/log-loss.ts'
import { watchLoopLag } from './supervisor/loop-lag.ts'
import type { EdgeIdentity, EdgeInit, EdgeListener, HttpsInit, HttpsListener, Init } from './supervisor/messages.ts'
import { notifyService } from './supervisor/notify.ts'
import { resolvePorts } from './supervisor/ports.ts'
import type { EdgeRole, InProcessRoles, KeeperRole, WebRole } from './supervisor/roles.ts'
import { edgeChild, keeperChild, webChild } from './supervisor/roles.ts'
import type { ServerSignal } from './supervisor/signals.ts'
import { createSignals } from './supervisor/signals.ts'
import { edgeSlice, hostPort, httpsListeners, listenerUrl, mailListeners } from './supervisor/slice.ts'
import type { WebWay } from './supervisor/web.ts'
import { createWebWay, needsWeb, operatorDoor } from './supervisor/web.ts'

export interface ServerOptions {
  readonly loaded: LoadedConfig
  /** Finds and checks the configuration anew, for SIGHUP. */
  readonly reload: () => Promise<LoadedConfig>
  readonly version: string
  readonly roles: InProcessRoles
  readonly tuning?: ServerTuning
}

/** What tests set. */
export interface ServerTuning {
  readonly child?: Partial<ChildTuning>
  readonly edgeFlags?: readonly string[]
  readonly testHooks?: boolean
  readonly spreadMs?: number
}

/** Sessions that outlive the grace are cut over this time. */
const SPREAD_MS = 5000
const EXPIRY_LOOK_MS = 6 * 60 * 60_000
const TICKET_KEY_BYTES = 48
const TICKET_KEY_MS = 24 * 60 * 60_000

const newTicketKeys = (): string => randomBytes(TICKET_KEY_BYTES).toString('base64')

/**
 * Runs a server until it is told to stop.
 *
 * @returns the exit code: 0 after a drain, 128 + n when a second signal ended it at once
 * @throws when it can't start: CertificateError, ChildError with the code of the keeper's or edge's own error, errors of bind
 */
export async function runServer(options: ServerOptions): Promise<number> {
  const log = createLog({ level: options.loaded.config.log.level, version: options.version, process: 'supervisor' })
  const server = new Server(options, log)
  using signals = createSignals()
  try {
    await Promise.race([server.start(), endOf(signals)])
    const signal = await reloadUntilStopped(server, signals)
    await Promise.race([server.drain(signal), endOf(signals)])
    return 0
  } catch (error) {
    server.kill()
    if (error instanceof Ended) return error.exitCode
    throw error
  } finally {
    log.flush()
  }
}

/** A signal that ends the server at once. */
class Ended extends Error {
  readonly exitCode: number
  constructor(signal: ServerSignal) {
    super(signal)
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** Rejects at the next SIGTERM or SIGINT. A SIGHUP during a start or a drain has nothing to say. */
async function endOf(signals: ReturnType<typeof createSignals>): Promise<never> {
  for (;;) {
    const signal = await signals.next()
    if (signal !== 'SIGHUP') throw new Ended(signal)
  }
}

/**
 * Reloads at each SIGHUP, one after the other, until a signal says stop; what hangs in a reload must not keep the server from
 * stopping. However many come during one, they are one more.
 */
async function reloadUntilStopped(server: Server, signals: ReturnType<typeof createSignals>): Promise<ServerSignal> {
  const { promise: broken, reject } = Promise.withResolvers<never>()
  broken.catch(() => {}) // of no interest any more when the server stops
  let isReloading = false
  let again = false
  async function reload(): Promise<void> {
    isReloading = true
    do {
      again = false
      await server.reload()
    } while (again)
    isReloading = false
  }
  for (;;) {
    const signal = await Promise.race([signals.next(), broken])
    if (signal !== 'SIGHUP') return signal
    if (isReloading) again = true
    else reload().catch(reject)
  }
}

class Server {
  readonly #options: ServerOptions
  readonly #log: Log
  readonly #metrics: Metrics = createMetrics()
  readonly #edgeSecret = new Secret(randomBytes(32).toString('base64url'))
  #ticketKeys = newTicketKeys()
  readonly #expiry: ReturnType<typeof createExpiryWatch>
  readonly #certificateWatch: CertificateWatch
  #loaded: LoadedConfig
  #certificates: readonly CertificatePair[] = []
  #keeper: KeeperRole | null = null
  /** Mail edges and the https edge. */
  #edges: readonly EdgeRole[] = []
  /** Name → id of each edge that is ready. */
  readonly #runningEdges = new Map<string, string>()
  /** null: nothing is served that web answers. */
  readonly #way: WebWay | null
  #web: WebRole | null = null
  #operators: readonly OperatorServer[] = []
  #draining = false
  #timers: NodeJS.Timeout[] = []

  constructor(options: ServerOptions, log: Log) {
    this.#options = options
    this.#log = log
    this.#loaded = options.loaded
    this.#way = needsWeb(this.#config) ? createWebWay(this.#config.runtimeDirectory) : null
    this.#expiry = createExpiryWatch(log, this.#metrics)
    this.#certificateWatch = createCertificateWatch({ log, changed: () => void this.#renewCertificates() })
  }

  async start(): Promise<void> {
    const { version } = this.#options
    const config = this.#config
    process.umask(0o077)
    await ensurePrivateDirectory(config.runtimeDirectory)
    this.#metrics.buildInfo.set({ version, node: process.version }, 1)
    watchLoopLag(this.#metrics, this.#log)
    watchLogLoss(this.#log, this.#metrics)
    this.#certificates = await this.#loadCertificates(config)
    this.#keeper = await this.#startKeeper()
    const [mail, https] = await Promise.all([this.#startMailEdges(), this.#startHttpsEdge(), this.#startWeb()])
    const urls = [...mail, ...https].map(listenerUrl)
    for (const listener of config.listeners) {
      if (listener.protocol !== 'http') continue
      const port = await this.#serveOperators(listener)
      urls.push(`http://${hostPort(listener.bind, port)}`)
    }
    this.#expiry.look(this.#certificates)
    this.#certificateWatch.follow(config.tls.certificates)
    this.#timers = [
      setInterval(() => this.#expiry.look(this.#certificates), EXPIRY_LOOK_MS).unref(),
      setInterval(() => void this.#rotateTicketKeys(), TICKET_KEY_MS).unref(),
    ]
    this.#log.event('info', 'started', 'sallyport is up', { pid: process.pid, detail: urls.join(' ') })
    await notifyService('ready')
  }

  /** Takes over a new configuration and new certificates, or keeps the old ones and says why. */
  async reload(): Promise<void> {
    let loaded: LoadedConfig
    let certificates: readonly CertificatePair[]
    try {
      loaded = await this.#options.reload()
      certificates = await this.#loadCertificates(loaded.config)
      await this.#keeper?.reload(loaded)
    } catch (error) {
      this.#log.event('error', 'config_refused', 'the new configuration is refused, the old one stays in use', {
        detail: wordsOf(error),
        error_code: error instanceof Error && 'code' in error ? String(error.code) : undefined,
      })
      return
    }
    if (this.#draining) return
    for (const warning of loaded.warnings) this.#log.event('warn', 'warning', problemText(warning))
    const before = this.#config
    const renewed = JSON.stringify(this.#certificates) !== JSON.stringify(certificates)
    this.#loaded = loaded
    this.#certificates = certificates
    this.#log.setLevel(loaded.config.log.level)
    for (const key of ['listeners', 'workers', 'dataDirectory', 'runtimeDirectory'] as const) {
      if (JSON.stringify(loaded.config[key]) === JSON.stringify(before[key])) continue
      this.#log.event('warn', 'warning', `${key} changed in the configuration: this takes effect at the next start`)
    }
    await this.#renewEdges()
    await this.#web
      ?.reload(webSettingsOf(this.#loaded, this.#options.version))
      .catch((error: unknown) => this.#childFailed('web', error))
    this.#expiry.look(certificates)
    this.#certificateWatch.follow(loaded.config.tls.certificates)
    if (renewed) this.#log.event('info', 'certificate_reloaded', 'new certificates are in use')
    this.#log.event('info', 'config_reloaded', 'the new configuration is in use', { detail: loaded.file })
  }

  /** Stops accepting at once, lets sessions end for the grace, cuts the rest, and ends. */
  async drain(signal: ServerSignal): Promise<void> {
    this.#draining = true
    this.#certificateWatch[Symbol.dispose]()
    const graceMs = this.#config.limits.drain
    const spreadMs = this.#options.tuning?.spreadMs ?? SPREAD_MS
    this.#log.event('info', 'draining', `${signal}: no new connections; open sessions have ${graceMs} ms`)
    await Promise.all([
      notifyService('stopping'),
      ...this.#edges.map((edge) => edge.drainAndStop({ graceMs, spreadMs })),
    ])
    await this.#web?.stop()
    await this.#keeper?.stop()
    await Promise.all(this.#operators.map((server) => server.close()))
    for (const timer of this.#timers) clearInterval(timer)
    this.#log.event('info', 'stopped', 'sallyport has stopped')
  }

  kill(): void {
    this.#certificateWatch[Symbol.dispose]()
    for (const edge of this.#edges) edge.kill()
    this.#web?.kill()
    this.#keeper?.kill()
    for (const timer of this.#timers) clearInterval(timer)
    for (const server of this.#operators) void server.close()
  }

  async #loadCertificates(config: Config): Promise<readonly CertificatePair[]> {
    const needed = config.listeners.some(
      (listener) => listener.protocol === 'https' || ('tls' in listener && listener.tls !== 'none'),
    )
    if (!needed) return []
    return loadCertificates({
      files: config.tls.certificates,
      dataDirectory: config.dataDirectory,
      names: certificateNames(config),
      log: this.#log,
    })
  }

  /** After a change in their directories. All of them are good, or none is taken. */
  async #renewCertificates(): Promise<void> {
    const config = this.#config
    try {
      const certificates = await this.#loadCertificates(config)
      // A reload has taken over meanwhile, or there is nothing new.
      if (this.#draining || config !== this.#config) return
      if (JSON.stringify(certificates) === JSON.stringify(this.#certificates)) return
      this.#certificates = certificates
      await this.#renewEdges()
      this.#expiry.look(certificates)
      this.#log.event('info', 'certificate_reloaded', 'new certificates are in use', { detail: 'their files changed' })
    } catch (error) {
      if (!(error instanceof CertificateError)) this.#log.bug(error, 'renewing certificates')
      else {
        this.#log.event('error', 'warning', 'new certificates are refused, the old ones stay in use', {
          detail: error.message,
          error_code: error.code,
        })
      }
    }
  }

  get #config(): Config {
    return this.#loaded.config
  }

  get #workers(): number {
    const { workers } = this.#config
    return workers === 'auto' ? availableParallelism() : workers
  }

  #slice() {
    const shares = Math.max(1, this.#workers) + (httpsListeners(this.#config).length > 0 ? 1 : 0)
    return edgeSlice(this.#config, this.#certificates, this.#ticketKeys, shares)
  }

  #child(name: string, role: ChildRole, init: () => Init | Promise<Init>, more: Partial<ChildOptions> = {}): Child {
    const { tuning } = this.#options
    return new Child({
      name,
      launch: launchOf(role, process.env),
      init,
      log: this.#log,
      ...(tuning?.child && { tuning: tuning.child }),
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
      launch: launchOf(role, process.env, this.#options.tuning?.edgeFlags),
      onReady: (isReady) => this.#edgeRuns(name, isReady ? edgeId : null),
    })
  }

  async #startKeeper(): Promise<KeeperRole> {
    const { version, roles } = this.#options
    const log = this.#log
    if (this.#workers === 0) return roles.keeper({ config: this.#config, log, metrics: this.#metrics, version })
    const child = this.#child('keeper', 'keeper', () => ({
      version,
      config: { file: this.#loaded.file, text: this.#loaded.text.reveal() },
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
        settings: webSettingsOf(this.#loaded, version),
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
      testHooks: this.#options.tuning?.testHooks ?? false,
    }
    return { ...this.#slice(), ...identity }
  }

  async #startMailEdges(): Promise<readonly EdgeListener[]> {
    await using ports = await resolvePorts(mailListeners(this.#config))
    const { listeners } = ports
    const { roles } = this.#options
    const initOf = (name: string) => ({ ...this.#edgeInit(name), listeners })
    if (this.#workers === 0) {
      this.#edges = [...this.#edges, await roles.edge(initOf('edge'), this.#inProcess())]
      return listeners
    }
    const children = Array.from({ length: this.#workers }, (_, i) => {
      const name = `edge-${i + 1}`
      return this.#edgeChild(name, 'edge', () => initOf(name))
    })
    this.#edges = [...this.#edges, ...children.map(edgeChild)]
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
    const way = this.#wayToWeb()
    const init = () => ({
      ...this.#edgeInit('https'),
      listeners,
      web: { path: way.path, key: way.keys.public.reveal() },
    })
    if (this.#workers === 0) {
      this.#edges = [...this.#edges, await this.#options.roles.https(init(), this.#inProcess())]
      return listeners
    }
    const child = this.#edgeChild('https', 'https', init)
    this.#edges = [...this.#edges, edgeChild(child)]
    await child.start()
    return listeners
  }

  #inProcess() {
    const keeper = this.#keeper
    if (keeper === null) throw new Error('the other roles need a keeper')
    return { keeper, log: this.#log, metrics: this.#metrics }
  }

  #wayToWeb(): WebWay {
    if (this.#way === null) throw new Error('web is needed and was not foreseen')
    return this.#way
  }

  async #serveOperators(listener: OperatorListener): Promise<number> {
    const server = await serveOperators(listener, {
      notReady: () => this.#notReady(),
      metrics: () => this.#metricsText(),
      api: listener.serves.includes('api') ? operatorDoor(this.#wayToWeb(), this.#log) : null,
      bug: (error) => this.#log.bug(error, 'a request of an operator failed'),
    })
    this.#operators = [...this.#operators, server]
    return server.port
  }

  async #notReady(): Promise<string[]> {
    const reasons: string[] = []
    if (this.#draining) reasons.push('draining')
    if (!this.#edges.some((edge) => edge.isReady)) reasons.push('no edge is listening')
    if (!this.#keeper?.isReady) reasons.push('the keeper is not running')
    else {
      const health = await this.#keeper.health().catch(() => null)
      if (health === null) reasons.push('the keeper does not answer')
      else if (health.store !== 'up') reasons.push('the store can not be reached')
    }
    return reasons
  }

  async #metricsText(): Promise<string> {
    const others = [this.#keeper, this.#web, ...this.#edges].filter((role) => role !== null)
    const snapshots = await Promise.all(others.map((role) => role.metrics()))
    const own: MetricsSnapshot = await this.#metrics.snapshot()
    return metricsText([own, ...snapshots.flat()])
  }

  /** Who steals a ticket key can read at most a day of resumed TLS 1.2 sessions. A ticket of yesterday costs a full handshake. */
  async #rotateTicketKeys(): Promise<void> {
    this.#ticketKeys = newTicketKeys()
    await this.#renewEdges()
  }

  /** An edge that is down takes the new slice with its first message. */
  async #renewEdges(): Promise<void> {
    const slice = this.#slice()
    await Promise.all(
      this.#edges.map((edge) => edge.reload(slice).catch((error: unknown) => this.#childFailed('an edge', error))),
    )
  }

  #childFailed(who: string, error: unknown): void {
    this.#log.event('error', 'warning', `${who} did not take over the new configuration`, { detail: wordsOf(error) })
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
