/**
 * Between our own processes: requests, answers and notices over unix sockets.
 *
 * `serveIpc` listens at a path for one role and `connectIpc` is the other end. The first frame is a hello with role, name and
 * key; nothing else is read until the key has been compared. Unix sockets are not covered by Node's permission model (tried
 * on Node 24.21: a process without any file access can still connect), so the key is what guards a socket from an edge.
 * With `workers: 0` none of this runs: the interfaces that cross a channel are then called directly.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { IpcError } from './ipc/error.ts'
import { encodeFrame, FrameDecoder } from './ipc/frames.ts'
import type { IpcHandlers, IpcLimits, IpcPeer } from './ipc/peer.ts'
import { Connection, DEFAULT_LIMITS } from './ipc/peer.ts'
import { checkSocketPath, listenAt } from './ipc/socket-file.ts'
import type { Secret } from './secret.ts'

export { IpcError, IpcFailure } from './ipc/error.ts'
export { MAX_FRAME_BYTES } from './ipc/frames.ts'
export type { IpcHandlers, IpcLimits, IpcPeer } from './ipc/peer.ts'
export { DEFAULT_LIMITS } from './ipc/peer.ts'
export { ensurePrivateDirectory } from './ipc/socket-file.ts'

/** A hello is small; whoever has not said it gets no more room than this. */
const MAX_HELLO_BYTES = 1024
/** In both directions. What came while a process stood still is read before it is said that nothing came. */
const HELLO_MS = 2000
/** Connections that have not said hello; a newcomer over it takes the place of the oldest. */
const MAX_STRANGERS = 64
const MAX_NAME = 64

export interface IpcServerOptions {
  readonly path: string
  /** One role per socket. */
  readonly role: string
  /** The key that whoever calls itself this must know; null: there is no such caller. */
  keyFor(name: string): Secret | null
  /** A caller has proven itself. What it sends goes to the handlers that this returns. */
  accept(peer: IpcPeer): IpcHandlers
  /** Somebody was turned away; for the log. */
  refused?(why: IpcError): void
  readonly limits?: Partial<IpcLimits>
  readonly helloMs?: number
}

export interface IpcServer {
  readonly path: string
  /** Stops listening and closes every connection. */
  close(): Promise<void>
}

/**
 * Listens for callers of one role.
 *
 * @throws IpcError 'ERR_IPC_PATH' or 'ERR_IPC_PERMISSION'; the message says what to change
 */
export async function serveIpc(options: IpcServerOptions): Promise<IpcServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const strangers = new Set<Socket>()
  const peers = new Set<Connection>()

  function greet(socket: Socket): void {
    if (strangers.size >= MAX_STRANGERS) {
      const [oldest] = strangers
      oldest?.destroy()
    }
    strangers.add(socket)
    const decoder = new FrameDecoder(MAX_HELLO_BYTES)
    const turnAway = (why: IpcError) => {
      if (!strangers.delete(socket)) return
      clearTimeout(timer)
      options.refused?.(why)
      socket.end(encodeFrame({ no: 'refused' }))
      socket.destroySoon()
    }
    const silent = () => turnAway(new IpcError('ERR_IPC_REFUSED', `a caller at ${options.path} did not say hello`))
    const timer = setTimeout(() => setImmediate(silent), options.helloMs ?? HELLO_MS)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      clearTimeout(timer)
      strangers.delete(socket)
    })
    socket.on('data', (chunk: Buffer) => {
      if (!strangers.has(socket)) return
      try {
        decoder.push(chunk)
        const message = decoder.next()
        if (message === undefined) return
        const name = checkHello(message, options)
        // A caller speaks again only after our answer; what came behind the hello was said to nobody.
        if (!decoder.idle) throw new IpcError('ERR_IPC_PROTOCOL', `${name} spoke before it was welcomed`)
        strangers.delete(socket)
        clearTimeout(timer)
        welcome(socket, name)
      } catch (error) {
        if (!(error instanceof IpcError)) throw error
        turnAway(error)
      }
    })
  }

  function welcome(socket: Socket, name: string): void {
    socket.removeAllListeners('data')
    socket.removeAllListeners('error')
    socket.write(encodeFrame({ ok: true }))
    let handlers: IpcHandlers | null = null
    const to = (): IpcHandlers => {
      if (handlers === null) throw new Error('a message came before its handlers')
      return handlers
    }
    const connection = new Connection(
      name,
      socket,
      new FrameDecoder(),
      {
        request: (method, params) => to().request(method, params),
        notice: (method, params) => to().notice(method, params),
        closed(why) {
          peers.delete(connection)
          handlers?.closed(why)
        },
        bug: (error) => to().bug(error),
      },
      limits,
    )
    peers.add(connection)
    handlers = options.accept(connection)
    connection.start()
  }

  const server: Server = createServer(greet)
  const remove = await listenAt(server, options.path)
  return {
    path: options.path,
    async close() {
      await remove()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of strangers) socket.destroy()
      for (const peer of peers) peer.close()
      await closed
    },
  }
}

