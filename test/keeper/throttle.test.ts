import type { Test } from 'tap'
import t from 'tap'
import { createThrottle } from '../../src/keeper/throttle.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Secret } from '../../src/secret.ts'

const DELAYS = [2000, 4000, 8000, 15_000]

function setUp(options: Partial<Parameters<typeof createThrottle>[0]> = {}) {
  const time = { now: 1_000_000 }
  const metrics = createMetrics()
  const throttle = createThrottle({
    delaysMs: DELAYS,
    trustedNetworks: [],
    metrics,
    now: () => time.now,
    ...options,
  })
  let guesses = 0
  return {
    time,
    metrics,
    throttle,
    /** A wrong attempt from start to end. */
    guess(user: string, ip: string, secret = `guess ${++guesses}`) {
      const charge = throttle.charge(user, ip)
      charge.checked()
      return charge.failed(new Secret(secret))
    },
    /** A wrong attempt after the delay of the one before was served. */
    patientGuess(user: string, ip: string, secret?: string) {
      time.now += 15_000
      return this.guess(user, ip, secret)
    },
  }
}

t.test('design §7: failure delays are 2, 4, 8 and at most 15 s', async (t) => {
  const { patientGuess, ...rest } = setUp()
  const delays = [1, 2, 3, 4, 5, 6].map(() => patientGuess.call({ patientGuess, ...rest }, 'ann@a.test', '192.0.2.1'))
  t.strictSame(
    delays.map(({ delayMs }) => delayMs),
    [2000, 4000, 8000, 15_000, 15_000, 15_000],
  )
  t.notOk(delays.some(({ throttled }) => throttled))
})

t.test('lanes: an address, a user and the pair are counted each by itself', async (t) => {
  const s = setUp()
  s.patientGuess('ann@a.test', '192.0.2.1')
  t.equal(s.patientGuess('bob@a.test', '192.0.2.1').delayMs, 4000, 'another user from the same address')
  t.equal(s.patientGuess('ann@a.test', '192.0.2.2').delayMs, 4000, 'the same user from another address')
  t.equal(s.patientGuess('cid@a.test', '192.0.2.3').delayMs, 2000, 'neither')
})

t.test('threat B2: v6 guesses from one /64 share a lane, a /48 is slowed when many fail', async (t) => {
  const s = setUp()
  t.equal(s.patientGuess('a@a.test', '2001:db8:1:1::1').delayMs, 2000)
  t.equal(s.patientGuess('b@a.test', '2001:db8:1:1::2').delayMs, 4000, 'same /64')
  for (let i = 2; i <= 15; i++) {
    t.equal(s.patientGuess(`c${i}@a.test`, `2001:db8:1:${i}::1`).delayMs, 2000, `/64 number ${i} of the /48`)
  }
  t.equal(
    s.patientGuess('d@a.test', '2001:db8:1:77::1').delayMs,
    2000,
    'the 17th failure of the /48 is its first delay',
  )
  t.equal(s.patientGuess('e@a.test', '2001:db8:1:78::1').delayMs, 4000)
})

t.test('threat B3: attempts made at once are charged before any of them is judged', async (t) => {
  const s = setUp()
  const charges = Array.from({ length: 6 }, () => s.throttle.charge('ann@a.test', '192.0.2.1'))
  const penalties = charges.map((charge, i) => charge.failed(new Secret(`guess ${i}`)))
  t.ok(
    penalties.every(({ delayMs }) => delayMs === 15_000),
    'each sees all six',
  )
})

t.test('while a delay is served the lane says throttled, with what is left and no more', async (t) => {
  const s = setUp()
  s.guess('ann@a.test', '192.0.2.1')
  s.time.now += 500
  const again = s.guess('ann@a.test', '192.0.2.1')
  t.equal(again.throttled, true)
  t.ok(again.delayMs > 1400 && again.delayMs <= 1500, `${again.delayMs} ms are left`)
  for (let i = 0; i < 50; i++) s.guess('ann@a.test', '192.0.2.1')
  s.time.now += 1500
  t.equal(s.guess('ann@a.test', '192.0.2.1').throttled, false, 'hammering does not make it longer')
  t.equal((await s.metrics.throttled.get()).values.find((v) => v.labels.lane === 'user-address')?.value, 51)
})

t.test('threat B4: a delay that an attacker earned elsewhere never reads as throttled to the owner', async (t) => {
  const s = setUp()
  s.guess('ann@a.test', '203.0.113.9')
  const typo = s.guess('ann@a.test', '192.0.2.1')
  t.equal(typo.throttled, false)
  t.equal(typo.delayMs, 4000, 'but her typing error waits as long as the user lane says')
  const wait = s.throttle.charge('ann@a.test', '198.51.100.1').wait
  t.match(wait, { lane: 'user' }, 'a primary password would wait')
})

