import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { SessionEnd } from '../../src/contract/admission.ts'
import { createEdges } from '../../src/keeper/edges.ts'
import type { UnaskedEnd } from '../../src/keeper/grants/ends.ts'
import type { SessionInfo } from '../../src/keeper/grants/places.ts'
import type { GrantDetails, GrantPort } from '../../src/keeper/grants/port.ts'
import { createGrants } from '../../src/keeper/grants.ts'
import { createMetrics } from '../../src/metrics.ts'
import { captureLog } from '../support/logs.ts'

const END: SessionEnd = { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 1 }

function setUp(options: { readonly answerWithinMs?: number } = {}) {
  const capture = captureLog()
  const metrics = createMetrics()
  const time = { wall: Date.parse('2026-01-02T03:04:05Z') }
  const unasked: UnaskedEnd[] = []
  const grants = createGrants({
    edges: createEdges(),
    log: capture.log,
    metrics,
    now: () => performance.now(),
    clock: () => new Date(time.wall),
    answerWithinMs: 1000,
    onUnasked: (ends) => void unasked.push(...ends),
    ...options,
  })
  const ended: string[] = []
  /** An edge that does as it is told, unless `deaf`. */
  function edge({ deaf = false, settled = true } = {}) {
    const port: GrantPort = grants.attach({
      end(id) {
        ended.push(id)
        if (deaf) return
        if (settled) port.ended(id, END)
        else port.settle(id, 'client-gone')
      },
    })
    return port
  }
  const details = (patch: Partial<GrantDetails> = {}): GrantDetails => ({
    user: 'ann@a.test',
    appPassword: { id: 'p1', name: 'phone' },
    protocol: 'imap',
    ip: '192.0.2.1',
    upstream: 'main',
    expiresAt: null,
    onSettled: () => undefined,
    ...patch,
  })
  function grant(port: GrantPort, patch: Partial<GrantDetails> = {}, userId = 'u1') {
    using hold = port.hold({ userId, appPasswordId: patch.appPassword?.id ?? 'p1' })
    return hold.grant(details(patch))
  }
  return { grants, capture, metrics, time, ended, unasked, edge, grant, details }
}

t.test('invariant 4: a grant is settled exactly once, and a second time is a bug that changes nothing', async (t) => {
  const s = setUp()
  const port = s.edge()
  const outcomes: string[] = []
  const id = s.grant(port, { onSettled: (outcome) => void outcomes.push(outcome) })
  t.match(id, /^[A-Za-z0-9_-]{22}$/, '128 random bits')
  port.settle(id, 'accepted')
  port.settle(id, 'accepted')
  port.settle(id, 'failed')
  t.strictSame(outcomes, ['accepted'])
  t.equal(s.capture.log.bugs, 2)
  t.match([...s.grants.all()], [{ id, state: 'open' }])
  port.ended(id, END)
  port.ended(id, END)
  t.equal(s.capture.log.bugs, 3)
  t.equal(s.grants.size, 0)
})

t.test('a refused grant leaves the table; ending one that was never accepted is a bug', async (t) => {
  const s = setUp()
  const port = s.edge()
  const outcomes: string[] = []
  const onSettled = (outcome: string) => void outcomes.push(outcome)
  port.settle(s.grant(port, { onSettled }), 'upstream-refused')
  port.ended(s.grant(port, { onSettled }), END)
  t.strictSame(outcomes, ['upstream-refused', 'failed'])
  t.equal(s.capture.log.bugs, 1)
  t.equal(s.grants.size, 0)
})

t.test('an edge can settle and end its own grants only', async (t) => {
  const s = setUp()
  const [one, other] = [s.edge(), s.edge()]
  const id = s.grant(one)
  other.settle(id, 'client-gone')
  other.ended(id, END)
  one.settle('made up', 'accepted')
  t.match([...s.grants.all()], [{ id, state: 'connecting' }])
  t.equal(s.capture.log.bugs, 3)
})

