/**
 * A mail edge in a process of its own.
 */

import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { EdgeInit } from '../supervisor/messages.ts'
import type { Role } from './child.ts'
import { edgeOverChannel } from './edge-over-channel.ts'
import { startEdge } from './edge-role.ts'

export function edgeRole(init: EdgeInit, log: Log, metrics: Metrics): Promise<Role> {
  const { listeners } = init
  return edgeOverChannel(init, log, metrics, (gate) =>
    startEdge({ slice: init, listeners, reusePort: true, log, metrics, gate }),
  )
}
