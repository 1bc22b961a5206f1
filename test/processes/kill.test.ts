/**
 * I-8: any process killed under 200 open sessions loses what it held and nothing else.
 */

import t from 'tap'
import type { ScriptedPeer } from '../support/peer.ts'
import { isAlive, lives, startMailbox, startServer, until } from './server.ts'

const SESSIONS = 200

t.setTimeout(300_000)

t.test('I-8: kill -9 of the keeper, of an edge, of the supervisor, under 200 sessions', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 2, extra: 'log: { level: info }\n' })
  const users = ['ann', 'bob', 'cid', 'dot', 'eve'].map((name) => `${name}@example.org`)
  const accounts: { readonly address: string; readonly id: string; readonly password: string }[] = []
  for (const address of users) accounts.push({ address, ...(await server.user(address)) })
  const sessions: ScriptedPeer[] = []
  for (let i = 0; i < SESSIONS; i += 10) {
    const some = Array.from({ length: 10 }, (_, j) => accounts[(i + j) % accounts.length])
    sessions.push(...(await Promise.all(some.map((one) => server.login(one?.address ?? '', one?.password ?? '')))))
  }
  const alive = async (tag: string) => {
    const all = await Promise.all(sessions.map((peer) => lives(peer, tag)))
    return sessions.filter((_, i) => all[i])
  }
  const killed = async (name: string) => {
    const before = server.pidOf(name)
    process.kill(before, 'SIGKILL')
    await server.wait('worker_died', ({ pid }) => pid === before)
    await server.wait('worker_started', ({ process: who, pid }) => who === name && pid !== before)
  }

  await killed('keeper')
  t.equal((await alive('a')).length, SESSIONS, 'the keeper: no session is lost')
  const known = async () => {
    const services = await server.services()
    let count = 0
    let after: string | null = null
    do {
      const page: { sessions: readonly unknown[]; next: string | null } = await services.call('session.list', {
        after,
        limit: 200,
      })
      count += page.sessions.length
      after = page.next
    } while (after !== null)
    services.close()
    return count
  }
  await until(async () => (await known()) === SESSIONS, 'its successor knows all of them', 30_000)

  const edgeOf = new Map(
    server.lines
      .filter(({ event }) => event === 'login_accepted')
      .map((line) => [line.remote_port, line.process] as const),
  )
  const ofFirst = sessions.filter(({ socket }) => edgeOf.get(socket.localPort) === 'edge-1').length
  await killed('edge-1')
  const survivors = await alive('b')
  t.equal(survivors.length, SESSIONS - ofFirst, `an edge: its own ${ofFirst} sessions are lost`)
  await until(async () => (await known()) === survivors.length, 'and settled', 30_000)
  const ann = accounts[0]
  const annsLeft = survivors.filter((peer) => sessions.indexOf(peer) % accounts.length === 0)
  const services = await server.services()
  t.match(await services.call('app-password.delete', { id: ann?.id ?? '' }), {
    sessionsEnded: annsLeft.length,
    unanswered: [],
  })
  services.close()
  await Promise.all(annsLeft.map((peer) => peer.untilClosed(5000)))
  t.equal((await alive('c')).length, survivors.length - annsLeft.length, 'a revocation ends its own and no others')

  const children = ['keeper', 'edge-1', 'edge-2'].map((name) => server.pidOf(name))
  process.kill(server.pid, 'SIGKILL')
  await until(() => !children.some(isAlive), 'the supervisor: everything ends', 15_000)
  await Promise.all(sessions.map((peer) => peer.untilClosed(5000)))
  t.pass('and every client hears of it')
})
