import t from 'tap'
import type { ServiceAnswer, ServiceRequest } from '../../src/contract/services.ts'
import type { House } from './house.ts'
import { edge, house } from './house.ts'

const YAML = 'groups: { contractors: { appPasswords: { allowed: false } }, staff: { appPasswords: { allowed: true } } }'

t.test(
  'R29: forbidding app passwords while running ends sessions and refuses logins, and can be taken back',
  async (t) => {
    for (const [what, forbid, isHit] of [
      ['everybody', { scope: 'all', appPasswords: 'forbidden' }, { ann: true, bob: true, cid: false }],
      [
        'a group',
        { scope: 'group', group: 'office', appPasswords: 'forbidden' },
        { ann: true, bob: false, cid: false },
      ],
      [
        'a group as somebody typed it',
        { scope: 'group', group: ' bu\u0308ro ', appPasswords: 'forbidden' },
        { ann: true, bob: false, cid: false },
      ],
      [
        'a user',
        { scope: 'user', user: 'ann@a.test', appPasswords: 'forbidden' },
        { ann: true, bob: false, cid: false },
      ],
    ] as const) {
      const h = await house(t, { yaml: YAML })
      await h.addUser('ann@a.test', ['office', 'b\u00fcro'])
      await h.addUser('bob@a.test')
      await h.addUser('cid@a.test', ['staff']) // the configuration's exception
      const e = edge(h.keeper)
      const secrets: Record<string, string> = {}
      for (const name of ['ann', 'bob', 'cid']) {
        secrets[name] = (await h.issue(`${name}@a.test`)).password
        await e.login(`${name}@a.test`, secrets[name])
      }
      const epochs = async () => ({
        ann: (await h.store.userByAddress('ann@a.test'))?.epoch ?? 0,
        policy: await h.store.ping(),
      })
      const before = await epochs()
      const { argon2 } = await h.paths()
      const hit = Object.values(isHit).filter(Boolean).length
      t.match(await h.call('policy.set', forbid), { sessionsEnded: hit, unanswered: [], changed: true }, what)
      const isAnns = forbid.scope === 'user'
      const risen = isAnns ? { ...before, ann: before.ann + 1 } : { ...before, policy: before.policy + 1 }
      t.strictSame(await epochs(), risen, `${what}: one epoch rose, however many it concerns`)
      for (const [name, refused] of Object.entries(isHit)) {
        const login = await e.result(`${name}@a.test`, secrets[name] ?? '')
        t.equal(login, refused ? 'bad-credentials' : 'in', `${what}: ${name}`)
        const issue = h.call('app-password.create', { user: `${name}@a.test`, name: 'other' })
        if (refused) await t.rejects(issue, { code: 'forbidden' }, `${what}: none is made for ${name}`)
        else await issue
      }
      t.match(
        (await h.call('audit.list', {})).entries.filter(({ event }) => /policy|sessions/.test(event)),
        [
          { event: 'policy_set', actor: 'cli:test', detail: { scope: forbid.scope, appPasswords: 'forbidden' } },
          { event: 'sessions_ended', actor: 'cli:test', detail: { why: 'policy', count: hit } },
        ],
        'who, why, how many',
      )
      t.match(await h.call('policy.set', forbid), { sessionsEnded: 0, changed: false }, 'again is nothing')

      t.match(await h.call('policy.set', { ...forbid, appPasswords: 'default' }), {
        changed: true,
        source: 'configured',
      })
      t.equal(await e.result('ann@a.test', secrets.ann ?? ''), 'in', 'as before')
      if (isAnns) t.equal((await h.paths()).argon2, argon2 + 1)
      h.keeper.bus.publish({ kind: 'all-changed' })
      t.equal(await e.result('ann@a.test', secrets.ann ?? ''), 'in', 'and from level 2')
      if (!isAnns) t.equal((await h.paths()).argon2, argon2, `${what}: nobody pays an argon2 run for it`)
      await h.close()
    }
  },
)

