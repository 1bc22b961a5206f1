import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import t from 'tap'
import { createKnownGood } from '../../src/keeper/throttle/known-good.ts'
import type { ThrottleOptions } from '../../src/keeper/throttle.ts'
import { createThrottle } from '../../src/keeper/throttle.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Secret } from '../../src/secret.ts'

const DELAYS = [2000, 4000, 8000, 15_000]

function setUp(options: Partial<Omit<ThrottleOptions, 'metrics' | 'now'>> = {}) {
  const time = { now: 1_000_000 }
  const metrics = createMetrics()
  const knownGood = createKnownGood()
  const throttle = createThrottle({
    delaysMs: DELAYS,
    trustedNetworks: [],
    knownGood,
    metrics,
    now: () => time.now,
    // Whoever waits moves the clock.
    sleep: async (ms) => {
      time.now += ms
    },
    ...options,
  })
  let guesses = 0
  /** A wrong attempt from start to end. */
  async function guess(user: string, ip: string, secret = `guess ${++guesses}`) {
    const typed = new Secret(secret)
    const charge = throttle.charge(user, ip, typed)
    charge.checked()
    return await charge.failed(typed)
  }
  return {
    time,
    metrics,
    throttle,
    knownGood,
    charge: (user: string, ip: string, secret = 'x') => throttle.charge(user, ip, new Secret(secret)),
    guess,
    /** A wrong attempt after the delay of the one before was served. */
    async patientGuess(user: string, ip: string, secret?: string) {
      time.now += 15_000
      return await guess(user, ip, secret)
    },
    async refusedBy(lane: string) {
      return (await metrics.throttled.get()).values.find(({ labels }) => labels.lane === lane)?.value ?? 0
    },
  }
}

t.test('design §7: failure delays are 2, 4, 8 and at most 15 s', async (t) => {
  const s = setUp()
  for (const delayMs of [2000, 4000, 8000, 15_000, 15_000, 15_000]) {
    t.same(await s.patientGuess('ann@a.test', '192.0.2.1'), { delayMs, throttled: false })
  }
})

t.test('lanes: an address, a user and the pair are counted each by itself', async (t) => {
  const s = setUp()
  await s.patientGuess('ann@a.test', '192.0.2.1')
  t.equal((await s.patientGuess('bob@a.test', '192.0.2.1')).delayMs, 4000, 'another user from the same address')
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.2')).delayMs, 4000, 'the same user from another address')
  t.equal((await s.patientGuess('cid@a.test', '192.0.2.3')).delayMs, 2000, 'neither')
})

t.test('threat B2: v6 guesses from one /64 share a lane, a /48 is slowed when many fail', async (t) => {
  const s = setUp()
  t.equal((await s.patientGuess('a@a.test', '2001:db8:1:1::1')).delayMs, 2000)
  t.equal((await s.patientGuess('b@a.test', '2001:db8:1:1::2')).delayMs, 4000, 'same /64')
  for (let i = 2; i <= 15; i++) {
    const { delayMs } = await s.patientGuess(`c${i}@a.test`, `2001:db8:1:${i}::1`)
    t.equal(delayMs, 2000, `/64 number ${i} of the /48`)
    if (i % 7 === 0) s.time.now -= 14 * 15_000 // all of it in one quarter of an hour
  }
  t.equal(
    (await s.patientGuess('d@a.test', '2001:db8:1:77::1')).delayMs,
    2000,
    'the 17th failure of the /48 is its first delay',
  )
  t.equal((await s.patientGuess('e@a.test', '2001:db8:1:78::1')).delayMs, 4000)
})

t.test('threat B3: guesses made at once get one verdict, like those made one after the other', async (t) => {
  for (const [what, address] of [
    ['from one address', () => '192.0.2.1'],
    ['from twenty addresses', (i: number) => `192.0.2.${i}`],
  ] as const) {
    const s = setUp()
    const charges = Array.from({ length: 20 }, (_, i) => s.charge('ann@a.test', address(i)))
    const penalties = await Promise.all(charges.map((charge, i) => charge.failed(new Secret(`guess ${i}`))))
    t.equal(penalties.filter(({ throttled }) => !throttled).length, 1, `${what}: the others are told nothing`)
    t.ok(
      penalties.every(({ delayMs }) => delayMs > 14_900 && delayMs <= 15_000),
      `${what}: and each sees all twenty`,
    )
  }
})

