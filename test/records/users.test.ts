import { readFileSync } from 'node:fs'
import t from 'tap'
import { Secret } from '../../src/secret.ts'
import { openHouse, POLICY, ROOT } from './house.ts'

const plain = { name: null, groups: [], admin: false, password: null }

t.test('C4: one name, one user, in one spelling', async (t) => {
  const house = await openHouse(t)
  const user = await house.users.add(
    { ...plain, address: 'Ann@Example.ORG', name: ' Ann ', groups: ['b', 'a', 'b'] },
    ROOT,
  )
  t.match(user, {
    address: 'ann@example.org',
    name: 'Ann',
    groups: ['a', 'b'],
    enabled: true,
    epoch: 1,
    passwordHash: null,
  })
  t.match((await house.audit()).at(-1), {
    event: 'user_added',
    userId: user.id,
    detail: { name: 'Ann', groups: 'a,b', imported: false },
  })
  for (const spelling of ['ann', 'ANN@example.org', 'ann@EXAMPLE.org']) {
    t.equal((await house.users.show(spelling)).id, user.id)
    await t.rejects(house.users.add({ ...plain, address: spelling }, ROOT), {
      code: 'exists',
      message: /ann@example\.org already/,
    })
  }
  for (const [address, message] of [
    ['', /address is empty/],
    ['ann @example.org', /part before the @/],
    ['\uff41nn@example.org', /outside ASCII/],
    ['ann*bob@example.org', /part before the @|separator/],
    ['ann@other.org', /in none of the domains served \(example\.org, example\.net\)/],
    ['ann@exa_mple.org', /not a domain/],
    ['EXAMPLE\\ann', /windowsDomains/],
  ] as const)
    await t.rejects(house.users.add({ ...plain, address }, ROOT), { code: 'invalid', message }, address)
  await t.rejects(house.users.show('\uff41nn@example.org'), { code: 'not-found' })
  for (const [more, message] of [
    [{ name: 'a\nb' }, /characters that can be shown/],
    [{ name: 'x'.repeat(129) }, /128/],
    [{ groups: [''] }, /a group has/],
    [{ groups: ['a,b'] }, /comma/],
    [{ groups: Array.from({ length: 33 }, (_, i) => `g${i}`) }, /32 groups/],
    [{ password: new Secret('short') }, /8 to 256/],
    [{ password: new Secret('long enough\n') }, /control/],
  ] as const)
    await t.rejects(house.users.add({ ...plain, address: 'bob', ...more }, ROOT), { code: 'invalid', message })
  t.equal((await house.users.list({ after: null, limit: 10 })).length, 1)
})

t.test('two adds at once make one user', async (t) => {
  const house = await openHouse(t)
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => house.addUser('ann@example.org')))
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
})

t.test('a deleted name stays reserved', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  await house.appPasswords.issue({ address: 'ann', name: 'phone' }, POLICY, ROOT)
  house.told()
  t.equal((await house.users.delete('ann', ROOT)).id, ann.id)
  t.strictSame(house.told(), [{ kind: 'user-removed', userId: ann.id }])
  t.match((await house.audit(ann.id)).at(-1), {
    event: 'user_deleted',
    user: 'ann@example.org',
    detail: { appPasswords: 1 },
  })
  await t.rejects(house.users.show('ann'), { code: 'not-found' })
  await t.rejects(house.users.delete('ann', ROOT), { code: 'not-found' })
  await t.rejects(house.addUser('ann@example.org'), { code: 'exists', message: /stays reserved/ })
  t.match(await house.users.import([{ line: 3, address: 'ann@example.org', name: null, groups: [] }], ROOT), {
    added: 0,
    refused: [{ line: 3, why: /stays reserved/ }],
  })
})

t.test('import: adds who is not there, leaves who is, names who can not be', async (t) => {
  const house = await openHouse(t)
  const bob = await house.users.add({ ...plain, address: 'bob', groups: ['staff'] }, ROOT)
  const entry = (line: number, address: string, groups: string[] = []) => ({ line, address, name: null, groups })
  const report = await house.users.import(
    [
      entry(1, 'Ann@example.org', ['x']),
      entry(2, 'bob@example.org', ['y']),
      entry(3, 'b\u0007d'),
      entry(4, 'ann'),
      entry(5, 'dan@example.net', ['a,b']),
    ],
    ROOT,
  )
  t.match(report, {
    added: 1,
    unchanged: 2,
    refused: [
      { line: 3, address: 'b\\u{7}d', why: /control character/ },
      { line: 5, address: 'dan@example.net', why: /comma/ },
    ],
  })
  t.equal(report.refused.length, 2)
  t.strictSame(await house.users.show('bob'), bob, 'as he was')
  t.match((await house.audit()).at(-1), { event: 'user_added', user: 'ann@example.org', detail: { imported: true } })
  t.equal((await house.audit()).length, 2)
})

