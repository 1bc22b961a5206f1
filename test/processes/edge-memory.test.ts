/** E5 by measurement, in an edge alone: connections, guesses and sessions that are over leave nothing on its heap. */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import type { LoneEdge } from './lone-edge.ts'
import { planted, startLoneEdge } from './lone-edge.ts'
import { startMailbox, until } from './server.ts'

t.setTimeout(180_000)

const ROUNDS = 4
const AT_ONCE = 20
/** The least record of a session that could be forgotten is an object of some fields with two short names in it. */
const MOST_BYTES = 100
/** Of a request it is what node:http or undici have of it: a kilobyte and more. node:http takes a thousand of them to warm up. */
const MOST_OF_A_REQUEST = 500

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
    await keepsNothing(t, edge, name, times, async () => {
      using peer = await connect()
      await peer.expect(/^\* OK /)
      await use?.(peer)
      peer.end()
      if (!peer.socket.closed) await once(peer.socket, 'close')
    })
  }
})

t.test('E5: nor does a request of a phone, whatever becomes of its connections', async (t) => {
  const upstream = createServer((incoming, response) => void incoming.resume().on('end', () => response.end('ok')))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const edge = await startLoneEdge(t, 'https', (upstream.address() as AddressInfo).port, async () => {})
  const staying = new Agent({ keepAlive: true, maxSockets: AT_ONCE, ...edge.tls })
  t.teardown(() => {
    staying.destroy()
    upstream.closeAllConnections()
    upstream.close()
  })
  let users = 0
  const sync = async (agent: Agent | false) => {
    const asked = request({
      ...edge.tls,
      host: '127.0.0.1',
      port: edge.tlsPort,
      agent,
      method: 'POST',
      path: '/Microsoft-Server-ActiveSync?Cmd=Sync&User=ann&DeviceId=PHONE1&DeviceType=iPhone',
      headers: { authorization: `Basic ${Buffer.from(`ann${users++}@example.org:${planted()}`).toString('base64')}` },
    })
    asked.end('x')
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
    response.resume()
    await once(response, 'close')
  }
  await keepsNothing(t, edge, 'request on a connection of its own', 300, () => sync(false), MOST_OF_A_REQUEST)
  await keepsNothing(t, edge, 'request on a connection that stays', 600, () => sync(staying), MOST_OF_A_REQUEST)
})

/** @param times how often in each round, some of them at once */
async function keepsNothing(
  t: Test,
  edge: LoneEdge,
  name: string,
  times: number,
  one: () => Promise<void>,
  most = MOST_BYTES,
): Promise<void> {
  const round = async () => {
    for (let i = 0; i < times; i += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, one))
    await until(async () => (await edge.ask('sessions', null, 5000)).length === 0, 'every session is over')
  }
  await round()
  let before = await edge.heapKiB()
  const kept: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    await round()
    const after = await edge.heapKiB()
    kept.push(((after - before) * 1024) / times)
    before = after
  }
  t.comment(`${name}: ${before.toFixed(0)} KiB; bytes each, by round: ${kept.map(Math.round).join(', ')}`)
  const mean = kept.reduce((sum, each) => sum + each) / ROUNDS
  t.ok(mean < most, `${name} keeps ${mean.toFixed(0)} bytes each`)
}
