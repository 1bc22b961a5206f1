/**
 * The supervisor: the life of a server, from its start over reloads and new certificates to its drain, and what operators ask
 * of it meanwhile. It carries no login and no stored secret; the processes it keeps are supervisor/crew.ts.
 *
 * `runServer` is all of it: it resolves with the exit code when the last child is gone.
 */

import type { Config, LoadedConfig } from './config.ts'
import { problemText } from './config.ts'
import { ensurePrivateDirectory } from './ipc.ts'
import { messageOf } from './log/error-message.ts'
import type { Log } from './log.ts'
import { createLog } from './log.ts'
import type { Metrics } from './metrics.ts'
import { createMetrics, metricsText } from './metrics.ts'
import type { CertificateWatch } from './supervisor/certificate-watch.ts'
import { createCertificateWatch } from './supervisor/certificate-watch.ts'
import type { CertificatePair } from './supervisor/certificates.ts'
import { CertificateError, certificateNames, createExpiryWatch, loadCertificates } from './supervisor/certificates.ts'
import type { InUse } from './supervisor/crew.ts'
import { Crew } from './supervisor/crew.ts'
import type { OperatorListener, OperatorServer } from './supervisor/http.ts'
import { serveOperators } from './supervisor/http.ts'
import type { Kept } from './supervisor/kept-settings.ts'
import { keepSettings } from './supervisor/kept-settings.ts'
import { watchLogLoss } from './supervisor/log-loss.ts'
import { watchLoopLag } from './supervisor/loop-lag.ts'
import { notifyService } from './supervisor/notify.ts'
import type { InProcessRoles } from './supervisor/roles.ts'
import type { ServerSignal } from './supervisor/signals.ts'
import { createSignals } from './supervisor/signals.ts'
import { hostPort, listenerUrl } from './supervisor/slice.ts'
import { operatorDoor } from './supervisor/web.ts'

export interface ServerOptions {
  readonly loaded: LoadedConfig
  /** Finds and checks the configuration anew, for SIGHUP. */
  readonly reload: () => Promise<LoadedConfig>
  readonly version: string
  readonly roles: InProcessRoles
}

/** Sessions that outlive the grace are cut over this time. */
const SPREAD_MS = 5000
const EXPIRY_LOOK_MS = 6 * 60 * 60_000
const TICKET_KEY_MS = 24 * 60 * 60_000

