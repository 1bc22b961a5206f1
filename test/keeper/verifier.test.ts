import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { generateAppPassword, selectorOf } from '../../src/records/app-password.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { readKeyFile } from '../../src/records/key-file.ts'
import { createPolicies } from '../../src/records/policies.ts'
import type { Store } from '../../src/records/store/store.ts'
import { StoreError } from '../../src/records/store/store.ts'
import { attempt, edge, house } from './house.ts'

const WRONG = 'wron gwro ngwr ongw'

/** A store that can be switched off: every method then rejects as one that can't be reached does. */
function breakable() {
  const state = { broken: false, reads: 0 }
  const wrapStore = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (name === 'close') return value.apply(target, args)
          if (state.broken) return Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', 'switched off by the test'))
          if (name !== 'ping') state.reads += 1
          return value.apply(target, args)
        }
      },
    })
  return { state, wrapStore }
}

t.test('thirty connections at once after a restart: exactly one argon2; seen before: none', async (t) => {
  const { state, wrapStore } = breakable()
  const h = await house(t, { wrapStore })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const before = h.keeper.hasher.runs
  const grants = await Promise.all(Array.from({ length: 30 }, () => e.admit(attempt('ann@a.test', password))))
  t.equal(new Set(grants.map(({ id }) => id)).size, 30, 'thirty grants')
  t.equal(h.keeper.hasher.runs - before, 1)
  t.strictSame(await h.paths(), { cache: 29, argon2: 1, miss: 0 })
  for (const grant of grants) e.settle(grant, 'client-gone')

  await turn()
  const reads = state.reads
  for (let i = 0; i < 20; i++) t.equal(await e.result('ann@a.test', password), 'in')
  t.strictSame(await h.paths(), { cache: 49, argon2: 1, miss: 0 })
  t.equal(state.reads, reads, 'nor a read of the store')
})

t.test('thirty connections at once with a wrong secret: no argon2', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  await h.issue('ann@a.test')
  const before = h.keeper.hasher.runs
  const e = edge(h.keeper)
  const results = await Promise.all(Array.from({ length: 30 }, () => e.result('ann@a.test', WRONG)))
  t.ok(results.every((result) => result === 'bad-credentials'))
  t.equal(h.keeper.hasher.runs - before, 0)
})

t.test(
  'a hash of other parameters is made anew at the next login that needs argon2, and nobody loses access',
  async (t) => {
    const first = await house(t)
    await first.addUser('ann@a.test')
    const { id, password } = await first.issue('ann@a.test')
    await first.close()

    const tomorrow = new Date(Date.now() + 25 * 60 * 60_000)
    const stronger = { memoryKiB: 2048, passes: 2, concurrency: 2 }
    const second = await house(t, { directory: first.directory, hasher: stronger, clock: () => tomorrow })
    const hashOf = async () => (await second.store.appPasswordById(id))?.hash ?? ''
    t.match(await hashOf(), /m=1024\b/)
    const e = edge(second.keeper)
    t.equal(await e.result('ann@a.test', password), 'in')
    while (!(await hashOf()).includes('m=2048')) await turn()
    t.notMatch(await hashOf(), /m=1024\b/)
    t.equal(await e.result('ann@a.test', password), 'in')
    t.equal(second.keeper.hasher.runs, 2, 'one to verify, one to make it anew, none for the login after that')
    await second.close()

    const later = new Date(tomorrow.getTime() + 25 * 60 * 60_000)
    const third = await house(t, { directory: first.directory, hasher: stronger, clock: () => later })
    t.equal(await edge(third.keeper).result('ann@a.test', password), 'in', 'and the new hash is a right one')
  },
)

t.test('level 2 outlives a restart: no argon2 for phones that come back', async (t) => {
  const first = await house(t)
  await first.addUser('ann@a.test')
  const { password } = await first.issue('ann@a.test')
  t.equal(await edge(first.keeper).result('ann@a.test', password), 'in')
  await first.close()

  const second = await house(t, { directory: first.directory })
  t.equal(await edge(second.keeper).result('ann@a.test', password), 'in')
  t.strictSame(await second.paths(), { cache: 1, argon2: 0, miss: 0 })
  t.equal(second.keeper.hasher.runs, 0)
  t.equal(await edge(second.keeper).result('ann@a.test', WRONG), 'bad-credentials')
  await second.close()

  const tomorrow = await house(t, {
    directory: first.directory,
    clock: () => new Date(Date.now() + 24 * 60 * 60_000 + 1000),
  })
  t.equal(await edge(tomorrow.keeper).result('ann@a.test', password), 'in')
  t.strictSame(await tomorrow.paths(), { cache: 0, argon2: 1, miss: 0 }, 'an entry lives a day')
})

