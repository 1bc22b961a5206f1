/**
 * The keeper in a process of its own.
 */

import type { Config } from '../config.ts'
import { loadConfig } from '../config.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { AcceptedConfig, KeeperInit } from '../supervisor/messages.ts'
import type { Role } from './child.ts'
import { startKeeper } from './keeper-role.ts'

/** Reads the files that the configuration names itself: those secrets pass through no other process. */
export async function keeperRole(init: KeeperInit, log: Log, metrics: Metrics): Promise<Role> {
  const { version } = init
  const config = await accept(init.config)
  const keeper = await startKeeper({
    config,
    log,
    metrics,
    version,
    serverPid: process.ppid,
    edgeSecret: new Secret(init.edgeSecret),
    edges: init.edges,
    webKey: init.webKey === null ? null : new Secret(init.webKey),
  })
  return {
    async answer(name, params) {
      switch (name) {
        case 'metrics':
          return metrics.snapshot()
        case 'health':
          return keeper.health()
        case 'edges':
          keeper.expectEdges(params as readonly string[])
          return null
        case 'reload': {
          const next = await accept(params as AcceptedConfig)
          await keeper.reload(next)
          log.setLevel(next.log.level)
          return null
        }
        default:
          throw new Error(`a keeper has no answer to ${name}`)
      }
    },
    stop: () => keeper.close(),
  }
}

async function accept({ file, settings }: AcceptedConfig): Promise<Config> {
  const { config } = await loadConfig({ path: file, settings: new Secret(settings) })
  return config
}
