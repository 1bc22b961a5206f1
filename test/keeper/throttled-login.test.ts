import t from 'tap'
import { attempt, edge, house } from './house.ts'

const DELAYS = [2000, 4000, 8000, 15_000]

async function setUp(test: Parameters<typeof house>[0], yaml = '') {
  const time = { now: 1_000_000 }
  const h = await house(test, { now: () => time.now, throttleDelaysMs: DELAYS, yaml })
  await h.addUser('ann@a.test')
  await h.addUser('bob@a.test')
  const issued = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  let guesses = 0
  return { h, e, time, issued, guess: () => `guess number ${++guesses}` }
}

t.test(
  'design §7: delays 2, 4, 8, 15 s travel with the refusal, and the lane is shut until they are over',
  async (t) => {
    const { e, time, guess } = await setUp(t)
    for (const want of [2000, 4000, 8000, 15_000, 15_000]) {
      t.match(await e.refusal('ann@a.test', guess()), { reason: 'bad-credentials', delayMs: want })
      t.match(await e.refusal('ann@a.test', guess()), { reason: 'throttled' })
      time.now += 15_000
      if (want === 2000) break
    }
  },
)

t.test('B1: an unknown user is delayed like a known one', async (t) => {
  const { e, time, guess } = await setUp(t)
  for (const [name, ip] of [
    ['ann@a.test', '10.0.0.1'],
    ['nobody@a.test', '10.0.0.2'],
    ['', '10.0.0.3'],
  ] as const) {
    for (const delayMs of [2000, 4000, 8000, 15_000]) {
      time.now += 15_000
      t.match(await e.refusal(name, guess(), { ip }), { reason: 'bad-credentials', delayMs }, `${name} ${delayMs}`)
    }
  }
})

t.test('B4: a right app password goes in whatever the lanes say', async (t) => {
  const { e, issued, guess } = await setUp(t)
  for (let i = 0; i < 30; i++) {
    await e.refusal('ann@a.test', guess())
    t.equal(await e.result('ann@a.test', issued.password), 'in', `after ${i + 1} guesses from the same address`)
  }
})

t.test('M5: the forgotten phone is slowed, named, and locks nobody out', async (t) => {
  const { h, e, time, issued, guess } = await setUp(t)
  await h.call('app-password.delete', { id: issued.id })
  for (let i = 0; i < 50; i++) {
    time.now += 5000
    const why = await e.refusal('ann@a.test', issued.password)
    t.match(why, { reason: 'app-password-deleted', delayMs: 2000, logName: 'ann@a.test', message: /"phone"/ })
  }
  t.match(
    await e.refusal('bob@a.test', guess()),
    { reason: 'bad-credentials', delayMs: 2000 },
    "nobody's address is banned",
  )
})

t.test('M5: a badly set phone counts once', async (t) => {
  const { e, time, guess } = await setUp(t)
  for (let i = 0; i < 50; i++) {
    time.now += 15_000
    t.match(await e.refusal('ann@a.test', 'the old password'), { reason: 'bad-credentials', delayMs: 2000 })
  }
  time.now += 15_000
  t.match(await e.refusal('ann@a.test', guess()), { delayMs: 4000 })
})

t.test('what failed for our reasons, or the user’s own, is refunded', async (t) => {
  const { h, e, time, issued, guess } = await setUp(t)
  const narrow = await h.issue('ann@a.test', { protocols: ['smtp'] })
  for (let i = 0; i < 10; i++) {
    time.now += 15_000
    t.match(await e.refusal('ann@a.test', narrow.password), { reason: 'not-on-this-protocol', delayMs: 2000 })
    for (const outcome of ['failed', 'upstream-refused', 'client-gone'] as const) {
      e.settle(await e.admit(attempt('ann@a.test', issued.password)), outcome)
    }
    t.match(await e.refusal('ann@a.test', issued.password, { protocol: 'pop3' }), { reason: 'upstream-unreachable' })
  }
  t.match(await e.refusal('ann@a.test', guess()), { reason: 'bad-credentials', delayMs: 2000 })
})

t.test('trusted networks skip the address lane only', async (t) => {
  const { e, time, guess } = await setUp(t, 'throttle: { trustedNetworks: [10.0.0.0/8] }')
  const from = { ip: '10.1.2.3' }
  t.match(await e.refusal('ann@a.test', guess(), from), { delayMs: 2000 })
  t.match(await e.refusal('bob@a.test', guess(), from), { reason: 'bad-credentials', delayMs: 2000 })
  time.now += 15_000
  t.match(await e.refusal('ann@a.test', guess(), from), { delayMs: 4000 })
})

t.test('throttled attempts are counted by lane, never by user or address', async (t) => {
  const { h, e, guess } = await setUp(t)
  await e.refusal('ann@a.test', guess())
  await e.refusal('ann@a.test', guess())
  const text = await h.metrics.registry.metrics()
  t.match(text, /sallyport_throttled_total\{lane="user-address"\} 1/)
  t.notMatch(text, /ann|192\.0\.2/)
})

t.test('M5: what the old phone still tries is noted for its owner, off the path of the login', async (t) => {
  const { h, e, time, issued } = await setUp(t)
  const user = await h.call('user.show', { address: 'ann@a.test' })
  await h.call('app-password.delete', { id: issued.id })
  for (const ip of ['10.0.0.1', '10.0.0.2', '2001:db8::7']) {
    time.now += 15_000
    t.equal(await e.result('ann@a.test', issued.password, { ip, protocol: 'pop3' }), 'app-password-deleted')
  }
  t.equal((await h.store.listTombstones(user.id))[0]?.lastTried, null, 'not yet')
  const file = h.directory
  await h.close()
  const again = await house(t, { directory: file })
  const [tombstone] = await again.store.listTombstones(user.id)
  t.match(tombstone, { name: 'phone', lastTried: { tries: 3, ip: '2001:db8::7', protocol: 'pop3' } })
})
