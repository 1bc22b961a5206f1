/**
 * What the supervisor asks of a keeper, of an edge and of web, whether they are processes of their own or live in this one.
 */

import type { Config, LoadedConfig } from '../config.ts'
import type { WebSettings } from '../contract/web-settings.ts'
import type { Log } from '../log.ts'
import type { Metrics, MetricsSnapshot } from '../metrics.ts'
import type { Child } from './child.ts'
import type { Asks, DrainOptions, EdgeInit, EdgeSlice, HttpsInit, WebInit } from './messages.ts'

export type RoleHealth = Asks['health']['answer']

export interface KeeperRole {
  readonly isReady: boolean
  /** @throws when the new configuration is refused; the old one is kept */
  reload(loaded: LoadedConfig): Promise<void>
  health(): Promise<RoleHealth>
  /** Says which edges run, by id. */
  expectEdges(edgeIds: readonly string[]): void
  /** What it has measured; nothing when that is counted elsewhere. */
  metrics(): Promise<readonly MetricsSnapshot[]>
  stop(): Promise<void>
  /** At once, without a word. */
  kill(): void
}

export interface EdgeRole {
  readonly isReady: boolean
  reload(slice: EdgeSlice): Promise<void>
  metrics(): Promise<readonly MetricsSnapshot[]>
  /** Closes its listeners first, and answers when its last session is over or cut. Then it is gone. */
  drainAndStop(options: DrainOptions): Promise<void>
  kill(): void
}

export interface WebRole {
  reload(settings: WebSettings): Promise<void>
  metrics(): Promise<readonly MetricsSnapshot[]>
  /** Finishes what it is answering. */
  stop(): Promise<void>
  kill(): void
}

/** What a role in this process is given. */
interface InProcess {
  readonly keeper: KeeperRole
  readonly log: Log
  readonly metrics: Metrics
}

/** How roles are made in this process (`workers: 0`); app.ts knows. */
export interface InProcessRoles {
  keeper(options: {
    readonly config: Config
    readonly log: Log
    readonly metrics: Metrics
    readonly version: string
  }): Promise<KeeperRole>
  edge(init: EdgeInit, options: InProcess): Promise<EdgeRole>
  https(init: HttpsInit, options: InProcess): Promise<EdgeRole>
  web(init: WebInit, options: InProcess): Promise<WebRole>
}

/** A scrape must not wait for a process that is busy or gone. */
const METRICS_MS = 1000
const HEALTH_MS = 1000
const RELOAD_MS = 30_000
/** Beyond grace and spread: for the last sockets to close. */
const DRAIN_SLACK_MS = 5000

async function snapshotOf(child: Child): Promise<readonly MetricsSnapshot[]> {
  return child.ask('metrics', null, METRICS_MS).then(
    (snapshot) => [snapshot],
    () => [], // what it counted is lost with it, or late: the others' figures are still worth having
  )
}

export function keeperChild(child: Child): KeeperRole {
  return {
    get isReady() {
      return child.isReady
    },
    async reload({ file, settings }) {
      // One that is down is given the new configuration with its first message, if this goes well.
      if (child.pid !== null) await child.ask('reload', { file, settings: settings.reveal() }, RELOAD_MS)
    },
    health: () => child.ask('health', null, HEALTH_MS),
    expectEdges(edgeIds) {
      // One that is down is told with its first message.
      child.ask('edges', edgeIds, HEALTH_MS).catch(() => {})
    },
    metrics: () => snapshotOf(child),
    stop: () => child.stop(async () => {}),
    kill: () => child.kill(),
  }
}

export function edgeChild(child: Child): EdgeRole {
  return {
    get isReady() {
      return child.isReady
    },
    async reload(slice) {
      if (child.pid !== null) await child.ask('reload', slice, RELOAD_MS)
    },
    metrics: () => snapshotOf(child),
    drainAndStop: (options) =>
      child.stop((ask) => ask('drain', options, options.graceMs + options.spreadMs + DRAIN_SLACK_MS)),
    kill: () => child.kill(),
  }
}

export function webChild(child: Child): WebRole {
  return {
    async reload(settings) {
      if (child.pid !== null) await child.ask('reload', settings, RELOAD_MS)
    },
    metrics: () => snapshotOf(child),
    stop: () => child.stop(async () => {}),
    kill: () => child.kill(),
  }
}
