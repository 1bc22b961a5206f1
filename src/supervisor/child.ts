/**
 * A child that comes back: started, watched, started again when it dies, stopped when told to.
 *
 * The first start must succeed, or the server does not start; later ones are tried for ever, at once at first and then less
 * and less often. A child whose event loop stands still is ended like a dead one.
 */

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Log } from '../log.ts'
import { every } from '../pulse.ts'
import type { Launch } from './launch.ts'
import { start } from './launch.ts'
import type { Ask, Init } from './messages.ts'
import { asking, ChildError } from './messages.ts'

export interface ChildOptions {
  /** 'keeper', 'edge-1'. */
  readonly name: string
  readonly launch: Launch
  /** The first message; asked anew for each start. */
  readonly init: () => Init | Promise<Init>
  readonly log: Log
  readonly tuning?: Partial<ChildTuning>
  /** Hears when it has become ready, and when a ready one has died. */
  readonly onReady?: (isReady: boolean) => void
}

export interface ChildTuning {
  /** Before the first and the longest wait between a death and the next start. */
  readonly restartMs: number
  readonly maxRestartMs: number
  /** A child that lived this long is well: its next death is a first one. */
  readonly wellAfterMs: number
  /** From the start to 'ready'. A store may have to be migrated first. */
  readonly startMs: number
  /** Every so often a child is asked whether it is there; after three times without an answer it is ended. */
  readonly beatMs: number
}

const TUNING: ChildTuning = {
  restartMs: 20,
  maxRestartMs: 10_000,
  wellAfterMs: 10_000,
  startMs: 120_000,
  beatMs: 5000,
}
const MISSED_BEATS = 3
/** A child that was asked to stop and has answered is gone after this long at the latest. */
const EXIT_MS = 5000

type Life =
  | { readonly is: 'running'; readonly process: ChildProcess; readonly ask: Ask; readonly since: number }
  | { readonly is: 'down'; readonly timer: NodeJS.Timeout | null }
  | { readonly is: 'stopped' }

export class Child {
  readonly name: string
  readonly #options: ChildOptions
  readonly #tuning: ChildTuning
  #life: Life = { is: 'down', timer: null }
  #ready = false
  #deaths = 0

  constructor(options: ChildOptions) {
    this.name = options.name
    this.#options = options
    this.#tuning = { ...TUNING, ...options.tuning }
  }

  /** Running, and done with its start. */
  get isReady(): boolean {
    return this.#ready
  }

  get pid(): number | null {
    return this.#life.is === 'running' ? (this.#life.process.pid ?? null) : null
  }

  /** The first start. @throws ChildError with the code and message of what went wrong in the child */
  async start(): Promise<void> {
    try {
      await this.#spawn()
    } catch (error) {
      this.kill()
      throw error
    }
  }

  /** Asks the child. @throws ChildError 'ERR_CHILD_GONE' when there is none at the moment, 'ERR_CHILD_TIMEOUT', or its own */
  ask: Ask = (name, params, timeoutMs) => {
    if (this.#life.is === 'running') return this.#life.ask(name, params, timeoutMs)
    return Promise.reject(new ChildError('ERR_CHILD_GONE', `${this.name} is not running`))
  }

  /** Lets it end: no restart from now on. `last` is what to ask of it first; without an answer in time it is killed. */
  async stop(last: (ask: Ask) => Promise<unknown>): Promise<void> {
    const life = this.#life
    if (life.is === 'down' && life.timer !== null) clearTimeout(life.timer)
    this.#life = { is: 'stopped' }
    this.#ready = false
    if (life.is !== 'running') return
    const exited =
      life.process.exitCode === null && life.process.signalCode === null ? once(life.process, 'exit') : null
    try {
      await last(life.ask)
      await life.ask('stop', null, EXIT_MS)
    } catch (error) {
      if (!(error instanceof ChildError)) throw error
      if (error.code !== 'ERR_CHILD_GONE') {
        this.#options.log.event('warn', 'warning', `${this.name} does not stop by itself`, { detail: error.message })
      }
    }
    const timer = setTimeout(() => life.process.kill('SIGKILL'), EXIT_MS)
    await exited
    clearTimeout(timer)
    this.#options.onReady?.(false)
  }

  /** Ends it at once, and for good. */
  kill(): void {
    const life = this.#life
    if (life.is === 'down' && life.timer !== null) clearTimeout(life.timer)
    this.#life = { is: 'stopped' }
    this.#ready = false
    if (life.is === 'running') life.process.kill('SIGKILL')
  }

  async #spawn(): Promise<void> {
    const { log, launch, init } = this.#options
    const process = start(launch)
    const ask = asking(process, this.name)
    const since = performance.now()
    this.#life = { is: 'running', process, ask, since }
    process.on('error', (error) => {
      log.event('error', 'warning', `${this.name}: ${error.message}`)
      // Out of processes or memory: there was none, so none will exit.
      if (process.pid === undefined) this.#died(process, since, error.message)
    })
    process.once('exit', (code, signal) => this.#died(process, since, signal ?? `exit code ${code}`))
    await ask('start', await init(), this.#tuning.startMs)
    if (this.#life.is !== 'running' || this.#life.process !== process) return
    this.#ready = true
    this.#options.onReady?.(true)
    log.event('info', 'worker_started', `${this.name} is ready`, {
      process: this.name,
      pid: process.pid,
      duration_ms: Math.round(performance.now() - since),
    })
    this.#watch(process, ask)
  }

  #died(process: ChildProcess, since: number, how: string): void {
    if (this.#life.is !== 'running' || this.#life.process !== process) return
    const { log } = this.#options
    const livedMs = performance.now() - since
    const wasReady = this.#ready
    this.#ready = false
    if (wasReady) this.#options.onReady?.(false)
    this.#deaths = livedMs >= this.#tuning.wellAfterMs ? 1 : this.#deaths + 1
    const waitMs = Math.min(this.#tuning.restartMs * 2 ** (this.#deaths - 1), this.#tuning.maxRestartMs)
    log.event('error', 'worker_died', `${this.name} died`, {
      process: this.name,
      pid: process.pid,
      duration_ms: Math.round(livedMs),
      detail: `${how}${wasReady ? '' : ', before it was ready'}; it is started again in ${waitMs} ms`,
    })
    this.#spawnIn(waitMs)
  }

  #spawnIn(waitMs: number): void {
    const { log } = this.#options
    const timer = setTimeout(() => {
      this.#spawn().catch((error: unknown) => {
        // Its death, if it died, is reported above.
        log.event('error', 'warning', `${this.name} could not be started`, {
          process: this.name,
          detail: error instanceof Error ? error.message : String(error),
        })
        if (this.#life.is === 'running') this.#life.process.kill('SIGKILL')
        // It was not even tried: some errors of the system are thrown.
        else if (this.#life.is === 'down' && this.#life.timer === timer) this.#spawnIn(this.#tuning.maxRestartMs)
      })
    }, waitMs)
    this.#life = { is: 'down', timer }
  }

  /** Asks every so often whether the child is there. Counted in beats, so that a machine that slept is no reason. */
  #watch(process: ChildProcess, ask: Ask): void {
    let missed = 0
    const beat = every(this.#tuning.beatMs, () => {
      missed += 1
      if (missed > MISSED_BEATS) {
        this.#options.log.event('error', 'warning', `${this.name} stands still: it is ended`, { process: this.name })
        process.kill('SIGKILL')
        return
      }
      ask('ping', null, null).then(
        () => {
          missed = 0
        },
        () => {},
      )
    })
    process.once('exit', () => beat[Symbol.dispose]())
  }
}