/** @returns the caller's name. @throws IpcError 'ERR_IPC_REFUSED' */
function checkHello(message: Readonly<Record<string, unknown>>, options: IpcServerOptions): string {
  const { role, name, key } = message
  const well =
    typeof name === 'string' && name.length <= MAX_NAME && /^[\x20-\x7e]+$/.test(name) && typeof key === 'string'
  const expected = well && role === options.role ? options.keyFor(name) : null
  // Digests have one length, so the comparison takes one time; a missing key is compared with itself, and still refused.
  const given = createHash('sha256').update(String(key)).digest()
  const wanted = expected === null ? given : createHash('sha256').update(expected.reveal()).digest()
  const equal = timingSafeEqual(given, wanted)
  if (!well || expected === null || !equal) {
    throw new IpcError(
      'ERR_IPC_REFUSED',
      `a caller at ${options.path} did not know the key of the role ${options.role}`,
    )
  }
  return name
}

export interface IpcClientOptions {
  readonly path: string
  readonly role: string
  /** Who we are: 1 to 64 printable ASCII characters. */
  readonly name: string
  readonly key: Secret
  readonly handlers: IpcHandlers
  readonly limits?: Partial<IpcLimits>
  /** From the call to the welcome. */
  readonly connectMs?: number
}

/**
 * Connects and says hello.
 *
 * @throws IpcError 'ERR_IPC_UNREACHABLE' (nobody listens), 'ERR_IPC_PERMISSION', 'ERR_IPC_REFUSED', 'ERR_IPC_TIMEOUT',
 *   'ERR_IPC_CLOSED', 'ERR_IPC_PROTOCOL', 'ERR_IPC_PATH'. The handlers have not been called then.
 */
export async function connectIpc(options: IpcClientOptions): Promise<IpcPeer> {
  const { path } = options
  checkSocketPath(path)
  const socket = connect(path)
  const decoder = new FrameDecoder()
  await new Promise<void>((resolve, reject) => {
    let isWelcome = false
    const fail = (error: IpcError) => {
      if (isWelcome) return
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const connectMs = options.connectMs ?? HELLO_MS
    const silent = () => fail(new IpcError('ERR_IPC_TIMEOUT', `nobody answered at ${path} within ${connectMs} ms`))
    const timer = setTimeout(() => setImmediate(silent), connectMs)
    socket.on('error', (cause: NodeJS.ErrnoException) => fail(asConnectError(path, cause)))
    socket.on('end', () => fail(new IpcError('ERR_IPC_CLOSED', `${path} hung up before it answered`)))
    socket.on('close', () => fail(new IpcError('ERR_IPC_CLOSED', `${path} hung up before it answered`)))
    socket.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk)
        const message = decoder.next()
        if (message === undefined) return
        if (message.ok !== true) throw new IpcError('ERR_IPC_REFUSED', `${path} refused us: the key is wrong`)
      } catch (error) {
        return fail(error instanceof IpcError ? error : new IpcError('ERR_IPC_PROTOCOL', `${path} speaks otherwise`))
      }
      isWelcome = true
      clearTimeout(timer)
      socket.pause()
      for (const event of ['data', 'error', 'end', 'close']) socket.removeAllListeners(event)
      resolve()
    })
    socket.write(encodeFrame({ role: options.role, name: options.name, key: options.key.reveal() }))
  })
  const connection = new Connection(path, socket, decoder, options.handlers, { ...DEFAULT_LIMITS, ...options.limits })
  connection.start()
  return connection
}

function asConnectError(path: string, cause: NodeJS.ErrnoException): IpcError {
  switch (cause.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return new IpcError('ERR_IPC_UNREACHABLE', `nobody listens at ${path} (${cause.code})`, { cause })
    case 'EACCES':
    case 'EPERM':
      return new IpcError('ERR_IPC_PERMISSION', `${path} may not be opened by this user (${cause.code})`, { cause })
    default:
      return new IpcError('ERR_IPC_CLOSED', `${path} can't be reached (${cause.code})`, { cause })
  }
}
