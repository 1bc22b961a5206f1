/**
 * POP3 as a protocol of the login loop: its dialogue with clients and its login upstream, with a listener's options.
 */

import type { DialogueOptions } from '../login/dialogue.ts'
import type { Protocol } from '../login/protocol.ts'
import { greetClient } from './dialogue.ts'
import { lastWords } from './replies.ts'
import { loginUpstream } from './upstream.ts'

/** One listener's POP3. */
export function createPop3(options: DialogueOptions): Protocol {
  return {
    name: 'pop3',
    lastWords,
    greet: async (client, peer) => greetClient(client, peer, options),
    login: loginUpstream,
  }
}
