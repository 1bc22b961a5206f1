import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { startMailbox, startServer, until } from './server.ts'

t.setTimeout(240_000)

t.test('E5: logins leave nothing behind, neither descriptors nor memory', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1, extra: 'log: { level: info }\n' })
  const { password } = await server.user('ann@example.org')
  const comeAndGo = async (count: number) => {
    for (let i = 0; i < count; i += 20) {
      const peers = await Promise.all(Array.from({ length: 20 }, () => server.login('ann@example.org', password)))
      for (const peer of peers) peer.socket.destroy()
    }
  }
  const pids = ['keeper', 'edge-1'].map((name) => server.pidOf(name))
  const descriptors = () => pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length)
  const rssMb = () =>
    pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)

  await comeAndGo(600)
  const before = { descriptors: descriptors(), rssMb: rssMb() }
  await comeAndGo(1000)
  await until(
    () => descriptors().every((count, i) => count <= (before.descriptors[i] ?? 0) + 2),
    'every descriptor is back',
  )
  const grown = rssMb().map((mb, i) => mb - (before.rssMb[i] ?? 0))
  t.ok(
    grown.every((mb) => mb < 12),
    `keeper and edge grew by ${grown.map((mb) => mb.toFixed(1)).join(' and ')} MB in 1000 logins`,
  )
})
