/**
 * Asks SMTP upstreams what they offer, without logging in, so that the first client can be told (client 13).
 *
 * In the background: an edge is ready without it, and an upstream that is away is asked again until it, or a login, answers.
 */

import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Log } from '../../log.ts'
import type { Offers } from '../login/offers.ts'
import { createOffers } from '../login/offers.ts'
import type { Dialer } from '../net/dial.ts'
import { DialError } from '../net/dial.ts'
import { WireError } from '../net/wire.ts'
import { mergeParameters } from './replies.ts'
import { askUpstream } from './upstream.ts'

/** An upstream without the way in. */
export type AskedUpstream = Omit<UpstreamTarget, 'identity' | 'trusted'>

export interface ProberOptions {
  readonly dialer: Dialer
  readonly offers: Offers
  /** How we call ourselves. */
  readonly name: string
  readonly log: Log
  /** Until those that did not answer are asked again. Default a minute. */
  readonly retryMs?: number
}

export interface Prober {
  /** Asks those of whom nothing is known, from now on until `stop` or the next `ask`. Resolves after the first round. */
  ask(upstreams: readonly AskedUpstream[]): Promise<void>
  stop(): void
}

const RETRY_MS = 60_000
/** Upstreams that are asked at the same time. */
const AT_ONCE = 8
/** The connection is nobody's; a PROXY header needs some address. */
const NOBODY: Peer = { ip: '127.0.0.1', port: 0, localIp: '127.0.0.1', localPort: 0, tls: null }

export function createProber({ dialer, offers, name, log, retryMs = RETRY_MS }: ProberOptions): Prober {
  let round = new AbortController()
  let timer: NodeJS.Timeout | undefined

  async function askHost(upstream: AskedUpstream, signal: AbortSignal): Promise<readonly string[] | null> {
    try {
      using wire = await dialer.dial(upstream, NOBODY, signal)
      const keywords = await askUpstream(wire, upstream, name)
      await wire.end()
      return keywords
    } catch (error) {
      if (!(error instanceof DialError || error instanceof WireError || error instanceof LoginFailure)) throw error
      if (signal.aborted) return null
      log.event('info', 'upstream_failed', 'an upstream could not be asked what it offers; it will be asked again', {
        protocol: 'smtp',
        upstream: upstream.name,
        detail: error.message,
      })
      return null
    }
  }

  /** What all of its hosts that answer have in common. */
  async function askAll(upstream: AskedUpstream, signal: AbortSignal): Promise<void> {
    const hosts = createOffers(mergeParameters)
    hosts.expect(upstream.hosts.map(({ host, port }) => `${host} ${port}`))
    for (const endpoint of upstream.hosts) {
      const keywords = await askHost({ ...upstream, hosts: [endpoint] }, signal)
      const key = `${endpoint.host} ${endpoint.port}`
      if (keywords) hosts.learn(key, keywords)
      else hosts.missed(key)
    }
    if (signal.aborted) return
    const common = hosts.common()
    if (common) offers.learn(upstream.name, common)
    else offers.missed(upstream.name)
  }

  async function run(upstreams: readonly AskedUpstream[], signal: AbortSignal): Promise<void> {
    const unknown = new Set(offers.unknown())
    const asked = upstreams.filter((upstream) => unknown.has(upstream.name))
    for (let at = 0; at < asked.length && !signal.aborted; at += AT_ONCE) {
      await Promise.all(asked.slice(at, at + AT_ONCE).map((upstream) => askAll(upstream, signal)))
    }
    if (signal.aborted || offers.unknown().length === 0) return
    timer = setTimeout(() => again(upstreams, signal), retryMs)
    timer.unref()
  }

  function again(upstreams: readonly AskedUpstream[], signal: AbortSignal): void {
    run(upstreams, signal).catch((error: unknown) => log.bug(error, 'asking upstreams what they offer'))
  }

  function stop(): void {
    round.abort()
    clearTimeout(timer)
  }

  return {
    async ask(upstreams) {
      stop()
      round = new AbortController()
      offers.expect(upstreams.map((upstream) => upstream.name))
      await run(upstreams, round.signal)
    },
    stop,
  }
}
