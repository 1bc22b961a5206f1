/**
 * The policy epoch (R29): whatever a keeper has not been told of a policy, it finds by its next live read, before anybody is let in.
 */

import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import { createLivePolicy } from '../../src/keeper/live-policy.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import type { PolicySettings } from '../../src/records/policies.ts'
import { createPolicies } from '../../src/records/policies.ts'
import type { Store } from '../../src/records/store/store.ts'
import type { House } from './house.ts'
import { attempt, edge, house } from './house.ts'

const ALL = { scope: 'all' } as const
/** The store is looked at by hand, that is never. */
const NEVER_MS = 24 * 60 * 60_000

/** Another keeper of the same store, whose messages don't arrive. */
const elsewhere = ({ store }: House) => createPolicies({ store, bus: createLocalBus(() => {}) })

t.test('an older read never overtakes a newer one, and reads at once are one', async (t) => {
  const h = await house(t)
  const { read, set } = elsewhere(h)
  /** Reads whose answers are kept back, oldest first. */
  const late: (() => void)[] = []
  let isSlow = false
  let reads = 0
  const policies = {
    ...elsewhere(h),
    async read(): Promise<PolicySettings> {
      reads += 1
      const settings = await read()
      if (isSlow) await new Promise<void>((resolve) => late.push(resolve))
      return settings
    },
  }
  let missed = 0
  const live = await createLivePolicy({ config: h.config, policies, onMissed: () => missed++ })
  t.equal(live.isCurrent, true)
  const first = live.config
  await live.refresh()
  t.equal(live.config, first, 'the same object while nothing has changed')

  isSlow = true
  const older = live.refresh()
  while (late.length < 1) await turn()
  await set(ALL, false, 'cli:test')
  const newer = live.refresh()
  while (late.length < 2) await turn()
  late[1]?.()
  await newer
  const { settings } = live
  t.match(settings, { epoch: 2, all: false })
  late[0]?.()
  await older
  t.equal(live.settings, settings, 'the answer of before the change changes nothing')
  t.equal(live.config.appPasswords.allowed, false)
  t.equal(missed, 0, 'whoever asks for it deals with what it brings')

  isSlow = false
  await set(ALL, true, 'cli:test')
  reads = 0
  await Promise.all(Array.from({ length: 100 }, () => live.catchUp(3)))
  t.match(live.settings, { epoch: 3, all: true })
  t.strictSame([reads, missed], [1, 1])
  await live.catchUp(2)
  t.equal(reads, 1, 'an epoch of before is nothing to read for')

  live.expect(4)
  t.equal(live.isCurrent, false)
  await live.catchUp(4)
  t.strictSame(
    [live.isCurrent, live.isAt(4), live.isAt(3), missed],
    [false, false, true, 1],
    'there is no such policy yet',
  )
  await set(ALL, null, 'cli:test')
  await live.refresh()
  t.strictSame([live.isCurrent, live.isAt(4)], [true, true])
})

for (const known of ['level 1, and the bus silent', 'level 2', 'no cache'] as const) {
  t.test(`I-5: the message is lost: the next login finds out by itself: ${known}`, async (t) => {
    const bus = createLocalBus((error) => t.fail(String(error)))
    let alive = true
    // With room for one in level 1, whoever logs in after ann puts her out of it.
    const memory = known === 'level 1, and the bus silent' ? {} : { maxSeenLogins: 1 }
    const h = await house(t, { bus: { ...bus, alive: () => alive }, storeLookMs: NEVER_MS, ...memory })
    const secrets = new Map<string, string>()
    for (const user of ['ann@a.test', 'bob@a.test']) {
      await h.addUser(user)
      secrets.set(user, (await h.issue(user)).password)
    }
    const e = edge(h.keeper)
    const login = (user: string) => e.result(user, secrets.get(user) ?? '')
    const open = [
      await e.login('ann@a.test', secrets.get('ann@a.test') ?? ''),
      await e.login('bob@a.test', secrets.get('bob@a.test') ?? ''),
    ]
    if (known === 'no cache') await h.store.deleteExpiredCachedLogins(new Date('2999-01-01'))
    if (known === 'level 1, and the bus silent') alive = false

    await elsewhere(h).set(ALL, false, 'cli:elsewhere')
    t.equal(await login('ann@a.test'), 'bad-credentials')
    const told = () => open.every(({ id }) => e.told.includes(id))
    while (!told()) await turn()
    t.pass('and with it everybody whose sessions are open')
    t.equal(await login('bob@a.test'), 'bad-credentials')

    const { argon2 } = await h.paths()
    await elsewhere(h).set(ALL, null, 'cli:elsewhere')
    if (known === 'no cache') h.keeper.bus.publish({ kind: 'policy-changed', epoch: 3 })
    t.equal(await login('ann@a.test'), 'in', 'taken back')
    if (known !== 'no cache') t.equal((await h.paths()).argon2, argon2, 'which cost nobody an argon2 run')
    t.equal(h.capture.log.bugs, 0)
  })
}

