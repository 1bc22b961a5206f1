/**
 * The helpful refusal (M4): who holds a secret of a user's own is told what to do, in that user's language; nobody else can
 * learn from it who exists (threats B1, B10).
 */

import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { LoginFailure } from '../../src/contract/failure.ts'
import { noteSecret } from '../support/secrets.ts'
import { attempt, edge, house } from './house.ts'

const PRIMARY = noteSecret('correct horse battery staple')
const DELAYS = [2000, 4000, 8000, 15_000]

async function setUp(test: Parameters<typeof house>[0], delays: readonly number[] = []) {
  const time = { now: 1_000_000, clock: new Date('2026-03-01T12:00:00Z') }
  const h = await house(test, { now: () => time.now, clock: () => time.clock, throttleDelaysMs: delays })
  for (const address of ['ann@a.test', 'bob@a.test']) await h.call('user.add', { address, password: PRIMARY })
  const ann = await h.call('user.show', { address: 'ann@a.test' })
  await h.store.transaction((tx) => tx.setUserLanguage(ann.id, 'nl'))
  return { h, time, ann, e: edge(h.keeper) }
}

/** What an edge learns, but for the operator's part. */
const told = ({ reason, language, delayMs }: LoginFailure) => ({ reason, language, delayMs })

t.test('R39, M4: deleted, expired, wrong protocol, primary password: said in the user’s language', async (t) => {
  const { h, time, e } = await setUp(t)
  const phone = await h.issue('ann@a.test')
  const gone = await h.issue('ann@a.test')
  const short = await h.issue('ann@a.test', { expiresInMs: 60_000 })
  const narrow = await h.issue('ann@a.test', { protocols: ['smtp'] })
  await h.call('app-password.delete', { id: gone.id })
  t.equal(await e.result('ann@a.test', phone.password), 'in')
  time.clock = new Date(time.clock.getTime() + 120_000)
  for (const [reason, secret] of [
    ['app-password-deleted', gone.password],
    ['app-password-expired', short.password],
    ['not-on-this-protocol', narrow.password],
    ['use-app-password', PRIMARY],
  ] as const) {
    t.match(told(await e.refusal('ann@a.test', secret)), { reason, language: 'nl' }, reason)
  }
})

t.test('R29: whoever may have no app password is not told to use one', async (t) => {
  const { h, e } = await setUp(t)
  const phone = await h.issue('ann@a.test')
  t.equal(await e.result('ann@a.test', phone.password), 'in')
  await h.call('policy.set', { scope: 'user', user: 'ann@a.test', appPasswords: 'forbidden' })
  const before = h.keeper.hasher.runs
  t.equal(await e.result('ann@a.test', PRIMARY), 'bad-credentials')
  t.equal(h.keeper.hasher.runs, before)
})

t.test('threat B1: a wrong secret is told nothing in anybody’s language', async (t) => {
  const { h, e } = await setUp(t)
  const phone = await h.issue('ann@a.test')
  const off = await h.issue('ann@a.test', { networks: ['10.0.0.0/8'] })
  await e.result('ann@a.test', phone.password)
  const nobody = told(await e.refusal('nobody@a.test', 'a guess'))
  t.strictSame(nobody, { reason: 'bad-credentials', language: null, delayMs: 0 })
  t.strictSame(told(await e.refusal('ann@a.test', 'a guess')), nobody, 'from where she logs in, too')
  t.strictSame(told(await e.refusal('ann@a.test', off.password)), nobody, 'right, from the wrong network')
  t.strictSame(told(await e.refusal('ann@a.test', PRIMARY, { ip: '203.0.113.9' })), nobody, 'the primary password')
  await h.call('user.disable', { address: 'ann@a.test' })
  t.strictSame(told(await e.refusal('ann@a.test', phone.password)), nobody, 'disabled')
})

t.test('threat B4: an app password that was deleted while its login was under way leaves no known place', async (t) => {
  const { h, e } = await setUp(t)
  const phone = await h.issue('ann@a.test')
  const late = await e.admit(attempt('ann@a.test', phone.password, { ip: '203.0.113.9' }))
  e.sessions.delete(late.id) // it has not heard yet
  const deleting = h.call('app-password.delete', { id: phone.id })
  while (!e.told.includes(late.id)) await turn()
  e.port.settle(late.id, 'accepted')
  e.port.ended(late.id, { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 1 })
  t.match(await deleting, { sessionsEnded: 1 })
  t.equal((await e.refusal('ann@a.test', PRIMARY, { ip: '203.0.113.9' })).reason, 'bad-credentials')
})

t.test('threats B1, B10: guesses at a real and an invented user are told the same, step by step', async (t) => {
  const { h, time, e } = await setUp(t, DELAYS)
  const phone = await h.issue('ann@a.test')
  // Ann has logged in well from this very address: everything that could give her away is there.
  await e.result('ann@a.test', phone.password, { ip: '192.0.2.1' })
  const secrets = ['a guess', 'a guess', 'wron gwro ngwr ongw', 'Summer2026!', 'a guess', ''.padEnd(300, 'x'), 'b', 'c']
  for (const patient of [true, false]) {
    const seen: Record<string, unknown[]> = { 'ann@a.test': [], 'nobody@a.test': [] }
    for (const name of Object.keys(seen)) {
      await h.call('throttle.clear', {})
      for (const secret of secrets) {
        if (patient) time.now += 15_000
        seen[name]?.push(told(await e.refusal(name, secret, { ip: '192.0.2.1' })))
      }
      // And all at once.
      await h.call('throttle.clear', {})
      const many = await Promise.all(
        Array.from({ length: 20 }, (_, i) => e.refusal(name, `at once ${i}`, { ip: '192.0.2.1' })),
      )
      seen[name]?.push(many.map(told).sort((a, b) => a.reason.localeCompare(b.reason)))
    }
    t.strictSame(seen['ann@a.test'], seen['nobody@a.test'], patient ? 'one after the other' : 'without waiting')
  }
})

t.test('threat B10: it costs one argon2 at a time, of low priority, and the answer does not wait for it', async (t) => {
  const { h, e } = await setUp(t)
  const phones = [await h.issue('ann@a.test'), await h.issue('bob@a.test')]
  await e.result('ann@a.test', phones[0]?.password ?? '')
  await e.result('bob@a.test', phones[1]?.password ?? '')
  const before = h.keeper.hasher.runs
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, i) => e.result(i % 2 ? 'ann@a.test' : 'bob@a.test', PRIMARY)),
  )
  const runs = h.keeper.hasher.runs - before
  t.ok(runs >= 1 && runs <= 6, `${runs} runs for 40 attempts: at most three an hour for each of two users`)
  t.equal(results.filter((reason) => reason === 'use-app-password').length, runs)
  t.ok(results.every((reason) => reason === 'use-app-password' || reason === 'bad-credentials'))
})
