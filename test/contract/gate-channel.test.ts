import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import type { Grant, LiveSession, LoginAttempt } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { GateConnectionOptions } from '../../src/contract/gate-channel.ts'
import { connectGate } from '../../src/contract/gate-channel.ts'
import type { GateServerOptions } from '../../src/contract/gate-server.ts'
import { edgeKey, serveGate } from '../../src/contract/gate-server.ts'
import { encodeFrame, FrameDecoder } from '../../src/ipc/frames.ts'
import type { IpcServer } from '../../src/ipc.ts'
import { DEFAULT_LIMITS } from '../../src/ipc.ts'
import { Secret } from '../../src/secret.ts'
import { captureLog } from '../support/logs.ts'
import type { ScriptedHouse } from './gate-house.ts'
import { attemptOf, grantOf, scriptedHouse } from './gate-house.ts'

const SECRET = new Secret('what-edge-keys-are-made-from')
const END = { reason: 'client-closed', netInBytes: 1, netOutBytes: 2, durationMs: 3 } as const

/** A place for a keeper that may come and go, and edges at it. */
function place(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'gate-'))
  const path = join(directory, 'run/edge.sock')
  const log = captureLog()
  let server: IpcServer | null = null
  t.teardown(async () => {
    await server?.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    path,
    log,
    async serve(house: ScriptedHouse, options: Partial<GateServerOptions> = {}) {
      server = await serveGate({ path, secret: SECRET, house: house.house, log: log.log, graceMs: 300, ...options })
      return server
    },
    async leave() {
      await server?.close()
      server = null
    },
    edge(options: Partial<GateConnectionOptions> = {}) {
      const ends: string[] = []
      const edgeId = options.edgeId ?? 'edge-1'
      const gate = connectGate({
        path,
        key: edgeKey(SECRET, edgeId),
        edgeId,
        ender: { end: (id) => void ends.push(id) },
        liveSessions: () => [],
        log: log.log,
        ...options,
      })
      t.teardown(() => gate.close())
      return { gate, ends }
    },
  }
}

const live = (grantId: string, settled = true): LiveSession => ({
  grantId,
  userId: 'u1',
  logName: 'ann@example.org',
  appPassword: { id: 'ap-1', name: 'phone' },
  protocol: 'imap',
  ip: '192.0.2.7',
  port: 4711,
  startedAt: 1_790_000_000_000,
  settled,
})

t.test('attempts and grants cross whole, secrets as Secret', async (t) => {
  const ca = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(150_000)}\n-----END CERTIFICATE-----\n`
  const grants: Grant[] = []
  const house = scriptedHouse({
    async admit(attempt) {
      const grant = grantOf(attempt, {
        ca: attempt.mechanism === 'PLAIN' ? ca : null,
        ...(attempt.credential.kind === 'bearer' && {
          identity: {
            kind: 'oauth',
            authcid: 'ann@example.org',
            accessToken: new Secret('token-upstream'),
            expiresAt: new Date(1_790_000_000_123),
          },
        }),
      })
      grants.push(grant)
      return grant
    },
  })
  const at = place(t)
  await at.serve(house)
  const { gate } = at.edge()
  const attempts: LoginAttempt[] = [
    attemptOf('ann@example.org', 'pässwörd "\\\u0000 \ud800', { agent: 'a phone' }),
    attemptOf('ann@example.org', 'x', { mechanism: 'PLAIN' }),
    attemptOf('ann@example.org', 'y', { mechanism: 'PLAIN' }),
    {
      ...attemptOf('ann@example.org', ''),
      mechanism: 'OAUTHBEARER',
      credential: { kind: 'bearer', authcid: 'ann@example.org', token: new Secret('t'.repeat(12_000)) },
      peer: {
        ip: '2001:db8::1',
        port: 1,
        localIp: '::1',
        localPort: 993,
        tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', serverName: null },
      },
    },
  ]
  for (const attempt of attempts) {
    const grant = await gate.admit(attempt)
    t.strictSame(open(grant), open(grants.at(-1)), 'the grant as it was given')
    t.strictSame(open(house.port.attempts.at(-1)), open(attempt), 'the attempt as it was made')
    t.notMatch(JSON.stringify(grant), /master-secret|token-upstream/)
  }
})

t.test(
  'more sets of certificate authorities than an edge keeps, in use at once: nobody gets another one’s',
  async (t) => {
    const caOf = (name: string) => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`
    const at = place(t)
    // All are decided in one turn, so that their answers and the certificates stand in one write.
    const decided = Promise.withResolvers<void>()
    const users = Array.from({ length: 400 }, (_, index) => `u${index % 200}@example.org`)
    let asked = 0
    await at.serve(
      scriptedHouse({
        async admit(attempt) {
          asked += 1
          if (asked === users.length) decided.resolve()
          await decided.promise
          return grantOf(attempt, { ca: caOf(attempt.credential.authcid) })
        },
      }),
    )
    const { gate } = at.edge()
    const given = async (user: string) => (await gate.admit(attemptOf(user, 'x'))).upstream.ca
    t.strictSame(await Promise.all(users.map(given)), users.map(caOf))
    // One after the other, when the first ones have been forgotten and come again.
    for (const user of users) t.equal(await given(user), caOf(user))
  },
)

