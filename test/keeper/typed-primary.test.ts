import t from 'tap'
import { noteSecret } from '../support/secrets.ts'
import { edge, house } from './house.ts'

const PRIMARY = noteSecret('correct horse battery staple')

async function setUp(test: Parameters<typeof house>[0], delays: readonly number[] = []) {
  const time = { now: 1_000_000 }
  const h = await house(test, { now: () => time.now, throttleDelaysMs: delays })
  await h.call('user.add', { address: 'ann@a.test', password: PRIMARY })
  const issued = await h.issue('ann@a.test')
  return { h, time, issued, e: edge(h.keeper) }
}

t.test('threat B10: the typed primary password is recognised from a known place, three times an hour', async (t) => {
  const { h, time, issued, e } = await setUp(t)
  const before = h.keeper.hasher.runs
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials', 'a place she never logged in from')
  t.equal(h.keeper.hasher.runs, before, 'and not even looked at')
  await e.result('ann@a.test', issued.password)
  t.equal(await e.result('ann@a.test', PRIMARY), 'use-app-password')
  t.equal(await e.result('ann@a.test', PRIMARY, { ip: '203.0.113.4' }), 'bad-credentials', 'elsewhere')
  t.equal(await e.result('ann@a.test', 'not that one'), 'bad-credentials')
  t.equal(await e.result('ann@a.test', PRIMARY), 'use-app-password')
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials', 'three looks, right or wrong')
  t.equal(h.keeper.hasher.runs - before, 4, 'one for the app password, three for these')
  time.now += 60 * 60_000
  t.equal(await e.result('ann@a.test', PRIMARY), 'use-app-password')
})

t.test('it counts as a failed attempt, inside the failure delay', async (t) => {
  const { time, issued, e } = await setUp(t, [2000, 4000])
  await e.result('ann@a.test', issued.password)
  t.match(await e.refusal('ann@a.test', PRIMARY), { reason: 'use-app-password', delayMs: 2000, logName: 'ann@a.test' })
  t.match(await e.refusal('ann@a.test', 'a guess'), { reason: 'throttled' })
  t.match(await e.refusal('ann@a.test', PRIMARY), { reason: 'throttled' }, 'nor is it told during a delay')
  time.now += 15_000
  t.match(await e.refusal('ann@a.test', 'another guess'), { reason: 'bad-credentials', delayMs: 4000 })
})

t.test('a place is gone with its app password, and with its user', async (t) => {
  const { h, issued, e } = await setUp(t)
  await e.result('ann@a.test', issued.password)
  await h.call('app-password.delete', { id: issued.id })
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials')
  const second = await h.issue('ann@a.test')
  await e.result('ann@a.test', second.password)
  await h.call('user.disable', { address: 'ann@a.test' })
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials', 'disabled')
})