t.test('I-5: the message is lost: a second later the store has told it, with no login at all', async (t) => {
  const h = await house(t, { storeLookMs: 5 })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const grant = await e.login('ann@a.test', password)
  await elsewhere(h).set(ALL, false, 'cli:elsewhere')
  while (!e.told.includes(grant.id)) await delay(1)
  t.equal(await e.result('ann@a.test', password), 'bad-credentials')
  await elsewhere(h).set(ALL, true, 'cli:elsewhere')
  // Memory says who may not, too, until then.
  while ((await e.result('ann@a.test', password)) !== 'in') await delay(1)
  t.equal((await h.paths()).argon2, 1)
  t.equal(h.capture.log.bugs, 0)
})

t.test('a policy that can’t be reached lets nobody in, and nobody tries for ever', async (t) => {
  let [aheadBy, looks] = [0, 0]
  const wrapStore = (store: Store): Store => ({
    ...store,
    async liveCheck(...of) {
      looks += 1
      const live = await store.liveCheck(...of)
      return live && { ...live, policyEpoch: live.policyEpoch + aheadBy }
    },
  })
  const h = await house(t, { wrapStore, storeLookMs: NEVER_MS })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  aheadBy = 1
  t.equal(await e.result('ann@a.test', password), 'busy', 'temporary: no fault of the password (invariant 11)')
  t.ok(looks < 6, `${looks} reads`)
  aheadBy = 0
  t.equal(await e.result('ann@a.test', password), 'in')
  t.equal((await h.call('session.list', {})).sessions.length, 0)
})

t.test(
  'invariant 8, R29: forbidden at random moments, told or not, over a store that answers out of order',
  async (t) => {
    const some = async () => {
      for (let left = Math.floor(Math.random() * 3); left > 0; left--) await turn()
    }
    const wrapStore = (store: Store): Store => ({
      ...store,
      policies: {
        ...store.policies,
        async read() {
          const state = await store.policies.read()
          await some()
          return state
        },
      },
      async liveCheck(...of) {
        const live = await store.liveCheck(...of)
        await some()
        return live
      },
    })
    const h = await house(t, { wrapStore, yaml: 'limits: { perUser: 10000 }', maxSeenLogins: 2, storeLookMs: 5 })
    const secrets: (readonly [string, string])[] = []
    for (const user of ['ann@a.test', 'bob@a.test', 'cid@a.test']) {
      await h.addUser(user)
      secrets.push([user, (await h.issue(user)).password])
    }
    const e = edge(h.keeper)
    const counts = { admitted: 0, refused: 0 }
    async function come([user, password]: readonly [string, string]): Promise<void> {
      try {
        const grant = await e.admit(attempt(user, password))
        counts.admitted += 1
        await some()
        // An end may have come while it was dialling: then the edge has answered already.
        if (e.sessions.has(grant.id)) e.settle(grant, 'accepted')
      } catch (error) {
        if (!(error instanceof LoginFailure)) throw error
        t.match(error.reason, /^(bad-credentials|busy)$/)
        counts.refused += 1
      }
    }
    for (let round = 0; round < 60; round++) {
      const isTold = round % 2 === 0
      const moment = Math.floor(Math.random() * 12)
      const under: Promise<unknown>[] = []
      for (let i = 0; i < 12; i++) {
        if (i === moment) {
          under.push(
            isTold
              ? h.call('policy.set', { scope: 'all', appPasswords: 'forbidden' })
              : elsewhere(h).set(ALL, false, 'cli:elsewhere'),
          )
        }
        under.push(come(secrets[i % 3] ?? ['', '']))
        await some()
      }
      await Promise.all(under)
      // Those that memory let in before the store was looked at, where nobody told of it.
      while (!isTold && e.sessions.size > 0) await delay(1)
      await turn()
      if (e.sessions.size > 0) t.fail(`round ${round}: ${e.sessions.size} sessions survived`)
      const left = (await h.call('session.list', {})).sessions
      if (left.length > 0) t.fail(`round ${round}: ${left.length} places survived`)
      for (const [user, password] of secrets) {
        if ((await e.result(user, password)) !== 'bad-credentials') t.fail(`round ${round}: ${user} was let in`)
      }
      await h.call('policy.set', { scope: 'all', appPasswords: 'default' })
      for (const [user, password] of secrets) {
        if ((await e.result(user, password)) !== 'in') t.fail(`round ${round}: ${user} was kept out`)
      }
    }
    t.ok(counts.admitted > 50 && counts.refused > 50, `${counts.admitted} admitted, ${counts.refused} refused`)
    t.equal((await h.paths()).argon2, 3, 'one for each, whatever was forbidden in between')
    t.equal(h.capture.log.bugs, 0)
  },
)