t.test('M2: revoking ends what is open and what is connecting, and counts what confirmed it', async (t) => {
  const s = setUp()
  const [quick, dialling] = [s.edge(), s.edge({ settled: false })]
  const open = [s.grant(quick), s.grant(quick)]
  for (const id of open) quick.settle(id, 'accepted')
  const connecting = s.grant(dialling)
  const other = s.grant(quick, { appPassword: { id: 'p2', name: 'laptop' } })
  using ending = s.grants.watch()
  const isPhone = ({ appPassword }: SessionInfo) => appPassword?.id === 'p1'
  const causeOf = (session: SessionInfo) => (isPhone(session) ? 'app-password-deleted' : null)
  t.equal(s.grants.end(causeOf), 3)
  t.equal(s.grants.end(causeOf), 0, 'once is enough')
  t.strictSame(await ending.result(isPhone), { sessionsEnded: 3, unanswered: [] })
  t.strictSame([...s.ended].sort(), [...open, connecting].sort())
  t.strictSame(
    [...s.grants.all()].map(({ id }) => id),
    [other],
  )
  t.equal((await s.metrics.revocation.get()).values.find((v) => v.metricName?.endsWith('count'))?.value, 3)
})

t.test('M2: an edge that does not answer within the time is named', async (t) => {
  const s = setUp({ answerWithinMs: 30 })
  const [quick, deaf] = [s.edge(), s.edge({ deaf: true })]
  for (const port of [quick, deaf, deaf]) port.settle(s.grant(port), 'accepted')
  using ending = s.grants.watch()
  s.grants.end(() => 'asked')
  t.strictSame(await ending.result(() => true), { sessionsEnded: 1, unanswered: ['edge 2'] })
  t.equal(s.grants.size, 2, 'they stay in the table until somebody says that they are over')
})

t.test('M2: a session that is found late has as much time to end as the first one', async (t) => {
  const s = setUp({ answerWithinMs: 200 })
  const slow: GrantPort = s.grants.attach({ end: (id) => void delay(60).then(() => slow.ended(id, END)) })
  slow.settle(s.grant(slow), 'accepted')
  using ending = s.grants.watch()
  await delay(220) // thousands of others are looked at first
  s.grants.end(() => 'asked')
  t.strictSame(await ending.result(() => true), { sessionsEnded: 1, unanswered: [] })
})

t.test('an end never overtakes the grant it is for', async (t) => {
  const s = setUp()
  const order: string[] = []
  const port = s.grants.attach({ end: () => void order.push('end') })
  async function admit() {
    using hold = port.hold({ userId: 'u1', appPasswordId: 'p1' })
    await null
    const id = hold.grant(s.details())
    s.grants.end(() => 'asked') // the revocation comes in the same breath
    return id
  }
  async function carry() {
    await admit()
    await null // a codec or two on the way to the wire
    await null
    order.push('grant')
  }
  await carry()
  await turn()
  t.strictSame(order, ['grant', 'end'])
})

t.test('a place is in the table before the grant, and hears of changes', async (t) => {
  const s = setUp()
  const port = s.edge()
  const hold = port.hold({ userId: 'u1', appPasswordId: 'p1' })
  t.equal(hold.others, 0)
  using second = port.hold({ userId: 'u1', appPasswordId: 'p1' })
  t.equal(hold.others, 1)
  s.grants.disturb('u2')
  t.equal(hold.disturbed, false)
  s.grants.disturb('u1')
  t.equal(hold.disturbed, true)
  hold.reset()
  t.equal(hold.disturbed, false)
  s.grants.disturb(null)
  t.equal(hold.disturbed, true)
  hold[Symbol.dispose]()
  t.equal(second.others, 0)
})

