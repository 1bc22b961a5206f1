/**
 * Opens a connection to an upstream: name, TCP, PROXY header, TLS, all inside one deadline.
 *
 * Hosts are tried in their order. A breaker for each host of an upstream keeps us from waiting for one that keeps failing; when
 * all are open the first is tried anyway, because a wrong guess of ours must not be an outage. A name is resolved once and
 * connected to, and the certificate is verified by name.
 */

import type { Socket } from 'node:net'
import { connect as connectTcp } from 'node:net'
import type { SecureContext } from 'node:tls'
import { connect as connectTls } from 'node:tls'
import type { Endpoint, Peer, UpstreamTarget } from '../../contract/admission.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { Breakers } from './breaker.ts'
import { createBreakers } from './breaker.ts'
import { createDeadlines } from './deadlines.ts'
import { formatProxyHeader } from './proxy-header.ts'
import { Resumption } from './resumption.ts'
import { SocketReader } from './source.ts'
import type { ClientTls } from './tls.ts'
import { clientOptions, trusting } from './tls.ts'
import { Wire, WireError } from './wire.ts'

export type DialErrorCode =
  | 'ERR_DIAL_DNS'
  | 'ERR_DIAL_REFUSED'
  | 'ERR_DIAL_TIMEOUT'
  | 'ERR_DIAL_UNREACHABLE'
  /** The certificate or the handshake. */
  | 'ERR_DIAL_TLS'
  | 'ERR_DIAL_ABORTED'
  /** Ours: no descriptor is left. Says nothing about the upstream. */
  | 'ERR_DIAL_EXHAUSTED'

/** No connection to an upstream. The message names the host and what came back. */
export class DialError extends Error {
  readonly code: DialErrorCode
  constructor(code: DialErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'DialError'
    this.code = code
  }
}

export interface DialerOptions {
  /** For all hosts together, and for the login dialogue that follows. Default 10 s. */
  readonly deadlineMs?: number
  /** Failures in a row that open a host's breaker. Default 3. */
  readonly breakerFailures?: number
  /** How long an open breaker waits before one connection may try again. Default 10 s. */
  readonly breakerOpenMs?: number
  /** For the breakers; monotonic milliseconds. */
  readonly now?: () => number
  readonly log?: Log
  readonly metrics?: Metrics
}

/** Where to connect to; who one is there comes later. */
export type DialTarget = Omit<UpstreamTarget, 'identity' | 'trusted'>

export interface Dialer {
  /**
   * Connects to one of the target's hosts. The wire has the budget of the upstream's login dialogue and what is left of the
   * deadline; `wire.dialled` is what STARTTLS has to verify.
   *
   * @param client whose connection this is for: told in the PROXY header
   * @param signal gives the dial up at once
   * @param reading 'stream' for a socket that will be surrendered to a reader that is not ours; default 'onread'
   * @throws DialError
   */
  dial(target: DialTarget, client: Peer, signal: AbortSignal, reading?: Reading): Promise<Wire>
}

/** How a socket hands over what it reads: into buffers of ours, at less cost, or as any stream does. */
export type Reading = 'onread' | 'stream'

const DEADLINE_MS = 10_000
/** threats D2: all that an upstream may say before we are logged in. */
const BUDGET_BYTES = 64 * 1024
/** Of the configuration; after so many reloads with other names the table starts afresh. */
const MAX_UPSTREAMS = 256
/** Trust for upstreams: one for each set of authorities in the configuration. */
const MAX_TRUSTS = 64
const MAX_RESUMPTIONS = 256
const KEEP_ALIVE_MS = 60_000