t.test('disable and enable: at once, once', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  house.told()
  t.match(await house.users.update('ann', { enabled: false }, ROOT), {
    changed: ['enabled'],
    user: { enabled: false, epoch: 2 },
  })
  t.strictSame(house.told(), [{ kind: 'user-changed', userId: ann.id, epoch: 2 }])
  t.match(await house.users.update('ann', { enabled: false }, ROOT), {
    changed: [],
    user: { enabled: false, epoch: 2 },
  })
  t.strictSame(house.told(), [])
  t.match(await house.users.update('ann', { enabled: true }, ROOT), {
    changed: ['enabled'],
    user: { enabled: true, epoch: 3 },
  })
  t.strictSame(
    (await house.audit()).map(({ event }) => event),
    ['user_added', 'user_disabled', 'user_enabled'],
  )
  await t.rejects(house.users.update('bob', { enabled: true }, ROOT), { code: 'not-found' })

  t.match(await house.users.update('ann', { groups: ['z', 'a'] }, ROOT), {
    user: { groups: ['a', 'z'], epoch: 4 },
    changed: ['groups'],
  })
  t.match(await house.users.update('ann', { groups: ['a', 'z'] }, ROOT), { user: { epoch: 4 }, changed: [] })
  t.match((await house.audit()).at(-1), { event: 'user_groups_set', detail: { groups: 'a,z' } })
})

t.test('several changes are one, and each is in the audit trail', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  const wanted = { name: ' Ann ', groups: ['staff'], admin: true, enabled: true }
  t.match(await house.users.update('ann', wanted, ROOT), {
    changed: ['name', 'groups', 'admin'],
    user: { name: 'Ann', groups: ['staff'], admin: true, enabled: true, epoch: 2 },
  })
  t.match((await house.audit()).slice(1), [
    { event: 'user_renamed', actor: ROOT, userId: ann.id, detail: { name: 'Ann', before: null } },
    { event: 'user_groups_set', detail: { groups: 'staff' } },
    { event: 'user_admin_set', detail: { admin: true } },
  ])
  t.match(await house.users.update('ann', { ...wanted, name: 'Ann' }, ROOT), { changed: [], user: { epoch: 2 } })
  t.match(await house.users.update('ann', { name: null }, ROOT), { changed: ['name'], user: { name: null } })
  t.match(await house.users.update('ann', { name: 'null' }, ROOT), { changed: ['name'], user: { name: 'null' } })
  await t.rejects(house.users.update('ann', { name: 'Ann', groups: ['a,b'] }, ROOT), { code: 'invalid' })
  t.match(await house.users.show('ann'), { name: 'null', groups: ['staff'] }, 'all of it, or nothing')
})

t.test('H8: the last administrator stays, unless the command line says so', async (t) => {
  const house = await openHouse(t)
  for (const address of ['ann', 'bob']) await house.users.add({ ...plain, address, admin: true }, ROOT)
  await house.users.update('bob', { enabled: false }, 'user:ann')
  const last = { code: 'forbidden', message: /last administrator/ }
  for (const actor of ['user:ann', 'token:t1']) {
    await t.rejects(house.users.update('ann', { admin: false }, actor), last)
    await t.rejects(house.users.update('ann', { enabled: false, name: 'x' }, actor), last)
    await t.rejects(house.users.delete('ann', actor), last)
  }
  t.match(await house.users.show('ann'), { admin: true, enabled: true, name: null })
  await house.users.update('bob', { enabled: true }, 'user:ann')
  await house.users.update('ann', { admin: false }, 'user:ann')
  await house.users.delete('ann', 'user:bob')
  await house.users.update('bob', { admin: false }, ROOT)
  t.match(await house.users.show('bob'), { admin: false })
})

t.test('R4: a password set anew leaves app passwords alone, unless they are to go with it', async (t) => {
  const house = await openHouse(t)
  const ann = await house.users.add({ ...plain, address: 'ann', password: new Secret('correct horse') }, ROOT)
  const { row } = await house.appPasswords.issue({ address: 'ann', name: 'phone' }, POLICY, ROOT)
  house.told()
  const kept = await house.users.setPassword('ann', new Secret('cafe\u0301 au lait'), 'keep', ROOT)
  t.strictSame(kept.revoked, [])
  t.match(kept.user, { epoch: 3, passwordKeyId: house.keys.active.id })
  t.ok(await house.store.appPasswordById(row.id))
  t.strictSame(house.told(), [{ kind: 'user-changed', userId: ann.id, epoch: 3 }])
  const verify = (text: string) =>
    house.hasher.verify(kept.user.passwordHash ?? '', new Secret(text), house.keys.active)
  t.equal(await verify('caf\u00e9 au lait'), true, 'whichever keyboard composes it')
  t.equal(await verify('correct horse'), false)

  const revoked = await house.users.setPassword('ann', new Secret('battery staple'), 'revoke', ROOT)
  t.match(revoked.revoked, [{ id: row.id, name: 'phone' }])
  t.equal(await house.store.appPasswordById(row.id), null)
  t.strictSame(house.told(), [
    { kind: 'user-changed', userId: ann.id, epoch: 4 },
    { kind: 'app-password-revoked', userId: ann.id, appPasswordId: row.id, epoch: 4 },
  ])
  t.strictSame(
    (await house.audit()).slice(-2).map(({ event, detail }) => [event, detail.why ?? detail.appPasswordsDeleted]),
    [
      ['app_password_deleted', 'password-reset'],
      ['user_password_set', 1],
    ],
  )
  await t.rejects(house.users.setPassword('bob', new Secret('battery staple'), 'keep', ROOT), { code: 'not-found' })
  await t.rejects(house.users.setPassword('ann', new Secret('x'.repeat(257)), 'keep', ROOT), { code: 'invalid' })

  t.match(await house.users.view(await house.users.show('ann')), {
    hasPassword: true,
    appPasswords: 0,
    enrolledAt: null,
  })
  await house.store.close()
  const bytes = readFileSync(house.file)
  for (const text of ['correct horse', 'battery staple']) t.notOk(bytes.includes(text))
})
