import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import { edgeKey, serveGate } from '../../src/contract/gate-server.ts'
import { Secret } from '../../src/secret.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import type { Ask, EdgeInit } from '../../src/supervisor/messages.ts'
import { asking } from '../../src/supervisor/messages.ts'
import { grantOf, scriptedHouse } from '../contract/gate-house.ts'
import { createCa } from '../support/certificates.ts'
import { captureLog } from '../support/logs.ts'
import { ScriptedPeer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { noteSecret } from '../support/secrets.ts'
import { startMailbox, until } from './server.ts'
import { startUnhooked } from './unhooked.ts'

const planted = (): string => noteSecret(`Planted${randomBytes(12).toString('hex')}`)
const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A real edge process under an edge's flags, with a keeper's side that does what this test says. */
async function startEdge(t: Test) {
  const mailbox = await startMailbox(t)
  const directory = mkdtempSync(join(tmpdir(), 'heap-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const secret = new Secret(planted())
  const upstreamSecrets: string[] = []
  const waiting = new Set<() => void>()
  const house = scriptedHouse({
    async admit(attempt) {
      const { authcid } = attempt.credential
      if (authcid.startsWith('waits')) await new Promise<void>((resolve) => waiting.add(resolve))
      if (authcid.startsWith('wrong')) throw new LoginFailure('bad-credentials', 'wrong', { delayMs: 1 })
      const upstream = planted()
      upstreamSecrets.push(upstream)
      return grantOf(attempt, {
        hosts: [{ host: '127.0.0.1', port: mailbox.port }],
        tls: 'none',
        identity: { kind: 'password', authcid: 'master', authzid: authcid, secret: new Secret(upstream) },
      })
    },
  })
  const path = join(directory, 'run/edge.sock')
  const server = await serveGate({ path, secret, house: house.house, log: captureLog().log })
  t.teardown(() => server.close())

  const ca = await createCa()
  const { cert, key } = await ca.issue({ names: ['localhost'] })
  const [clear, implicit] = [await freePort(), await freePort()]
  const edgeId = 'edge-1.heap'
  const init: EdgeInit = {
    limits: { connections: 1000, perAddress: 1000, loginMs: 60_000, idleMs: 60_000 },
    names: { domains: ['example.org'], allow: '', separators: ['*'], windowsDomains: {} },
    portalUrl: null,
    language: 'en',
    easHost: null,
    upstreams: [],
    tls: {
      certificates: [{ name: 'test', cert, key }],
      minVersion: 'TLSv1.2',
      ticketKeys: randomBytes(48).toString('base64'),
    },
    logLevel: 'error',
    auditRequired: false,
    version: 'test',
    name: 'edge-1',
    edgeId,
    gate: { path, key: edgeKey(secret, edgeId).reveal() },
    listeners: [
      {
        name: 'clear',
        protocol: 'imap',
        bind: '127.0.0.1',
        port: clear,
        tls: 'none',
        proxyFrom: [],
        tlsMinVersion: null,
        scanner: null,
      },
      {
        name: 'implicit',
        protocol: 'imap',
        bind: '127.0.0.1',
        port: implicit,
        tls: 'implicit',
        proxyFrom: [],
        tlsMinVersion: null,
        scanner: null,
      },
    ],
    testHooks: true,
  }
  // Long strings are written whole, and what nobody holds is collected first.
  const child = startUnhooked(launchOf('edge', process.env, ['--expose-gc', '--heap-snapshot-string-limit=10000000']))
  t.teardown(() => child.kill('SIGKILL'))
  const ask: Ask = asking(child, 'edge')
  await ask('start', init, 30_000)

  async function connect(overTls: boolean): Promise<ScriptedPeer> {
    const socket = overTls
      ? connectTls({ host: '127.0.0.1', port: implicit, servername: 'localhost', ca: ca.cert })
      : createConnection({ host: '127.0.0.1', port: clear })
    t.teardown(() => socket.destroy())
    const peer = new ScriptedPeer(socket)
    await peer.expect(/^\* OK /)
    return peer
  }
  return { ask, connect, upstreamSecrets, waiting }
}

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
  const { ask, connect, upstreamSecrets, waiting } = await startEdge(t)
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
