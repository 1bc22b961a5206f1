import t from 'tap'
import { edge, house } from './house.ts'

const DELAYS = [2000, 4000, 8000, 15_000]

async function setUp(test: Parameters<typeof house>[0]) {
  const time = { now: 1_000_000 }
  const h = await house(test, { now: () => time.now, throttleDelaysMs: DELAYS })
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  let guesses = 0
  async function guess(user: string, ip: string, patient = true) {
    if (patient) time.now += 15_000
    return await e.refusal(user, `guess ${++guesses}`, { ip })
  }
  return { h, e, time, guess }
}

t.test('throttle.list: the longest waits first, by user and by address', async (t) => {
  const { h, guess } = await setUp(t)
  await guess('ann@a.test', '192.0.2.1')
  await guess('ann@a.test', '192.0.2.1')
  await guess('correct-horse@a.test', '2001:db8:1:2::3')
  const all = await h.call('throttle.list', {})
  t.equal(all.total, all.lanes.length)
  t.strictSame(
    all.lanes.map(({ waitMs }) => waitMs),
    all.lanes.map(({ waitMs }) => waitMs).sort((a, b) => b - a),
  )
  t.notMatch(JSON.stringify(all), /correct-horse/, 'threat J2: a name that is nobody’s may be a password')
  t.match(
    all.lanes.find(({ lane, user }) => lane === 'user' && user?.startsWith('unknown:')),
    { user: /^unknown:[0-9a-f]{12}@a\.test$/, address: null, failures: 1 },
  )
  const hers = await h.call('throttle.list', { user: 'ANN' })
  t.strictSame(hers.lanes.map(({ lane, user, address, failures }) => [lane, user, address, failures]).sort(), [
    ['user', 'ann@a.test', null, 2],
    ['user-address', 'ann@a.test', '192.0.2.1', 2],
  ])
  const there = await h.call('throttle.list', { address: '::ffff:192.0.2.1' })
  t.strictSame(there.lanes.map(({ lane }) => lane).sort(), ['address', 'user-address'])
  t.match(await h.call('throttle.list', { limit: 2 }), { lanes: { length: 2 }, total: all.total })
  await t.rejects(h.call('throttle.list', { address: 'nowhere' }), { code: 'invalid' })
})

t.test('throttle.clear: of a user, of an address, of everybody, with an entry in the audit trail', async (t) => {
  const { h, guess } = await setUp(t)
  for (let i = 0; i < 4; i++) await guess('ann@a.test', '192.0.2.1')
  t.match(await guess('ann@a.test', '192.0.2.9', false), { reason: 'throttled' })
  t.strictSame(await h.call('throttle.clear', { user: 'ann@a.test' }), { cleared: 3 })
  t.match(await guess('ann@a.test', '203.0.113.1', false), { reason: 'bad-credentials', delayMs: 2000 })
  t.match(await guess('bob@a.test', '192.0.2.1'), { delayMs: 15_000 }, 'the address is as it was')
  await h.call('throttle.clear', { address: '192.0.2.1' })
  t.match(await guess('bob@a.test', '192.0.2.1', false), { reason: 'throttled' }, "so is bob's name")
  await h.call('throttle.clear', {})
  t.match(await guess('bob@a.test', '192.0.2.1', false), { reason: 'bad-credentials', delayMs: 2000 })
  const { entries } = await h.call('audit.list', { limit: 200 })
  t.match(
    entries.filter(({ event }) => event === 'throttle_cleared'),
    [
      { user: 'ann@a.test', actor: 'cli:test', detail: { count: 3 } },
      { user: null, detail: { address: '192.0.2.1', count: 2 } },
      { user: null, detail: {} },
    ],
  )
  const { entries: hers } = await h.call('audit.list', { user: 'ann@a.test' })
  t.ok(hers.some(({ event }) => event === 'throttle_cleared'))
})
