/**
 * The https edge in a process of its own.
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { HttpsInit } from '../supervisor/messages.ts'
import type { Role } from './child.ts'
import { edgeOverChannel } from './edge-over-channel.ts'
import { startHttpsEdge } from './https-role.ts'

export function httpsRole(init: HttpsInit, log: Log, metrics: Metrics): Promise<Role> {
  const { listeners, web } = init
  return edgeOverChannel(init, log, metrics, (gate) =>
    startHttpsEdge({ slice: init, listeners, web, reusePort: true, log, metrics, gate }),
  )
}
