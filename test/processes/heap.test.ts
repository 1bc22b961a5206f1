import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { planted, startLoneEdge } from './lone-edge.ts'
import { startMailbox, until } from './server.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** How a client may say it: each keeps other strings alive in its own way. */
const WAYS: readonly ((peer: ScriptedPeer, user: string, secret: string) => Promise<void>)[] = [
  async (peer, user, secret) => {
    peer.send(`a-rather-long-tag-1 LOGIN ${user} ${secret}\r\n`)
  },
  async (peer, user, secret) => {
    peer.send(`1 LOGIN "${user}" "${secret}"\r\n`)
  },
  async (peer, user, secret) => {
    peer.send(`1 LOGIN {${user.length}}\r\n`)
    await peer.expect(/^\+/)
    peer.send(`${user} {${secret.length}+}\r\n${secret}\r\n`)
  },
  async (peer, user, secret) => {
    peer.send(`1 AUTHENTICATE PLAIN ${base64(`\0${user}\0${secret}`)}\r\n`)
  },
  async (peer, user, secret) => {
    peer.send('1 AUTHENTICATE PLAIN\r\n')
    await peer.expect(/^\+/)
    peer.send(`${base64(`\0${user}\0${secret}`)}\r\n`)
  },
  async (peer, user, secret) => {
    peer.send('0 ID ("name" "a client with quite a long name")\r\n')
    await peer.linesUntil(/^0 OK/)
    peer.send('1 AUTHENTICATE LOGIN\r\n')
    await peer.expect(/^\+/)
    peer.send(`${base64(user)}\r\n`)
    await peer.expect(/^\+/)
    peer.send(`${base64(secret)}\r\n`)
  },
]

/** Every form in which a secret passes through an edge. */
function forms(user: string, secret: string): string[] {
  return [secret, base64(`\0${user}\0${secret}`), base64(secret), base64(`${user}\0master\0${secret}`)]
}

t.test('invariant 13: after 100 logins an edge’s heap holds no planted secret', async (t) => {
  const mailbox = await startMailbox(t)
  const waiting = new Set<() => void>()
  const edge = await startLoneEdge(t, 'imap', mailbox.port, async ({ credential: { authcid } }) => {
    if (authcid.startsWith('waits')) await new Promise<void>((resolve) => waiting.add(resolve))
    if (authcid.startsWith('wrong')) throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 1 })
  })
  const { ask, upstreamSecrets } = edge
  async function connect(overTls: boolean): Promise<ScriptedPeer> {
    const peer = overTls ? await scriptedClient(edge.tlsPort, { tls: edge.tls }) : await scriptedClient(edge.port)
    t.teardown(() => peer.socket.destroy())
    await peer.expect(/^\* OK /)
    return peer
  }
  const used: { readonly user: string; readonly secret: string }[] = []
  const live: ScriptedPeer[] = []
  for (let i = 0; i < 100; i++) {
    // A fifth is refused, a fifth leaves again, and the rest stays: what a live session holds is what matters most.
    const fate = i % 5 === 0 ? 'refused' : i % 5 === 1 ? 'leaves' : 'stays'
    const user = `${fate === 'refused' ? 'wrong' : 'user'}-with-a-long-name-${i}@example.org`
    const secret = planted()
    used.push({ user, secret })
    const peer = await connect(i % 4 === 0)
    await WAYS[i % WAYS.length]?.(peer, user, secret)
    const [verdict = ''] = (await peer.linesUntil(/^\S+ (?:OK|NO) /)).slice(-1)
    t.match(verdict, fate === 'refused' ? / NO \[AUTHENTICATIONFAILED\]/ : / OK /, `login ${i}`)
    if (fate === 'stays') live.push(peer)
    if (fate === 'leaves') {
      peer.end()
      await peer.untilClosed()
    }
  }
  t.equal((await ask('sessions', null, 5000)).length, live.length)

  const heap = await ask('heap-snapshot', null, 60_000)
  t.match(heap, /user-with-a-long-name-99@example\.org/, 'the snapshot shows what is alive: names of sessions')
  const found = used.filter(({ user, secret }) => forms(user, secret).some((form) => heap.includes(form)))
  t.strictSame(found, [], 'no client’s secret')
  const foundUpstream = upstreamSecrets.filter((secret, i) =>
    [secret, base64(secret), ...used.map(({ user }) => base64(`${user}\0master\0${secret}`))].some((form) =>
      heap.includes(form),
    )
      ? i
      : false,
  )
  t.strictSame(foundUpstream, [], 'no upstream’s secret either: sessions don’t keep their way in')

  // That all of it would have been seen: while the keeper thinks, the secret is alive.
  const secret = planted()
  const thinking = await connect(false)
  thinking.send(`1 LOGIN waits@example.org ${secret}\r\n`)
  await until(() => waiting.size === 1, 'the keeper is asked')
  t.ok((await ask('heap-snapshot', null, 60_000)).includes(secret), 'a login in flight does hold its secret')
  for (const release of waiting) release()
  await thinking.expect(/^1 OK /)
  t.notOk((await ask('heap-snapshot', null, 60_000)).includes(secret), 'and holds it no longer when it is over')
})
