/**
 * Connections to upstreams for ActiveSync, each of one client connection and of nobody else.
 *
 * A phone that is told of new mail asks several times in a row. The connection of its last request is kept for the next one on
 * the same client connection, if it goes to the same place with the same credentials; there is no pool, so no answer can reach
 * somebody else (threats G-2). Whatever an upstream says unasked ends its connection. A kept one is closed after three seconds,
 * before servers with little patience (Apache: 5 s) would do it just when we ask.
 */

import { hash } from 'node:crypto'
import type { Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { Client } from 'undici'
import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Secret } from '../../secret.ts'
import type { Dialer } from '../net/dial.ts'

export interface ConnectionWish {
  /** Whose it is: kept until this one closes, at the longest. */
  readonly clientSocket: Socket
  readonly client: Peer
  readonly userId: string
  readonly target: UpstreamTarget
  /** The value of Authorization that the request will have. */
  readonly authorization: Secret
}

/** Disposed of: closed, unless it was kept. */
export interface UpstreamConnection extends Disposable {
  readonly http: Client
  /** Whether a request was served on it before. */
  readonly isReused: boolean
  /** For the next request of the same client connection. Call it when an answer is complete. */
  keep(): void
}

export interface UpstreamConnections {
  /**
   * The kept one, if it will do, or a new one, dialled like any other: breaker, deadline, PROXY header.
   *
   * @throws DialError; LoginFailure 'upstream-protocol' for an upstream that speaks before it is asked; the reason of `giveUp`
   */
  open(wish: ConnectionWish, giveUp: AbortSignal): Promise<UpstreamConnection>
}

interface Open {
  readonly socket: Socket
  readonly http: Client
  readonly way: Way
}

/** Where a connection leads and as whom. A kept one holds no secret. */
interface Way {
  readonly userId: string
  readonly place: Omit<UpstreamTarget, 'identity'>
  readonly credentials: string
}

const MAX_HEAD_BYTES = 32 * 1024
const KEEP_MS = 3000

/** @param keepMs how long one is kept that nobody asks for */
export function createUpstreamConnections(dialer: Dialer, keepMs = KEEP_MS): UpstreamConnections {
  const kept = new WeakMap<Socket, Open>()
  /** Client connections whose end is heard. */
  const watched = new WeakSet<Socket>()

  /** What was kept for this client connection; null: nothing, or nothing that is still open. */
  function take(clientSocket: Socket): Open | null {
    const open = kept.get(clientSocket)
    if (open === undefined) return null
    kept.delete(clientSocket)
    return open.socket.destroyed ? null : open
  }

  function keep(clientSocket: Socket, open: Open): void {
    kept.set(clientSocket, open)
    if (watched.has(clientSocket)) return
    watched.add(clientSocket)
    clientSocket.once('close', () => {
      const left = take(clientSocket)
      if (left !== null) close(left)
    })
  }

  function lend(clientSocket: Socket, open: Open, isReused: boolean): UpstreamConnection {
    let isKept = false
    return {
      http: open.http,
      isReused,
      keep() {
        isKept = !open.socket.destroyed && !clientSocket.destroyed
        if (isKept) keep(clientSocket, open)
      },
      [Symbol.dispose]() {
        if (!isKept) close(open)
      },
    }
  }

  return {
    async open(wish, giveUp) {
      const { clientSocket, client, target } = wish
      const way = wayOf(wish)
      const former = take(clientSocket)
      if (former !== null) {
        if (isDeepStrictEqual(former.way, way)) return lend(clientSocket, former, true)
        close(former)
      }
      using wire = await dialer.dial(target, client, giveUp, 'stream')
      giveUp.throwIfAborted()
      if (wire.buffered > 0) throw new LoginFailure('upstream-protocol', `${target.name} spoke before it was asked`)
      const { socket } = wire.surrender()
      return lend(clientSocket, { socket, http: httpOver(socket, keepMs), way }, false)
    },
  }
}

function httpOver(socket: Socket, keepMs: number): Client {
  let isGiven = false
  // TLS is there already where it has to be, and Host says where: the address here is never looked at.
  return new Client('http://upstream', {
    connect: (_, done) => {
      // In a later turn: called back at once it would not notice that it has a connection.
      if (isGiven) setImmediate(done, new Error('this connection is over'), null)
      else setImmediate(done, null, socket)
      isGiven = true
    },
    allowH2: false,
    pipelining: 1,
    maxHeaderSize: MAX_HEAD_BYTES,
    // An upstream may ask for less.
    keepAliveTimeout: keepMs,
    keepAliveMaxTimeout: keepMs,
  })
}

function close({ socket, http }: Open): void {
  socket.destroy()
  http.destroy().catch(() => {}) // its own error, told already
}

function wayOf({ userId, target: { identity: _, ...place }, authorization }: ConnectionWish): Way {
  return { userId, place, credentials: hash('sha256', authorization.reveal()) }
}
