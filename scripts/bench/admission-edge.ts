/**
 * The edge's side of the admission measurement: asks for entry as a login dialogue would, as often as its parent says.
 */

import { connectGate } from '../../src/contract/gate-channel.ts'
import { edgeKey } from '../../src/contract/gate-server.ts'
import { createLog } from '../../src/log.ts'
import { Secret } from '../../src/secret.ts'
import type { Account } from './jobs.ts'

const EDGE = 'edge-bench'
const CONCURRENCY = 16
const peer = { ip: '127.0.0.1', port: 40_000, localIp: '127.0.0.1', localPort: 993, tls: null }

const gate = connectGate({
  path: process.argv[2] ?? '',
  key: edgeKey(new Secret(process.env.BENCH_EDGE_SECRET ?? ''), EDGE),
  edgeId: EDGE,
  ender: { end: () => undefined },
  liveSessions: () => [],
  log: createLog({ level: 'error', version: 'bench', process: EDGE }),
})
await gate.ready

async function ask(accounts: readonly Account[], count: number): Promise<void> {
  let next = 0
  async function lane(): Promise<void> {
    for (let n = next++; n < count; n = next++) {
      const [authcid, password] = accounts[n % accounts.length] ?? ['', '']
      const secret = new Secret(password)
      const credential = { kind: 'password', authcid, authzid: '', secret } as const
      const grant = await gate.admit({ protocol: 'imap', mechanism: 'LOGIN', credential, peer, agent: null })
      gate.settle(grant.id, 'client-gone')
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, lane))
}

process.on('message', ({ accounts, count }: { readonly accounts: readonly Account[]; readonly count: number }) => {
  ask(accounts, count).then(
    () => process.send?.({ done: count }),
    (error: unknown) => process.send?.({ failed: error instanceof Error ? error.message : String(error) }),
  )
})
process.send?.({ ready: true })
process.once('disconnect', () => process.exit())
process.on('SIGINT', () => undefined)