async function refused(t: Test, verdict: Promise<unknown>, reason: string, delayMs = 0): Promise<void> {
  const failure = await verdict.catch((error: unknown) => error)
  t.match(failure, { name: 'LoginFailure', reason, delayMs })
}

/** A copy with every Secret opened, to compare by. */
function open(value: unknown): unknown {
  if (value instanceof Secret) return { secret: value.reveal() }
  if (value instanceof Date || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(open)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, open(member)]))
}

t.test('a refusal crosses with its delay and its name; a bug is keeper-unavailable', async (t) => {
  const house = scriptedHouse({
    async admit(attempt) {
      if (attempt.mechanism === 'PLAIN') throw new TypeError('hunter2')
      throw new LoginFailure('app-password-expired', 'ran out yesterday', {
        delayMs: 4000,
        logName: 'ann@example.org',
        language: 'nl',
        cause: new Error('not for others'),
      })
    },
  })
  const at = place(t)
  await at.serve(house)
  const { gate } = at.edge()
  const failure = await gate.admit(attemptOf('ann', 'x')).catch((error: unknown) => error)
  t.ok(failure instanceof LoginFailure)
  t.match(failure, {
    reason: 'app-password-expired',
    message: 'ran out yesterday',
    delayMs: 4000,
    logName: 'ann@example.org',
    language: 'nl',
    cause: undefined,
  })
  const bug = await gate.admit(attemptOf('ann', 'x', { mechanism: 'PLAIN' })).catch((error: unknown) => error)
  t.match(bug, { name: 'LoginFailure', reason: 'keeper-unavailable' }, 'invariant 11')
  t.notMatch(String(bug), /hunter2/)
  t.equal(at.log.of('bug').length, 1)
})

t.test('an attempt that is too large is refused like a wrong password, and nobody else notices', async (t) => {
  const house = scriptedHouse()
  const at = place(t)
  await at.serve(house)
  const { gate } = at.edge()
  await refused(t, gate.admit(attemptOf('ann', 'x'.repeat(70_000))), 'bad-credentials', 2000)
  await gate.admit(attemptOf('ann', 'x'))
  t.equal(house.ports.length, 1)
})

t.test('invariant 8: an end that follows its grant finds it, however close it follows', async (t) => {
  const house = scriptedHouse({
    async admit(attempt, port) {
      const grant = grantOf(attempt)
      port.ender.end(grant.id) // before the answer is even on its way
      return grant
    },
  })
  const at = place(t)
  await at.serve(house)
  const registry = new Set<string>()
  const found: boolean[] = []
  const { gate } = at.edge({ ender: { end: (id) => void found.push(registry.delete(id)) } })
  const login = async () => {
    const grant = await gate.admit(attemptOf('ann', 'x'))
    registry.add(grant.id)
  }
  for (let run = 0; run < 20; run++) await Promise.all(Array.from({ length: 50 }, login))
  while (found.length < 1000) await delay(1)
  t.equal(found.filter(Boolean).length, 1000)
  t.equal(registry.size, 0)
})

t.test('notices go in order, and behind the grants that they are about', async (t) => {
  const house = scriptedHouse()
  const at = place(t)
  await at.serve(house)
  const { gate } = at.edge()
  const ids: string[] = []
  for (let i = 0; i < 100; i++) {
    const { id } = await gate.admit(attemptOf('ann', 'x'))
    ids.push(id)
    gate.settle(id, 'accepted')
    gate.ended(id, END)
  }
  await house.until(() => house.port.told.length === 200)
  t.strictSame(
    house.port.told,
    ids.flatMap((id) => [`settle ${id} accepted`, `ended ${id} client-closed`]),
  )
})

