/**
 * Sessions that end without a command: the audit trail says who, why, how many and who did not confirm (M2, threat B8).
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import type { Config } from '../../src/config.ts'
import type { Grant, LiveSession } from '../../src/contract/admission.ts'
import type { ServiceAnswer } from '../../src/contract/services.ts'
import type { House } from './house.ts'
import { edge, house } from './house.ts'

type Entries = ServiceAnswer<'audit.list'>['entries']

async function entries(h: House): Promise<Entries> {
  const { entries } = await h.call('audit.list', {})
  return entries.filter(({ event }) => event === 'sessions_ended')
}

async function waitFor(t: Test, h: House, count: number): Promise<Entries> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await entries(h)
    if (found.length >= count || Date.now() > deadline) {
      t.equal(found.length, count, `${count} entries`)
      return found
    }
    await delay(5)
  }
}

async function revocations(h: House): Promise<number> {
  const { values } = await h.metrics.revocation.get()
  return values.find(({ metricName }) => metricName?.endsWith('_count'))?.value ?? 0
}

t.test('M2: an app password that runs out: one entry, with its count and its time in the metric', async (t) => {
  const time = { at: Date.now() }
  const h = await house(t, { clock: () => new Date(time.at), endWithinMs: 200 })
  await h.addUser('ann@a.test')
  const runsOut = await h.issue('ann@a.test', { expiresInMs: 60_000 })
  const stays = await h.issue('ann@a.test')
  const [quick, deaf] = [edge(h.keeper), edge(h.keeper, { deaf: true })]
  time.at += 59_900
  for (const e of [quick, quick, deaf]) await e.login('ann@a.test', runsOut.password)
  await quick.login('ann@a.test', stays.password)
  time.at += 100
  const found = await waitFor(t, h, 1)
  t.match(found, [
    {
      actor: 'system',
      user: 'ann@a.test',
      detail: { why: 'expired', count: 2, unanswered: 'edge 2', appPassword: runsOut.id },
    },
  ])
  t.equal(quick.sessions.size, 1)
  t.equal(await revocations(h), 2)
  t.equal(h.capture.log.bugs, 0)
})

const TWO_UPSTREAMS = `
  other:
    imap: { host: 127.0.0.1, port: 1994, tls: implicit }
    smtp: { host: 127.0.0.1, port: 1466, tls: implicit }
    identity: { method: stored-secret }
routes:
  - { domain: a.test, upstream: main }
  - { domain: b.test, upstream: other }
groups: { office: {}, scanners: {} }
`

/** What an operator may take away in the configuration → whose sessions that ends, of ann (office) at a.test and bob at b.test. */
const NARROWED: Readonly<Record<string, readonly [(config: Config) => Config, 'ann' | 'bob' | 'both']>> = {
  'app passwords forbidden': [
    (config) => ({ ...config, appPasswords: { ...config.appPasswords, allowed: false } }),
    'both',
  ],
  'forbidden to a group': [
    (config) => ({ ...config, groups: { office: { appPasswords: { allowed: false } } } }),
    'ann',
  ],
  'a domain taken out': [
    (config) => ({ ...config, domains: ['a.test'], routes: config.routes.filter(({ domain }) => domain !== 'b.test') }),
    'bob',
  ],
  'an upstream taken out, its users sent elsewhere': [
    ({ upstreams: { main }, ...config }) => ({
      ...config,
      upstreams: main ? { main } : {},
      routes: config.routes.map((route) => ({ ...route, upstream: 'main' })),
    }),
    'bob',
  ],
  'a protocol of an upstream taken out': [
    ({ upstreams: { main, ...others }, ...config }) => ({
      ...config,
      upstreams: { ...others, ...(main && { main: { ...main, imap: null } }) },
    }),
    'ann',
  ],
}

