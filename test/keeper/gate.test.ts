import t from 'tap'
import type { HouseOptions } from './house.ts'
import { attempt, edge, house } from './house.ts'

const WRONG = 'wron gwro ngwr ongw'

t.test('R1, R3: an app password opens the way upstream, as the user and not by it', async (t) => {
  const h = await house(t)
  const user = await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const grant = await e.admit(attempt('ann@a.test', password))
  t.match(grant, {
    id: /^[A-Za-z0-9_-]{22}$/,
    userId: user.id,
    logName: 'ann@a.test',
    appPassword: { id, name: 'phone' },
    verifiedBy: 'us',
    upstream: {
      name: 'main',
      hosts: [{ host: '127.0.0.1', port: 1993 }],
      tls: 'implicit',
      identity: { kind: 'password', authcid: 'ann@a.test*sp', authzid: '' },
    },
  })
  const { identity } = grant.upstream
  t.equal(identity.kind === 'password' && identity.secret.reveal(), 'master secret')
  t.notMatch(JSON.stringify(grant), password.replaceAll(' ', ''), 'invariant 5')
  e.settle(grant, 'accepted')
  t.equal(h.capture.log.bugs, 0)
})

t.test('R7: blanks, hyphens and capitals do not matter, one wrong letter does', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const bare = password.replaceAll(' ', '')
  for (const typed of [password, bare, bare.toUpperCase(), password.replaceAll(' ', '-'), ` ${password} `]) {
    t.equal(await e.result('ann@a.test', typed), 'in', typed.replace(/[a-z]/g, 'x').replace(/[A-Z]/g, 'X'))
  }
  const other = bare.at(-1) === 'x' ? 'y' : 'x'
  t.equal(await e.result('ann@a.test', bare.slice(0, -1) + other), 'bad-credentials')
  t.equal(await e.result('ann@a.test', bare.slice(0, -1)), 'bad-credentials')
  t.equal(await e.result('ann@a.test', `${bare}${bare}${bare}`), 'bad-credentials')
  t.equal(await e.result('ann@a.test', ''), 'bad-credentials')
  t.equal(await e.result('ann@a.test', 'ſ'.repeat(16)), 'bad-credentials')
  await t.rejects(
    e.admit(attempt('', WRONG)),
    { reason: 'bad-credentials', message: /names\.windowsDomains/ },
    'for the log: a name that the edge could make nothing of',
  )
})

t.test('design §6, the table: who gets in, and what anybody else is told', async (t) => {
  interface Case {
    readonly why: string
    readonly want: string
    readonly options?: HouseOptions
    readonly issue?: Parameters<Awaited<ReturnType<typeof house>>['issue']>[1]
    readonly groups?: readonly string[]
    /** Happens after one good login (so caches know it) or before any. */
    readonly after?: (h: Awaited<ReturnType<typeof house>>, id: string) => Promise<unknown>
    readonly user?: string
    readonly typed?: string
    readonly from?: Parameters<typeof attempt>[2]
  }
  const day = 24 * 60 * 60_000
  const groups = 'groups: { contractors: { appPasswords: { allowed: false } } }'
  const cases: readonly Case[] = [
    { why: 'the right one', want: 'in' },
    { why: 'unknown user', user: 'nobody@a.test', want: 'bad-credentials' },
    { why: 'no user at all', user: '', want: 'bad-credentials' },
    { why: 'a name no edge gives', user: 'ann@a.test\0', want: 'bad-credentials' },
    { why: 'another domain', user: 'ann@b.test', want: 'bad-credentials' },
    { why: 'wrong secret', typed: WRONG, want: 'bad-credentials' },
    { why: 'acting as oneself', from: { authzid: 'ann@a.test' }, want: 'in' },
    { why: 'acting for another (C2)', from: { authzid: 'bob@a.test' }, want: 'bad-credentials' },
    { why: 'deleted', after: (h, id) => h.call('app-password.delete', { id }), want: 'app-password-deleted' },
    { why: 'user disabled', after: (h) => h.call('user.disable', { address: 'ann@a.test' }), want: 'bad-credentials' },
    {
      why: 'disabled and enabled again',
      after: async (h) => {
        await h.call('user.disable', { address: 'ann@a.test' })
        await h.call('user.enable', { address: 'ann@a.test' })
      },
      want: 'in',
    },
    { why: 'user deleted', after: (h) => h.call('user.delete', { address: 'ann@a.test' }), want: 'bad-credentials' },
    { why: 'another one issued', after: (h) => h.issue('ann@a.test', { name: 'laptop' }), want: 'in' },
    { why: 'wrong protocol', issue: { protocols: ['smtp'] }, want: 'not-on-this-protocol' },
    { why: 'right protocol', issue: { protocols: ['smtp'] }, from: { protocol: 'smtp' }, want: 'in' },
    { why: 'wrong network', issue: { networks: ['10.0.0.0/8'] }, want: 'bad-credentials' },
    { why: 'right network', issue: { networks: ['10.0.0.0/8'] }, from: { ip: '10.1.1.1' }, want: 'in' },
    { why: 'not expired', issue: { expiresInMs: day }, want: 'in' },
    { why: 'R29 forbidden to all', options: { yaml: 'appPasswords: { allowed: true }' }, want: 'in' },
    { why: 'in a group without exception', options: { yaml: groups }, groups: ['staff'], want: 'in' },
  ]
  for (const { why, want, options, issue, groups: memberOf, after, user = 'ann@a.test', typed, from } of cases) {
    for (const seen of [true, false]) {
      await t.test(`${why}${seen ? ', seen before' : ''}`, async (t) => {
        const h = await house(t, options)
        await h.addUser('ann@a.test', memberOf)
        const { id, password } = await h.issue('ann@a.test', issue)
        const e = edge(h.keeper)
        // A login that the caches remember: right name, right secret, wherever it is welcome.
        if (seen) await e.result('ann@a.test', password, issue?.networks ? { ip: '10.2.2.2' } : { protocol: 'smtp' })
        await after?.(h, id)
        t.equal(await e.result(user, typed ?? password, from), want, 'first')
        t.equal(await e.result(user, typed ?? password, from), want, 'again')
        t.equal(h.capture.log.bugs, 0)
        t.equal(e.sessions.size, 0)
      })
    }
  }
})

