/**
 * Web in a process of its own, with the keeper at the other end of a channel.
 */

import { connectPortal } from '../contract/portal-channel.ts'
import type { WebSettings } from '../contract/web-settings.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { WebInit } from '../supervisor/messages.ts'
import type { Role } from './child.ts'
import { startWeb } from './web-role.ts'

export async function webRole(init: WebInit, log: Log, metrics: Metrics): Promise<Role> {
  const { path, key } = init.keeper
  const keeper = connectPortal({ path, key: new Secret(key), log })
  const web = await startWeb(init, keeper, log, metrics)
  return {
    async answer(name, params) {
      switch (name) {
        case 'metrics':
          return metrics.snapshot()
        case 'reload':
          web.reload(params as WebSettings)
          return null
        default:
          throw new Error(`web has no answer to ${name}`)
      }
    },
    async stop() {
      await web.close()
      keeper.close()
    },
  }
}