for (const [what, [change, whose]] of Object.entries(NARROWED)) {
  t.test(`M2, R29: a reload, ${what}`, async (t) => {
    const h = await house(t, { yaml: TWO_UPSTREAMS })
    await h.addUser('ann@a.test', ['office'])
    await h.addUser('bob@b.test')
    await h.call('secret.set', { user: 'bob@b.test', upstream: 'other', secret: 'bobs upstream password' })
    const [anns, bobs] = [await h.issue('ann@a.test'), await h.issue('bob@b.test')]
    const [e1, e2] = [edge(h.keeper), edge(h.keeper)]
    const ann = [await e1.login('ann@a.test', anns.password), await e2.login('ann@a.test', anns.password)]
    const bob = [await e2.login('bob@b.test', bobs.password)]

    await h.keeper.reload({ ...h.config })
    t.strictSame(await entries(h), [], 'nothing is noted where nothing ended')
    await h.keeper.reload(change(h.config))
    const ended = { ann, bob, both: [...ann, ...bob] }[whose].map(({ id }) => id)
    t.match(
      await entries(h),
      [{ actor: 'system', user: null, detail: { why: 'configuration', count: ended.length } }],
      'one entry, there when the reload is over',
    )
    t.strictSame([...e1.told, ...e2.told].toSorted(), ended.toSorted())
    t.equal(await revocations(h), ended.length)
    for (const [user, password, id] of [
      ['ann@a.test', anns.password, ann[0]?.id],
      ['bob@b.test', bobs.password, bob[0]?.id],
    ] as const) {
      const isServed = !ended.includes(id ?? '') || what.includes('sent elsewhere')
      t.equal((await e1.result(user, password)) === 'in', isServed, `${user}: the next login agrees`)
    }
    t.equal(h.capture.log.bugs, 0)
  })
}

t.test('a user who is sent to another upstream keeps the session at the old one', async (t) => {
  const h = await house(t, { yaml: TWO_UPSTREAMS })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const grant = await e.login('ann@a.test', password)
  await h.keeper.reload({ ...h.config, routes: [{ domain: 'a.test', users: null, upstream: 'other' }] })
  t.strictSame([e.told, await entries(h)], [[], []])
  t.ok(e.sessions.has(grant.id))
})

t.test('a first second step ends what the primary password opened', async (t) => {
  const h = await house(t, { yaml: 'primaryPassword: until-enrolled' })
  const ann = await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  const grant = await e.login('ann@a.test', 'her own upstream password')
  await h.store.transaction((tx) => tx.updateUser(ann.id, { enrolledAt: new Date() }))
  h.keeper.bus.publish({ kind: 'user-changed', userId: ann.id, epoch: 9 })
  t.match(await waitFor(t, h, 1), [
    { actor: 'system', user: 'ann@a.test', detail: { why: 'two-step-enrolled', count: 1 } },
  ])
  t.strictSame(e.told, [grant.id])
})

t.test('a session that an edge comes back with, and that should have ended meanwhile', async (t) => {
  const h = await house(t)
  const ann = await h.addUser('ann@a.test')
  const bob = await h.addUser('bob@a.test')
  const [gone, expired, bobs] = [
    await h.issue('ann@a.test'),
    await h.issue('ann@a.test', { expiresInMs: 1 }),
    await h.issue('bob@a.test'),
  ]
  await h.call('app-password.delete', { id: gone.id })
  await h.call('user.disable', { address: 'bob@a.test' })
  await delay(5)
  const live = (grantId: string, userId: string, id: string): LiveSession => ({
    grantId,
    userId,
    logName: userId === ann.id ? 'ann@a.test' : 'bob@a.test',
    appPassword: { id, name: 'phone' },
    protocol: 'imap',
    ip: '192.0.2.1',
    port: 1,
    startedAt: Date.now() - 5000,
    settled: true,
  })
  const e = edge(h.keeper)
  for (const id of ['one', 'two', 'three', 'four']) e.sessions.set(id, true)
  await e.port.resume([
    live('one', ann.id, gone.id),
    live('two', ann.id, gone.id),
    live('three', ann.id, expired.id),
    live('four', bob.id, bobs.id),
  ])
  const found = await waitFor(t, h, 3)
  t.strictSame(found.map(({ actor, user, detail }) => [actor, user, detail.why, detail.count]).toSorted(), [
    ['system', 'ann@a.test', 'app-password-deleted', 2],
    ['system', 'ann@a.test', 'expired', 1],
    ['system', 'bob@a.test', 'user-disabled', 1],
  ])
})

t.test('a command counts what it ended, and nothing is told twice', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const open: Grant[] = [await e.login('ann@a.test', password), await e.login('ann@a.test', password)]
  await h.call('app-password.update', { id, protocols: ['smtp'] })
  await delay(20)
  t.match(await entries(h), [{ actor: 'cli:test', detail: { why: 'app-password-narrowed', count: open.length } }])
  t.equal((await entries(h)).length, 1)
})
