/**
 * The keeper in a process of its own.
 */

import { loadConfig } from '../config.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { KeeperInit } from '../supervisor/messages.ts'
import type { Role } from './child.ts'
import { startKeeper } from './keeper-role.ts'

/** Reads the configuration itself: what is secret in it passes through no other process. */
export async function keeperRole(init: KeeperInit, log: Log, metrics: Metrics): Promise<Role> {
  const { version, configFile: path } = init
  const { config } = await loadConfig({ path })
  const keeper = await startKeeper({ config, log, metrics, version, edgeSecret: new Secret(init.edgeSecret) })
  return {
    async answer(name) {
      switch (name) {
        case 'metrics':
          return metrics.snapshot()
        case 'health':
          return keeper.health()
        case 'reload': {
          const { config: next } = await loadConfig({ path })
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
