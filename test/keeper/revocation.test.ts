import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Grant, LiveSession } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { House } from './house.ts'
import { attempt, edge, house } from './house.ts'

t.test('M2, R25: deleting an app password ends what it opened and says how many', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const [phone, laptop] = [await h.issue('ann@a.test'), await h.issue('ann@a.test', { name: 'laptop' })]
  const [e1, e2] = [edge(h.keeper), edge(h.keeper)]
  for (let i = 0; i < 5; i++) await e1.login('ann@a.test', phone.password)
  for (let i = 0; i < 3; i++) await e2.login('ann@a.test', phone.password, { protocol: 'smtp' })
  await e2.admit(attempt('ann@a.test', phone.password)) // still dialling
  const stays = await e1.login('ann@a.test', laptop.password)
  t.strictSame(await h.call('app-password.delete', { id: phone.id }), {
    deleted: [{ id: phone.id, user: 'ann@a.test', name: 'phone' }],
    sessionsEnded: 9,
    unanswered: [],
  })
  t.match((await h.call('session.list', {})).sessions, [{ id: stays.id }])
  t.equal(h.capture.of('app_password_deleted').length, 1)
  t.match(h.capture.of('app_password_deleted')[0], { user: 'ann@a.test', app_password_name: 'phone' })
  t.equal(h.capture.log.bugs, 0)
})

t.test('M2, threat B8: every other way to lose access ends sessions, too', async (t) => {
  const yaml = 'onPasswordReset: revoke'
  for (const [what, revoke, want] of [
    ['delete-all', (h: House) => h.call('app-password.delete-all', { user: 'ann@a.test' }), 2],
    ['delete-unused', (h: House) => h.call('app-password.delete-unused', { unusedForMs: 1 }), 2],
    ['disable', (h: House) => h.call('user.disable', { address: 'ann@a.test' }), 2],
    ['delete user', (h: House) => h.call('user.delete', { address: 'ann@a.test' }), 2],
    [
      'password reset, configured to revoke',
      (h: House) => h.call('user.set-password', { address: 'ann@a.test', password: 'a new long password' }),
      2,
    ],
    ['session.end by user', (h: House) => h.call('session.end', { user: 'ann@a.test' }), 2],
  ] as const) {
    const h = await house(t, { yaml })
    const ann = await h.addUser('ann@a.test')
    await h.addUser('bob@a.test')
    const [one, two] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
    const bob = await h.issue('bob@a.test', { expiresInMs: 1_000_000 })
    const e = edge(h.keeper)
    for (const { password } of [one, two]) await e.login('ann@a.test', password)
    await delay(5) // so that last use lies in the past
    if (what !== 'delete-unused') await e.login('bob@a.test', bob.password)
    t.match(await revoke(h), { sessionsEnded: want, unanswered: [] }, what)
    t.equal(e.sessions.size, what === 'delete-unused' ? 0 : 1, 'and nobody else')
    const isTold = ['delete-all', 'delete-unused', 'password reset, configured to revoke'].includes(what)
    const told = (await h.store.people.noticesOf(ann.id)).filter(({ detail }) => detail.what === 'app-password-deleted')
    t.equal(told.length, isTold ? 1 : 0, `${what}: the owner is told, once, that app passwords were deleted`)
    if (what === 'session.end by user') t.equal(await e.result('ann@a.test', one.password), 'in', 'may come back')
    await h.close()
  }
})

t.test('session.end: by session, by app password, and both must fit', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const [one, two] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
  const e = edge(h.keeper)
  const [a, b, c] = [
    await e.login('ann@a.test', one.password),
    await e.login('ann@a.test', one.password),
    await e.login('ann@a.test', two.password),
  ]
  t.match(await h.call('session.end', { id: a.id }), { sessionsEnded: 1 })
  t.match(await h.call('session.end', { id: b.id, appPassword: two.id }), { sessionsEnded: 0 })
  t.match(await h.call('session.end', { appPassword: two.id }), { sessionsEnded: 1 })
  t.strictSame(e.told, [a.id, c.id])
  await t.rejects(h.call('session.end', {}), { code: 'invalid' })
  await t.rejects(h.call('session.end', { user: 'nobody@a.test' }), { code: 'not-found' })
  t.match((await h.call('audit.list', {})).entries.filter(({ event }) => event === 'sessions_ended').length, 3)
})