t.test('epochs: level 2 admits only what the store says is current', async (t) => {
  const first = await house(t)
  await first.addUser('ann@a.test')
  const { id, password } = await first.issue('ann@a.test')
  t.equal(await edge(first.keeper).result('ann@a.test', password), 'in')
  const other = await first.issue('ann@a.test', { name: 'laptop' }) // raises the epoch
  await first.close()

  const second = await house(t, { directory: first.directory })
  t.equal(await edge(second.keeper).result('ann@a.test', password), 'in')
  t.strictSame(await second.paths(), { cache: 0, argon2: 1, miss: 0 }, 'an old epoch is a miss')
  t.equal(await edge(second.keeper).result('ann@a.test', other.password), 'in')
  await second.call('app-password.delete', { id })
  t.equal(await edge(second.keeper).result('ann@a.test', password), 'app-password-deleted')
  await second.close()

  const third = await house(t, { directory: first.directory })
  t.equal(await edge(third.keeper).result('ann@a.test', password), 'app-password-deleted', 'after a restart, too')
})

t.test('a name is one person: a secret of one opens nothing of another', async (t) => {
  const h = await house(t)
  for (const address of ['ann@a.test', 'ann@b.test']) await h.addUser(address)
  const { password } = await h.issue('ann@a.test')
  await h.issue('ann@b.test')
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', password), 'in')
  t.equal(await e.result('ann@b.test', password), 'bad-credentials', 'B7: the key of the cache covers the user')
})

t.test('invariant 9: a wrong guess does not reach argon2', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  for (let i = 0; i < 40; i++) await h.issue('ann@a.test', { name: `device ${i}` })
  const before = h.keeper.hasher.runs
  const e = edge(h.keeper)
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  for (let i = 0; i < 5000; i++) {
    const guess = Array.from({ length: 16 }, (_, j) => letters[(i * 7919 + j * j * 31 + (i >> j)) % 26]).join('')
    t.equal(await e.result('ann@a.test', guess), 'bad-credentials') || t.bailout('admitted')
  }
  t.equal(h.keeper.hasher.runs - before, 0, 'with forty rows, three would collide by selector alone')
})

t.test('B6, invariant 9: a guess that collides by its selector does not reach argon2 either', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { id } = await h.issue('ann@a.test')
  const selector = (await h.store.appPasswordById(id))?.selector
  const key = readKeyFile(h.config.keys.file)?.active
  if (!key) throw new Error('the house has no keys')
  let guess = generateAppPassword(16)
  while (selectorOf(key, 'ann@a.test', guess) !== selector) guess = generateAppPassword(16)
  const before = h.keeper.hasher.runs
  t.equal(await edge(h.keeper).result('ann@a.test', guess.reveal()), 'bad-credentials')
  t.equal(h.keeper.hasher.runs, before)
})

t.test('B6: forty app passwords cost one hash', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const issued = []
  for (let i = 0; i < 40; i++) issued.push(await h.issue('ann@a.test'))
  const before = h.keeper.hasher.runs
  t.equal(await edge(h.keeper).result('ann@a.test', issued[17]?.password ?? ''), 'in')
  t.equal(h.keeper.hasher.runs - before, 1)
})

t.test('invariant 12: two creates at once never pass the cap', async (t) => {
  const h = await house(t, { yaml: 'appPasswords: { perUser: 5 }' })
  await h.addUser('ann@a.test')
  const results = await Promise.allSettled(Array.from({ length: 12 }, () => h.issue('ann@a.test')))
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 5)
  t.equal((await h.call('app-password.list', { user: 'ann@a.test' })).length, 5)
})

