import type { Test } from 'tap'
import t from 'tap'
import type { Mailbox, TestServer } from './server.ts'
import { isAlive, lives, startMailbox, startServer, until } from './server.ts'

t.test('workers: 2', async (t) => {
  const server = await startServer(t, { mailbox: await startMailbox(t), workers: 2 })
  await t.test('I-8: a killed edge is back within a second; sessions of the other edge go on', (t) =>
    edgeKilled(t, server),
  )
  await t.test('a killed keeper: open sessions go on, a login waits for its successor and succeeds', (t) =>
    keeperKilled(t, server),
  )
  await t.test('children do not outlive a supervisor that is killed', (t) => supervisorKilled(t, server))
})

t.test('workers: 1', async (t) => {
  const mailbox = await startMailbox(t)
  const server = await startServer(t, { mailbox, workers: 1 })
  await t.test(
    'a keeper that dies while a login is on its way upstream: the login goes on, and its successor hears the outcome',
    (t) => keeperKilledDuringLogins(t, server, mailbox),
  )
  await t.test('a keeper that stays away: a temporary failure, never a wrong password (invariant 11)', (t) =>
    keeperStaysAway(t, server, mailbox),
  )
})

async function edgeKilled(t: Test, server: TestServer): Promise<void> {
  const { password } = await server.user('ann@example.org')
  const sessions = await Promise.all(Array.from({ length: 16 }, () => server.login('ann@example.org', password)))
  const services = await server.services()
  t.teardown(() => services.close())
  const listed = async () => (await services.call('session.list', {})).sessions.length
  t.equal(await listed(), 16)

  const before = server.pidOf('edge-1')
  process.kill(before, 'SIGKILL')
  const killedAt = performance.now()
  const died = await server.wait('worker_died', ({ pid }) => pid === before)
  t.match(died.detail, /started again in \d{1,2} ms/)
  const back = await server.wait('worker_started', ({ process: name, pid }) => name === 'edge-1' && pid !== before)
  const backMs = performance.now() - killedAt
  t.comment(`edge back after ${Math.round(backMs)} ms, of which its start took ${back.duration_ms}`)

  const alive = await Promise.all(sessions.map((peer) => lives(peer, 'a')))
  const survivors = sessions.filter((_, i) => alive[i])
  t.ok(survivors.length > 0 && survivors.length < 16, `${survivors.length} of 16 sessions were the other edge's`)
  // The keeper gives the edge two seconds to come back under its own id, and then settles what it left open.
  await until(async () => (await listed()) === survivors.length, 'the keeper ends the sessions of the dead edge')
  const more = await Promise.all(Array.from({ length: 8 }, () => server.login('ann@example.org', password)))
  t.strictSame(await Promise.all(more.map((peer) => lives(peer, 'b'))), Array(8).fill(true), 'new logins at both edges')
}

async function keeperKilled(t: Test, server: TestServer): Promise<void> {
  const { id, password } = await server.user('bob@example.org')
  const sessions = await Promise.all(Array.from({ length: 6 }, () => server.login('bob@example.org', password)))
  const waiting = await server.connect()

  const before = server.pidOf('keeper')
  process.kill(before, 'SIGKILL')
  const killedAt = performance.now()
  waiting.send(`1 LOGIN bob@example.org "${password}"\r\n`)
  t.strictSame(await Promise.all(sessions.map((peer) => lives(peer, 'a'))), Array(6).fill(true), 'sessions go on')
  await server.wait('worker_died', ({ pid }) => pid === before)
  const answer = await waiting.line()
  const tookMs = Math.round(performance.now() - killedAt)
  t.comment(`a login in the outage took ${tookMs} ms`)
  // On a busy machine the successor needs longer than a login waits.
  if (tookMs < 2000) t.match(answer, /^1 OK /, 'within the two seconds that a login waits')
  else t.match(answer, /^1 (?:OK|NO \[UNAVAILABLE\])/)
  await server.wait('worker_started', ({ process: name, pid }) => name === 'keeper' && pid !== before)
  if (answer.startsWith('1 NO')) {
    waiting.send(`2 LOGIN bob@example.org "${password}"\r\n`)
    await waiting.expect(/^2 OK /)
  }

  const services = await server.services()
  t.teardown(() => services.close())
  // At once: whatever edge is not back yet is waited for, and named if that takes longer than a second.
  const { sessionsEnded, unanswered } = await services.call('app-password.delete', { id })
  if (unanswered.length === 0) t.equal(sessionsEnded, 7, 'invariant 8, across a restart of the keeper')
  else t.ok(sessionsEnded < 7, `${sessionsEnded} ended, no answer from ${unanswered.join()}`)
  await Promise.all([...sessions, waiting].map((peer) => peer.untilClosed()))
}