t.test('while a delay is served the lane says throttled, with what is left and no more', async (t) => {
  const s = setUp()
  await s.guess('ann@a.test', '192.0.2.1')
  s.time.now += 500
  const again = await s.guess('ann@a.test', '192.0.2.1')
  t.equal(again.throttled, true)
  t.ok(again.delayMs > 1400 && again.delayMs <= 1500, `${again.delayMs} ms are left`)
  for (let i = 0; i < 50; i++) await s.guess('ann@a.test', '192.0.2.1')
  s.time.now += 1500
  t.equal((await s.guess('ann@a.test', '192.0.2.1')).throttled, false, 'hammering does not make it longer')
  t.equal(await s.refusedBy('user-address'), 51)
})

t.test('threat B4: what was used well from there stands in no lane', async (t) => {
  const s = setUp({ maxChecksPerAddress: 1, maxWaitingChecksPerAddress: 0 })
  const secret = 'abcd efgh ijkl mnop'
  s.charge('ann@a.test', '192.0.2.1', secret).accepted({ userId: 'u1', appPasswordId: 'p1' })
  const guesses = Array.from({ length: 40 }, () => s.charge('ann@a.test', '192.0.2.1'))
  t.equal(await guesses[0]?.place(), null)
  t.match(await guesses[1]?.place(), { lane: 'checks' })
  const phone = s.charge('ann@a.test', '192.0.2.1', secret)
  t.equal(await phone.place(), null, 'it has a line of its own')
  const before = s.throttle.entries
  phone.accepted({ userId: 'u1', appPasswordId: 'p1' })
  t.equal(s.throttle.entries, before)

  await Promise.all(guesses.map((charge, i) => charge.failed(new Secret(`guess ${i}`))))
  t.same(
    await s.charge('ann@a.test', '192.0.2.1', secret).failed(new Secret(secret)),
    { delayMs: 14_975, throttled: true },
    'when it turns out to be of no use it goes the way of a wrong one',
  )
  guesses[0]?.checked()
  s.knownGood.forget('u1', 'p1')
  t.equal(await s.charge('ann@a.test', '192.0.2.1', secret).place(), null)
  t.match(await s.charge('ann@a.test', '192.0.2.1', secret).place(), { lane: 'checks' }, 'gone with the app password')
})

t.test('a refund takes back its own charge and no other', async (t) => {
  const s = setUp()
  await s.patientGuess('ann@a.test', '192.0.2.1')
  for (let i = 0; i < 40; i++) {
    const charge = s.charge('ann@a.test', '192.0.2.1')
    charge.checked()
    charge.refund()
    charge.refund()
    t.same(await charge.failed(new Secret('x')), { delayMs: 0, throttled: false }, 'decided once')
    t.same(charge.slowed(), { delayMs: 0, throttled: false })
  }
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1')).delayMs, 4000, 'neither forgiven nor raised by successes')
})

t.test('M5: the same wrong secret counts once and keeps the current delay', async (t) => {
  const s = setUp()
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1', 'old')).delayMs, 2000)
  for (let i = 0; i < 20; i++) t.equal((await s.patientGuess('ann@a.test', '192.0.2.1', 'old')).delayMs, 2000)
  t.equal((await s.guess('ann@a.test', '192.0.2.1', 'old')).throttled, true, 'nor is it told while that is served')
  t.equal((await s.guess('ann@a.test', '192.0.2.7', 'typo')).throttled, false, 'but it shuts nobody else out')
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1', 'new')).delayMs, 8000, 'as if the old one had come once')
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.2', 'old')).delayMs, 15_000, 'another block counts it anew')
})

t.test('M5: a slowed attempt (tombstone) waits and is not counted', async (t) => {
  const s = setUp()
  for (let i = 0; i < 10; i++) {
    s.time.now += 15_000
    t.same(s.charge('ann@a.test', '192.0.2.1').slowed(), { delayMs: 2000, throttled: false })
  }
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1')).delayMs, 2000)
})

t.test('trusted networks skip the address lane only', async (t) => {
  const s = setUp({ trustedNetworks: ['192.0.2.0/24'], maxChecksPerAddress: 1, maxWaitingChecksPerAddress: 0 })
  await s.patientGuess('ann@a.test', '192.0.2.1')
  t.equal((await s.patientGuess('bob@a.test', '192.0.2.1')).delayMs, 2000, 'no address lane')
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1')).delayMs, 4000, 'the user lane is there')
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.2')).delayMs, 8000, 'from wherever')
  for (let i = 0; i < 3; i++) t.equal(await s.charge('cid@a.test', '192.0.2.1').place(), null, 'no limit of checks')
})