t.test('M2: an edge that does not answer is named, after a second', async (t) => {
  const h = await house(t, { endWithinMs: 40 })
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  await edge(h.keeper).login('ann@a.test', password)
  await edge(h.keeper, { deaf: true }).login('ann@a.test', password)
  t.match(await h.call('app-password.delete', { id }), { sessionsEnded: 1, unanswered: ['edge 2'] })
})

t.test('M2: right after a restart, edges that are not back are waited for, and named if they stay away', async (t) => {
  const first = await house(t)
  const { id: userId } = await first.addUser('ann@a.test')
  const [phone, laptop] = [await first.issue('ann@a.test'), await first.issue('ann@a.test', { name: 'laptop' })]
  const before = edge(first.keeper)
  const grant = await before.login('ann@a.test', phone.password)
  const live: LiveSession = {
    grantId: grant.id,
    userId,
    logName: 'ann@a.test',
    appPassword: grant.appPassword,
    protocol: 'imap',
    ip: '192.0.2.1',
    port: 1,
    startedAt: 0,
    settled: true,
  }
  await first.close()

  const hurried = await house(t, { directory: first.directory, endWithinMs: 40 })
  hurried.keeper.expectEdges(['edge-1.aaaa', 'edge-2.bbbb'])
  await edge(hurried.keeper, { id: 'edge-2.bbbb' }).port.resume([])
  t.match(await hurried.call('app-password.delete', { id: laptop.id }), { sessionsEnded: 0, unanswered: ['edge-1'] })
  t.match((await hurried.call('audit.list', {})).entries.at(-1), { detail: { count: 0, unanswered: 'edge-1' } })
  await hurried.close()

  const h = await house(t, { directory: first.directory, endWithinMs: 60_000 })
  h.keeper.expectEdges(['edge-1.aaaa', 'edge-2.bbbb'])
  const [e1, e2] = [edge(h.keeper, { id: 'edge-1.aaaa' }), edge(h.keeper, { id: 'edge-2.bbbb' })]
  t.strictSame(await e2.port.resume([]), [])
  const deleting = h.call('app-password.delete', { id: phone.id })
  await delay(20)
  e1.sessions.set(grant.id, true)
  t.strictSame(await e1.port.resume([live]), [grant.id], 'it is told at once')
  e1.sessions.delete(grant.id)
  e1.port.ended(grant.id, { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 0 })
  t.match(await deleting, { sessionsEnded: 1, unanswered: [] }, 'it came back in time')
  t.match((await h.call('audit.list', {})).entries.at(-1), { event: 'sessions_ended', detail: { count: 1 } })

  e1.port.close()
  h.keeper.expectEdges(['edge-1.cccc', 'edge-2.bbbb'])
  const asked = h.call('session.end', { user: 'ann@a.test' })
  await delay(20)
  const again = edge(h.keeper, { id: 'edge-1.cccc' })
  again.sessions.set('g2', true)
  await again.port.resume([{ ...live, grantId: 'g2', appPassword: null }])
  t.match(await asked, { unanswered: [] }, 'a new one has taken its place')
})

t.test('an app password that runs out ends its open sessions', async (t) => {
  const time = { at: Date.now() }
  const h = await house(t, { clock: () => new Date(time.at) })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test', { expiresInMs: 60_000 })
  const forever = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  time.at += 59_900
  const grant = await e.login('ann@a.test', password)
  await e.login('ann@a.test', forever.password)
  time.at += 100
  while (e.told.length === 0) await delay(5)
  t.strictSame(e.told, [grant.id])
})