t.test('an app password that runs out', async (t) => {
  const time = { wall: Date.now() }
  const h = await house(t, { clock: () => new Date(time.wall) })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test', { expiresInMs: 60_000 })
  const e = edge(h.keeper)
  t.equal(await e.result('ann@a.test', password), 'in')
  time.wall += 60_001
  t.equal(await e.result('ann@a.test', password), 'app-password-expired', 'seen before')
  t.equal(await e.result('ann@a.test', WRONG), 'bad-credentials')
})

t.test('R29: forbidding app passwords stops existing ones at once and ends their sessions', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test', ['contractors'])
  await h.addUser('bob@a.test')
  const [ann, bob] = [await h.issue('ann@a.test'), await h.issue('bob@a.test')]
  const e = edge(h.keeper)
  const open = await e.login('ann@a.test', ann.password)
  const stays = await e.login('bob@a.test', bob.password)
  const forbidden = { contractors: { appPasswords: { allowed: false } } }
  await h.keeper.reload({ ...h.config, groups: forbidden })
  await new Promise(setImmediate)
  t.strictSame(e.told, [open.id])
  t.strictSame([...e.sessions.keys()], [stays.id])
  t.equal(await e.result('ann@a.test', ann.password), 'bad-credentials')
  t.equal(await e.result('bob@a.test', bob.password), 'in')
  await t.rejects(h.issue('ann@a.test'), { code: 'forbidden' })
  t.match(await h.call('app-password.list', { user: 'ann@a.test' }), [{ id: ann.id }], 'still there to be deleted')
  await h.keeper.reload(h.config)
  t.equal(await e.result('ann@a.test', ann.password), 'in', 'and allowed again')
})

t.test('log names (J2): an account by its address, an unknown name by a keyed hash', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  t.equal((await e.refusal('ann@a.test', WRONG)).logName, 'ann@a.test')
  const unknown = (await e.refusal('hunter2@a.test', WRONG)).logName
  t.match(unknown, /^unknown:[0-9a-f]{12}@a\.test$/)
  t.equal((await e.refusal('hunter2@a.test', WRONG)).logName, unknown, 'the same name reads the same')
  t.match((await e.refusal('', WRONG)).logName, /^unknown:[0-9a-f]{12}$/)
  t.match(
    (await e.refusal('my-p@ssw0rd', WRONG)).logName,
    /^unknown:[0-9a-f]{12}$/,
    'a password with an @, typed into the field for the name: no part of it is a domain',
  )
})

t.test('E2, limits.perUser: counted exactly, grants and sessions together', async (t) => {
  const h = await house(t, { yaml: 'limits: { perUser: 3 }' })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const other = edge(h.keeper)
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, (_, i) => (i % 2 ? e : other).admit(attempt('ann@a.test', password))),
  )
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 3)
  t.match(
    results.filter(({ status }) => status === 'rejected'),
    Array.from({ length: 5 }, () => ({ reason: { reason: 'too-many-sessions', delayMs: 0 } })),
  )
  for (const each of [e, other]) for (const id of each.sessions.keys()) each.port.settle(id, 'client-gone')
  t.equal(await e.result('ann@a.test', password), 'in')
})

t.test('last use is noted when the upstream has accepted, in a batch', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  e.settle(await e.admit(attempt('ann@a.test', password)), 'failed')
  await h.close()
  const again = await house(t, { directory: h.directory })
  t.equal((await again.call('app-password.list', { user: 'ann@a.test' }))[0]?.lastUsed, null)
  await edge(again.keeper).login('ann@a.test', password)
  await again.close()
  const third = await house(t, { directory: h.directory })
  t.match((await third.call('app-password.list', { user: 'ann@a.test' }))[0]?.lastUsed, {
    protocol: 'imap',
    ip: '192.0.2.1',
    agent: 'test',
  })
})

t.test('invariant 11: a way in that is missing is our fault and not a wrong password', async (t) => {
  for (const [identity, want] of [
    ['{ method: stored-secret }', 'upstream-refused'],
    ['{ method: oauth2, provider: google, grant: refresh-token, clientId: x }', 'token-unavailable'],
  ] as const) {
    const h = await house(t, { identity })
    await h.addUser('ann@a.test')
    const { password } = await h.issue('ann@a.test')
    const e = edge(h.keeper)
    t.equal(await e.result('ann@a.test', password), want, identity)
    t.equal(await e.result('ann@a.test', WRONG), 'bad-credentials')
    t.equal(h.capture.of('upstream_failed').length, 1)
    if (want !== 'upstream-refused') continue
    await h.call('secret.set', { user: 'ann@a.test', upstream: 'main', secret: 'her own secret' })
    const grant = await e.login('ann@a.test', password)
    t.match(grant.upstream.identity, { authcid: 'ann@a.test', authzid: '' })
  }
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  t.equal(
    await edge(h.keeper).result('ann@a.test', password, { protocol: 'pop3' }),
    'upstream-unreachable',
    'no section',
  )
})
