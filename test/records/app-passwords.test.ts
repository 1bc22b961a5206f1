import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import t from 'tap'
import { normaliseAppPassword, selectorOf, tombstoneDigestOf } from '../../src/records/app-password.ts'
import { appPasswordView, createAppPasswords } from '../../src/records/app-passwords.ts'
import { Secret } from '../../src/secret.ts'
import { DAY, openHouse, POLICY, ROOT } from './house.ts'

t.test('issue: a row, its selector, a peppered hash, an audit entry, a raised epoch, a word on the bus', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  house.told()
  const { user, row, password } = await house.appPasswords.issue(
    { address: 'Ann@Example.ORG', name: ' Phone ', protocols: ['smtp', 'imap', 'imap'], networks: ['10.1.2.3/8'] },
    POLICY,
    ROOT,
  )
  t.match(password.reveal(), /^[a-z]{4} [a-z]{4} [a-z]{4} [a-z]{4}$/, 'R7')
  const value = normaliseAppPassword(password)
  if (!value) throw new Error('it does not read back')
  const key = house.keys.active
  t.match(row, {
    userId: ann.id,
    name: 'Phone',
    protocols: ['imap', 'smtp'],
    networks: ['10.0.0.0/8'],
    createdAt: house.clock.now,
    expiresAt: null,
    lastUsed: null,
    keyId: key.id,
    selector: selectorOf(key, 'ann@example.org', value),
    tombstoneDigest: tombstoneDigestOf(key, 'ann@example.org', value),
  })
  t.strictSame(await house.store.appPasswordById(row.id), row)
  t.equal(await house.hasher.verify(row.hash, value, key), true)
  t.equal(await house.hasher.verify(row.hash, new Secret('abcdefghijklmnop'), key), false)
  t.equal(user.epoch, ann.epoch + 1)
  t.strictSame(house.told(), [{ kind: 'user-changed', userId: ann.id, epoch: user.epoch }])
  t.match((await house.audit(ann.id)).at(-1), {
    event: 'app_password_created',
    actor: ROOT,
    user: 'ann@example.org',
    detail: { appPassword: row.id, name: 'Phone', protocols: 'imap,smtp', networks: '10.0.0.0/8', expiresAt: null },
  })
  t.strictSame(appPasswordView(row, user.address).user, 'ann@example.org')
})

t.test('R16: the value is in the answer of issue, and nowhere else', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  const issued = await house.appPasswords.issue({ address: 'ann@example.org', name: 'phone' }, POLICY, ROOT)
  const shown = issued.password.reveal()
  const value = shown.replaceAll(' ', '')
  await house.appPasswords.revoke(issued.row.id, ROOT)
  const kept = await house.appPasswords.issue({ address: 'ann@example.org', name: 'phone' }, POLICY, ROOT)
  const keptValue = kept.password.reveal().replaceAll(' ', '')

  await house.store.close()
  const bytes = readFileSync(house.file)
  t.ok(bytes.includes('app_password_created'), 'the bytes are those of the store')
  t.ok(bytes.includes(kept.row.hash))
  for (const text of [shown, value, kept.password.reveal(), keptValue]) {
    for (const form of [
      text,
      text.toUpperCase(),
      Buffer.from(text).toString('base64'),
      Buffer.from(text).toString('hex'),
    ]) {
      t.notOk(bytes.includes(form))
    }
  }
  t.notOk(bytes.includes(issued.row.hash), 'R27: the hash of a deleted one is not even in the free pages')
  t.notOk(inspect([issued, kept], { depth: 9 }).includes(value), 'invariant 5')
  t.notOk(JSON.stringify([issued, kept]).includes(keptValue))
})

t.test('R8, invariant 12: twice 60 at once never make 41', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  await house.addUser('bob@example.org')
  const issue = (address: string) => (_: unknown, i: number) =>
    house.appPasswords.issue({ address, name: `device ${i}` }, POLICY, ROOT)
  const outcomes = await Promise.allSettled([
    ...Array.from({ length: 60 }, issue('ann@example.org')),
    ...Array.from({ length: 60 }, issue('bob@example.org')),
  ])
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 80)
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') t.match(outcome.reason, { name: 'ServiceError', code: 'cap-reached' })
  }
  for (const address of ['ann@example.org', 'bob@example.org']) {
    const { rows, user } = await house.appPasswords.list(address)
    t.equal(rows.length, 40)
    t.equal(user.epoch, 41, 'a refused one changes nothing')
  }
  t.equal((await house.audit()).filter((entry) => entry.event === 'app_password_created').length, 80)
})

