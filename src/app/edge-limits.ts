/**
 * How the ports of one edge, of either kind, share what it may have.
 */

import type { Listener, ListenerLimits } from '../edge/net/listener.ts'
import type { EdgeSlice } from '../supervisor/messages.ts'

/**
 * The limits of one port. The edge's share of connections is for all of its ports together.
 *
 * @param slice asked for at each use, so that a reload takes effect
 * @param fitting how many connections there are descriptors for
 * @param ports all ports of the edge; the one named is left out of the sum
 */
export function portLimits(
  name: string,
  slice: () => EdgeSlice,
  fitting: number,
  ports: () => readonly { readonly listener: Listener }[],
): ListenerLimits {
  return {
    get connections() {
      const others = ports().filter(({ listener }) => listener.name !== name)
      return (
        Math.min(slice().limits.connections, fitting) -
        others.reduce((sum, { listener }) => sum + listener.connections, 0)
      )
    },
    get perAddress() {
      return slice().limits.perAddress
    },
    loginMs: slice().limits.loginMs,
  }
}
