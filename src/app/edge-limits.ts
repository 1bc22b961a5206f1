/**
 * What one edge, of either kind, may have: the same for all of its ports together.
 */

import { connectionsThatFit } from '../edge/net/descriptors.ts'
import type { Room } from '../edge/net/room.ts'
import { createRoom } from '../edge/net/room.ts'
import type { Log } from '../log.ts'
import type { EdgeSlice } from '../supervisor/messages.ts'

/**
 * The room for the edge's share of connections, as far as there are descriptors for them.
 *
 * @param slice asked for at each use, so that a reload takes effect
 */
export function edgeRoom(slice: () => EdgeSlice, log: Log): Room {
  const fitting = connectionsThatFit()
  const { connections } = slice().limits
  if (fitting < connections) {
    log.event(
      'warn',
      'warning',
      'fewer file descriptors than connections: raise LimitNOFILE or lower limits.connections',
      { detail: `${fitting} connections fit, ${connections} are allowed` },
    )
  }
  return createRoom({
    get connections() {
      return Math.min(slice().limits.connections, fitting)
    },
    get perAddress() {
      return slice().limits.perAddress
    },
  })
}