t.test(
  'R9: the refusal names those that were unused for longest; R10: deleting one frees a slot at once',
  async (t) => {
    const house = await openHouse(t)
    await house.addUser('ann@example.org')
    const policy = { ...POLICY, cap: 5 }
    const ids: string[] = []
    for (const name of ['one', 'two', 'three', 'four', 'five']) {
      house.clock.now = new Date(house.clock.now.getTime() + DAY)
      ids.push((await house.appPasswords.issue({ address: 'ann', name }, policy, ROOT)).row.id)
    }
    const use = { at: new Date(house.clock.now.getTime() + DAY), protocol: 'imap', ip: '::1', agent: null } as const
    await house.store.noteLastUsed(new Map([[ids[0] ?? '', use]]))
    const again = () => house.appPasswords.issue({ address: 'ann', name: 'six' }, policy, ROOT)
    const error = await again().catch((error: Error) => error)
    t.match(error, { code: 'cap-reached', message: /has 5 app passwords and may have 5: delete one first/ })
    const named = [...(error as Error).message.matchAll(/"(\w+)" \(([\w-]+), never used, made 2026-03-0\d\)/g)]
    t.strictSame(
      named.map((match) => [match[1], match[2]]),
      [
        ['two', ids[1]],
        ['three', ids[2]],
        ['four', ids[3]],
      ],
    )

    await house.appPasswords.revoke(ids[1] ?? '', ROOT)
    t.ok(await again(), 'a slot is free')
    await t.rejects(again(), { code: 'cap-reached' })
  },
)

t.test('R10: one that has run out takes no slot, and is not kept without end', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  const policy = { ...POLICY, cap: 2 }
  for (let i = 0; i < 60; i++) {
    await house.appPasswords.issue({ address: 'ann', name: `n${i}`, expiresInMs: 1000 }, policy, ROOT)
    house.clock.now = new Date(house.clock.now.getTime() + 1000)
  }
  const { rows } = await house.appPasswords.list('ann')
  t.equal(rows.length, 40)
  t.equal(rows[0]?.name, 'n59', 'the latest are kept')
  t.equal((await house.audit()).filter((entry) => entry.detail.why === 'expired-long-ago').length, 20)
})

t.test('issue holds the request against the policy', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  const limited = { ...POLICY, expiryMs: 30 * DAY, protocols: ['imap', 'smtp'], length: 20 } as const
  const issue = (more: object, policy: typeof POLICY = POLICY) =>
    house.appPasswords.issue({ address: 'ann', name: 'x', ...more }, policy, ROOT)

  t.strictSame(
    (await issue({})).row.protocols,
    ['imap', 'pop3', 'smtp', 'eas'],
    'R11: all of them when nothing is said',
  )
  const plain = await issue({}, limited)
  t.match(plain.row, { protocols: ['imap', 'smtp'], expiresAt: new Date(house.clock.now.getTime() + 30 * DAY) })
  t.equal(plain.password.reveal().replaceAll(' ', '').length, 20)
  t.strictSame((await issue({ expiresInMs: DAY }, limited)).row.expiresAt, new Date(house.clock.now.getTime() + DAY))
  t.equal((await issue({ expiresInMs: null })).row.expiresAt, null)
  t.strictSame((await issue({ networks: ['192.0.2.7', '192.0.2.7/32', '2001:DB8::1/32'] })).row.networks, [
    '192.0.2.7/32',
    '2001:db8::/32',
  ])

  const before = (await house.appPasswords.list('ann')).rows.length
  for (const [more, code, message] of [
    [{ name: ' ' }, 'invalid', /needs a name/],
    [{ name: 'a\u202eb' }, 'invalid', /can not be shown/],
    [{ name: 'x'.repeat(65) }, 'invalid', /64 characters/],
    [{ protocols: ['pop3'] }, 'forbidden', /does not allow app passwords for pop3/],
    [{ protocols: [] }, 'invalid', /one or more/],
    [{ protocols: ['ftp'] }, 'invalid', /one or more/],
    [{ expiresInMs: 31 * DAY }, 'forbidden', /30 days/],
    [{ expiresInMs: null }, 'forbidden', /30 days/],
    [{ expiresInMs: 0 }, 'invalid', /lives for a while/],
    [{ expiresInMs: Number.NaN }, 'invalid', /lives for a while/],
    [{ networks: ['10.0.0.0/33'] }, 'invalid', /"10\.0\.0\.0\/33" is not a network/],
    [{ networks: Array(33).fill('::1') }, 'invalid', /32 networks/],
    [{ address: 'nobody' }, 'not-found', /no user nobody@example\.org/],
    [{ address: 'b\u0000b' }, 'not-found', /no user b\\u\{0\}b/],
  ] as const)
    await t.rejects(issue(more, limited), { name: 'ServiceError', code, message })
  t.equal((await house.appPasswords.list('ann')).rows.length, before)
})