t.test('logins that wait for what the edge tells of another one never keep it from being heard', async (t) => {
  const first = Promise.withResolvers<void>()
  const house = scriptedHouse({
    async admit(attempt) {
      // As primary passwords do behind an address: one at a time, until the upstream's verdict on it is told.
      if (attempt.credential.authcid !== 'first') await first.promise
      return grantOf(attempt)
    },
  })
  const at = place(t)
  await at.serve(house)
  const { gate } = at.edge()
  const { id } = await gate.admit(attemptOf('first', 'x'))
  const others = Array.from({ length: DEFAULT_LIMITS.pending }, () => gate.admit(attemptOf('ann', 'y')))
  gate.settle(id, 'upstream-refused')
  await refused(t, gate.admit(attemptOf('ann', 'one too many')), 'busy')
  await house.until(() => house.port.told.length > 0)
  first.resolve()
  t.equal((await Promise.all(others)).length, DEFAULT_LIMITS.pending)
})

t.test('keeper gone and back while a login may wait: one in flight is asked again and succeeds', async (t) => {
  const at = place(t)
  const first = scriptedHouse({ admit: () => new Promise(() => {}) })
  await at.serve(first)
  const { gate } = at.edge({ waitMs: 30_000 })
  const inFlight = gate.admit(attemptOf('ann', 'x'))
  await first.until(() => first.ports[0]?.attempts.length === 1)
  await at.leave()
  const during = gate.admit(attemptOf('bob', 'y'))
  await delay(100)
  const second = scriptedHouse()
  await at.serve(second)
  t.equal((await inFlight).logName, 'ann')
  t.equal((await during).logName, 'bob')
  t.strictSame(second.port.attempts.map(({ credential }) => credential.authcid).sort(), ['ann', 'bob'])
})

t.test('keeper away for longer: keeper-unavailable, once, after the wait', async (t) => {
  const at = place(t)
  const { gate } = at.edge({ waitMs: 120 })
  const started = performance.now()
  await refused(t, gate.admit(attemptOf('ann', 'x')), 'keeper-unavailable')
  const waited = performance.now() - started
  t.ok(waited >= 110, `waited ${Math.round(waited)} ms`)
})

t.test('the wait is one in all, however often the keeper comes and goes', async (t) => {
  let served = 0
  // A machine that is busy may need longer for two keepers. A wait that began anew with each would never be over.
  for (let waitMs = 500; served < 2 && waitMs <= 8000; waitMs *= 2) served = await keepersServed(t, waitMs)
  t.ok(served >= 2, `asked ${served} keepers`)
})

/** How many keepers come and go until a login, which none of them decides, has waited long enough. */
async function keepersServed(t: Test, waitMs: number): Promise<number> {
  const at = place(t)
  const { gate } = at.edge({ waitMs })
  const verdict = gate.admit(attemptOf('ann', 'x')).catch((error: LoginFailure) => error.reason)
  let served = 0
  let over = false
  void verdict.then(() => {
    over = true
  })
  while (!over) {
    const house = scriptedHouse({ admit: () => new Promise(() => {}) })
    await at.serve(house)
    served += 1
    await house.until(() => house.ports[0]?.attempts.length === 1 || over)
    await at.leave()
    await delay(100)
  }
  t.equal(await verdict, 'keeper-unavailable')
  return served
}

t.test('after a restart the keeper hears the sessions at the break, then what became of them', async (t) => {
  const at = place(t)
  const first = scriptedHouse()
  await at.serve(first)
  let sessions: LiveSession[] = []
  const { gate, ends } = at.edge({ liveSessions: () => sessions })
  await gate.ready
  sessions = Array.from({ length: 350 }, (_, i) => live(`g${i}`, i !== 1))
  await at.leave()
  while (gate.isUp) await delay(1)
  gate.settle('g1', 'accepted')
  gate.ended('g2', END)
  gate.settle('never', 'failed')
  sessions = sessions.filter(({ grantId }) => grantId !== 'g2')

  const second = scriptedHouse({ resume: async () => ['g7', 'g8'] })
  await at.serve(second)
  await second.until(() => second.ports.some(({ told }) => told.length === 3))
  const port = second.ports.find(({ told }) => told.length === 3)
  t.equal(port?.resumed?.length, 350, 'in several frames')
  t.match(port?.resumed?.slice(0, 3), [live('g0'), live('g1', false), live('g2')], 'as they were at the break')
  t.strictSame(port?.told, ['settle g1 accepted', 'ended g2 client-closed', 'settle never failed'])
  while (ends.length < 2) await delay(1)
  t.strictSame(ends, ['g7', 'g8'], 'resume ends what it must')
})