t.test('what the bus tells ends sessions, whoever changed the records', async (t) => {
  const h = await house(t)
  const [ann, bob, cid] = [await h.addUser('ann@a.test'), await h.addUser('bob@a.test'), await h.addUser('cid@a.test')]
  const [one, two] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
  const [bobs, cids] = [await h.issue('bob@a.test'), await h.issue('cid@a.test')]
  const e = edge(h.keeper)
  const open = {
    one: await e.login('ann@a.test', one.password),
    two: await e.login('ann@a.test', two.password),
    bob: await e.login('bob@a.test', bobs.password),
    cid: await e.login('cid@a.test', cids.password),
  }
  const gone = async (id: string) => {
    const deadline = Date.now() + 30_000
    while (e.sessions.has(id) && Date.now() < deadline) await turn()
    return !e.sessions.has(id)
  }
  await h.store.transaction((tx) => tx.deleteAppPassword(one.id))
  h.keeper.bus.publish({ kind: 'app-password-revoked', userId: ann.id, appPasswordId: one.id, epoch: 9 })
  t.ok(await gone(open.one.id), 'app-password-revoked')
  await h.store.transaction((tx) => tx.deleteUser(bob.id, new Date()))
  h.keeper.bus.publish({ kind: 'user-removed', userId: bob.id })
  t.ok(await gone(open.bob.id), 'user-removed')
  await h.store.transaction((tx) => tx.updateUser(cid.id, { enabled: false }))
  h.keeper.bus.publish({ kind: 'user-changed', userId: cid.id, epoch: 9 })
  t.ok(await gone(open.cid.id), 'user-changed')
  t.strictSame([...e.sessions.keys()], [open.two.id])
  await h.store.transaction((tx) => tx.deleteAppPassword(two.id))
  h.keeper.bus.publish({ kind: 'all-changed' })
  t.ok(await gone(open.two.id), 'all-changed')
})

for (const identity of ['{ method: stored-secret }', undefined])
  t.test(
    `invariant 8, the keeper: revocations at random moments, no survivor: ${identity ?? 'master user'}`,
    async (t) => {
      const h = await house(t, { yaml: 'limits: { perUser: 10000 }', ...(identity ? { identity } : {}) })
      await h.addUser('ann@a.test')
      if (identity)
        await h.call('secret.set', { user: 'ann@a.test', upstream: 'main', secret: 'her upstream password' })
      const edges = [edge(h.keeper), edge(h.keeper)]
      let admitted = 0
      let ended = 0
      let refused = 0
      for (let round = 0; round < 150; round++) {
        const { id, password } = await h.issue('ann@a.test', { name: `round ${round}` })
        // Some rounds begin cold, some with a login that is remembered, some with level 2 only.
        if (round % 3 > 0) await edges[0]?.result('ann@a.test', password)
        if (round % 3 === 2) h.keeper.bus.publish({ kind: 'all-changed' })
        const moment = Math.floor(Math.random() * 12)
        const logins: Promise<void>[] = []
        let revoked: Promise<unknown> = Promise.resolve()
        for (let i = 0; i < 12; i++) {
          if (i === moment) revoked = h.call('app-password.delete', { id })
          const e = edges[i % 2] ?? edge(h.keeper)
          logins.push(
            (async () => {
              try {
                const grant = await e.admit(attempt('ann@a.test', password))
                admitted += 1
                if (Math.random() < 0.5) await (Math.random() < 0.5 ? turn() : null)
                // An end may have come while it was dialling: then the edge has answered already.
                if (e.sessions.has(grant.id)) e.settle(grant, 'accepted')
              } catch (error) {
                if (!(error instanceof LoginFailure)) throw error
                t.match(error.reason, /^(app-password-deleted|bad-credentials)$/)
                refused += 1
              }
            })(),
          )
          if (Math.random() < 0.3) await (Math.random() < 0.5 ? turn() : null)
        }
        await Promise.all([...logins, revoked])
        await turn()
        await turn()
        const left = (await h.call('session.list', {})).sessions
        if (left.length > 0) t.fail(`round ${round}: ${left.length} sessions survived`)
        if (edges.some(({ sessions }) => sessions.size > 0)) t.fail(`round ${round}: an edge kept a session`)
        ended = edges.reduce((sum, { told }) => sum + told.length, 0)
      }
      t.ok(admitted > 100 && refused > 100 && ended > 50, `${admitted} admitted, ${refused} refused, ${ended} ended`)
      t.equal(h.capture.log.bugs, 0)
    },
  )