t.test('a busy hasher is temporary', async (t) => {
  const house = await openHouse(t, { maxQueued: 0 })
  await house.addUser('ann@example.org')
  const outcomes = await Promise.allSettled(
    Array.from({ length: 4 }, () => house.appPasswords.issue({ address: 'ann', name: 'x' }, POLICY, ROOT)),
  )
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 2)
  for (const outcome of outcomes) if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'unavailable' })
})

t.test('one that is being made does not outlive the new password that deletes all', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  const hasher: typeof house.hasher = {
    ...house.hasher,
    async hash(...given) {
      await house.users.setPassword('ann@example.org', new Secret('another horse 2'), 'revoke', ROOT)
      return await house.hasher.hash(...given)
    },
  }
  const { issue } = createAppPasswords({ ...house, hasher, now: () => house.clock.now })
  await t.rejects(issue({ address: 'ann', name: 'x' }, POLICY, `user:${ann.id}`), { code: 'unavailable' })
  t.strictSame(await house.store.appPasswordsOf(ann.id), [])
})

t.test('R27, M5: revoking deletes the row for good and leaves a tombstone that knows the value', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  const { row, password, user } = await house.appPasswords.issue({ address: 'ann', name: 'phone' }, POLICY, ROOT)
  house.told()
  t.strictSame(await house.appPasswords.revoke(row.id, ROOT), {
    id: row.id,
    name: 'phone',
    userId: ann.id,
    address: 'ann@example.org',
  })
  t.equal(await house.store.appPasswordById(row.id), null)
  t.strictSame(await house.store.appPasswordsBySelector(ann.id, row.selector), [])
  t.equal((await house.users.show('ann')).epoch, user.epoch + 1)
  t.strictSame(house.told(), [
    { kind: 'app-password-revoked', userId: ann.id, appPasswordId: row.id, epoch: user.epoch + 1 },
  ])
  t.match((await house.audit()).at(-1), {
    event: 'app_password_deleted',
    detail: { appPassword: row.id, name: 'phone', why: 'asked' },
  })

  const digest = tombstoneDigestOf(house.keys.active, ann.address, normaliseAppPassword(password) ?? password)
  t.match(await house.store.tombstone(ann.id, digest), {
    appPasswordId: row.id,
    name: 'phone',
    deletedAt: house.clock.now,
  })
  await t.rejects(house.appPasswords.revoke(row.id, ROOT), { code: 'not-found' }, 'no undo, no second time')
  await house.users.delete('ann', ROOT)
  t.equal(await house.store.tombstone(ann.id, digest), null, 'gone with the user')
})

