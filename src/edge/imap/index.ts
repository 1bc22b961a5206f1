/**
 * IMAP as a protocol of the login loop: its dialogue with clients and its login upstream, with a listener's options.
 */

import type { Protocol } from '../login/protocol.ts'
import type { ImapDialogueOptions } from './dialogue.ts'
import { greetClient } from './dialogue.ts'
import { loginUpstream } from './upstream.ts'

export type ImapOptions = ImapDialogueOptions

/** One listener's IMAP. */
export function createImap(options: ImapOptions): Protocol {
  return {
    name: 'imap',
    greet: async (client, peer) => greetClient(client, peer, options),
    login: loginUpstream,
  }
}
