/**
 * Accepts connections on one port and makes of each a `Wire` and a `Peer`.
 *
 * In this order: room, PROXY header (from listed networks, and mandatory there), TLS where it is implicit. One deadline runs
 * from the accept to the end of the login, and nothing that the client does extends it (threats A11).
 */

import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Peer, ProtocolName, TlsMode } from '../../contract/admission.ts'
import { networkList } from '../../contract/network-list.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { createDeadlines } from './deadlines.ts'
import type { ProxiedAddresses } from './proxy-header.ts'
import { parseProxyHeader, unmapped } from './proxy-header.ts'
import type { Guest, NoRoom, Room } from './room.ts'
import { addressBlock } from './room.ts'
import { SocketReader } from './source.ts'
import type { TlsContexts } from './tls.ts'
import { createTurnAway } from './turn-away.ts'
import { GOING_DOWN, Wire, WireError } from './wire.ts'

export interface ListenerLimits {
  /** From accept to the end of a login. Read at each accept, so that a reload takes effect. */
  readonly loginMs: number
  /** Default 15 s. */
  readonly handshakeMs?: number
  /** Default 5 s. */
  readonly proxyHeaderMs?: number
}

export interface ListenerOptions {
  /** For the log: 'imap:993'. */
  readonly name: string
  readonly protocol: ProtocolName | 'https'
  /** What a client must have in mind that says so (RFC 7301). Default: the protocol. */
  readonly applicationProtocol?: string
  /** An address, or undefined for all of both families. */
  readonly bind: string | undefined
  /** 0: any free one. */
  readonly port: number
  /** Several processes share the port (SO_REUSEPORT). */
  readonly reusePort: boolean
  readonly tls: TlsMode
  /** Needed for 'implicit'. */
  readonly contexts: TlsContexts | null
  /** CIDR blocks that must begin with a PROXY header; from anywhere else one is garbage. */
  readonly proxyFrom: readonly string[]
  /**
   * CIDR blocks that alone may connect, all others being turned away unheard; left out: anybody may. Where `proxyFrom` names
   * proxies, whoever does not come through one is turned away as well, and the header's address counts.
   */
  readonly allowedFrom?: readonly string[]
  readonly limits: ListenerLimits
  /** Shared by all ports of an edge. */
  readonly room: Room
  readonly log: Log
  readonly metrics: Metrics
  /** What a client hears for whom there is no room, with its end; left out: nothing. */
  lastWords?(why: NoRoom): string
  /** Takes the wire over. What it rejects with is a bug, and ends that connection only. */
  onConnection(wire: Wire, peer: Peer): Promise<void>
}

export interface Listener {
  /** Binds. Resolves with the port. */
  start(): Promise<number>
  /** Closes the listening socket. Open connections go on. */
  stop(): Promise<void>
  /** Sends all away that have not logged in: they are told that the server is going down. */
  expireLogins(): void
  /** Destroys every connection that is still open. */
  destroyAll(): void
  readonly connections: number
}

const BUDGET_BYTES = 64 * 1024
const PROXY_HEADER_MS = 5000
const HANDSHAKE_MS = 15_000
const KEEP_ALIVE_MS = 60_000
const BACKLOG = 1024

