/**
 * What one edge, of either kind, may have: the same for all of its ports together.
 */

import type { Room } from '../edge/net/room.ts'
import { createRoom } from '../edge/net/room.ts'
import type { EdgeSlice } from '../supervisor/messages.ts'

/**
 * The room for the edge's share of connections.
 *
 * @param slice asked for at each use, so that a reload takes effect
 * @param fitting how many connections there are descriptors for
 */
export function edgeRoom(slice: () => EdgeSlice, fitting: number): Room {
  return createRoom({
    get connections() {
      return Math.min(slice().limits.connections, fitting)
    },
    get perAddress() {
      return slice().limits.perAddress
    },
  })
}
