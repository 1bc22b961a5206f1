/**
 * Asks SMTP upstreams what they offer, without logging in, so that the first client can be told (client 13).
 *
 * In the background: an edge is ready without it, and an upstream that is away is asked again until it, or a login, answers.
 */

import type { Endpoint, Peer, UpstreamTarget } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import type { Log } from '../../log.ts'
import type { HostKey, Offers } from '../login/offers.ts'
import { hostKey } from '../login/offers.ts'
import type { Dialer } from '../net/dial.ts'
import { DialError } from '../net/dial.ts'
import { WireError } from '../net/wire.ts'
import { askUpstream } from './upstream.ts'

/** An upstream without the way in. */
export type AskedUpstream = Omit<UpstreamTarget, 'identity' | 'trusted'>

export interface ProberOptions {
  readonly dialer: Dialer
  readonly offers: Offers
  /** How we call ourselves. */
  readonly name: string
  readonly log: Log
}

export interface Prober {
  /** Asks hosts of which nothing is known, from now on until `stop` or the next `ask`. Resolves after the first round. */
  ask(upstreams: readonly AskedUpstream[]): Promise<void>
  stop(): void
}

/** One host of an upstream. */
interface Asked {
  readonly upstream: AskedUpstream
  readonly endpoint: Endpoint
  readonly key: HostKey
}

/** Until those that did not answer are asked again. */
const RETRY_MS = 60_000
/** Hosts that are asked at the same time. */
const AT_ONCE = 8
/** The connection is nobody's; a PROXY header needs some address. */
const NOBODY: Peer = { ip: '127.0.0.1', port: 0, localIp: '127.0.0.1', localPort: 0, tls: null }

export function createProber({ dialer, offers, name, log }: ProberOptions): Prober {
  let round = new AbortController()
  let timer: NodeJS.Timeout | undefined

  async function keywordsOf({ upstream, endpoint }: Asked, signal: AbortSignal): Promise<readonly string[] | null> {
    try {
      using wire = await dialer.dial({ ...upstream, hosts: [endpoint] }, NOBODY, signal)
      const keywords = await askUpstream(wire, upstream, name)
      await wire.end()
      return keywords
    } catch (error) {
      if (!(error instanceof DialError || error instanceof WireError || error instanceof LoginFailure)) throw error
      if (signal.aborted) return null
      log.event('info', 'upstream_failed', 'a host could not be asked what it offers; it will be asked again', {
        protocol: 'smtp',
        upstream: upstream.name,
        detail: `${endpoint.host}:${endpoint.port}: ${error.message}`,
      })
      return null
    }
  }

  async function ask(asked: Asked, signal: AbortSignal): Promise<void> {
    const keywords = await keywordsOf(asked, signal)
    if (signal.aborted) return
    if (keywords) offers.learn(asked.key, keywords)
    else offers.missed(asked.key)
  }

  async function run(hosts: readonly Asked[], signal: AbortSignal): Promise<void> {
    const unknown = new Set(offers.unknown())
    const asked = hosts.filter(({ key }) => unknown.has(key))
    for (let at = 0; at < asked.length && !signal.aborted; at += AT_ONCE) {
      await Promise.all(asked.slice(at, at + AT_ONCE).map((host) => ask(host, signal)))
    }
    if (signal.aborted || offers.unknown().length === 0) return
    timer = setTimeout(() => again(hosts, signal), RETRY_MS)
    timer.unref()
  }

  function again(hosts: readonly Asked[], signal: AbortSignal): void {
    run(hosts, signal).catch((error: unknown) => log.bug(error, 'asking upstreams what they offer'))
  }

  function stop(): void {
    round.abort()
    clearTimeout(timer)
  }

  return {
    async ask(upstreams) {
      stop()
      round = new AbortController()
      const hosts = upstreams.flatMap((upstream) =>
        upstream.hosts.map((endpoint) => ({ upstream, endpoint, key: hostKey(upstream.name, endpoint) })),
      )
      offers.expect(hosts.map(({ key }) => key))
      await run(hosts, round.signal)
    },
    stop,
  }
}
