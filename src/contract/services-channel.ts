/**
 * The keeper's services over control.sock: for the command line. Web has a socket of its own (portal-channel.ts).
 *
 * Who may open the directory of the socket may ask, and the key in `control.key` beside it (0600, new at every start of the
 * keeper) is the proof: an edge can connect to any unix socket, but can't read a file. Requests are checked by the table in
 * services.ts, so both sides know the same methods; the caller says in its hello who asks, for the audit trail.
 */

import { randomBytes } from 'node:crypto'
import { open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { IpcPeer } from '../ipc.ts'
import { connectIpc, ensurePrivateDirectory, IpcError, IpcFailure, serveIpc } from '../ipc.ts'
import type { Log } from '../log.ts'
import { Secret } from '../secret.ts'
import type {
  ServiceAnswer,
  ServiceErrorCode,
  ServiceHandlers,
  ServiceName,
  ServiceParams,
  ServiceRequest,
  Services,
} from './services.ts'
import { SERVICE_METHODS, ServiceError } from './services.ts'

const ROLE = 'control'
/** A page of 200 entries is well under this; requests fit one frame. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Deleting many app passwords, a backup: the longest thing a service does. */
const CALL_MS = 10 * 60_000
/** A keeper on a machine that is busy is slow to greet, and a command that waits is better than one that fails. */
const CONNECT_MS = 15_000
const KEY_TRIES = 4
const KEY_RETRY_MS = 50

/** Where the control socket and its key are, in the runtime directory. */
export function controlPaths(runtimeDirectory: string): { readonly socket: string; readonly key: string } {
  return { socket: join(runtimeDirectory, 'control.sock'), key: join(runtimeDirectory, 'control.key') }
}

export interface ServicesServerOptions {
  readonly runtimeDirectory: string
  readonly handlers: ServiceHandlers
  readonly log: Log
}

/** Serves callers until closed. @throws IpcError when the socket can't be made */
export async function serveServices({ runtimeDirectory, handlers, log }: ServicesServerOptions): Promise<{
  close(): Promise<void>
}> {
  const paths = controlPaths(runtimeDirectory)
  const key = new Secret(randomBytes(32).toString('base64url'))

  const server = await serveIpc({
    path: paths.socket,
    role: ROLE,
    keyFor: () => key,
    accept: (peer) => ({
      request: (method, params) => call(method, params, peer.name),
      notice(method) {
        throw new IpcError('ERR_IPC_PROTOCOL', `${peer.name} sent a notice ${method}`)
      },
      closed() {},
      bug: (error) => log.bug(error, 'a service failed'),
    }),
    refused: (why) =>
      log.event('warn', 'warning', 'a caller was turned away', { error_code: why.code, detail: why.message }),
    limits: { inWork: 16, framesPerSecond: 1000 },
  })

  async function call(method: string, params: unknown, actor: string): Promise<unknown> {
    if (!isServiceName(method)) throw new IpcFailure('invalid', `there is no service ${method}`)
    try {
      return await run(handlers, method, params, actor)
    } catch (error) {
      if (error instanceof ServiceError) throw new IpcFailure(error.code, error.message)
      throw error
    }
  }

  try {
    await writeKey(paths.key, key)
  } catch (error) {
    await server.close()
    throw error
  }
  return {
    async close() {
      await unlink(paths.key).catch(() => {}) // gone already, or a newer keeper's: then it was replaced, not unlinked
      await server.close()
    },
  }
}

function isServiceName(method: string): method is ServiceName {
  return Object.hasOwn(SERVICE_METHODS, method)
}

/** Checks a request against the table and runs it. The one place where an untyped call becomes a typed one. */
async function run(handlers: ServiceHandlers, method: ServiceName, params: unknown, actor: string): Promise<unknown> {
  const parsed = SERVICE_METHODS[method].request.safeParse(params)
  if (!parsed.success) {
    const places = parsed.error.issues.slice(0, 3).map(({ path, code }) => `${path.join('.') || 'request'}: ${code}`)
    throw new ServiceError('invalid', `${method}: ${places.join(', ')}`)
  }
  // Each handler takes the params of its own name; TypeScript can't follow the pair through the table.
  const handler = handlers[method] as (params: ServiceParams<ServiceName>, actor: string) => Promise<unknown>
  return handler(parsed.data, actor)
}

/** A keeper's services called directly, in its own process, checked all the same. */
export function localServices(handlers: ServiceHandlers, actor: string): Services {
  return {
    call: <N extends ServiceName>(name: N, request: ServiceRequest<N>) =>
      run(handlers, name, request, actor) as Promise<ServiceAnswer<N>>,
  }
}

async function writeKey(path: string, key: Secret): Promise<void> {
  await ensurePrivateDirectory(dirname(path))
  const fresh = `${path}.${process.pid}`
  await unlink(fresh).catch(() => {})
  const handle = await open(fresh, 'wx', 0o600)
  try {
    await handle.writeFile(key.reveal())
  } finally {
    await handle.close()
  }
  await rename(fresh, path) // whole or not at all
}

export interface ServicesConnection extends Services {
  close(): void
}

/**
 * Connects to a running keeper.
 *
 * @param actor who asks: 1 to 64 printable ASCII characters
 * @throws IpcError 'ERR_IPC_UNREACHABLE' when no keeper is there, 'ERR_IPC_PERMISSION', 'ERR_IPC_REFUSED' and others
 */
export async function connectServices(runtimeDirectory: string, actor: string): Promise<ServicesConnection> {
  const paths = controlPaths(runtimeDirectory)
  const peer = await connectPatiently(paths, actor)
  return {
    async call<N extends ServiceName>(name: N, request: ServiceRequest<N>) {
      try {
        return (await peer.request(name, request, CALL_MS)) as ServiceAnswer<N>
      } catch (error) {
        throw asServiceError(error)
      }
    },
    close: () => peer.close(),
  }
}

/** A keeper that is just starting listens a moment before its new key is there. */
async function connectPatiently(paths: ReturnType<typeof controlPaths>, actor: string): Promise<IpcPeer> {
  for (let tries = 1; ; tries++) {
    try {
      return await connect(paths, actor)
    } catch (error) {
      if (!(error instanceof IpcError && error.code === 'ERR_IPC_REFUSED') || tries === KEY_TRIES) throw error
      await delay(KEY_RETRY_MS)
    }
  }
}

async function connect(paths: ReturnType<typeof controlPaths>, actor: string): Promise<IpcPeer> {
  const key = await readFile(paths.key, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EACCES' || cause.code === 'EPERM') {
      const advice = 'run the command as root, or as the user that the server runs as (sudo -u sallyport …)'
      const message = `${paths.key} may not be read by this user (${cause.code}): ${advice}`
      throw new IpcError('ERR_IPC_PERMISSION', message, { cause })
    }
    return '' // without a key there may still be somebody who refuses us, which is more than nobody
  })
  return connectIpc({
    path: paths.socket,
    role: ROLE,
    name: actor,
    key: new Secret(key),
    connectMs: CONNECT_MS,
    handlers: {
      request: async () => {
        throw new IpcFailure('invalid', 'the keeper asks nothing here')
      },
      notice() {},
      closed() {},
      bug() {},
    },
    limits: { answerBytes: MAX_ANSWER_BYTES },
  })
}

const SERVICE_ERRORS: readonly string[] = [
  'not-found',
  'exists',
  'invalid',
  'cap-reached',
  'forbidden',
  'not-configured',
  'unavailable',
  'outcome-unknown',
  'throttled',
  'signed-out',
  'unauthorised',
  'step-up-needed',
] satisfies ServiceErrorCode[]

/** What a failed call over a channel means for whoever asked. Anything else is a bug and goes on as it is. */
export function asServiceError(error: unknown): unknown {
  if (error instanceof IpcFailure && SERVICE_ERRORS.includes(error.code)) {
    return new ServiceError(error.code as ServiceErrorCode, error.message)
  }
  if (error instanceof IpcFailure) return new ServiceError('unavailable', error.message, { cause: error })
  if (!(error instanceof IpcError)) return error
  const code = error.code === 'ERR_IPC_TOO_LARGE' ? 'invalid' : 'unavailable'
  return new ServiceError(code, error.message, { cause: error })
}