t.test('M2: sessions with the longest names there are, and a device each, are taken over whole', async (t) => {
  const at = place(t)
  const house = scriptedHouse()
  await at.serve(house)
  const longest = (i: number): LiveSession => ({
    ...live(`${i}`.padStart(22, 'g')),
    logName: `${'l'.repeat(64)}@${'d'.repeat(185)}.org`,
    appPassword: { id: 'a'.repeat(22), name: '\u{1f4f1}'.repeat(32) + '"'.repeat(32) },
    protocol: 'eas',
    device: '"'.repeat(128),
  })
  const sessions = Array.from({ length: 300 }, (_, i) => longest(i))
  const { gate } = at.edge({ liveSessions: () => sessions })
  await gate.ready
  t.strictSame(house.port.resumed, sessions)
})

t.test('a broken channel is kept for its edge: taken over within the grace, closed after it', async (t) => {
  const at = place(t)
  const house = scriptedHouse()
  await at.serve(house, { graceMs: 60_000 })
  const first = at.edge()
  await first.gate.ready
  const other = at.edge({ edgeId: 'edge-2' })
  await other.gate.ready
  first.gate.close()
  const again = at.edge({ liveSessions: () => [live('g1')] })
  await again.gate.ready
  t.equal(house.ports.length, 3)
  t.strictSame(house.ports[2]?.resumed, [live('g1')])
  await house.until(() => house.ports[0]?.closed === true)
  t.notOk(house.ports[1]?.closed, 'that of another edge stays')

  const elsewhere = place(t)
  const hurried = scriptedHouse()
  await elsewhere.serve(hurried, { graceMs: 200 })
  const { gate } = elsewhere.edge()
  await gate.ready
  const closing = performance.now()
  gate.close()
  await hurried.until(() => hurried.ports[0]?.closed === true)
  const kept = performance.now() - closing
  t.ok(kept >= 195, `kept for ${Math.round(kept)} ms`)
})

t.test('a grant that is decided after its channel broke is settled as failed', async (t) => {
  const at = place(t)
  const decide = Promise.withResolvers<Grant>()
  const house = scriptedHouse({ admit: () => decide.promise })
  await at.serve(house)
  const { gate } = at.edge()
  const lost = t.rejects(gate.admit(attemptOf('ann', 'x')), 'keeper-unavailable')
  await house.until(() => house.ports[0]?.attempts.length === 1)
  gate.close()
  await lost
  const grant = grantOf(attemptOf('ann', 'x'))
  while (at.log.of('x').length > 0 || !house.ports[0]?.closed) await delay(5)
  decide.resolve(grant)
  await house.until(() => house.ports[0]?.told.length === 1)
  t.strictSame(house.ports[0]?.told, [`settle ${grant.id} failed`])
})

t.test('what an edge tells while the keeper is away is bounded; then the sessions are listed afresh', async (t) => {
  const at = place(t)
  const first = scriptedHouse()
  await at.serve(first)
  let sessions = [live('old')]
  const { gate } = at.edge({ liveSessions: () => sessions })
  await gate.ready
  await at.leave()
  while (gate.isUp) await delay(1)
  for (let i = 0; i < 100_001; i++) gate.ended(`g${i}`, END)
  sessions = [live('new')]
  const second: ScriptedHouse = scriptedHouse({
    async resume() {
      if (second.ports.length > 1) return []
      // As much again while the keeper takes over what was told first.
      for (let i = 0; i < 100_001; i++) gate.ended(`h${i}`, END)
      sessions = [live('newest')]
      return []
    },
  })
  await at.serve(second)
  await gate.admit(attemptOf('ann', 'x'))
  t.strictSame(
    second.ports.map(({ resumed }) => resumed),
    [[live('new')], [live('newest')]],
  )
  t.strictSame(second.port.told, [])
})

