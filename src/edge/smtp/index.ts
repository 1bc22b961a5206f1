/**
 * SMTP submission as a protocol of the login loop: its dialogue with clients and its login upstream.
 *
 * Unlike other protocols it is one thing for all listeners of an edge: what the upstreams offer is learnt once. Loaded only
 * where there is such a listener, because it brings a library with it.
 */

import { hostname } from 'node:os'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { DialogueOptions } from '../login/dialogue.ts'
import type { Offers } from '../login/offers.ts'
import { createOffers, hostKey } from '../login/offers.ts'
import type { Protocol } from '../login/protocol.ts'
import type { Dialer } from '../net/dial.ts'
import { greetClient } from './dialogue.ts'
import type { LineGates } from './line-gate.ts'
import { createLineGates } from './line-gate.ts'
import type { AskedUpstream } from './probe.ts'
import { createProber } from './probe.ts'
import { lastWords, mergeParameters } from './replies.ts'
import { loginUpstream } from './upstream.ts'

export interface SmtpOptions {
  readonly dialer: Dialer
  readonly log: Log
  readonly metrics: Metrics
  /** How we call ourselves, to both sides. Default: the machine's name. */
  readonly name?: string
}

export interface Smtp {
  /** One listener's SMTP. */
  protocol(options: DialogueOptions): Protocol
  /** Which upstreams there are; asks those of whom nothing is known. Resolves when each has been asked once. */
  expect(upstreams: readonly AskedUpstream[]): Promise<void>
  /** Asks nobody any more. */
  stop(): void
  readonly offers: Offers
}

export function openSmtp(options: SmtpOptions): Smtp {
  const { dialer, log, metrics, name = ownName() } = options
  const offers = createOffers(mergeParameters)
  const prober = createProber({ dialer, offers, name, log })
  const gates: LineGates = createLineGates({
    name,
    onError(error) {
      metrics.bugs.inc()
      log.bug(error, 'smtp-server reported an error', { protocol: 'smtp' })
    },
  })
  return {
    offers,
    protocol: (dialogue) => ({
      name: 'smtp',
      lastWords,
      greet: async (client, peer) => greetClient(client, peer, gates, { ...dialogue, name, offers }),
      async login(upstream, target, client, sessionId) {
        const session = await loginUpstream(upstream, target, { name, client, sessionId })
        if (upstream.dialled) offers.learn(hostKey(target.name, upstream.dialled.endpoint), session.capabilities)
        return session
      },
    }),
    expect: (upstreams) => prober.ask(upstreams),
    stop: () => prober.stop(),
  }
}

/** RFC 5321 §4.1.3 would take an address; servers that look at the name at all want one. */
function ownName(): string {
  const name = hostname()
  return /^[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*$/.test(name) ? name : 'localhost'
}