t.test('I-4, I-5: while the store is away, what was known in the last 60 s holds, and nothing else', async (t) => {
  const { state, wrapStore } = breakable()
  const time = { now: 1_000_000 }
  const h = await house(t, { wrapStore, now: () => time.now, storeLookMs: 5 })
  await h.addUser('ann@a.test')
  await h.addUser('bob@a.test')
  const [ann, bob] = [await h.issue('ann@a.test'), await h.issue('bob@a.test')]
  const deleted = await h.issue('ann@a.test', { name: 'old' })
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', ann.password), 'in')
  t.equal(await e.result('ann@a.test', deleted.password), 'in')
  await h.call('app-password.delete', { id: deleted.id })
  t.equal(await e.result('ann@a.test', ann.password), 'in')

  state.broken = true
  const lost = await h.capture.wait('warning', ({ error_code }) => error_code === 'ERR_STORE_UNAVAILABLE')
  t.ok(lost)
  t.equal((await h.metrics.storeUp.get()).values[0]?.value, 0)
  time.now += 59_000
  t.equal(await e.result('ann@a.test', ann.password), 'in', 'known to be true a minute ago')
  t.equal(await e.result('ann@a.test', deleted.password), 'store-unavailable', 'a revocation is remembered')
  t.equal(await e.result('bob@a.test', bob.password), 'store-unavailable', 'never seen')
  t.equal(await e.result('ann@a.test', WRONG), 'store-unavailable', 'invariant 11: nobody is told that it is wrong')
  time.now += 1_001
  t.equal(await e.result('ann@a.test', ann.password), 'store-unavailable', 'after 60 s nothing holds')
  await t.rejects(h.issue('ann@a.test'), { code: 'unavailable' })
  t.match(await h.keeper.health(), { ok: false, store: 'down' })

  state.broken = false
  await h.capture.wait('warning', ({ msg }) => msg.includes('answers again'))
  t.equal(await e.result('ann@a.test', ann.password), 'in')
  t.equal(await e.result('bob@a.test', bob.password), 'in')
  t.equal((await h.metrics.storeUp.get()).values[0]?.value, 1)
  t.equal(h.capture.log.bugs, 0)
})

t.test('B5: more checks than the pool and its queue take are told to come back, not that they are wrong', async (t) => {
  const h = await house(t, { hasher: { memoryKiB: 8192, passes: 3, concurrency: 1, maxQueued: 2 } })
  await h.addUser('ann@a.test')
  const issued = []
  for (let i = 0; i < 8; i++) issued.push(await h.issue('ann@a.test', { name: `device ${i}` }))
  const e = edge(h.keeper)
  const results = await Promise.all(issued.map(({ password }) => e.result('ann@a.test', password)))
  t.strictSame(results.toSorted(), ['busy', 'busy', 'busy', 'busy', 'busy', 'in', 'in', 'in'])
  for (const { password } of issued) t.equal(await e.result('ann@a.test', password), 'in')
})

t.test('what changed while argon2 ran is neither admitted nor remembered', async (t) => {
  const h = await house(t, { hasher: { memoryKiB: 16 * 1024, passes: 3, concurrency: 1 } })
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  const forbidding = (appPasswords: 'forbidden' | 'default') => h.call('policy.set', { scope: 'all', appPasswords })
  for (const change of ['app-password.delete', 'user.disable', 'policy.set'] as const) {
    const { id, password } = await h.issue('ann@a.test')
    const login = e.result('ann@a.test', password)
    while (h.keeper.hasher.running === 0) await turn()
    if (change === 'user.disable') await h.call('user.disable', { address: 'ann@a.test' })
    else if (change === 'policy.set') await forbidding('forbidden')
    else await h.call('app-password.delete', { id })
    const want = change === 'app-password.delete' ? 'app-password-deleted' : 'bad-credentials'
    t.equal(await login, want, change)
    t.equal(await e.result('ann@a.test', password), want, `${change}, again`)
    await h.call('user.enable', { address: 'ann@a.test' })
    await forbidding('default')
    t.equal(await e.result('ann@a.test', password), change === 'app-password.delete' ? want : 'in')
  }
  const { password } = await h.issue('ann@a.test')
  const login = e.result('ann@a.test', password)
  while (h.keeper.hasher.running === 0) await turn()
  await h.issue('ann@a.test', { name: 'raises the epoch and takes nothing away' }).catch(() => undefined)
  t.equal(await login, 'in')
})