t.test('a refund takes back its own charge and no other', async (t) => {
  const s = setUp()
  s.patientGuess('ann@a.test', '192.0.2.1')
  for (let i = 0; i < 40; i++) {
    const charge = s.throttle.charge('ann@a.test', '192.0.2.1')
    charge.checked()
    charge.refund()
    charge.refund()
    t.same(charge.failed(new Secret('x')), { delayMs: 0, throttled: false }, 'decided once')
  }
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1').delayMs, 4000, 'neither forgiven nor raised by successes')
})

t.test('M5: the same wrong secret counts once and keeps the current delay', async (t) => {
  const s = setUp()
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1', 'old').delayMs, 2000)
  for (let i = 0; i < 20; i++) t.equal(s.patientGuess('ann@a.test', '192.0.2.1', 'old').delayMs, 2000)
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1', 'new').delayMs, 4000, 'as if the old one had been tried once')
  t.equal(s.patientGuess('ann@a.test', '192.0.2.2', 'old').delayMs > 0, true, 'another block counts it anew')
})

t.test('M5: a slowed attempt (tombstone) waits and is not counted', async (t) => {
  const s = setUp()
  for (let i = 0; i < 10; i++) {
    s.time.now += 15_000
    t.same(s.throttle.charge('ann@a.test', '192.0.2.1').slowed(), { delayMs: 2000, throttled: false })
  }
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1').delayMs, 2000)
})

t.test('trusted networks skip the address lane only', async (t) => {
  const s = setUp({ trustedNetworks: ['192.0.2.0/24'], maxChecksPerAddress: 1 })
  s.patientGuess('ann@a.test', '192.0.2.1')
  t.equal(s.patientGuess('bob@a.test', '192.0.2.1').delayMs, 2000, 'no address lane')
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1').delayMs, 4000, 'the user lane is there')
  const checks = [1, 2, 3].map(() => s.throttle.charge('cid@a.test', '192.0.2.1').verdict)
  t.same(checks, ['charged', 'charged', 'charged'], 'no limit of checks')
})

t.test('threat B3: at most so many checks in flight per address', async (t) => {
  const s = setUp({ maxChecksPerAddress: 2 })
  const first = s.throttle.charge('ann@a.test', '192.0.2.1')
  s.throttle.charge('bob@a.test', '192.0.2.1')
  t.match(s.throttle.charge('cid@a.test', '192.0.2.1').verdict, { lane: 'checks' })
  t.equal(s.throttle.charge('cid@a.test', '192.0.2.2').verdict, 'charged', 'another address')
  first.checked()
  first.checked()
  t.equal(s.throttle.charge('cid@a.test', '192.0.2.1').verdict, 'charged')
  t.match(s.throttle.charge('cid@a.test', '192.0.2.1').verdict, { lane: 'checks' })
})

t.test('a lane without failures for a quarter of an hour is forgotten', async (t) => {
  const s = setUp()
  for (let i = 0; i < 4; i++) s.patientGuess('ann@a.test', '192.0.2.1', `${i}`)
  s.time.now += 15 * 60_000 + 1
  t.equal(s.guess('ann@a.test', '192.0.2.1', '0').delayMs, 2000)
})

t.test('threat B11: tables are bounded, and newcomers never push out an entry that counts', async (t) => {
  const s = setUp({ maxEntries: 100 })
  for (let i = 0; i < 4; i++) s.patientGuess('ann@a.test', '192.0.2.1')
  for (let i = 0; i < 5000; i++) s.guess(`u${i}@a.test`, `10.0.${i >> 8}.${i & 255}`)
  t.ok(s.throttle.entries <= 4 * 100, `${s.throttle.entries} entries`)
  t.equal(s.patientGuess('ann@a.test', '192.0.2.1').delayMs, 15_000, 'the old sinner is still known')
  t.equal(s.patientGuess('late@a.test', '10.9.9.9').delayMs, 15_000, 'newcomers share the overflow')
  s.time.now += 15 * 60_000 + 1
  t.equal(s.guess('late@a.test', '10.9.9.9').delayMs, 2000, 'until there is room again')
})

t.test('successful logins leave nothing behind', async (t) => {
  const s = setUp()
  for (let i = 0; i < 1000; i++) {
    const charge = s.throttle.charge(`u${i}@a.test`, `10.0.${i >> 8}.${i & 255}`)
    charge.checked()
    charge.refund()
  }
  t.equal(s.throttle.entries, 0)
})

t.test('no delays: nothing waits and nothing is throttled', async (t: Test) => {
  const s = setUp({ delaysMs: [] })
  for (let i = 0; i < 10; i++) t.same(s.guess('ann@a.test', '192.0.2.1'), { delayMs: 0, throttled: false })
  s.throttle.configure({ delaysMs: [100], trustedNetworks: [] })
  t.equal(s.guess('ann@a.test', '192.0.2.1').delayMs, 100, 'a reload takes effect')
})
