import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { noteSecret } from '../support/secrets.ts'
import type { HouseOptions } from './house.ts'
import { attempt, edge, house } from './house.ts'

const PRIMARY = noteSecret('correct horse battery')
const UNTIL_ENROLLED: HouseOptions = { yaml: 'primaryPassword: until-enrolled' }

/** Time that moves when it is slept through, or by hand. */
function stillTime(delaysMs: readonly number[]) {
  const time = { now: 1_000_000 }
  const options: HouseOptions = {
    ...UNTIL_ENROLLED,
    now: () => time.now,
    sleep: async (ms) => {
      time.now += ms
    },
    throttleDelaysMs: delaysMs,
  }
  return { time, options }
}

t.test('R2: by default a primary password goes nowhere', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  t.equal(await edge(h.keeper).result('ann@a.test', PRIMARY), 'bad-credentials')
})

t.test('R5: until-enrolled, a known user may go on; the upstream judges', async (t) => {
  const h = await house(t, UNTIL_ENROLLED)
  const user = await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  const grant = await e.login('ann@a.test', PRIMARY)
  t.match(grant, { userId: user.id, logName: 'ann@a.test', appPassword: null, verifiedBy: 'upstream' })
  t.match(grant.upstream.identity, { kind: 'password', authcid: 'ann@a.test', authzid: '' }, 'as herself')
  t.equal(grant.upstream.identity.kind === 'password' && grant.upstream.identity.secret.reveal(), PRIMARY)
  t.match((await h.call('session.list', {})).sessions, [{ appPassword: null, user: 'ann@a.test' }])
  t.strictSame(await h.paths(), { cache: 0, argon2: 0, miss: 1 }, 'never cached')
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
  t.strictSame(await h.paths(), { cache: 0, argon2: 0, miss: 2 })
  t.equal(h.keeper.hasher.runs, 0)
})

t.test('B10: unknown, disabled and enrolled users never reach the upstream', async (t) => {
  const h = await house(t, UNTIL_ENROLLED)
  await h.addUser('off@a.test')
  await h.call('user.disable', { address: 'off@a.test' })
  const ann = await h.addUser('ann@a.test')
  await h.addUser('gone@a.test')
  await h.call('user.delete', { address: 'gone@a.test' })
  const e = edge(h.keeper)
  for (const who of ['nobody@a.test', 'off@a.test', 'gone@a.test', '']) {
    t.equal(await e.result(who, PRIMARY), 'bad-credentials', who)
  }
  const open = await e.login('ann@a.test', PRIMARY)
  await h.store.transaction((tx) => tx.updateUser(ann.id, { enrolledAt: new Date() }))
  h.keeper.bus.publish({ kind: 'user-changed', userId: ann.id, epoch: 2 })
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials', 'there is no way back')
  while (e.sessions.size > 0) await turn()
  t.strictSame(e.told, [open.id], 'and what was open ends on the day of enrolment')
})

t.test('app passwords and tombstones have their say before anything goes upstream', async (t) => {
  const h = await house(t, UNTIL_ENROLLED)
  await h.addUser('ann@a.test')
  const [kept, gone] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
  await h.call('app-password.delete', { id: gone.id })
  const e = edge(h.keeper)
  t.match(await e.admit(attempt('ann@a.test', kept.password)), { verifiedBy: 'us' })
  t.equal(await e.result('ann@a.test', gone.password), 'app-password-deleted')
})

t.test('what the upstream refused is not sent again, counts once, and five are enough', async (t) => {
  const { time, options } = stillTime([2000, 4000, 8000, 15_000])
  const h = await house(t, options)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const refuse = async (secret: string) => {
    e.settle(await e.admit(attempt('ann@a.test', secret)), 'upstream-refused')
    await turn()
  }

  await refuse('wrong one')
  const soon = await e.refusal('ann@a.test', PRIMARY)
  t.equal(soon.reason, 'throttled', 'the delay of a guess that the upstream refused is served by the lane')
  t.ok(soon.delayMs > 1900 && soon.delayMs <= 2000, `${soon.delayMs}`)
  t.equal((await e.refusal('ann@a.test', PRIMARY, { ip: '203.0.113.5' })).reason, 'throttled', 'and nothing exempts')
  t.equal(await e.result('ann@a.test', password), 'in', 'an app password goes through')
  time.now += 2000
  t.match(
    await e.refusal('ann@a.test', 'wrong one'),
    { reason: 'bad-credentials', delayMs: 2000 },
    'M5: not sent, once',
  )
  for (const secret of ['2', '3', '4', '5']) {
    time.now += 15_000
    await refuse(`wrong ${secret}`)
  }
  time.now += 15_000
  t.match(await e.refusal('ann@a.test', PRIMARY), { reason: 'throttled' }, 'five refused in a quarter of an hour')
  t.equal(await e.result('ann@a.test', password), 'in')
  await h.call('throttle.clear', { user: 'bob@a.test' })
  await h.call('throttle.clear', { address: '192.0.2.1' })
  t.match(await e.refusal('ann@a.test', PRIMARY), { reason: 'throttled' }, 'nobody has let her try again')
  await h.call('throttle.clear', { user: 'ann@a.test' })
  for (const secret of ['6', '7', '8', '9', '10']) {
    await refuse(`wrong ${secret}`)
    time.now += 15_000
  }
  t.match(await e.refusal('ann@a.test', PRIMARY), { reason: 'throttled' })
  time.now += 15 * 60_000
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
})

