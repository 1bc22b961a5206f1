/**
 * Invariant 6, threat B1, where primary passwords are taken: whether a name is nobody's, disabled, enrolled, or one that the upstream is asked about can't be
 * told by words or time, whatever is tried.
 */

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { House } from './house.ts'
import { attempt, edge, house } from './house.ts'

const KINDS = ['nobody', 'off', 'enrolled', 'never-enrolled'] as const
type Kind = (typeof KINDS)[number]
type Told = readonly [reason: string, afterMs: number]

const addressOf = (kind: Kind): string => `${kind}@a.test`

async function people(h: House): Promise<void> {
  for (const kind of ['off', 'enrolled', 'never-enrolled'] as const) {
    const { id } = await h.addUser(addressOf(kind))
    if (kind === 'off') await h.call('user.disable', { address: addressOf(kind) })
    if (kind !== 'enrolled') continue
    await h.store.transaction((tx) => tx.updateUser(id, { enrolledAt: new Date() }))
    h.keeper.bus.publish({ kind: 'user-changed', userId: id, epoch: 2 })
  }
}

/**
 * An edge in front of an upstream that refuses everybody after `upstreamMs`: what its client hears and when, in milliseconds
 * from its guess.
 */
function clientOf(h: House, now: () => number, pause: (ms: number) => Promise<unknown>, upstreamMs: number) {
  const e = edge(h.keeper)
  let asked = 0
  return {
    get asked() {
      return asked
    },
    async guess(kind: Kind, secret: string, ip: string, hangUp = false): Promise<Told> {
      const from = now()
      try {
        const grant = await e.admit(attempt(addressOf(kind), secret, { ip }))
        const granted = now()
        asked += 1
        if (!hangUp) await pause(upstreamMs)
        e.settle(grant, hangUp ? 'client-gone' : 'upstream-refused')
        await turn() // the keeper has begun to wait for the time of the verdict
        await pause(Math.max(0, (grant.refusedAfterMs ?? 0) - (now() - granted)))
        return ['bad-credentials', now() - from]
      } catch (error) {
        if (!(error instanceof LoginFailure)) throw error
        await pause(error.delayMs)
        return [error.reason, now() - from]
      }
    },
  }
}

t.test(
  'invariant 6: guesses one after the other, spaced out and not, repeated, until the ration is spent',
  async (t) => {
    const all: Record<string, readonly Told[]> = {}
    for (const kind of KINDS) {
      const time = { now: 1_000_000 }
      const pause = async (ms: number): Promise<void> => {
        time.now += ms
      }
      const h = await house(t, {
        yaml: 'primaryPassword: until-enrolled',
        now: () => time.now,
        sleep: pause,
        throttleDelaysMs: [2000, 4000, 8000, 15_000],
      })
      await people(h)
      const client = clientOf(h, () => time.now, pause, 2100)
      const told: Told[] = []
      for (const secret of ['one', 'one', 'two', 'three', 'one', 'four', 'five', 'six', 'seven']) {
        told.push(await client.guess(kind, secret, '192.0.2.1'))
      }
      await pause(11 * 60_000)
      for (const secret of ['one', 'eight', 'eight']) told.push(await client.guess(kind, secret, '198.51.100.7'))
      all[kind] = told
      t.equal(client.asked > 0, kind === 'never-enrolled', `${kind}: whether the upstream is asked`)
    }
    const [first] = all.nobody ?? []
    t.strictSame(first, ['bad-credentials', 5000], 'a verdict after three seconds, and two of delay')
    t.ok(
      all.nobody?.some(([reason]) => reason === 'throttled'),
      'the ration is spent',
    )
    for (const kind of KINDS) t.strictSame(all[kind], all.nobody, kind)
  },
)

type Guesses = (client: ReturnType<typeof clientOf>, kind: Kind, ip: string) => Promise<readonly Told[]>

/** A busy machine may spoil one run, not five: a difference that matters is there each time. */
const RUNS = 5

/** In time that passes: all hear what is wanted, and when, in seconds. */
async function allHear(t: Test, guesses: Guesses, wanted: readonly Told[]): Promise<void> {
  let heard = await atOnce(t, guesses)
  const isWanted = () => KINDS.every((kind) => isDeepStrictEqual(heard[kind], wanted))
  for (let run = 1; run < RUNS && !isWanted(); run++) heard = await atOnce(t, guesses)
  for (const kind of KINDS) t.strictSame(heard[kind], wanted, kind)
}

async function atOnce(t: Test, guesses: Guesses) {
  const delayMs = 1000
  const all: Record<string, readonly Told[]> = {}
  const h = await house(t, {
    yaml: 'primaryPassword: until-enrolled',
    throttleDelaysMs: [delayMs],
    sleep: (ms) => sleep(ms),
  })
  await people(h)
  const client = clientOf(
    h,
    () => performance.now(),
    (ms) => sleep(ms),
    100,
  )
  await Promise.all(
    KINDS.map(async (kind, i) => {
      const told = await guesses(client, kind, `192.0.2.${i}`)
      all[kind] = told.map(([reason, ms]) => [reason, Math.round(ms / delayMs)] as const).toSorted()
    }),
  )
  return all
}

t.test('invariant 6: guesses made at once', async (t) => {
  const secrets = ['one', 'two', 'three', 'four', 'five', 'six']
  // One verdict after the time for one and a delay; three wait in line for it and then for that delay; two find no place.
  await allHear(t, (client, kind, ip) => Promise.all(secrets.map((secret) => client.guess(kind, secret, ip))), [
    ['bad-credentials', 2],
    ['throttled', 1],
    ['throttled', 1],
    ['throttled', 2],
    ['throttled', 2],
    ['throttled', 2],
  ])
})

t.test('invariant 6: a guess whose client hangs up, and one right behind it', async (t) => {
  const guesses: Guesses = async (client, kind, ip) => {
    const first = client.guess(kind, 'one', ip, true)
    const second = await client.guess(kind, 'two', ip)
    await first
    return [second]
  }
  await allHear(t, guesses, [['throttled', 2]])
})

t.test('a flood of made-up names waits in a bounded line, and an app password passes it', async (t) => {
  const h = await house(t, {
    yaml: 'primaryPassword: until-enrolled',
    throttleDelaysMs: [2000],
    sleep: () => new Promise(() => {}),
  })
  await people(h)
  const { password } = await h.issue(addressOf('enrolled'))
  const e = edge(h.keeper)
  let answered = 0
  for (let i = 0; i < 2100; i++) {
    const guess = e.result(`made-up-${i}@a.test`, `guess ${i}`, { ip: `10.${i >> 8}.${i & 255}.1` })
    void guess.then(() => (answered += 1))
  }
  t.equal(await e.result(addressOf('enrolled'), password), 'in')
  for (let looks = 0; looks < 1000 && answered < 100; looks++) await sleep(10)
  t.equal(answered, 100)
})

t.test('made-up names spend nothing of the upstream’s ration', async (t) => {
  const h = await house(t, { yaml: 'primaryPassword: until-enrolled' })
  await people(h)
  const e = edge(h.keeper)
  for (let i = 0; i < 300; i++) {
    t.equal(await e.result(`made-up-${i}@a.test`, `guess ${i}`, { ip: `10.0.${i % 250}.1` }), 'bad-credentials')
  }
  t.equal(await e.result(addressOf('never-enrolled'), 'a right one'), 'in')
})