export function createListener(options: ListenerOptions): Listener {
  const { limits, room, log, metrics, protocol } = options
  const handshakeMs = limits.handshakeMs ?? HANDSHAKE_MS
  const proxied = options.proxyFrom.length === 0 ? null : networkList(options.proxyFrom)
  const allowed = options.allowedFrom ? networkList(options.allowedFrom) : null
  const sockets = new Set<Socket>()
  const deadlines = createDeadlines(() => limits.loginMs)
  let port = options.port
  const turnAway = createTurnAway({
    listener: options.name,
    room,
    log,
    tls: options.tls,
    ...(options.lastWords && { lastWords: options.lastWords }),
  })

  const server: Server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    pauseOnConnect: true,
  })
  server.on('connection', (socket) => accept(socket))

  function accept(socket: Socket): void {
    const ip = unmapped(socket.remoteAddress ?? '')
    if (ip === '') {
      turnAway.gone(socket)
      return
    }
    const isProxied = proxied?.has(ip) ?? false
    if (allowed && !(proxied ? isProxied : allowed.has(ip))) {
      turnAway.stranger(socket, ip)
      return
    }
    const block = isProxied ? null : addressBlock(ip)
    if (block !== null && !room.claim(block)) {
      turnAway.crowd(socket, ip, false)
      return
    }
    const visit: Visit = { wire: null }
    const guest = room.enter(() => turnAway.full(socket, visit.wire))
    if (guest === null) {
      if (block !== null) room.giveBack(block)
      turnAway.full(socket, null)
      return
    }
    sockets.add(socket)
    metrics.connections.inc({ protocol, state: 'login' })
    socket.on('close', () => {
      sockets.delete(socket)
      metrics.connections.dec({ protocol, state: guest.leave() })
      if (block !== null) room.giveBack(block)
    })
    void serve(socket, guest, visit, ip, isProxied)
  }

  function loggedIn(guest: Guest, visit: Visit): void {
    visit.wire = null
    if (!guest.loggedIn()) return
    metrics.connections.dec({ protocol, state: 'login' })
    metrics.connections.inc({ protocol, state: 'session' })
  }

  /** Up to the moment when somebody else takes over: a session may last for days, and nothing here may last as long. */
  async function serve(socket: Socket, guest: Guest, visit: Visit, ip: string, isProxied: boolean): Promise<void> {
    const deadline = deadlines.next()
    const reader = new SocketReader()
    reader.attach(socket, false)
    const local = { localIp: unmapped(socket.localAddress ?? ''), localPort: socket.localPort ?? port }
    let peer: Peer = { ip, port: socket.remotePort ?? 0, ...local, tls: null }
    let wire: Wire | null = null
    try {
      if (isProxied) {
        const addresses = await readProxyHeader(socket, reader, limits.proxyHeaderMs ?? PROXY_HEADER_MS)
        if (addresses) {
          peer = {
            ip: addresses.sourceIp,
            port: addresses.sourcePort,
            localIp: addresses.destinationIp,
            localPort: addresses.destinationPort,
            tls: null,
          }
          const block = addressBlock(peer.ip)
          if (!room.claim(block)) {
            turnAway.crowd(socket, peer.ip, true)
            return
          }
          if (socket.closed) room.giveBack(block)
          else socket.on('close', () => room.giveBack(block))
        }
      }
      // Without addresses in its header a proxy speaks for itself.
      if (allowed && !allowed.has(peer.ip)) {
        turnAway.stranger(socket, peer.ip)
        return
      }
      wire = new Wire(socket, { budgetBytes: BUDGET_BYTES, deadline, reader, onRelease: () => loggedIn(guest, visit) })
      visit.wire = wire
      if (options.tls === 'implicit') {
        if (options.contexts === null) throw new Error(`listener ${options.name} has no certificate`)
        const tls = await wire.startTls({
          side: 'server',
          contexts: options.contexts,
          applicationProtocol: options.applicationProtocol ?? protocol,
          handshakeMs,
        })
        peer = { ...peer, tls }
      }
    } catch (error) {
      wire?.[Symbol.dispose]()
      socket.destroy()
      if (error instanceof ProxyHeaderError && !error.hasLeft) turnAway.headless(peer.ip, error.message)
      if (error instanceof WireError || error instanceof ProxyHeaderError) {
        log.event('debug', 'connection_closed', 'connection ended before it began', {
          listener: options.name,
          remote_ip: peer.ip,
          error_code: error.code,
          detail: error.message,
        })
      } else bug(error)
      return
    }
    handOver(socket, wire, peer)
  }

  function handOver(socket: Socket, wire: Wire, peer: Peer): void {
    const onBug = (error: unknown) => {
      socket.destroy()
      bug(error)
    }
    try {
      options.onConnection(wire, peer).catch(onBug)
    } catch (error) {
      onBug(error)
    }
  }

  function bug(error: unknown): void {
    metrics.bugs.inc()
    log.bug(error, 'a connection was ended by a fault in this program', { listener: options.name, protocol })
  }

  // What `accept` may still fail with is over when it is told; running out of descriptors is not (descriptors.ts).
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (!server.listening) return
    log.event('error', 'warning', 'a connection could not be accepted', {
      listener: options.name,
      error_code: error.code,
    })
  })

  return {
    start() {
      return new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(
          { port: options.port, host: options.bind, backlog: BACKLOG, reusePort: options.reusePort, exclusive: true },
          () => {
            server.off('error', reject)
            const address = server.address()
            if (address !== null && typeof address === 'object') port = address.port
            resolve(port)
          },
        )
      })
    },
    stop() {
      // Resolves when the port is free, not when the last connection has ended: close() does that at once.
      server.close()
      return Promise.resolve()
    },
    expireLogins: () => deadlines.expireAll(GOING_DOWN),
    destroyAll() {
      for (const socket of sockets) socket.destroy()
    },
    get connections() {
      return sockets.size
    },
  }
}

/** A connection that has not logged in. */
interface Visit {
  /** From the moment when somebody talks with it. */
  wire: Wire | null
}

/** What did not begin with the PROXY header that it owes. */
class ProxyHeaderError extends Error {
  readonly code = 'ERR_PROXY_HEADER'
  /** It was gone before it said anything wrong: load balancers do that to see whether we are there. */
  readonly hasLeft: boolean
  constructor(message: string, hasLeft: boolean) {
    super(message)
    this.hasLeft = hasLeft
  }
}

/** Reads the header; what follows it stays in the socket. null: the proxy speaks for itself. */
function readProxyHeader(socket: Socket, reader: SocketReader, withinMs: number): Promise<ProxiedAddresses | null> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const leave = () => {
      clearTimeout(timer)
      socket.pause()
      reader.leave()
    }
    const fail = (why: string, hasLeft: boolean) => {
      leave()
      reject(new ProxyHeaderError(why, hasLeft))
    }
    const left = () => fail('the connection ended before its PROXY header', true)
    const timer = setTimeout(() => fail(`no PROXY header within ${withinMs} ms`, false), withinMs)
    reader.take({
      data(more) {
        bytes = Buffer.concat([bytes, more])
        const header = parseProxyHeader(bytes)
        if (header.kind === 'more') return
        if (header.kind === 'bad') return fail(header.why, false)
        const rest = bytes.subarray(header.length)
        leave()
        resolve(header.addresses)
        if (rest.length > 0) socket.unshift(rest)
      },
      end: left,
      closed: left,
    })
    socket.resume()
  })
}
