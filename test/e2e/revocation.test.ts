/**
 * From "created" to "deleted": an app password works at once (R19), and what it opened ends within a second (M2, invariant 8, threat B8).
 * Twice: two workers with Redis, and everything in one process without.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import { command, connectTls, loggedIn, quoted, succeed } from '../support/imap.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { quickest } from '../support/quickest.ts'
import type { Redis } from '../support/redis.ts'
import { startRedis } from '../support/redis.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
const BOB = 'bob@example.org'
const NOBODY_HOME = 'ann@dead.test'
/** What M2 says, on a machine that has time for it. */
const A_SECOND_MS = 1000
/** The machine may be busy, and nothing else would end these sessions. */
const SOON_MS = 10_000

interface House {
  readonly gate: Sallyport
  readonly dovecot: Dovecot
  readonly redis: Redis | null
  readonly workers: number
}

interface Deleted {
  readonly sessionsEnded: number
}

for (const [workers, withRedis] of [
  [2, true],
  [0, false],
] as const) {
  t.test(`workers ${workers}, ${withRedis ? 'with' : 'without'} Redis`, async (t) => {
    if (!requireService(t, 'dovecot', ...(withRedis ? (['redis'] as const) : []))) return
    await using dovecot = await startDovecot({ users: { [ANN]: plainPassword(), [BOB]: plainPassword() } })
    await using redis = withRedis ? await startRedis() : null
    await using gate = await startSallyport({
      domains: ['example.org', 'dead.test'],
      upstreams: {
        main: upstreamOf(dovecot, masterPasswordFile(dovecot)),
        dead: upstreamOf(dovecot, masterPasswordFile(dovecot), { imap: { port: await freePort() } }),
      },
      workers,
      settings: {
        routes: [
          { domain: 'example.org', upstream: 'main' },
          { domain: 'dead.test', upstream: 'dead' },
        ],
        ...(redis ? { redis: { url: redis.url } } : {}),
      },
    })
    for (const user of [ANN, BOB, NOBODY_HOME]) await gate.addUser(user)
    const house: House = { gate, dovecot, redis, workers }
    await t.test('life and end of an app password', (t) => lifeAndEnd(t, house))
    await t.test('invariant 8: deleted while logins are under way', (t) => deletedDuringLogins(t, house))
    await t.test('a disabled user, a session ended by hand', (t) => disabledAndEnded(t, house))
    await t.test('invariant 11: a wrong secret is one, whatever stands behind', (t) => wrongSecrets(t, house))
    if (redis) await t.test('Redis dies and comes back', (t) => redisDies(t, house, redis))
    if (workers > 0) await t.test('processes that die', (t) => processesDie(t, house))
    await t.test('restart', (t) => restart(t, house))
    t.same(gate.lines('bug'), [])
  })
}

async function idle(peer: ScriptedPeer): Promise<void> {
  await succeed(peer, 'a', 'SELECT INBOX')
  peer.send('b IDLE\r\n')
  await peer.expect(/^\+ /)
}

/** Milliseconds from the moment the keeper logged `event` to the end of each connection. */
async function closedAfter(
  gate: Sallyport,
  since: number,
  event: string,
  peers: readonly ScriptedPeer[],
): Promise<number> {
  const ends = peers.map(async (peer) => {
    await peer.untilClosed()
    return Date.now()
  })
  const line = await gate.waitForLog(event, undefined, since)
  return Math.max(...(await Promise.all(ends))) - Date.parse(String(line.time))
}

async function lifeAndEnd(t: Test, { gate, dovecot }: House): Promise<void> {
  const laptop = await gate.createAppPassword(ANN, 'laptop')
  using other = await loggedIn(gate, ANN, laptop.password)
  using colleague = await loggedIn(gate, BOB, (await gate.createAppPassword(BOB, 'phone')).password)
  await idle(other)

  let secret = ''
  const took = await quickest(A_SECOND_MS, async () => {
    const phone = await gate.createAppPassword(ANN, 'phone')
    secret = phone.password
    // Straight away, on as many connections as it takes to meet every worker.
    const peers = await Promise.all(Array.from({ length: 8 }, () => loggedIn(gate, ANN, secret)))
    t.equal(peers.length, 8, 'R19: effective at once')
    for (const peer of peers.slice(0, 3)) await idle(peer)

    const since = gate.mark()
    const deleting = gate.json<Deleted>(['app-password', 'delete', phone.id, '--yes'])
    const ms = await closedAfter(gate, since, 'app_password_deleted', peers)
    t.equal((await deleting).sessionsEnded, 8, 'and the count is right')
    for (const peer of peers) t.notMatch(peer.buffered, /\* BYE/, 'cut, without a word from us inside the session')
    return ms
  })
  t.ok(took < A_SECOND_MS, `M2: all eight sessions ended after ${took} ms`)

  other.send('DONE\r\n')
  t.ok((await other.linesUntil(/^b OK/)).length > 0, 'R4: the other app password’s session goes on')
  await succeed(colleague, 'c', 'NOOP')

  const mark = dovecot.mark()
  for (let n = 0; n < 4; n++) {
    using peer = await connectTls(gate)
    const answer = (await command(peer, '1', `LOGIN ${ANN} ${quoted(secret)}`)).at(-1)
    t.match(answer, /^1 NO \[ALERT\] /, 'M4: the next login is refused, and says why')
    t.notMatch(answer, /phone/, 'but not which device')
  }
  t.notMatch(dovecot.logSince(mark), /client in: AUTH/, 'Dovecot is not even asked')
  await succeed(other, 'd', 'LOGOUT')
}

