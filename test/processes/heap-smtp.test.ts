import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import { edgeKey, serveGate } from '../../src/contract/gate-server.ts'
import { Secret } from '../../src/secret.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import type { Ask, EdgeInit } from '../../src/supervisor/messages.ts'
import { asking } from '../../src/supervisor/messages.ts'
import { grantOf, scriptedHouse } from '../contract/gate-house.ts'
import { captureLog } from '../support/logs.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient, scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { noteSecret } from '../support/secrets.ts'
import { startUnhooked } from './unhooked.ts'

const planted = (): string => noteSecret(`Planted${randomBytes(12).toString('hex')}`)
const base64 = (text: string): string => Buffer.from(text).toString('base64')

t.setTimeout(120_000)

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
  const directory = mkdtempSync(join(tmpdir(), 'heap-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const secret = new Secret(planted())
  const upstreamSecrets: string[] = []
  const house = scriptedHouse({
    async admit(attempt) {
      const { authcid } = attempt.credential
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
  const port = await freePort()
  const edgeId = 'edge-1.heap'
  const init: EdgeInit = {
    limits: { connections: 1000, perAddress: 1000, loginMs: 60_000, idleMs: 60_000 },
    names: { domains: ['example.org'], allow: '', separators: ['*'], windowsDomains: {} },
    portalUrl: null,
    language: 'en',
    easHost: null,
    upstreams: [],
    tls: { certificates: [], minVersion: 'TLSv1.2', ticketKeys: randomBytes(48).toString('base64') },
    logLevel: 'error',
    auditRequired: false,
    version: 'test',
    name: 'edge-1',
    edgeId,
    gate: { path, key: edgeKey(secret, edgeId).reveal() },
    listeners: [
      {
        name: 'clear',
        protocol: 'smtp',
        bind: '127.0.0.1',
        port,
        tls: 'none',
        proxyFrom: [],
        tlsMinVersion: null,
        scanner: null,
      },
    ],
    testHooks: true,
  }
  const child = startUnhooked(launchOf('edge', process.env, ['--expose-gc', '--heap-snapshot-string-limit=10000000']))
  t.teardown(() => child.kill('SIGKILL'))
  const ask: Ask = asking(child, 'edge')
  await ask('start', init, 30_000)

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
    const peer = await scriptedClient(port)
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