t.test("H7: somebody else's is not found", async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  const bob = await house.addUser('bob@example.org')
  const { row } = await house.appPasswords.issue({ address: 'ann', name: 'phone' }, POLICY, ROOT)
  const refused = { code: 'not-found', message: `there is no app password ${row.id}` }
  await t.rejects(house.appPasswords.revoke(row.id, `user:${bob.id}`, bob.id), refused)
  await t.rejects(house.appPasswords.rename(row.id, 'mine', `user:${bob.id}`, bob.id), refused)
  house.told()
  await house.appPasswords.rename(row.id, ' tablet ', `user:${ann.id}`, ann.id)
  t.match(house.told(), [{ kind: 'user-changed', userId: ann.id }], 'whoever remembers its name reads it again')
  t.equal((await house.store.appPasswordById(row.id))?.name, 'tablet')
  t.match((await house.audit()).at(-1), { event: 'app_password_renamed', detail: { name: 'tablet', before: 'phone' } })
  await t.rejects(house.appPasswords.rename(row.id, '', ROOT), { code: 'invalid' })
  t.ok(await house.appPasswords.revoke(row.id, `user:${ann.id}`, ann.id))
})

t.test('revoking all of a user, and all that nobody used', async (t) => {
  const house = await openHouse(t)
  for (const name of ['ann', 'bob']) await house.addUser(`${name}@example.org`)
  const ids: Record<string, string> = {}
  for (const [address, name] of [
    ['ann', 'a1'],
    ['ann', 'a2'],
    ['bob', 'b1'],
    ['bob', 'b2'],
  ] as const) {
    ids[name] = (await house.appPasswords.issue({ address, name }, POLICY, ROOT)).row.id
  }
  const use = (days: number) =>
    ({ at: new Date(house.clock.now.getTime() + days * DAY), protocol: 'imap', ip: '::1', agent: null }) as const
  await house.store.noteLastUsed(
    new Map([
      [ids.a1 ?? '', use(80)],
      [ids.b1 ?? '', use(5)],
    ]),
  )
  house.clock.now = new Date(house.clock.now.getTime() + 100 * DAY)
  house.told()
  const unused = await house.appPasswords.revokeUnused(90 * DAY, ROOT)
  t.strictSame(unused.map(({ name, address }) => [name, address]).sort(), [
    ['a2', 'ann@example.org'],
    ['b1', 'bob@example.org'],
    ['b2', 'bob@example.org'],
  ])
  const told = house.told()
  t.strictSame(new Set(told.map((event) => event.kind)), new Set(['app-password-revoked']))
  t.equal(told.length, 3)
  t.equal((await house.users.show('bob')).epoch, 4, 'once per user')
  t.strictSame(await house.appPasswords.revokeUnused(90 * DAY, ROOT), [])

  await house.appPasswords.issue({ address: 'ann', name: 'a3' }, POLICY, ROOT)
  t.strictSame((await house.appPasswords.revokeAll('ann', ROOT)).map(({ name }) => name).sort(), ['a1', 'a3'])
  const { epoch } = await house.users.show('ann')
  t.strictSame(await house.appPasswords.revokeAll('ann', ROOT), [])
  t.equal((await house.users.show('ann')).epoch, epoch, 'nothing to do, nothing done')
  t.equal((await house.audit()).filter((entry) => entry.event === 'app_password_deleted').length, 5)
})

t.test('a thousand unused ones are revoked in pieces, all of them', async (t) => {
  const house = await openHouse(t)
  const policy = { ...POLICY, cap: 1000 }
  for (const address of ['ann@example.org', 'bob@example.org']) {
    await house.addUser(address)
    for (let i = 0; i < 250; i++) await house.appPasswords.issue({ address, name: `n${i}` }, policy, ROOT)
  }
  house.clock.now = new Date(house.clock.now.getTime() + DAY)
  t.equal((await house.appPasswords.revokeUnused(1000, ROOT)).length, 500)
  t.equal((await house.appPasswords.list('bob')).rows.length, 0)
})

t.test('a transaction that fails leaves no half of a revocation', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  const { row, user } = await house.appPasswords.issue({ address: 'ann', name: 'phone' }, POLICY, ROOT)
  house.told()
  const entries = (await house.audit()).length
  // The audit entry comes last: what can't be written there breaks it when the row is already deleted.
  await t.rejects(house.appPasswords.revoke(row.id, {} as string))
  t.strictSame(await house.store.appPasswordById(row.id), row)
  t.equal((await house.users.show('ann')).epoch, user.epoch)
  t.equal((await house.audit()).length, entries)
  t.strictSame(house.told(), [], 'and nobody was told')
})
