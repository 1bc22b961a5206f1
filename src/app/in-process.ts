/**
 * All roles in one process (`workers: 0`): for development and small machines. Same code, the interfaces called directly.
 */

import type { EdgePort } from '../contract/admission.ts'
import type { InProcessRoles, KeeperRole } from '../supervisor/roles.ts'
import { startEdge } from './edge-role.ts'
import type { RunningKeeper } from './keeper-role.ts'
import { startKeeper } from './keeper-role.ts'

/** The roles of one process. Metrics are the supervisor's own, so there is nothing to add to them. */
export function inProcessRoles(): InProcessRoles {
  const keepers = new Map<KeeperRole, RunningKeeper>()
  return {
    async keeper(options) {
      const keeper = await startKeeper({ ...options, edgeSecret: null, edges: [] })
      const role: KeeperRole = {
        isReady: true,
        reload: ({ config }) => keeper.reload(config),
        health: () => keeper.health(),
        expectEdges: () => {}, // the edge comes and goes with this process
        metrics: async () => [],
        stop: () => keeper.close(),
        kill() {}, // it goes with the process
      }
      keepers.set(role, keeper)
      return role
    },

    async edge(init, { keeper, log, metrics }) {
      const house = keepers.get(keeper)?.gateHouse
      if (house === undefined) throw new Error('this keeper is not in this process')
      const { listeners } = init
      const link: { port: EdgePort | null } = { port: null }
      const edge = await startEdge({
        slice: init,
        listeners,
        reusePort: true, // with the socket that chose a port 0
        log,
        metrics,
        gate(ender) {
          // As on a channel, an end is heard in a later turn than the grant that it is for.
          link.port = house.attach({ end: (grantId) => void setImmediate(() => ender.end(grantId)) })
          return link.port
        },
      })
      return {
        isReady: true,
        reload: async (slice) => edge.reload(slice),
        metrics: async () => [],
        async drainAndStop(options) {
          await edge.drain(options)
          await edge.close()
          link.port?.close()
        },
        kill: () => void edge.close(),
      }
    },
  }
}