t.test('the narrower setting counts, and what is set goes before the configuration', async (t) => {
  const h = await house(t, { yaml: YAML })
  await h.addUser('ann@a.test', ['contractors', 'staff'])
  const set = (request: ServiceRequest<'policy.set'>) => h.call('policy.set', request)
  const decided = async () => {
    const { appPasswords, decidedBy } = await h.call('policy.show', { user: 'ann@a.test' })
    return `${appPasswords} by ${decidedBy.scope} ${decidedBy.subject} ${decidedBy.source}`
  }
  t.equal(await decided(), 'forbidden by group contractors configured', 'the strictest of the groups')
  await set({ scope: 'group', group: 'contractors', appPasswords: 'allowed' })
  t.equal(await decided(), 'allowed by group contractors set')
  await set({ scope: 'group', group: 'staff', appPasswords: 'forbidden' })
  t.equal(await decided(), 'forbidden by group staff set')
  await set({ scope: 'user', user: 'ann@a.test', appPasswords: 'allowed' })
  t.equal(await decided(), 'allowed by user ann@a.test set')
  await set({ scope: 'all', appPasswords: 'forbidden' })
  t.equal(await decided(), 'allowed by user ann@a.test set')
  await set({ scope: 'group', group: '__proto__', appPasswords: 'forbidden' })
  await h.addUser('bob@a.test')
  await set({ scope: 'user', user: 'bob@a.test', appPasswords: 'forbidden' })
  const settings = [
    { scope: 'all', subject: null, appPasswords: 'forbidden', source: 'set', configured: 'allowed' },
    { scope: 'group', subject: '__proto__', appPasswords: 'forbidden', source: 'set', configured: null },
    { scope: 'group', subject: 'contractors', appPasswords: 'allowed', source: 'set', configured: 'forbidden' },
    { scope: 'group', subject: 'staff', appPasswords: 'forbidden', source: 'set', configured: 'allowed' },
    { scope: 'user', subject: 'ann@a.test', appPasswords: 'allowed', source: 'set', configured: null },
    { scope: 'user', subject: 'bob@a.test', appPasswords: 'forbidden', source: 'set', configured: null },
  ]
  t.strictSame(await h.call('policy.list', {}), { policies: settings, next: null })
  for (const limit of [1, 2, 3, 4, 5, 6]) {
    const listed: unknown[] = []
    for (let after: string | null = null, more = true; more; more = after !== null) {
      const page: ServiceAnswer<'policy.list'> = await h.call('policy.list', { after, limit })
      t.ok(page.policies.length <= limit)
      listed.push(...page.policies)
      after = page.next
    }
    t.strictSame(listed, settings, `in pages of ${limit}`)
  }
  t.strictSame(await h.call('policy.list', { after: 'group:d' }), { policies: settings.slice(3), next: null })
  await t.rejects(h.call('policy.list', { after: 'nonsense' }), { code: 'invalid' })
  await t.rejects(set({ scope: 'user', user: 'nobody@a.test', appPasswords: 'forbidden' }), { code: 'not-found' })
})

t.test(
  'what was set holds for the next keeper, through a reload of the configuration, and goes with the user',
  async (t) => {
    const first = await house(t)
    await first.addUser('ann@a.test', ['o"f%f_ice'])
    await first.addUser('bob@a.test')
    const { password } = await first.issue('ann@a.test')
    await first.call('policy.set', { scope: 'group', group: 'o"f%f_ice', appPasswords: 'forbidden' })
    await first.call('policy.set', { scope: 'user', user: 'bob@a.test', appPasswords: 'forbidden' })
    await first.close()

    const h: House = await house(t, { directory: first.directory })
    const e = edge(h.keeper)
    t.equal(await e.result('ann@a.test', password), 'bad-credentials')
    await h.keeper.reload({ ...h.config, appPasswords: { ...h.config.appPasswords, perUser: 3 } })
    t.equal(await e.result('ann@a.test', password), 'bad-credentials', 'a reload takes nothing back')
    t.match(await h.call('policy.show', { user: 'ann@a.test' }), { appPasswords: 'forbidden', perUser: 3 })
    await h.call('user.delete', { address: 'bob@a.test' })
    t.equal((await h.call('policy.list', {})).policies.filter(({ scope }) => scope === 'user').length, 0)
  },
)