export function createDialer(options: DialerOptions = {}): Dialer {
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS
  const deadlines = createDeadlines(() => deadlineMs)
  /** Of each upstream, since a host may be well for one and not for another: its certificate, its port's TLS. */
  const breakersOf = new Map<string, Breakers>()
  const trusts = new Map<string | null, Trust>()

  function breakersFor(upstream: string): Breakers {
    const known = breakersOf.get(upstream)
    if (known) return known
    if (breakersOf.size >= MAX_UPSTREAMS) breakersOf.clear()
    const made = createBreakers(options.breakerFailures ?? 3, options.breakerOpenMs ?? 10_000, options.now)
    breakersOf.set(upstream, made)
    return made
  }

  function trustFor(ca: string | null): Trust {
    const known = trusts.get(ca)
    if (known) return known
    if (trusts.size >= MAX_TRUSTS) trusts.clear()
    const trust = { context: trusting(ca), resumptions: new Map<string, Resumption>() }
    trusts.set(ca, trust)
    return trust
  }

  /** What TLS with this host has to verify, and how it may be made short. */
  function tlsWith(target: DialTarget, { host, port }: Endpoint): ClientTls {
    const serverName = target.serverName ?? host
    const { context, resumptions } = trustFor(target.ca)
    const key = `${host} ${port} ${serverName}`
    const resumption = resumptions.get(key) ?? new Resumption()
    if (resumptions.size >= MAX_RESUMPTIONS) resumptions.clear()
    resumptions.set(key, resumption)
    return { side: 'client', serverName, context, resumption }
  }

  function noteBreaker(target: DialTarget, { host, port }: Endpoint, isOpen: boolean): void {
    options.metrics?.upstreamBreaker.set({ upstream: target.name, host: `${host}:${port}` }, isOpen ? 1 : 0)
  }

  async function dial(
    target: DialTarget,
    client: Peer,
    signal: AbortSignal,
    reading: Reading = 'onread',
  ): Promise<Wire> {
    const deadline = deadlines.next()
    const endsAt = performance.now() + deadlineMs
    const breakers = breakersFor(target.name)
    const hosts = breakers.order(target.hosts)
    let last: DialError | null = null
    for (const [index, endpoint] of hosts.entries()) {
      // A host that says nothing must leave time for the next one.
      const shareMs = Math.max(1, (endsAt - performance.now()) / (hosts.length - index))
      breakers.trying(endpoint)
      try {
        const tls = tlsWith(target, endpoint)
        const wire = await dialHost({ target, endpoint, client, tls, shareMs, signal, deadline, reading })
        if (breakers.succeeded(endpoint)) noteBreaker(target, endpoint, false)
        return wire
      } catch (error) {
        if (!(error instanceof DialError) || error.code === 'ERR_DIAL_ABORTED') throw error
        last = error
        if (error.code !== 'ERR_DIAL_EXHAUSTED' && breakers.failed(endpoint)) noteBreaker(target, endpoint, true)
        if (index + 1 < hosts.length) {
          options.log?.event(
            'warn',
            'upstream_failed',
            'no connection to a host of the upstream; the next one is tried',
            {
              upstream: target.name,
              error_code: error.code,
              detail: error.message,
            },
          )
        }
      }
    }
    throw last ?? new DialError('ERR_DIAL_UNREACHABLE', `the upstream ${target.name} has no hosts`)
  }

  return { dial }
}

/** One set of authorities, and the sessions with servers that were verified by them. */
interface Trust {
  readonly context: SecureContext
  readonly resumptions: Map<string, Resumption>
}

interface Call {
  readonly target: DialTarget
  readonly endpoint: Endpoint
  readonly client: Peer
  readonly tls: ClientTls
  readonly shareMs: number
  readonly signal: AbortSignal
  readonly deadline: AbortSignal
  readonly reading: Reading
}

