/**
 * Web ↔ keeper over web.sock: a fixed list of questions (portal.ts), each checked by the keeper before it is looked at.
 *
 * Web holds no secret but its key for this channel, which the supervisor gives to both. When the keeper is away a question waits
 * for it for a moment and is then 'unavailable'; one that was under way when the channel broke is not asked twice, since it may
 * have been done.
 */

import { connectIpc, IpcError, IpcFailure, serveIpc } from '../ipc.ts'
import type { Log } from '../log.ts'
import type { Secret } from '../secret.ts'
import type { Link } from './keeper-link.ts'
import { KEEPER_WAIT_MS, linkToKeeper } from './keeper-link.ts'
import type {
  PortalAnswer,
  PortalHandlers,
  PortalMethodName,
  PortalParams,
  PortalRequest,
  PortalServices,
} from './portal.ts'
import { PORTAL_METHODS } from './portal.ts'
import { ServiceError } from './services.ts'
import { asServiceError } from './services-channel.ts'

const ROLE = 'web'
/** The largest answers are pages of a listing of the admin API. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** A failure delay and a hash are within this. */
const CALL_MS = 60_000
/**
 * People's pages: a few hundred questions a second are a very busy day. Many may be under way, because who signs in may have to wait
 * in line, and one address can fill a line of a hundred.
 */
const LIMITS = { inWork: 1024, framesPerSecond: 2000 }

export interface PortalServerOptions {
  readonly path: string
  readonly key: Secret
  readonly handlers: PortalHandlers
  readonly log: Log
}

/** Serves web until closed. @throws IpcError when the socket can't be made */
export async function servePortal({ path, key, handlers, log }: PortalServerOptions): Promise<{
  close(): Promise<void>
}> {
  return serveIpc({
    path,
    role: ROLE,
    keyFor: () => key,
    accept: (peer) => ({
      async request(method, params) {
        try {
          return await run(handlers, method, params)
        } catch (error) {
          if (error instanceof ServiceError) throw new IpcFailure(error.code, error.message)
          throw error
        }
      },
      notice(method) {
        throw new IpcError('ERR_IPC_PROTOCOL', `${peer.name} sent a notice ${method}`)
      },
      closed() {},
      bug: (error) => log.bug(error, 'a question of web failed'),
    }),
    refused: (why) =>
      log.event('warn', 'warning', 'a caller was turned away', { error_code: why.code, detail: why.message }),
    limits: LIMITS,
  })
}

/** The keeper's handlers called directly (`workers: 0`), checked all the same. */
export function localPortal(handlers: PortalHandlers): PortalServices {
  return {
    call: <N extends PortalMethodName>(name: N, request: PortalRequest<N>) =>
      run(handlers, name, request) as Promise<PortalAnswer<N>>,
  }
}

/** Checks a question against the table and runs it. The one place where an untyped call becomes a typed one. */
async function run(handlers: PortalHandlers, method: string, params: unknown): Promise<unknown> {
  if (!isPortalMethod(method)) throw new ServiceError('invalid', `web can't ask for ${method}`)
  const parsed = PORTAL_METHODS[method].request.safeParse(params)
  if (!parsed.success) {
    // Places only: what stands there may be a password.
    const places = parsed.error.issues.slice(0, 3).map(({ path, code }) => `${path.join('.') || 'request'}: ${code}`)
    throw new ServiceError('invalid', `${method}: ${places.join(', ')}`)
  }
  const handler = handlers[method] as (params: PortalParams<PortalMethodName>) => Promise<unknown>
  return handler(parsed.data)
}

function isPortalMethod(method: string): method is PortalMethodName {
  return Object.hasOwn(PORTAL_METHODS, method)
}

export interface PortalConnection extends PortalServices {
  close(): void
}

export interface PortalConnectionOptions {
  readonly path: string
  readonly key: Secret
  readonly log: Log
  /** How long a question waits for a keeper that is away. Default 2 s. */
  readonly waitMs?: number
}

/** Connects in the background and stays connected until `close`. */
export function connectPortal({ path, key, log, waitMs = KEEPER_WAIT_MS }: PortalConnectionOptions): PortalConnection {
  const keeper = linkToKeeper<Link>({
    async open(closed) {
      const peer = await connectIpc({
        path,
        role: ROLE,
        name: 'web',
        key,
        handlers: {
          request: async () => {
            throw new IpcFailure('invalid', 'the keeper asks nothing here')
          },
          notice() {},
          closed,
          bug: (error) => log.bug(error, 'a message of the keeper could not be handled'),
        },
        limits: { answerBytes: MAX_ANSWER_BYTES },
      })
      return { peer }
    },
    meanwhile: 'pages wait',
    log,
  })

  return {
    async call<N extends PortalMethodName>(name: N, request: PortalRequest<N>) {
      const link = keeper.current ?? (await keeper.whenUp(waitMs))
      if (link === null) throw new ServiceError('unavailable', 'the keeper is away')
      try {
        return (await link.peer.request(name, request, CALL_MS)) as PortalAnswer<N>
      } catch (error) {
        throw asServiceError(error)
      }
    },
    close: () => keeper.close(),
  }
}
