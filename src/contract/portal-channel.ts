/**
 * Web ↔ keeper over web.sock: a fixed list of questions (portal.ts), each checked by the keeper before it is looked at.
 *
 * Web holds no secret but its key for this channel, which the supervisor gives to both. When the keeper is away a question waits
 * for it for a moment and is then 'unavailable'; one that was under way when the channel broke is not asked twice, since it may
 * have been done.
 */

import type { IpcPeer } from '../ipc.ts'
import { connectIpc, IpcError, IpcFailure, serveIpc } from '../ipc.ts'
import type { Log } from '../log.ts'
import type { Secret } from '../secret.ts'
import type { PortalHandlers, PortalMethodName, PortalParams, PortalServices } from './portal.ts'
import { PORTAL_METHODS } from './portal.ts'
import { ServiceError } from './services.ts'
import { asServiceError } from './services-channel.ts'

const ROLE = 'web'
/** The largest answers are pages of a listing of the admin API. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** A failure delay and a hash are within this. */
const CALL_MS = 60_000
/** People's pages: a few hundred questions a second are a very busy day. */
const LIMITS = { inWork: 64, framesPerSecond: 2000 }
/** How long a question waits for a keeper that is away. It is back within a second. */
const WAIT_MS = 2000
const RETRY_MS = 20
const MAX_RETRY_MS = 250

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
  return { call: (name, request) => run(handlers, name, request) as never }
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
  readonly isUp: boolean
  close(): void
}

export interface PortalConnectionOptions {
  readonly path: string
  readonly key: Secret
  readonly log: Log
  /** How long a question waits for a keeper that is away. Default 2 s. */
  readonly waitMs?: number
}

type State = { readonly at: 'down' } | { readonly at: 'up'; readonly peer: IpcPeer } | { readonly at: 'closed' }

/** Connects in the background and stays connected until `close`. */
export function connectPortal({ path, key, log, waitMs = WAIT_MS }: PortalConnectionOptions): PortalConnection {
  let state: State = { at: 'down' }
  let retry: NodeJS.Timeout | null = null
  let retryMs = RETRY_MS
  const waiting = new Set<() => void>()

  async function connect(): Promise<void> {
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
        closed: lost,
        bug: (error) => log.bug(error, 'a message of the keeper could not be handled'),
      },
      limits: { answerBytes: MAX_ANSWER_BYTES },
    })
    if (state.at === 'closed') return peer.close()
    if (!peer.isOpen) throw new IpcError('ERR_IPC_CLOSED', 'the channel closed as soon as it was open')
    state = { at: 'up', peer }
    retryMs = RETRY_MS
    for (const wake of waiting) wake()
    waiting.clear()
  }

  function lost(why: IpcError): void {
    if (state.at !== 'up') return
    state = { at: 'down' }
    log.event('warn', 'warning', 'the keeper is away: pages wait', { error_code: why.code, detail: why.message })
    tryAgain()
  }

  function tryAgain(): void {
    if (state.at !== 'down' || retry !== null) return
    retry = setTimeout(start, retryMs)
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)
  }

  function start(): void {
    retry = null
    connect().catch((error: unknown) => {
      if (!(error instanceof IpcError)) log.bug(error, 'connecting to the keeper failed')
      else if (error.code !== 'ERR_IPC_UNREACHABLE' && state.at !== 'closed') {
        log.event('warn', 'warning', 'the keeper can not be reached', {
          error_code: error.code,
          detail: error.message,
        })
      }
      tryAgain()
    })
  }

  async function whenUp(): Promise<IpcPeer> {
    if (state.at === 'down') {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        waiting.add(resolve)
        timer = setTimeout(() => {
          waiting.delete(resolve)
          resolve()
        }, waitMs)
      })
      clearTimeout(timer)
    }
    if (state.at !== 'up') throw new ServiceError('unavailable', 'the keeper is away')
    return state.peer
  }

  start()
  return {
    async call(name, request) {
      const peer = await whenUp()
      try {
        return (await peer.request(name, request, CALL_MS)) as never
      } catch (error) {
        throw asServiceError(error)
      }
    },
    get isUp() {
      return state.at === 'up'
    },
    close() {
      const before = state
      state = { at: 'closed' }
      if (retry !== null) clearTimeout(retry)
      if (before.at === 'up') before.peer.close()
      for (const wake of waiting) wake()
      waiting.clear()
    },
  }
}