t.test('500 sessions of one app password: all gone within a second', async (t) => {
  const h = await house(t, { yaml: 'limits: { perUser: 1000 }' })
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  const edges = Array.from({ length: 5 }, () => edge(h.keeper))
  for (let i = 0; i < 500; i++) await edges[i % 5]?.login('ann@a.test', password)
  const begun = process.threadCpuUsage()
  t.match(await h.call('app-password.delete', { id }), { sessionsEnded: 500, unanswered: [] })
  const { user, system } = process.threadCpuUsage(begun)
  t.ok(user + system < 1_000_000, `${Math.round((user + system) / 1000)} ms of CPU`)
  const counts = (await h.metrics.revocation.get()).values
  t.equal(counts.find(({ metricName }) => metricName?.endsWith('_count'))?.value, 500)
})

t.test('an edge whose channel broke: it resumes, and is told which sessions are to end', async (t) => {
  const h = await house(t)
  const [ann, bob] = [await h.addUser('ann@a.test'), await h.addUser('bob@a.test')]
  const [kept, deleted] = [await h.issue('ann@a.test'), await h.issue('ann@a.test')]
  const expired = await h.issue('ann@a.test', { expiresInMs: 1 })
  const narrow = await h.issue('ann@a.test', { networks: ['10.0.0.0/8'], protocols: ['imap'] })
  const disabled = await h.issue('bob@a.test')
  await h.call('app-password.delete', { id: deleted.id })
  await h.call('user.disable', { address: 'bob@a.test' })
  const session = (
    grantId: string,
    userId: string,
    appPasswordId: string,
    patch: Partial<LiveSession> = {},
  ): LiveSession => ({
    grantId,
    userId,
    logName: 'ann@a.test',
    appPassword: { id: appPasswordId, name: 'phone' },
    protocol: 'imap',
    ip: '192.0.2.1',
    port: 1,
    startedAt: Date.now() - 5000,
    settled: true,
    ...patch,
  })
  const e = edge(h.keeper)
  const answer = await e.port.resume([
    session('kept', ann.id, kept.id),
    session('kept, connecting', ann.id, kept.id, { settled: false }),
    session('deleted', ann.id, deleted.id),
    session('expired', ann.id, expired.id),
    session('elsewhere', ann.id, narrow.id),
    session('elsewhere, allowed', ann.id, narrow.id, { ip: '10.1.1.1' }),
    session('other protocol', ann.id, narrow.id, { ip: '10.1.1.1', protocol: 'smtp' }),
    session('disabled', bob.id, disabled.id),
    session('nobody', 'no such user', 'no such app password'),
    session('primary', ann.id, '', { appPassword: null }),
  ])
  t.strictSame(answer.toSorted(), [
    'deleted',
    'disabled',
    'elsewhere',
    'expired',
    'nobody',
    'other protocol',
    'primary',
  ])
  t.match(
    (await h.call('session.list', { user: 'ann@a.test' })).sessions.filter(({ id }) => id.startsWith('kept')),
    [
      { id: 'kept', state: 'open', upstream: null },
      { id: 'kept, connecting', state: 'connecting' },
    ],
  )
  for (const id of answer) e.port.ended(id, { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 0 })
  e.port.settle('kept, connecting', 'accepted')
  e.sessions.set('kept', true).set('kept, connecting', true)
  t.match(await h.call('app-password.delete', { id: kept.id }), { sessionsEnded: 2, unanswered: [] })
  t.equal(h.capture.log.bugs, 0)
})

t.test('an edge that dies leaves nothing behind, and no charge', async (t) => {
  const h = await house(t, { throttleDelaysMs: [1000] })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const grants: Grant[] = []
  for (let i = 0; i < 3; i++) grants.push(await e.admit(attempt('ann@a.test', password)))
  await e.login('ann@a.test', password)
  e.port.close()
  t.strictSame(await h.call('session.list', {}), { sessions: [], next: null })
  for (const grant of grants) e.port.settle(grant.id, 'accepted')
  t.equal(h.capture.log.bugs, 0)
})