t.test('an edge can do four things, each in its exact form; anything else ends its channel', async (t) => {
  const attempt = {
    protocol: 'imap',
    mechanism: 'LOGIN',
    credential: { kind: 'password', authcid: 'ann', authzid: '', secret: 'hunter2' },
    peer: { ip: '192.0.2.7', port: 1, localIp: '::1', localPort: 2, tls: null },
    agent: null,
  }
  const password = attempt.credential
  const request = (m: string, p: unknown) => ({ q: 2, m, p })
  for (const [frame, why] of [
    [request('user.add', {}), 'a method of another role'],
    [request('admit', null), 'an attempt that is none'],
    [request('admit', { ...attempt, protocol: 'ldap' }), 'an unknown protocol'],
    [request('admit', { ...attempt, extra: 1 }), 'an unknown key'],
    [request('admit', { ...attempt, credential: { ...password, secret: 'hunter2'.repeat(3000) } }), 'a long secret'],
    [request('admit', { ...attempt, credential: { ...password, kind: 'token' } }), 'an unknown kind'],
    [request('admit', { ...attempt, credential: { ...password, secret: { $: 1 } } }), 'a secret that is no text'],
    [request('admit', { ...attempt, peer: { ...attempt.peer, port: 70_000 } }), 'no port'],
    [request('admit', { ...attempt, agent: 'x'.repeat(129) }), 'a long agent'],
    [request('resume', { sessions: [], last: true }), 'a second resume'],
    [{ m: 'settle', p: ['g', 'perhaps'] }, 'an unknown outcome'],
    [{ m: 'settle', p: ['g'.repeat(65), 'failed'] }, 'a long id'],
    [{ m: 'settle', p: ['g', 'failed', 'x'] }, 'one too many'],
    [{ m: 'ended', p: ['g', { ...END, reason: 'edge-gone' }] }, 'what only the keeper says'],
    [{ m: 'ended', p: ['g', { ...END, netInBytes: -1 }] }, 'fewer than no bytes'],
    [{ m: 'ended', p: ['g', { ...END, durationMs: '1' }] }, 'text for a number'],
    [{ m: 'end', p: 'g' }, 'what only the keeper tells'],
  ] as const) {
    const at = place(t)
    const house = scriptedHouse()
    await at.serve(house, { graceMs: 10 })
    const wire = await rawEdge(at.path)
    wire.send({ q: 1, m: 'resume', p: { sessions: [], last: true } })
    t.match(await wire.next(), { a: 1, r: null })
    wire.send(frame)
    await wire.closed
    await house.until(() => house.ports[0]?.closed === true)
    t.strictSame(house.port.told, [], why)
    const lines = at.log.lines.map((line) => JSON.stringify(line)).join()
    t.match(lines, /breaks? the contract|broke the contract/, why)
    t.notMatch(lines, /hunter2/, 'invariant 5')
    t.equal(at.log.of('bug').length, 0, why)
  }
})

t.test('before it resumed an edge can do nothing else', async (t) => {
  for (const frame of [
    { q: 1, m: 'admit', p: {} },
    { m: 'settle', p: ['g', 'failed'] },
  ]) {
    const at = place(t)
    const house = scriptedHouse()
    await at.serve(house)
    const wire = await rawEdge(at.path)
    wire.send(frame)
    await wire.closed
    t.equal(house.ports.length, 0)
  }
})

t.test('sessions that an edge brings along are bounded', async (t) => {
  const at = place(t)
  const house = scriptedHouse()
  await at.serve(house, { maxSessions: 150 })
  const { gate } = at.edge({ liveSessions: () => Array.from({ length: 151 }, (_, i) => live(`g${i}`)), waitMs: 200 })
  await refused(t, gate.admit(attemptOf('ann', 'x')), 'keeper-unavailable')
  t.equal(house.ports.length, 0)
})

t.test('nobody speaks for an edge without its own key', async (t) => {
  const at = place(t)
  const house = scriptedHouse()
  await at.serve(house)
  const { gate } = at.edge({ key: edgeKey(SECRET, 'edge-2'), waitMs: 100 })
  await refused(t, gate.admit(attemptOf('ann', 'x')), 'keeper-unavailable')
  t.equal(house.ports.length, 0)
  t.match(at.log.text, /ERR_IPC_REFUSED/)
})

async function rawEdge(path: string) {
  const socket = connect(path)
  socket.on('error', () => {})
  const decoder = new FrameDecoder()
  const messages: unknown[] = []
  let wake = () => {}
  socket.on('data', (chunk: Buffer) => {
    decoder.push(chunk)
    for (let message = decoder.next(); message; message = decoder.next()) messages.push(message)
    wake()
  })
  const send = (message: object) => socket.write(encodeFrame(message))
  const next = async (): Promise<unknown> => {
    while (messages.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return messages.shift()
  }
  const closed = once(socket, 'close')
  send({ role: 'edge', name: 'edge-9', key: edgeKey(SECRET, 'edge-9').reveal() })
  await next()
  return { send, next, closed }
}