async function keeperKilledDuringLogins(t: Test, server: TestServer, mailbox: Mailbox): Promise<void> {
  const { password } = await server.user('ann@example.org')
  const states = async () => {
    const services = await server.services()
    const { sessions } = await services.call('session.list', {})
    services.close()
    return sessions.map(({ state }) => state).sort()
  }
  const restart = async () => {
    const before = server.pidOf('keeper')
    process.kill(before, 'SIGKILL')
    await server.wait('worker_started', ({ process: name, pid }) => name === 'keeper' && pid !== before)
  }

  // One whose upstream answers while the keeper is away, one whose upstream answers when it is back, one that leaves.
  mailbox.delayMs = 50
  const quick = await server.connect()
  quick.send(`1 LOGIN ann@example.org "${password}"\r\n`)
  await until(() => mailbox.logins.length === 1, 'the first is on its way')
  const answers = Promise.withResolvers<void>()
  mailbox.held = answers.promise
  const [slow, leaving] = [await server.connect(), await server.connect()]
  const sentAt = performance.now()
  for (const peer of [slow, leaving]) peer.send(`1 LOGIN ann@example.org "${password}"\r\n`)
  await until(() => mailbox.logins.length === 3, 'the others are on their way')
  const back = restart()
  leaving.socket.destroy()
  await quick.expect(/^1 OK /)
  await back
  await until(async () => (await states()).join() === 'connecting,open', 'what is open and what is not yet')
  answers.resolve()
  // An upstream has ten seconds for a login. A machine that takes as long to start a keeper has none left.
  if (performance.now() - sentAt > 8000) return void t.match(await slow.line(), /^1 (?:OK|NO \[UNAVAILABLE\]) /)
  await slow.expect(/^1 OK /)
  await until(async () => (await states()).join() === 'open,open', 'both are open')
  t.ok((await lives(quick, 'a')) && (await lives(slow, 'b')))
}

async function keeperStaysAway(t: Test, server: TestServer, mailbox: Mailbox): Promise<void> {
  mailbox.delayMs = 0
  const { password } = await server.user('bob@example.org')
  const session = await server.login('bob@example.org', password)
  const peer = await server.connect()
  // Stopped, not dead, it would have to be noticed first; here it is killed as often as it comes back.
  const before = server.pidOf('keeper')
  let away = true
  const killing = (async () => {
    for (let last = 0; away; ) {
      const pid = server.pidOf('keeper')
      if (pid !== last) {
        process.kill(pid, 'SIGKILL')
        last = pid
      }
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  })()
  await server.wait('worker_died', ({ pid }) => pid === before)
  peer.send(`1 LOGIN bob@example.org "${password}"\r\n`)
  const answer = await peer.line()
  away = false
  await killing
  // It may slip in between two deaths; it must not be told that its password is wrong.
  t.match(answer, /^1 (?:NO \[UNAVAILABLE\]|OK)/)
  t.ok(await lives(session, 'a'))
  await until(async () => (await server.get('/readyz')).status === 200, 'the keeper is back')
}

async function supervisorKilled(t: Test, server: TestServer): Promise<void> {
  const children = ['keeper', 'edge-1', 'edge-2'].map((name) => server.pidOf(name))
  t.ok(children.every(isAlive))
  process.kill(server.pid, 'SIGKILL')
  await until(() => !children.some(isAlive), 'all children are gone')
  t.pass()
}