t.test('epochs: a change that no bus told of is seen in the last look', async (t) => {
  const yaml = 'groups: { contractors: { appPasswords: { allowed: false } } }'
  const h = await house(t, { yaml, hasher: { memoryKiB: 16 * 1024, passes: 3, concurrency: 1 } })
  const ann = await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const login = edge(h.keeper).result('ann@a.test', password)
  while (h.keeper.hasher.running === 0) await turn()
  await h.store.transaction((tx) => tx.updateUser(ann.id, { groups: ['contractors'] }))
  t.equal(await login, 'bad-credentials')

  await h.addUser('bob@a.test')
  const bobs = await h.issue('bob@a.test')
  const bobsLogin = edge(h.keeper).result('bob@a.test', bobs.password)
  while (h.keeper.hasher.running === 0) await turn()
  const elsewhere = createPolicies({ store: h.store, bus: createLocalBus((error) => t.fail(String(error))) })
  await elsewhere.set({ scope: 'all' }, false, 'cli:elsewhere')
  t.equal(await bobsLogin, 'bad-credentials', 'the policy’s as well')
})

t.test('I-4, R29: a policy that was heard of and can’t be read: memory lets nobody in', async (t) => {
  const { state, wrapStore } = breakable()
  const h = await house(t, { wrapStore, storeLookMs: 5 })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', password), 'in')
  state.broken = true
  await h.capture.wait('warning', ({ error_code }) => error_code === 'ERR_STORE_UNAVAILABLE')
  t.equal(await e.result('ann@a.test', password), 'in', 'what was known holds')
  h.keeper.bus.publish({ kind: 'policy-changed', epoch: (await h.store.ping()) + 1 })
  t.equal(await e.result('ann@a.test', password), 'store-unavailable', 'until it is known to be something else')
  state.broken = false
  await h.capture.wait('warning', ({ msg }) => msg.includes('answers again'))
  t.equal(await e.result('ann@a.test', password), 'in')
})

t.test('epochs: while the bus is silent, memory is believed only after one read of the store', async (t) => {
  const { state, wrapStore } = breakable()
  const bus = createLocalBus((error) => t.fail(String(error)))
  let alive = true
  const time = { now: 1_000_000 }
  const h = await house(t, {
    wrapStore,
    bus: { ...bus, alive: () => alive },
    now: () => time.now,
    storeLookMs: 5,
  })
  await h.addUser('ann@a.test')
  const [kept, gone] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
  const e = edge(h.keeper)
  for (const { password } of [kept, gone]) t.equal(await e.result('ann@a.test', password), 'in')
  const counted = async (password: string) => {
    const before = state.reads
    return [await e.result('ann@a.test', password), state.reads - before]
  }
  t.strictSame(await counted(kept.password), ['in', 0])
  alive = false
  t.strictSame(await counted(kept.password), ['in', 2], 'one read, and the last look')
  await h.store.transaction(async (tx) => {
    await tx.deleteAppPassword(gone.id)
    await tx.raiseUserEpoch((await tx.userByAddress('ann@a.test'))?.id ?? '')
  })
  t.equal(await e.result('ann@a.test', gone.password), 'bad-credentials', 'deleted elsewhere, and nobody told us')
  t.equal(await e.result('ann@a.test', kept.password), 'in')

  state.broken = true
  await h.capture.wait('warning', ({ error_code }) => error_code === 'ERR_STORE_UNAVAILABLE')
  time.now += 59_000
  t.equal(await e.result('ann@a.test', kept.password), 'in', 'confirmed within 60 s')
  time.now += 1001
  t.equal(await e.result('ann@a.test', kept.password), 'store-unavailable', 'a silent bus confirms nothing')
})

t.test('a tombstone is forgotten after 90 days', async (t) => {
  const time = { aheadMs: 0 }
  const h = await house(t, { clock: () => new Date(Date.now() + time.aheadMs) })
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  await h.call('app-password.delete', { id })
  const e = edge(h.keeper)
  for (const [days, want] of [
    [0, 'app-password-deleted'],
    [89, 'app-password-deleted'],
    [91, 'bad-credentials'],
  ] as const) {
    time.aheadMs = days * 24 * 60 * 60_000
    t.equal(await e.result('ann@a.test', password), want, `${days} days`)
  }
})
