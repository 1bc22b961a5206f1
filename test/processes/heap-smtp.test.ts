import { hostname } from 'node:os'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient, scriptedServer } from '../support/peer.ts'
import { planted, startLoneEdge } from './lone-edge.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

t.setTimeout(240_000)

t.test('invariant 13: after SMTP logins an edge’s heap holds no planted secret', async (t) => {
  await using mailbox = await scriptedServer(async (peer) => {
    peer.send('220 up\r\n')
    for (;;) {
      const line = await peer.line().catch(() => null)
      if (line === null) break
      peer.send(
        line.startsWith('EHLO') ? '250-up\r\n250 AUTH PLAIN\r\n' : `${line.startsWith('AUTH') ? 235 : 250} ok\r\n`,
      )
    }
  })
  const edge = await startLoneEdge(t, 'smtp', mailbox.port, async ({ credential: { authcid } }) => {
    if (authcid.startsWith('wrong')) throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 1 })
  })
  const { ask, upstreamSecrets } = edge

  const used: { readonly user: string; readonly secret: string }[] = []
  const live: ScriptedPeer[] = []
  t.teardown(() => {
    for (const peer of live) peer[Symbol.dispose]()
  })
  for (let i = 0; i < 30; i++) {
    const isRefused = i % 5 === 0
    const user = `${isRefused ? 'wrong' : 'user'}-with-a-long-name-${i}@example.org`
    const typed = planted()
    used.push({ user, secret: typed })
    const peer = await scriptedClient(edge.port)
    live.push(peer)
    await peer.expect(new RegExp(`^220 ${hostname()} `))
    const plain = base64(`\0${user}\0${typed}`)
    const ways = [
      [`AUTH PLAIN ${plain}`],
      ['AUTH PLAIN', plain],
      ['AUTH LOGIN', base64(user), base64(typed)],
      [`AUTH LOGIN ${base64(user)}`, base64(typed)],
    ]
    for (const line of ['EHLO a-client-with-quite-a-long-name', ...(ways[i % ways.length] ?? [])])
      peer.send(`${line}\r\n`)
    t.match((await peer.linesUntil(/^[25]35 /)).at(-1), isRefused ? /^535/ : /^235/, `login ${i}`)
  }
  const heap = await ask('heap-snapshot', null, 60_000)
  t.match(heap, /user-with-a-long-name-29@example\.org/, 'the snapshot shows what is alive: names of sessions')
  for (const { user, secret } of used) {
    const forms = [secret, base64(`\0${user}\0${secret}`), base64(secret)]
    t.notOk(
      forms.some((form) => heap.includes(form)),
      `no client’s secret: ${user}`,
    )
  }
  t.equal(upstreamSecrets.length, 24)
  for (const [i, each] of upstreamSecrets.entries()) {
    const forms = [each, base64(each), ...used.map(({ user }) => base64(`${user}\0master\0${each}`))]
    t.notOk(
      forms.some((form) => heap.includes(form)),
      `nor an upstream’s: ${i}`,
    )
  }
})