t.test('D8: an upstream that is down is no guess; hanging up before the verdict is one', async (t) => {
  const { time, options } = stillTime([2000])
  const h = await house(t, options)
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  for (let i = 0; i < 20; i++) e.settle(await e.admit(attempt('ann@a.test', PRIMARY)), 'failed')
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
  e.settle(await e.admit(attempt('ann@a.test', 'a guess')), 'client-gone')
  await turn()
  t.equal(await e.result('ann@a.test', PRIMARY), 'throttled')
  time.now += 2000
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
  t.match(await e.refusal('ann@a.test', 'a guess'), { reason: 'bad-credentials' }, 'it is not sent again')
})

t.test('invariant 11: a record that changes in the middle is read again, and is no wrong password', async (t) => {
  let changes = 0
  const h = await house(t, {
    ...UNTIL_ENROLLED,
    wrapStore: (store) =>
      new Proxy(store, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (name !== 'userById') return typeof value === 'function' ? value.bind(target) : value
          return async (id: string) => {
            const user = await target.userById(id)
            if (user !== null && changes-- > 0) {
              h.keeper.bus.publish({ kind: 'user-changed', userId: user.id, epoch: user.epoch })
            }
            return user
          }
        },
      }),
  })
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  changes = 2
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
  changes = 100
  t.equal(await e.result('ann@a.test', PRIMARY), 'busy', 'again and again')
  changes = 0
  t.equal((await h.call('throttle.list', { limit: 10 })).total, 0, 'nor does it count')
})

t.test('B3: guesses made at once share five places', async (t) => {
  const h = await house(t, UNTIL_ENROLLED)
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => e.admit(attempt('ann@a.test', `guess ${i}`, { ip: `10.0.0.${i}` }))),
  )
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 5)
})

t.test(
  'invariant 6: where no upstream speaks a protocol, or is the domain’s, nobody’s name is told from another',
  async (t) => {
    const h = await house(t, {
      yaml: 'primaryPassword: until-enrolled\nroutes: [{ users: [ann@a.test], upstream: main }, { domain: b.test, upstream: main }]',
    })
    await h.addUser('ann@a.test')
    await h.addUser('bob@a.test')
    await h.addUser('off@a.test')
    await h.call('user.disable', { address: 'off@a.test' })
    const e = edge(h.keeper)
    const reasons = async (protocol: 'imap' | 'pop3', names: readonly string[]) =>
      await Promise.all(names.map((name) => e.result(name, PRIMARY, { protocol })))
    const ours = 'upstream-unreachable'
    t.strictSame(await reasons('pop3', ['ann@a.test', 'off@a.test', 'x@a.test', 'x@b.test']), [ours, ours, ours, ours])
    t.strictSame(
      await reasons('imap', ['bob@a.test', 'off@a.test', 'x@a.test']),
      [ours, ours, ours],
      'no route for them',
    )
    t.equal(await e.result('x@elsewhere.test', PRIMARY), 'bad-credentials', 'a domain that is nobody’s here')
  },
)

t.test('pass-through serves primary passwords only', async (t) => {
  const h = await house(t, { ...UNTIL_ENROLLED, identity: '{ method: pass-through }' })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', PRIMARY), 'in')
  t.equal(await e.result('ann@a.test', password), 'upstream-refused', 'invariant 11: ours, not a wrong password')
  t.match(h.capture.of('upstream_failed'), [{ error_code: 'ERR_IDENTITY_METHOD' }])
})
