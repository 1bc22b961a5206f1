/**
 * IMAP as a protocol of the login loop: its dialogue with clients and its login upstream, with a listener's options.
 */

import type { DialogueOptions } from '../login/dialogue.ts'
import type { Protocol } from '../login/protocol.ts'
import { greetClient } from './dialogue.ts'
import { lastWords } from './replies.ts'
import { loginUpstream } from './upstream.ts'

/** One listener's IMAP. */
export function createImap(options: DialogueOptions): Protocol {
  return {
    name: 'imap',
    lastWords,
    greet: async (client, peer) => greetClient(client, peer, options),
    login: loginUpstream,
  }
}
