/** E5 by measurement, in an edge alone: connections, guesses and sessions that are over leave nothing on its heap. */

import { once } from 'node:events'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { keepsNothing } from './heap-kept.ts'
import { planted, startLoneEdge } from './lone-edge.ts'
import { startMailbox } from './server.ts'

t.setTimeout(240_000)

/** The least record of a session that could be forgotten is an object of some fields with two short names in it. */
const MOST_BYTES = 100

t.test('E5: what is over leaves nothing on an edge’s heap', async (t) => {
  const mailbox = await startMailbox(t)
  const edge = await startLoneEdge(t, 'imap', mailbox.port, async ({ credential: { authcid } }) => {
    if (authcid.startsWith('wrong')) throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 1 })
  })
  const logIn = async (peer: ScriptedPeer, user: string, wanted: RegExp) => {
    peer.send(`1 LOGIN ${user}@example.org ${planted()}\r\n`)
    await peer.expect(wanted)
  }
  let users = 0
  const overTls = () => scriptedClient(edge.tlsPort, { tls: edge.tls })
  const kinds = {
    'connection that says nothing': [1000, () => scriptedClient(edge.port), null],
    'TLS, and gone': [500, overTls, null],
    'guess at another user each time': [
      1000,
      () => scriptedClient(edge.port),
      (peer) => logIn(peer, `wrong${users++}`, /^1 NO /),
    ],
    'session of another user each time': [
      1000,
      () => scriptedClient(edge.port),
      (peer) => logIn(peer, `ann${users++}`, /^1 OK /),
    ],
    'session over TLS, and a command in it': [
      500,
      overTls,
      async (peer) => {
        await logIn(peer, 'ann', /^1 OK /)
        peer.send('2 NOOP\r\n')
        await peer.expect(/^2 OK /)
      },
    ],
  } as const satisfies Record<
    string,
    readonly [number, () => Promise<ScriptedPeer>, null | ((peer: ScriptedPeer) => Promise<void>)]
  >
  for (const [name, [times, connect, use]] of Object.entries(kinds)) {
    const one = async () => {
      using peer = await connect()
      await peer.expect(/^\* OK /)
      await use?.(peer)
      peer.end()
      if (!peer.socket.closed) await once(peer.socket, 'close')
    }
    await keepsNothing(t, edge, name, one, { times, mostBytes: MOST_BYTES })
  }
})