t.test('an edge that dies: what it left open is settled and ended, once', async (t) => {
  const s = setUp()
  const port = s.edge()
  const outcomes: string[] = []
  const onSettled = (outcome: string) => void outcomes.push(outcome)
  const open = s.grant(port, { onSettled })
  port.settle(open, 'accepted')
  s.grant(port, { onSettled })
  const late = port.hold({ userId: 'u1', appPasswordId: 'p1' })
  port.close()
  port.close()
  t.strictSame(outcomes, ['accepted', 'client-gone'])
  t.equal(s.grants.size, 0)
  late.grant(s.details({ onSettled }))
  t.strictSame(outcomes, ['accepted', 'client-gone', 'client-gone'], 'a grant that comes too late')
  t.equal(s.grants.size, 0)
  port.settle(open, 'accepted')
  port.ended(open, END)
  t.equal(s.capture.log.bugs, 0, 'late frames of a dead channel are no bug')
})

t.test('a session taken over by a new channel of the same edge', async (t) => {
  const s = setUp()
  const old = s.edge()
  const outcomes: string[] = []
  const onSettled = (outcome: string) => void outcomes.push(outcome)
  const [open, halfway] = [s.grant(old, { onSettled }), s.grant(old, { onSettled })]
  const fresh = s.edge()
  const session = (grantId: string, settled: boolean) => ({
    grantId,
    userId: 'u1',
    logName: 'ann@a.test',
    appPassword: { id: 'p1', name: 'phone' },
    protocol: 'imap' as const,
    ip: '192.0.2.1',
    port: 5,
    startedAt: s.time.wall - 1000,
    settled,
  })
  fresh.adopt(session(open, true))
  fresh.adopt(session(halfway, false))
  fresh.adopt(session('from before the keeper started', true))
  t.strictSame(outcomes, ['accepted'], 'its settle was lost with the channel')
  old.close()
  t.equal(s.grants.size, 3)
  fresh.settle(halfway, 'accepted')
  t.strictSame(outcomes, ['accepted', 'accepted'])
  s.grants.end(() => 'asked')
  await turn()
  t.equal(s.grants.size, 0)
  t.equal(s.ended.length, 3)
  t.equal(s.capture.log.bugs, 0)
})

t.test('an end that no watch counts is told of, once', async (t) => {
  const s = setUp()
  const port = s.edge()
  const open = (userId: string) => {
    const id = s.grant(port, { user: `${userId}@a.test` }, userId)
    port.settle(id, 'accepted')
    return id
  }
  const told = () => s.unasked.map(({ session, edge, ending }) => [session.id, edge, ending.cause])
  const [ann, bob, cid] = [open('ann'), open('bob'), open('cid')]
  s.grants.end(() => 'policy', 'ann')
  await turn()
  t.strictSame(told(), [[ann, 'edge 1', 'policy']], 'nobody watched')

  const isBob = ({ userId }: SessionInfo) => userId === 'bob'
  const other = s.grants.watch()
  {
    using watch = s.grants.watch()
    s.grants.end(() => 'user-disabled')
    t.match(await watch.result(isBob), { sessionsEnded: 1 })
  }
  await turn()
  t.equal(s.unasked.length, 1, 'the other watch may still count it')
  other[Symbol.dispose]()
  await turn()
  t.strictSame(told().slice(1), [[cid, 'edge 1', 'user-disabled']], `${bob} was counted, ${cid} by nobody`)
  t.equal(await s.unasked[1]?.ending.confirmed, true)
})

t.test('expiry ends open sessions, too', async (t) => {
  const s = setUp()
  const port = s.edge()
  const soon = s.grant(port, { expiresAt: new Date(s.time.wall + 20) })
  const later = s.grant(port, { expiresAt: new Date(s.time.wall + 3_600_000) })
  s.grant(port)
  for (const { id } of [...s.grants.all()]) port.settle(id, 'accepted')
  s.time.wall += 20
  while (s.unasked.length === 0) await delay(1)
  t.strictSame(s.ended, [soon])
  t.match(s.unasked, [{ session: { id: soon }, ending: { cause: 'expired' } }])
  s.grants.expire('u2', 'p1', new Date(s.time.wall))
  await turn()
  t.equal(s.grants.size, 2, 'of somebody else')
  s.grants.expire('u1', 'p1', new Date(s.time.wall)) // narrowed: all three are of this app password
  while (s.grants.size > 0) await delay(1)
  t.ok(s.ended.includes(later))
  s.grants.close()
})