t.test('M9: narrowing an app password ends what it does not allow any more, and widening nothing', async (t) => {
  const time = { aheadMs: 0 }
  const h = await house(t, { clock: () => new Date(Date.now() + time.aheadMs) })
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  const other = await h.issue('ann@a.test', { name: 'other' })
  const e = edge(h.keeper)
  const login = (protocol: 'imap' | 'smtp', ip: string) => e.login('ann@a.test', password, { protocol, ip })
  await login('imap', '192.0.2.1')
  await login('smtp', '192.0.2.1')
  await login('smtp', '198.51.100.1')
  await e.login('ann@a.test', other.password, { ip: '203.0.113.1' })
  t.match(await h.call('app-password.update', { id, protocols: ['smtp'] }), {
    id,
    protocols: ['smtp'],
    sessionsEnded: 1,
    unanswered: [],
  })
  t.equal(await e.result('ann@a.test', password), 'not-on-this-protocol')
  t.match(await h.call('app-password.update', { id, networks: ['192.0.2.0/24'] }), { sessionsEnded: 1 })
  t.match(await h.call('app-password.update', { id, protocols: ['imap', 'smtp'], networks: [] }), { sessionsEnded: 0 })
  t.match(await h.call('app-password.update', { id, expiresInMs: 600_000 }), { sessionsEnded: 0 })
  time.aheadMs = 601_000
  t.match(
    await h.call('app-password.update', { id, name: 'old phone' }),
    { sessionsEnded: 1 },
    'it has run out meanwhile',
  )
  t.equal(await e.result('ann@a.test', password), 'app-password-expired')
  t.match(await h.call('app-password.update', { id, expiresInMs: null }), { expiresAt: null, sessionsEnded: 0 })
  t.equal(await e.result('ann@a.test', password), 'in')
  t.equal(e.sessions.size, 1, 'the other app password noticed nothing')
  await t.rejects(h.call('app-password.update', { id }), { code: 'invalid' })
  await t.rejects(h.call('app-password.update', { id: 'nothing', networks: [] }), { code: 'not-found' })
  await t.rejects(h.call('app-password.update', { id, networks: ['10.1'] }), { code: 'invalid' })
})

t.test('M9: nobody gets by an update what the policy would not have given', async (t) => {
  const h = await house(t, { yaml: 'appPasswords: { protocols: [imap], expiry: 90d }' })
  await h.addUser('ann@a.test')
  const { id } = await h.issue('ann@a.test')
  await t.rejects(h.call('app-password.update', { id, protocols: ['smtp'] }), { code: 'forbidden' })
  await t.rejects(h.call('app-password.update', { id, expiresInMs: null }), { code: 'forbidden' })
})

t.test('a change of groups ends what the new ones don’t allow', async (t) => {
  const h = await house(t, { yaml: YAML })
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  await e.login('ann@a.test', password)
  t.match(await h.call('user.set-groups', { address: 'ann@a.test', groups: ['staff'] }), { sessionsEnded: 0 })
  t.match(await h.call('user.set-groups', { address: 'ann@a.test', groups: ['staff', 'contractors'] }), {
    groups: ['contractors', 'staff'],
    sessionsEnded: 1,
    unanswered: [],
  })
  t.equal(await e.result('ann@a.test', password), 'bad-credentials')
  await h.call('user.set-groups', { address: 'ann@a.test', groups: [] })
  t.equal(await e.result('ann@a.test', password), 'in')
})
