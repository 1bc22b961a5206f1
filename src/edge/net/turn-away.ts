/**
 * Turning connections away, and telling operators of it: now and then, because it happens as often as strangers like.
 */

import type { Socket } from 'node:net'
import type { Log } from '../../log.ts'
import { unmapped } from './proxy-header.ts'
import type { Room } from './room.ts'
import { addressBlock } from './room.ts'

export interface TurnAwayOptions {
  /** The listener's name, for the log. */
  readonly listener: string
  readonly room: Room
  readonly log: Log
}

/** One listener's; each ends the connection. */
export interface TurnAway {
  /** There is no client any more. */
  gone(socket: Socket): void
  /** A client from where nobody may come. It may be a device that somebody has moved. */
  stranger(socket: Socket, ip: string): void
  /** A client whose address has all the connections that it may have. @param isProxied whether a proxy says that it is its address */
  crowd(socket: Socket, ip: string, isProxied: boolean): void
  /** The house is full: a newcomer, or one that has not logged in and makes room for a newcomer. */
  full(socket: Socket): void
}

const TELL_EVERY_MS = 60_000
const ignore = (): void => {}

export function createTurnAway({ listener, room, log }: TurnAwayOptions): TurnAway {
  const isTold = { stranger: seldom(), crowd: seldom(), full: seldom() }

  function close(socket: Socket, reason: string): void {
    log.event('debug', 'connection_closed', 'connection refused', {
      listener,
      remote_ip: unmapped(socket.remoteAddress ?? ''),
      reason,
    })
    socket.on('error', ignore)
    socket.destroy()
  }

  return {
    gone: (socket) => close(socket, 'gone'),

    stranger(socket, ip) {
      close(socket, 'network')
      if (!isTold.stranger()) return
      log.event('warn', 'warning', 'a connection from outside scanner.allowedNetworks was turned away', {
        listener,
        remote_ip: ip,
      })
    },

    crowd(socket, ip, isProxied) {
      close(socket, 'perAddress')
      if (!isTold.crowd()) return
      const advice = isProxied ? '' : ', or, if it is a load balancer, name it in proxyProtocol.from of this listener'
      log.event(
        'warn',
        'warning',
        `connections of one address are turned away: if many people share it, raise limits.perAddress${advice}`,
        {
          listener,
          remote_ip: ip,
          reason: 'perAddress',
          detail: `${addressBlock(ip)} has ${room.limits.perAddress} connections in this process, as many as it may have`,
        },
      )
    },

    full(socket) {
      close(socket, 'connections')
      if (!isTold.full()) return
      log.event('warn', 'warning', 'connections are turned away: limits.connections or LimitNOFILE is too low', {
        listener,
        reason: 'connections',
        detail: `${room.size} connections are open in this process, which has room for ${room.limits.connections}`,
      })
    },
  }
}

/** Whether it is time to tell again. */
function seldom(): () => boolean {
  let toldAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = performance.now()
    if (now - toldAt < TELL_EVERY_MS) return false
    toldAt = now
    return true
  }
}