/** Logins fired all the time while the credential is deleted: none of them may survive. */
async function deletedDuringLogins(t: Test, { gate }: House): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const device = await gate.createAppPassword(ANN, `round ${round}`)
    let going = true
    let logins = 0
    const survivors: string[] = []
    /** One login after the other, each left open; afterwards every one of them must have been refused or cut. */
    const client = async (): Promise<void> => {
      const peers: { peer: ScriptedPeer; answer: Promise<string> }[] = []
      while (going && logins < 100) {
        logins += 1
        const peer = await connectTls(gate)
        peer.send(`1 LOGIN ${ANN} ${quoted(device.password)}\r\n`)
        const answer = peer.line().catch(() => 'cut while logging in')
        peers.push({ peer, answer })
        if (logins % 2 === 0) await answer
      }
      for (const { peer, answer } of peers) {
        using _ = peer
        if ((await answer).startsWith('1 OK')) {
          await peer.untilClosed(SOON_MS).catch(() => survivors.push(JSON.stringify(peer.buffered)))
        }
      }
    }
    const clients = [client(), client(), client()]
    while (logins < 10) await delay(5) // so that some have a session, and others are on their way to one
    await gate.json(['app-password', 'delete', device.id, '--yes'])
    going = false
    const sessions = await gate.json<{ appPassword: { id: string } | null }[]>(['session', 'list'])
    t.same(
      sessions.filter((each) => each.appPassword?.id === device.id),
      [],
      'the keeper knows of no session',
    )
    await Promise.all(clients)
    t.same(survivors, [], `${logins} logins, none survives`)
  }
}

async function disabledAndEnded(t: Test, { gate }: House): Promise<void> {
  const tablet = await gate.createAppPassword(BOB, 'tablet')
  const login = `LOGIN ${BOB} ${quoted(tablet.password)}`
  const one = await loggedIn(gate, BOB, tablet.password)
  let since = gate.mark()
  const disabling = gate.json(['user', 'disable', BOB])
  const took = await closedAfter(gate, since, 'user_disabled', [one])
  t.ok(took < SOON_MS, `disabled: the session ended after ${took} ms`)
  await disabling
  using peer = await connectTls(gate)
  t.match((await command(peer, '1', login)).at(-1), /^1 NO \[AUTHENTICATIONFAILED\] /, 'as if the user did not exist')
  await gate.json(['user', 'enable', BOB])
  await succeed(peer, '2', login)

  const sessions = await gate.json<{ id: string; user: string; state: string }[]>(['session', 'list', '--user', BOB])
  const mine = sessions.find((each) => each.user === BOB && each.state === 'open')
  since = gate.mark()
  const ended = await gate.json<Deleted>(['session', 'end', '--id', mine?.id ?? ''])
  t.equal(ended.sessionsEnded, 1)
  await peer.untilClosed()
  using again = await loggedIn(gate, BOB, tablet.password)
  await succeed(again, '3', 'NOOP')
  t.pass('a session ended by hand may come back')
}

async function wrongSecrets(t: Test, { gate }: House): Promise<void> {
  const device = await gate.createAppPassword(NOBODY_HOME, 'phone')
  using peer = await connectTls(gate)
  const login = async (tag: string, user: string, secret: string): Promise<string> =>
    (await command(peer, tag, `LOGIN ${user} ${quoted(secret)}`)).at(-1) ?? ''
  const right = await login('1', NOBODY_HOME, device.password)
  t.match(right, /^1 NO \[UNAVAILABLE\] /, 'right secret, dead upstream')
  const wrong = await login('2', NOBODY_HOME, plainPassword())
  t.match(wrong, /^2 NO \[AUTHENTICATIONFAILED\] /, 'wrong secret, dead upstream')
  const unknown = await login('3', 'who@example.org', plainPassword())
  t.equal(unknown.slice(2), wrong.slice(2), 'invariant 6: an unknown user reads the same')
}

