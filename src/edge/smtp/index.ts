/**
 * SMTP submission as a protocol of the login loop: its dialogue with clients and its login upstream, with a listener's options.
 */

import type { Protocol } from '../login/protocol.ts'
import type { SmtpDialogueOptions } from './dialogue.ts'
import { greetClient } from './dialogue.ts'
import { createLineGates } from './line-gate.ts'
import { loginUpstream } from './upstream.ts'

export type { SmtpDialogueOptions } from './dialogue.ts'

/** One listener's SMTP. */
export function createSmtp(options: SmtpDialogueOptions): Protocol {
  const { name, offers, log, metrics } = options
  const gates = createLineGates({
    name,
    onError(error) {
      metrics.bugs.inc()
      log.bug(error, 'smtp-server reported an error', { protocol: 'smtp', listener: options.listener })
    },
  })
  return {
    name: 'smtp',
    greet: async (client, peer) => greetClient(client, peer, gates, options),
    async login(upstream, target, client, sessionId) {
      const session = await loginUpstream(upstream, target, { name, client, sessionId })
      offers.learn(target.name, session.capabilities)
      return session
    },
  }
}