async function dialHost(call: Call): Promise<Wire> {
  const { target, endpoint, client, tls, deadline } = call
  const usesOnread = call.reading === 'onread'
  const { host, port } = endpoint
  const reader = new SocketReader()
  const base = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, allowHalfOpen: true }
  const wireOptions = { budgetBytes: BUDGET_BYTES, deadline, dialled: { ...tls, endpoint }, reader }

  // With a PROXY header something is said before TLS, so TLS comes on top of a socket that is connected already.
  if (target.tls === 'implicit' && target.proxyProtocol === null) {
    const offered = tls.resumption?.session ?? null
    const onread = usesOnread ? { onread: reader.onread() } : {}
    const socket = connectTls({ ...base, ...clientOptions(tls, offered), ...(onread as object) })
    reader.attach(socket, usesOnread)
    try {
      await connected(socket, reader, 'secureConnect', call)
    } catch (error) {
      if (error instanceof DialError && error.code === 'ERR_DIAL_TLS') tls.resumption?.forget()
      throw error
    }
    tls.resumption?.use(socket, offered)
    return new Wire(socket, wireOptions)
  }
  const socket = connectTcp({ ...base, ...(usesOnread && { onread: reader.onread() }) })
  reader.attach(socket, usesOnread)
  await connected(socket, reader, 'connect', call)
  const wire = new Wire(socket, wireOptions)
  if (target.proxyProtocol !== null) {
    wire.write(
      formatProxyHeader(target.proxyProtocol, {
        sourceIp: client.ip,
        sourcePort: client.port,
        destinationIp: client.localIp,
        destinationPort: client.localPort,
      }),
    )
  }
  if (target.tls !== 'implicit') return wire
  const giveUp = () => wire[Symbol.dispose]()
  call.signal.addEventListener('abort', giveUp, { once: true })
  try {
    await wire.startTls({ ...tls, handshakeMs: call.shareMs })
    return wire
  } catch (error) {
    giveUp()
    if (call.signal.aborted) throw new DialError('ERR_DIAL_ABORTED', `the call to ${host}:${port} was given up`)
    if (!(error instanceof WireError)) throw error
    throw new DialError('ERR_DIAL_TLS', `TLS with ${host}:${port}: ${error.message}`, { cause: error })
  } finally {
    call.signal.removeEventListener('abort', giveUp)
  }
}

/** Waits until a socket is up, and leaves it paused; destroys it otherwise. Its reader keeps what comes meanwhile. */
function connected(
  socket: Socket,
  reader: SocketReader,
  event: 'connect' | 'secureConnect',
  { endpoint, shareMs, signal, deadline }: Call,
): Promise<void> {
  const where = `${endpoint.host}:${endpoint.port}`
  return new Promise((resolve, reject) => {
    let isConnected = false
    const done = (error: DialError | null) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      deadline.removeEventListener('abort', onTimeout)
      socket.off('connect', onTcp)
      socket.off(event, onUp)
      reader.leave()
      if (error === null) return resolve()
      socket.destroy()
      reject(error)
    }
    const onTcp = () => {
      isConnected = true
    }
    const onUp = () => {
      socket.pause()
      // Outside of OpenSSL, as after any handshake (tls.ts).
      if (event === 'secureConnect') setImmediate(done, null)
      else done(null)
    }
    const onTimeout = () => {
      const what = isConnected ? 'TLS did not come about' : 'no connection'
      done(new DialError('ERR_DIAL_TIMEOUT', `${what} with ${where} in time`))
    }
    const onAbort = () => done(new DialError('ERR_DIAL_ABORTED', `the call to ${where} was given up`))
    const timer = setTimeout(onTimeout, shareMs)
    socket.once('connect', onTcp)
    socket.once(event, onUp)
    reader.take({
      data: (bytes, release) => reader.keep(bytes, release),
      end: () => {},
      closed: (error) => done(asDialError(error, where, isConnected)),
    })
    if (deadline.aborted) onTimeout()
    else deadline.addEventListener('abort', onTimeout, { once: true })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function asDialError(cause: NodeJS.ErrnoException | null, where: string, isConnected: boolean): DialError {
  const code = cause?.code ?? ''
  if (isConnected) {
    const words =
      cause === null ? 'it hung up during the handshake' : `${cause.message}${code === '' ? '' : ` (${code})`}`
    return new DialError('ERR_DIAL_TLS', `TLS with ${where}: ${words}`, { cause })
  }
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
      return new DialError('ERR_DIAL_DNS', `the name of ${where} can't be resolved (${code})`, { cause })
    case 'ECONNREFUSED':
      return new DialError('ERR_DIAL_REFUSED', `nothing listens at ${where} (${code})`, { cause })
    case 'ETIMEDOUT':
      return new DialError('ERR_DIAL_TIMEOUT', `no connection with ${where} in time (${code})`, { cause })
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
      return new DialError('ERR_DIAL_EXHAUSTED', `no socket is left for a connection with ${where} (${code})`, {
        cause,
      })
    default:
      return new DialError('ERR_DIAL_UNREACHABLE', `no connection with ${where} (${code || cause?.message})`, { cause })
  }
}