async function redisDies(t: Test, { gate }: House, redis: Redis): Promise<void> {
  const device = await gate.createAppPassword(ANN, 'redis')
  using open = await loggedIn(gate, ANN, device.password)
  await redis.kill()
  await succeed(open, '1', 'NOOP')
  using without = await loggedIn(gate, ANN, device.password)
  await succeed(without, '2', 'NOOP')
  const since = gate.mark()
  const deleting = gate.json<Deleted>(['app-password', 'delete', device.id, '--yes'])
  const took = await closedAfter(gate, since, 'app_password_deleted', [open, without])
  t.ok(took < SOON_MS, `revocation without Redis: ${took} ms`)
  await deleting
  await redis.restart()
  const next = await gate.createAppPassword(ANN, 'redis is back')
  using back = await loggedIn(gate, ANN, next.password)
  await succeed(back, '3', 'NOOP')
}

async function processesDie(t: Test, { gate }: House): Promise<void> {
  const device = await gate.createAppPassword(ANN, 'crash')
  const peers = await Promise.all(Array.from({ length: 6 }, () => loggedIn(gate, ANN, device.password)))
  const pidOf = (name: string): number =>
    Number(gate.lines('worker_started').findLast((line) => line.process === name)?.pid)

  let since = gate.mark()
  process.kill(pidOf('keeper'), 'SIGKILL')
  await gate.waitForLog('worker_died', (line) => line.process === 'keeper', since)
  for (const peer of peers) await succeed(peer, '1', 'NOOP')
  t.pass('the keeper is dead: open sessions go on')
  await gate.waitForLog('worker_started', (line) => line.process === 'keeper', since, 15_000)
  const deadline = Date.now() + 30_000
  using after = await loggedIn(gate, ANN, device.password)
  t.pass('a new one takes logins')
  // An edge that has not found the new keeper yet has not told it of its sessions.
  const known = async (): Promise<number> => (await gate.json<unknown[]>(['session', 'list', '--user', ANN])).length
  while ((await known()) < peers.length + 1) {
    if (Date.now() > deadline) throw new Error('the new keeper does not learn of the sessions of the old one')
    await delay(50)
  }

  const edgeOf = (peer: ScriptedPeer): unknown =>
    gate.lines('login_accepted').findLast((line) => line.remote_port === peer.socket.localPort)?.process
  const edges = new Map(peers.map((peer) => [peer, edgeOf(peer)]))

  since = gate.mark()
  process.kill(pidOf('edge-1'), 'SIGKILL')
  await gate.waitForLog('worker_started', (line) => line.process === 'edge-1', since, 15_000)
  const survivors: ScriptedPeer[] = []
  for (const peer of peers) {
    const alive = await succeed(peer, '2', 'NOOP').then(
      () => true,
      () => false,
    )
    t.equal(alive, edges.get(peer) === 'edge-2', `edge-1 is dead: a session of ${String(edges.get(peer))}`)
    if (alive) survivors.push(peer)
  }
  const afterLives = await succeed(after, '3', 'NOOP').then(
    () => [after],
    () => [],
  )

  since = gate.mark()
  const deleting = gate.json<Deleted>(['app-password', 'delete', device.id, '--yes'])
  const took = await closedAfter(gate, since, 'app_password_deleted', [...survivors, ...afterLives])
  t.ok(took < SOON_MS, `sessions from before the keeper’s death can still be revoked: ${took} ms`)
  t.equal((await deleting).sessionsEnded, survivors.length + afterLives.length)
}

async function restart(t: Test, { gate }: House): Promise<void> {
  const device = await gate.createAppPassword(ANN, 'restart')
  const open = await loggedIn(gate, ANN, device.password)
  using knocking = await connectTls(gate)
  const stopping = gate.stop()
  t.match(await knocking.rest(), /^\* BYE /m, 'who has not logged in is told BYE')
  await succeed(open, '1', 'LOGOUT')
  t.equal(await stopping, 0, 'drained: exit 0 as soon as the last session is over')
  await gate.start()
  using again = await loggedIn(gate, ANN, device.password)
  await succeed(again, '2', 'NOOP')
  t.pass('app passwords survive a restart')
  const list = await gate.json<{ name: string; lastUsed: { protocol: string } | null }[]>([
    'app-password',
    'list',
    '--user',
    ANN,
  ])
  t.equal(list.find((each) => each.name === 'restart')?.lastUsed?.protocol, 'imap', 'R28: and so does their last use')
}