t.test(
  'threats B3, B5: so many checks in flight per address, the next ones in line, the rest is turned away',
  async (t) => {
    const s = setUp({ maxChecksPerAddress: 2, maxWaitingChecksPerAddress: 1 })
    const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map((name) => s.charge(`${name}@a.test`, '192.0.2.1'))
    t.same(await Promise.all([first?.place(), second?.place()]), [null, null])
    let admitted = false
    const inLine = third?.place().then((wait) => {
      admitted = true
      return wait
    })
    t.match(await fourth?.place(), { lane: 'checks', waitMs: 1000 })
    t.equal(await s.refusedBy('checks'), 1)
    t.equal(await s.charge('e@a.test', '192.0.2.2').place(), null, 'another address')
    t.equal(admitted, false)
    first?.checked()
    first?.checked()
    t.equal(await inLine, null, 'the place goes on to the next')
    t.match(s.charge('f@a.test', '192.0.2.1').place(), Promise, 'and a place in the line is free')
    third?.checked()
    second?.checked()
  },
)

t.test('failures are forgotten after a quarter of an hour, however busy the address is', async (t) => {
  const s = setUp()
  for (let i = 0; i < 4; i++) await s.patientGuess('ann@a.test', '192.0.2.1', `${i}`)
  for (let i = 0; i < 16; i++) {
    s.time.now += 60_000
    s.charge('bob@a.test', '192.0.2.1').refund()
  }
  t.equal((await s.guess('ann@a.test', '192.0.2.1', '0')).delayMs, 2000)
})

t.test('threat B11: tables are bounded, and newcomers never push out an entry that counts', async (t) => {
  const s = setUp({ maxEntries: 100 })
  for (let i = 0; i < 4; i++) await s.patientGuess('ann@a.test', '192.0.2.1')
  for (let i = 0; i < 5000; i++) await s.guess(`u${i}@a.test`, `10.0.${i >> 8}.${i & 255}`)
  t.ok(s.throttle.entries <= 4 * 100, `${s.throttle.entries} entries`)
  t.equal((await s.patientGuess('ann@a.test', '192.0.2.1')).delayMs, 15_000, 'the old sinner is still known')
  t.equal((await s.patientGuess('late@a.test', '10.9.9.9')).delayMs, 15_000, 'newcomers share the overflow')
  s.time.now += 15 * 60_000 + 1
  t.equal((await s.guess('late@a.test', '10.9.9.9')).delayMs, 2000, 'until there is room again')
})

t.test('successful logins leave nothing behind', async (t) => {
  const s = setUp()
  for (let i = 0; i < 1000; i++) {
    const charge = s.charge(`u${i}@a.test`, `10.0.${i >> 8}.${i & 255}`)
    charge.checked()
    if (i % 2) charge.refund()
    else charge.accepted({ userId: `u${i}`, appPasswordId: 'p' })
  }
  t.equal(s.throttle.entries, 0)
})

t.test('no delays: nothing waits and nothing is throttled', async (t) => {
  const s = setUp({ delaysMs: [] })
  for (let i = 0; i < 10; i++) t.same(await s.guess('ann@a.test', '192.0.2.1'), { delayMs: 0, throttled: false })
  const turns = await Promise.all([1, 2, 3].map(() => s.throttle.primary('ann@a.test', '192.0.2.1')))
  t.ok(turns.every(({ go }) => go))
  s.throttle.configure({ delaysMs: [100], trustedNetworks: [] })
  t.equal((await s.guess('bob@a.test', '192.0.2.2')).delayMs, 100, 'a reload takes effect')
})

t.test('threats B2, H10: a secret that can be guessed waits before its check, in the same lanes as mail', async (t) => {
  const s = setUp()
  await s.guess('ann@a.test', '192.0.2.1')
  const begun = s.time.now
  const turn = await s.throttle.primary('ann@a.test', '203.0.113.1')
  t.equal(turn.go, true, 'the delay was served')
  t.equal(s.time.now - begun, 2000 - 25)
  if (!turn.go) return
  t.same(await turn.failed(new Secret('wrong')), { delayMs: 4000, throttled: false })
  t.match(
    await s.throttle.primary('ann@a.test', '203.0.113.1', 'password', 1000),
    { go: false, wait: { lane: 'user', waitMs: 3975 } },
    'whoever has no patience is told how long',
  )
  const right = await s.throttle.primary('ann@a.test', '203.0.113.1')
  if (right.go) right.refund()
  t.equal((await s.patientGuess('ann@a.test', '198.51.100.1')).delayMs, 8000, 'and mail counts what was wrong here')
})

