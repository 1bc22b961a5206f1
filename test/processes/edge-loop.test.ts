/** E7 by measurement: nothing that an edge does for logins and sessions keeps the others waiting for more than 20 ms. */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient, scriptedServer } from '../support/peer.ts'
import { LIMIT_MS, longestTurn, within } from '../support/turn-limit.ts'
import { planted, startLoneEdge } from './lone-edge.ts'
import { until } from './server.ts'

t.setTimeout(180_000)

const MB = 1024 * 1024
const MAIL = Buffer.alloc(20 * MB, `${'x'.repeat(78)}\r\n`)

t.test('E7: handshakes, logins, guesses, floods of silence, and mail both ways', async (t) => {
  await using mailbox = await scriptedServer(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n')
    for (;;) {
      const line = await peer.line().catch(() => null)
      if (line === null) return
      const [tag, command = ''] = line.split(' ')
      if (command === 'CAPABILITY') peer.send('* CAPABILITY IMAP4rev1\r\n')
      if (command === 'GIVE') peer.socket.write(MAIL)
      if (command === 'TAKE') await peer.bytes(MAIL.length)
      peer.send(`${tag} OK done\r\n`)
    }
  })
  const edge = await startLoneEdge(t, 'imap', mailbox.port, async ({ credential: { authcid } }) => {
    if (authcid.startsWith('wrong')) throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 1 })
  })
  const clear = () => scriptedClient(edge.port, { timeoutMs: 30_000 })
  const overTls = () => scriptedClient(edge.tlsPort, { tls: edge.tls, timeoutMs: 30_000 })
  async function talk(connect: () => Promise<ScriptedPeer>, user: string, wanted: RegExp, ...commands: string[]) {
    using peer = await connect()
    await peer.expect(/^\* OK /)
    peer.send(`1 LOGIN ${user}@example.org ${planted()}\r\n`)
    await peer.expect(wanted)
    for (const command of commands) {
      peer.send(`2 ${command}\r\n`)
      if (command === 'GIVE') await peer.bytes(MAIL.length)
      if (command === 'TAKE') peer.socket.write(MAIL)
      await peer.expect(/^2 OK /)
    }
    peer.end()
    if (!peer.socket.closed) await once(peer.socket, 'close')
  }
  const many = async (count: number, one: () => Promise<unknown>) => {
    for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, one))
  }
  // Until what runs often has been compiled.
  await many(300, () => talk(overTls, 'ann', /^1 OK /))
  await many(100, () => talk(clear, 'wrong', /^1 NO /))
  await talk(overTls, 'ann', /^1 OK /, 'GIVE', 'TAKE')

  const seen = await longestTurn(edge.turns, {
    work: async () => {
      edge.beBusy()
      await sleep(100)
    },
  })
  t.ok(seen.cpuMs > LIMIT_MS, `25 ms of work are seen: ${seen.cpuMs.toFixed(1)}`)

  await within(t, edge.turns, {
    '200 logins in clear': { work: () => many(200, () => talk(clear, 'ann', /^1 OK /)) },
    '200 logins over TLS': { work: () => many(200, () => talk(overTls, 'ann', /^1 OK /)) },
    '200 guesses': { work: () => many(200, () => talk(clear, 'wrong', /^1 NO /)) },
    '300 silent connections, gone at once': {
      work: async () => {
        const silent = await Promise.all(Array.from({ length: 300 }, clear))
        for (const peer of silent) peer.socket.destroy()
        await until(async () => (await edge.ask('sessions', null, 5000)).length === 0, 'nobody is left')
      },
    },
    '20 MB to a client, over TLS': { work: () => talk(overTls, 'ann', /^1 OK /, 'GIVE') },
    '20 MB from a client, over TLS': { work: () => talk(overTls, 'ann', /^1 OK /, 'TAKE') },
    '20 MB to a client, in clear': { work: () => talk(clear, 'ann', /^1 OK /, 'GIVE') },
    '20 MB from a client, in clear': { work: () => talk(clear, 'ann', /^1 OK /, 'TAKE') },
  })
})
