/**
 * A channel to the keeper that outlives its keeper: connected in the background, again and again, until it is closed. What both
 * callers of the keeper need of it, an edge (gate-channel.ts) and web (portal-channel.ts); what they say there is theirs.
 */

import type { IpcPeer } from '../ipc.ts'
import { IpcError, IpcFailure } from '../ipc.ts'
import type { Log } from '../log.ts'

/** One channel, and what its owner keeps for as long as it lasts. */
export interface Link {
  readonly peer: IpcPeer
}

export interface KeeperLinkOptions<L extends Link> {
  /**
   * Makes a channel, and does on it what comes before everything else.
   *
   * @param closed the channel's own handler
   * @throws IpcError, IpcFailure: it is tried again; the channel is closed then
   */
  open(closed: (why: IpcError) => void): Promise<L>
  /** A channel is up from now on. */
  up?(link: L): void
  /** It was, and broke; in the same turn. */
  down?(): void
  /** What goes on and what waits meanwhile, for the log: 'sessions go on, logins wait'. */
  readonly meanwhile: string
  readonly log: Log
}

export interface KeeperLink<L extends Link> {
  /** null: the keeper is away, or this was closed. */
  readonly current: L | null
  /** Waits for the keeper for at most `ms`; null when it stays away, or this was closed. */
  whenUp(ms: number): Promise<L | null>
  readonly isClosed: boolean
  /** Ends the channel for good. */
  close(): void
}

/** How long a question waits for a keeper that is away. It is back within a second. */
export const KEEPER_WAIT_MS = 2000
/** Between two tries to reach it: at first, and at most. */
const RETRY_MS = 20
const MAX_RETRY_MS = 250

type State<L> = { readonly at: 'down' } | { readonly at: 'up'; readonly link: L } | { readonly at: 'closed' }

export function linkToKeeper<L extends Link>(options: KeeperLinkOptions<L>): KeeperLink<L> {
  const { meanwhile, log } = options
  let state: State<L> = { at: 'down' }
  const waiting = new Set<() => void>()
  let retry: NodeJS.Timeout | null = null
  let retryMs = RETRY_MS
  let lostAt: number | null = null

  async function connect(): Promise<void> {
    let opened: L | null = null
    // Before it is up, a channel that breaks says so by what `open` rejects with.
    const link = await options.open((why) => {
      if (opened !== null) lost(opened, why)
    })
    if (state.at === 'closed') return link.peer.close()
    if (!link.peer.isOpen) throw new IpcError('ERR_IPC_CLOSED', 'the channel closed as soon as it was open')
    opened = link
    state = { at: 'up', link }
    retryMs = RETRY_MS
    if (lostAt !== null) {
      log.event('info', 'warning', 'the keeper is back', { duration_ms: Math.round(performance.now() - lostAt) })
      lostAt = null
    }
    options.up?.(link)
    wakeAll()
  }

  function lost(link: L, why: IpcError): void {
    if (state.at !== 'up' || state.link !== link) return
    state = { at: 'down' }
    lostAt = performance.now()
    options.down?.()
    log.event('warn', 'warning', `the keeper is away: ${meanwhile}`, { error_code: why.code, detail: why.message })
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
      if (!(error instanceof IpcError || error instanceof IpcFailure)) log.bug(error, 'connecting to the keeper failed')
      else if (error.code !== 'ERR_IPC_UNREACHABLE' && state.at !== 'closed') {
        log.event('warn', 'warning', 'the keeper can not be reached', {
          error_code: error.code,
          detail: error.message,
        })
      }
      tryAgain()
    })
  }

  function wakeAll(): void {
    for (const wake of waiting) wake()
    waiting.clear()
  }

  const current = (): L | null => (state.at === 'up' ? state.link : null)

  start()
  return {
    get current() {
      return current()
    },
    get isClosed() {
      return state.at === 'closed'
    },
    async whenUp(ms) {
      if (state.at !== 'down') return current()
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        waiting.add(resolve)
        timer = setTimeout(() => {
          waiting.delete(resolve)
          resolve()
        }, ms)
      })
      clearTimeout(timer)
      return current()
    },
    close() {
      const before = state
      state = { at: 'closed' }
      if (retry !== null) clearTimeout(retry)
      if (before.at === 'up') before.link.peer.close()
      wakeAll()
    },
  }
}