t.test('threat B3: secrets that can be guessed are checked one at a time', async (t) => {
  const s = setUp()
  const begun = s.time.now
  let checks = 0
  let verdicts = 0
  async function signIn(i: number, user: string, ip: string) {
    const turn = await s.throttle.primary(user, ip, 'password', 60_000)
    if (!turn.go) return
    checks += 1
    t.equal(checks, 1, 'alone')
    await turnOfTheLoop()
    checks -= 1
    verdicts += 1
    await turn.failed(new Secret(`guess ${i}`))
  }
  await Promise.all(Array.from({ length: 20 }, (_, i) => signIn(i, 'ann@a.test', `192.0.2.${i}`)))
  t.ok(verdicts <= 7, `${verdicts} verdicts`)
  const delays = [0, 2, 4, 8, 15, 15, 15, 15].slice(0, verdicts).reduce((sum, s) => sum + s * 1000 - 25, 25)
  t.ok(s.time.now - begun >= delays, `${verdicts} verdicts in ${s.time.now - begun} ms`)
})

t.test('a right one makes room for the next in line, and for no more of them than the line holds', async (t) => {
  const s = setUp()
  const first = await s.throttle.primary('ann@a.test', '192.0.2.1')
  const rest = Array.from({ length: 6 }, () => s.throttle.primary('ann@a.test', '192.0.2.1', 'password', 0))
  const order: boolean[] = []
  const all = rest.map(async (each) => {
    const turn = await each
    order.push(turn.go)
    if (turn.go) turn.refund()
  })
  await turnOfTheLoop()
  t.same(order, [false, false, false], 'three wait, the others are told to come back')
  if (first.go) first.refund()
  await Promise.all(all)
  t.same(order, [false, false, false, true, true, true])
  t.equal(s.throttle.entries, 0)
})

t.test('threat B12: five tries at a second step, then delays that double up to a quarter of an hour', async (t) => {
  const s = setUp()
  const waits: number[] = []
  for (let i = 0; i < 14; i++) {
    const turn = await s.throttle.primary('ann@a.test', `192.0.2.${i}`, 'factor', 60 * 60_000)
    if (!turn.go) throw new Error(`try ${i}`)
    // From another address each time, so that the user's lane alone speaks.
    waits.push((await turn.failed(null)).delayMs)
  }
  t.strictSame(
    waits.map((ms) => ms / 1000),
    [2, 2, 2, 2, 15, 30, 60, 120, 240, 480, 900, 900, 900, 900],
  )
  t.equal((await s.patientGuess('ann@a.test', '203.0.113.1')).delayMs, 2000, 'her mail does not feel it')
  s.time.now += 60 * 60_000
  const later = await s.throttle.primary('ann@a.test', '203.0.113.9', 'factor', 0)
  if (!later.go) throw new Error('a turn after an hour')
  t.equal((await later.failed(null)).delayMs, 900_000, 'an hour forgets nothing')
  s.time.now += 24 * 60 * 60_000 + 1
  const next = await s.throttle.primary('ann@a.test', '203.0.113.9', 'factor', 0)
  if (!next.go) throw new Error('a turn after a day')
  t.equal((await next.failed(null)).delayMs, 2000)
})

t.test('what is counted can be listed and cleared, by user and by address', async (t) => {
  const s = setUp()
  await s.guess('ann@a.test', '192.0.2.1')
  await s.guess('bob@a.test', '2001:db8:1:2::3')
  s.charge('cid@a.test', '192.0.2.9') // under way, nothing to tell
  const lanes = () =>
    [...s.throttle.list()].map((state) => `${state.lane} ${state.user ?? ''} ${state.block ?? ''}`).sort()
  t.strictSame(lanes(), [
    'address  192.0.2.1',
    'address  2001:db8:1:2::/64',
    'site  2001:db8:1::/48',
    'user ann@a.test ',
    'user bob@a.test ',
    'user-address ann@a.test 192.0.2.1',
    'user-address bob@a.test 2001:db8:1:2::/64',
  ])
  t.match([...s.throttle.list()][0], { failures: 1, waitMs: 1975, idleMs: 0 })
  t.equal(await s.throttle.clear('ann@a.test', null), 2)
  t.equal((await s.guess('ann@a.test', '192.0.2.77')).delayMs, 2000)
  t.equal(await s.throttle.clear(null, '2001:db8:1:2:ffff::1'), 3)
  t.equal((await s.guess('eve@a.test', '2001:db8:1:2::4')).delayMs, 2000)
  t.ok((await s.throttle.clear(null, null)) > 0)
  t.strictSame(lanes(), [])
})
