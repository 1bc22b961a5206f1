/**
 * Turning connections away: what their clients hear, and what operators read about it now and then.
 *
 * It happens as often as strangers like, so nobody is waited for (threats E2): the last words are in the kernel's hands at once
 * or never, no handshake is done for their sake, and a client that does not read them holds nothing.
 */

import type { Socket } from 'node:net'
import type { TlsMode } from '../../contract/admission.ts'
import type { Log } from '../../log.ts'
import { unmapped } from './proxy-header.ts'
import type { NoRoom, Room } from './room.ts'
import { addressBlock } from './room.ts'
import type { Wire } from './wire.ts'

export interface TurnAwayOptions {
  /** The listener's name, for the log. */
  readonly listener: string
  readonly room: Room
  readonly log: Log
  readonly tls: TlsMode
  /** What a client hears for whom there is no room, with its end; left out: nothing. */
  lastWords?(why: NoRoom): string
}

/** One listener's; each ends the connection. */
export interface TurnAway {
  /** There is no client any more. */
  gone(socket: Socket): void
  /** A client from where nobody may come. It may be a device that somebody has moved. */
  stranger(socket: Socket, ip: string): void
  /** A client whose address has all the connections that it may have. @param isProxied whether a proxy says that it is its address */
  crowd(socket: Socket, ip: string, isProxied: boolean): void
  /** Told only, of a proxy that sent no header: whoever comes through it can't get in. @param why what it did instead */
  headless(ip: string, why: string): void
  /**
   * The house is full: a newcomer, or one that has not logged in and makes room for a newcomer.
   *
   * @param wire of whoever has come so far that somebody talks with it
   */
  full(socket: Socket, wire: Wire | null): void
}

const TELL_EVERY_MS = 60_000
const ignore = (): void => {}

export function createTurnAway(options: TurnAwayOptions): TurnAway {
  const { listener, room, log, tls } = options
  const isTold = { stranger: seldom(), crowd: seldom(), headless: seldom(), full: seldom() }

  function close(socket: Socket, reason: string, words = '', wire: Wire | null = null): void {
    log.event('debug', 'connection_closed', 'connection refused', {
      listener,
      remote_ip: unmapped(socket.remoteAddress ?? ''),
      reason,
    })
    socket.on('error', ignore)
    if (words !== '' && wire?.dismiss(words)) return
    // To a client that nobody has spoken to yet. A close keeps what the kernel has taken, and it takes so little at once unless
    // it has no memory left. A client that has spoken first may get a reset and lose the words: no mail client does that.
    if (words !== '' && wire === null && tls !== 'implicit') socket.write(words)
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
      close(socket, 'perAddress', options.lastWords?.('perAddress'))
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

    headless(ip, why) {
      if (!isTold.headless()) return
      log.event(
        'warn',
        'warning',
        'a connection from proxyProtocol.from of this listener began without the PROXY header that it owes: have the proxy send one, or take it from the list',
        { listener, remote_ip: ip, reason: 'proxy-header', detail: why },
      )
    },

    full(socket, wire) {
      close(socket, 'connections', options.lastWords?.('connections'), wire)
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