/**
 * Runs a server until it is told to stop.
 *
 * @returns the exit code: 0 after a drain, 128 + n when a second signal ended it at once
 * @throws when it can't start: CertificateError, ChildError with the code of the keeper's or edge's own error, PortError
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
    if (!(error instanceof Ended)) throw error
    log.event('warn', 'stopped', `${error.message} while starting or draining: stopped at once`)
    return error.exitCode
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
  readonly #expiry: ReturnType<typeof createExpiryWatch>
  readonly #certificateWatch: CertificateWatch
  /** What the crew is told, too. */
  #inUse: InUse
  readonly #crew: Crew
  #operators: readonly OperatorServer[] = []
  #draining = false
  /** The end of the last change of what is in use. */
  #changed: Promise<void> = Promise.resolve()
  #timers: NodeJS.Timeout[] = []

  constructor(options: ServerOptions, log: Log) {
    this.#options = options
    this.#log = log
    this.#inUse = { loaded: options.loaded, certificates: [] }
    this.#crew = new Crew({
      version: options.version,
      roles: options.roles,
      log,
      metrics: this.#metrics,
      inUse: () => this.#inUse,
    })
    this.#expiry = createExpiryWatch(log, this.#metrics)
    this.#certificateWatch = createCertificateWatch({
      log,
      changed: () => void this.#inTurn(() => this.#renewCertificates()),
    })
  }

  async start(): Promise<void> {
    const { version } = this.#options
    const config = this.#config
    process.umask(0o077)
    await ensurePrivateDirectory(config.runtimeDirectory)
    this.#metrics.buildInfo.set({ version, node: process.version }, 1)
    watchLoopLag(this.#metrics, this.#log)
    watchLogLoss(this.#log, this.#metrics)
    if (process.geteuid?.() === 0) {
      // Threat I-14.
      const advice = 'whoever breaks into it has this machine; config/sallyport.service runs it as a user of its own'
      this.#log.event('warn', 'warning', `the server runs as root: ${advice}`)
    }
    const certificates = await this.#loadCertificates(config)
    this.#inUse = { loaded: this.#inUse.loaded, certificates }
    const urls = (await this.#crew.start()).map(listenerUrl)
    for (const listener of config.listeners) {
      if (listener.protocol !== 'http') continue
      const port = await this.#serveOperators(listener)
      urls.push(`http://${hostPort(listener.bind, port)}`)
    }
    this.#expiry.look(certificates)
    this.#certificateWatch.follow(config.tls.certificates)
    this.#timers = [
      setInterval(() => this.#expiry.look(this.#inUse.certificates), EXPIRY_LOOK_MS).unref(),
      setInterval(() => void this.#crew.rotateTicketKeys(), TICKET_KEY_MS).unref(),
    ]
    this.#log.event('info', 'started', 'sallyport is up', { pid: process.pid, detail: urls.join(' ') })
    await notifyService('ready')
  }

  /** Takes over a new configuration and new certificates, or keeps the old ones and says why. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#reload())
  }

  /** One change after the other: what was read before must not be put in the place of what was read since. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#changed.then(change)
    this.#changed = turn.catch(() => {}) // told to whoever asked for it
    return turn
  }

  async #reload(): Promise<void> {
    let kept: Kept
    let certificates: readonly CertificatePair[]
    try {
      kept = keepSettings(await this.#options.reload(), this.#options.loaded)
      certificates = await this.#loadCertificates(kept.loaded.config)
      await this.#crew.offer(kept.loaded)
    } catch (error) {
      this.#log.event('error', 'config_refused', 'the new configuration is refused, the old one stays in use', {
        detail: messageOf(error),
        error_code: error instanceof Error && 'code' in error ? String(error.code) : undefined,
      })
      return
    }
    if (this.#draining) return
    const { loaded } = kept
    for (const warning of loaded.warnings) this.#log.event('warn', 'warning', problemText(warning))
    const before = this.#config
    const renewed = JSON.stringify(this.#inUse.certificates) !== JSON.stringify(certificates)
    this.#inUse = { loaded, certificates }
    this.#log.setLevel(loaded.config.log.level)
    const isOtherListeners = JSON.stringify(loaded.config.listeners) !== JSON.stringify(before.listeners)
    for (const key of [...(isOtherListeners ? ['listeners'] : []), ...kept.keys]) {
      this.#log.event('warn', 'warning', `${key} changed in the configuration: this takes effect at the next start`)
    }
    await this.#crew.renew()
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
    this.#log.event('info', 'draining', `${signal}: no new connections; open sessions have ${graceMs} ms`)
    await Promise.all([notifyService('stopping'), this.#crew.drainEdges({ graceMs, spreadMs: SPREAD_MS })])
    await this.#crew.stop()
    await Promise.all(this.#operators.map((server) => server.close()))
    for (const timer of this.#timers) clearInterval(timer)
    this.#log.event('info', 'stopped', 'sallyport has stopped')
  }

  kill(): void {
    this.#certificateWatch[Symbol.dispose]()
    this.#crew.kill()
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
      if (this.#draining) return
      if (JSON.stringify(certificates) === JSON.stringify(this.#inUse.certificates)) return
      this.#inUse = { loaded: this.#inUse.loaded, certificates }
      await this.#crew.renewEdges()
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
    return this.#inUse.loaded.config
  }

  async #serveOperators(listener: OperatorListener): Promise<number> {
    const server = await serveOperators(listener, {
      notReady: () => this.#notReady(),
      metrics: () => this.#metricsText(),
      api: listener.serves.includes('api') ? operatorDoor(this.#crew.wayToWeb(), this.#log) : null,
      bug: (error) => this.#log.bug(error, 'a request of an operator failed'),
    })
    this.#operators = [...this.#operators, server]
    return server.port
  }

  async #notReady(): Promise<string[]> {
    return [...(this.#draining ? ['draining'] : []), ...(await this.#crew.notReady())]
  }

  async #metricsText(): Promise<string> {
    const others = await this.#crew.metrics()
    return metricsText([await this.#metrics.snapshot(), ...others])
  }
}
