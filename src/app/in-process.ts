/**
 * All roles in one process (`workers: 0`): for development and small machines. Same code, the interfaces called directly.
 */

import type { EdgePort } from '../contract/admission.ts'
import { localPortal } from '../contract/portal-channel.ts'
import type { EdgeRole, InProcessRoles, KeeperRole } from '../supervisor/roles.ts'
import type { GateMaker, RunningEdge } from './edge-over-channel.ts'
import { startEdge } from './edge-role.ts'
import { startHttpsEdge } from './https-role.ts'
import type { RunningKeeper } from './keeper-role.ts'
import { startKeeper } from './keeper-role.ts'
import { startWeb } from './web-role.ts'

/** The roles of one process. Metrics are the supervisor's own, so there is nothing to add to them. */
export function inProcessRoles(): InProcessRoles {
  const keepers = new Map<KeeperRole, RunningKeeper>()
  return {
    async keeper(options) {
      const keeper = await startKeeper({ ...options, edgeSecret: null, edges: [], webKey: null })
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

    edge: (init, { keeper, log, metrics }) =>
      attached(keeper, (gate) =>
        startEdge({ slice: init, listeners: init.listeners, reusePort: true, log, metrics, gate }),
      ),

    https: (init, { keeper, log, metrics }) =>
      attached(keeper, (gate) =>
        startHttpsEdge({
          slice: init,
          listeners: init.listeners,
          web: init.web,
          reusePort: true,
          log,
          metrics,
          gate,
        }),
      ),

    // Its socket is there all the same: what the https edge hands over is a stream.
    async web(init, { keeper, log, metrics }) {
      const web = await startWeb(init, localPortal(running(keeper).portal), log, metrics)
      return {
        reload: async (settings) => web.reload(settings),
        metrics: async () => [],
        stop: () => web.close(),
        kill: () => void web.close(),
      }
    },
  }

  function running(keeper: KeeperRole): RunningKeeper {
    const known = keepers.get(keeper)
    if (known === undefined) throw new Error('this keeper is not in this process')
    return known
  }

  /** An edge whose gate is the keeper itself. Ports are shared with the socket that chose a port 0. */
  async function attached(keeper: KeeperRole, start: (gate: GateMaker) => Promise<RunningEdge>): Promise<EdgeRole> {
    const { gateHouse } = running(keeper)
    const link: { port: EdgePort | null } = { port: null }
    const edge = await start((ender) => {
      // As on a channel, an end is heard in a later turn than the grant that it is for.
      link.port = gateHouse.attach({ end: (grantId) => void setImmediate(() => ender.end(grantId)) })
      return link.port
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
  }
}
