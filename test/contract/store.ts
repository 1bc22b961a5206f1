/**
 * What every store must do, whatever it is made of. Run against each implementation with a fresh, empty store per test.
 */

import type { Test } from 'tap'
import type { DeviceState } from '../../src/contract/services/devices.ts'
import type { DeviceRow } from '../../src/records/store/devices.ts'
import type { AppPasswordRow, NewTombstone, NewUser, Store } from '../../src/records/store/store.ts'
import { StoreError } from '../../src/records/store/store.ts'
import { searchWords } from '../../src/records/store/user-words.ts'

export const T0 = new Date('2026-03-01T12:00:00.123Z')
export const later = (ms: number) => new Date(T0.getTime() + ms)

export function newUser(id: string, more: Partial<NewUser> = {}): NewUser {
  return {
    id,
    address: `${id}@example.org`,
    name: null,
    groups: [],
    admin: false,
    passwordHash: null,
    passwordKeyId: null,
    createdAt: T0,
    ...more,
  }
}

export function newAppPassword(id: string, userId: string, more: Partial<AppPasswordRow> = {}): AppPasswordRow {
  return {
    id,
    userId,
    name: `device ${id}`,
    selector: 4711,
    hash: `$argon2id$${id}`,
    keyId: 'k1',
    protocols: ['imap', 'smtp'],
    networks: ['10.0.0.0/8'],
    createdAt: T0,
    expiresAt: null,
    lastUsed: null,
    tombstoneDigest: `digest-${id}`,
    ...more,
  }
}

function newTombstone(userId: string, digest: string, deletedAt: Date): NewTombstone {
  return { userId, digest, keyId: 'k1', appPasswordId: `was-${digest}`, name: 'old phone', deletedAt }
}

/** `open` makes an empty store and sees to its end. */
export function storeContract(t: Test, open: (t: Test) => Promise<Store>): void {
  t.test('devices: what goes in comes out, each thing is changed alone, and they go with their user', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    const device = {
      userId: 'ann',
      id: 'appl1',
      type: 'iPhone',
      agent: null,
      protocolVersion: '16.1',
      state: 'waiting',
      blockedBy: null,
      appPasswords: ['p1', 'p2'],
      firstSeen: T0,
      lastSeen: T0,
      lastIp: '2001:db8::1',
    } as const
    const other = { ...device, id: 'appl0', state: 'allowed' } as const
    await store.transaction(async (tx) => {
      t.equal(await tx.devices.lock('ann'), true)
      t.equal(await tx.devices.lock('nobody'), false)
      for (const each of [device, other]) await tx.devices.insert(each)
    })
    await t.rejects(store.devices.insert({ ...device, userId: 'nobody' }))
    const seen = { lastSeen: later(5), lastIp: '192.0.2.1', agent: 'x', type: 'iPad', protocolVersion: '14.1' }
    await store.devices.sight([
      { userId: 'ann', id: 'appl1', ...seen },
      { userId: 'ann', id: 'gone', ...seen },
    ])
    await store.devices.setState('ann', 'appl1', 'blocked', 'owner')
    await store.devices.setAppPasswords('ann', 'appl1', ['p3'])
    const next = { ...device, ...seen, state: 'blocked', blockedBy: 'owner', appPasswords: ['p3'] }
    t.strictSame(await store.devices.of('ann'), [other, next], 'one that is gone does not come back by being seen')
    t.strictSame(await store.devices.of('nobody'), [])
    t.equal(await store.devices.deleteUnseenSince(later(10)), 1, 'a blocked one is not forgotten')
    t.equal(await store.devices.delete('ann', 'appl0'), false)
    t.equal((await store.devices.of('ann')).length, 1)
    await store.deleteUser('ann', T0)
    t.strictSame(await store.devices.of('ann'), [])
  })

  t.test(
    'devices of all users: in the order in which they came, page by page, those in one state as well',
    async (t) => {
      const store = await open(t)
      for (const user of ['bob', 'ann']) await store.insertUser(newUser(user))
      const device = (userId: string, id: string, state: DeviceState, ms: number): DeviceRow => ({
        userId,
        id,
        type: null,
        agent: null,
        protocolVersion: null,
        state,
        blockedBy: null,
        appPasswords: [],
        firstSeen: later(ms),
        lastSeen: later(99 - ms),
        lastIp: '192.0.2.1',
      })
      const inOrder = [
        device('bob', 'first', 'allowed', 1),
        // Of the same moment: in one order, whichever it is, and on one page each.
        device('ann', 'a', 'waiting', 2),
        device('ann', 'b', 'waiting', 2),
        device('bob', 'a', 'waiting', 2),
        device('ann', 'last', 'blocked', 3),
      ]
      for (const each of inOrder.toReversed()) await store.devices.insert(each)
      for (const state of [null, 'waiting', 'allowed', 'blocked'] as const) {
        const wanted = inOrder.filter((each) => state === null || each.state === state)
        for (const limit of [1, 2, 9]) {
          const found: unknown[] = []
          for (let after: DeviceRow | null = null; ; ) {
            const page = await store.devices.list({ state, after, limit })
            found.push(...page)
            after = page.at(-1) ?? null
            if (page.length < limit) break
          }
          const addressed = wanted.map((row) => ({ ...row, address: `${row.userId}@example.org` }))
          t.strictSame(found, addressed, `${state}, by ${limit}`)
        }
      }
      const [, , third = null] = inOrder
      await store.devices.delete('ann', 'b')
      const rest = await store.devices.list({ state: 'waiting', after: third, limit: 9 })
      t.match(rest, [{ userId: 'bob', id: 'a' }], 'a page begins behind one that is gone')
      t.equal(rest.length, 1)
    },
  )

  t.test('users: what goes in comes out', async (t) => {
    const store = await open(t)
    const user = newUser('ann', {
      name: 'Ann É.',
      groups: ['staff', 'b'],
      admin: true,
      passwordHash: '$h',
      passwordKeyId: 'k1',
    })
    const row = await store.insertUser(user)
    t.strictSame(row, { ...user, enabled: true, epoch: 1, enrolledAt: null, appPasswords: null, language: null })
    t.strictSame(await store.userById('ann'), row)
    t.strictSame(await store.userByAddress('ann@example.org'), row)
    t.equal(await store.userById('bob'), null)
    t.equal(await store.userByAddress('bob@example.org'), null)
    t.equal(
      await store.userByAddress('ANN@example.org'),
      null,
      'no case folding: names are canonical before they come here',
    )
    t.equal(await store.insertUser(newUser('other', { address: user.address })), null, 'an address is taken once')
  })

  t.test('users: every update raises the epoch, and changes what it names only', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann', { name: 'Ann', groups: ['a'], passwordHash: '$h', passwordKeyId: 'k1' }))
    t.match(await store.updateUser('ann', {}), {
      epoch: 2,
      name: 'Ann',
      groups: ['a'],
      enabled: true,
      passwordHash: '$h',
    })
    t.match(await store.updateUser('ann', { enabled: false, name: null }), { epoch: 3, enabled: false, name: null })
    t.match(await store.updateUser('ann', { enabled: true, admin: true }), { epoch: 4, enabled: true, admin: true })
    t.match(await store.updateUser('ann', { groups: [], enrolledAt: T0 }), { epoch: 5, groups: [], enrolledAt: T0 })
    const withNew = { passwordHash: '$2', passwordKeyId: 'k2' }
    t.match(await store.updateUser('ann', { password: { hash: '$2', keyId: 'k2' } }), { epoch: 6, ...withNew })
    t.match(await store.updateUser('ann', { password: null }), { epoch: 7, passwordHash: null, passwordKeyId: null })
    t.equal(await store.updateUser('bob', { enabled: false }), null)
    t.equal(await store.raiseUserEpoch('ann'), 8)
    t.equal(await store.raiseUserEpoch('bob'), null)
  })

  t.test('users: pages by address', async (t) => {
    const store = await open(t)
    for (const id of ['dora', 'ann', 'carl', 'bob']) await store.insertUser(newUser(id))
    const page = async (after: string | null, limit: number) =>
      (await store.listUsers({ after, limit })).map((user) => user.id)
    t.strictSame(await page(null, 3), ['ann', 'bob', 'carl'])
    t.strictSame(await page('carl@example.org', 3), ['dora'])
    t.strictSame(await page('dora@example.org', 3), [])
  })

  t.test('users: found by the beginning of an address or of a word of the name', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann.jansen', { name: 'Ann Jansen' }))
    await store.insertUser(newUser('zoe', { name: "Zoë O'Brien-Müller" }))
    await store.insertUser(newUser('anna', { name: 'Ångström' }))
    await store.insertUser(newUser('scanner'))
    const found = async (typed: string, after: string | null = null, limit = 10) =>
      (await store.searchUsers(searchWords(typed), { after, limit })).map((user) => user.id)
    for (const [typed, ids, why] of [
      ['ann', ['ann.jansen', 'anna'], 'the address'],
      ['jans', ['ann.jansen'], 'a part of it, once though the name has it, too'],
      ['ANN.JANSEN@exam', ['ann.jansen'], 'the address whole'],
      ['zoe', ['zoe'], 'no accents'],
      ['muller o’br', ['zoe'], 'all of several words, in any order'],
      ['zoe jansen', [], 'all of them, not any'],
      ['ang', ['anna'], ''],
      ['canner', [], 'beginnings only'],
      ['%', [], 'no pattern'],
      ['', [], 'no word finds nobody'],
      ["'; drop table users; --", [], 'no SQL'],
    ] as const)
      t.strictSame(await found(typed), ids, why || typed)
    t.strictSame(await found('ann', null, 1), ['ann.jansen'])
    t.strictSame(await found('ann', 'ann.jansen@example.org', 1), ['anna'], 'page by page')

    await store.updateUser('anna', { name: 'Berg' })
    t.strictSame(await found('ang'), [], 'an old name is forgotten')
    t.strictSame(await found('berg'), ['anna'])
    await store.deleteUser('anna', T0)
    t.strictSame(await found('ann'), ['ann.jansen'])
    t.strictSame(await found('berg'), [])
  })

  t.test('users: whether there is another administrator', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann', { admin: true }))
    await store.insertUser(newUser('bob'))
    t.equal(await store.administratorBesides('ann'), false)
    t.equal(await store.administratorBesides('bob'), true)
    await store.updateUser('bob', { admin: true })
    t.equal(await store.administratorBesides('ann'), true)
    await store.updateUser('bob', { enabled: false })
    t.equal(await store.administratorBesides('ann'), false)
  })

  t.test('users: a deleted one takes everything along, and its name stays reserved', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    await store.insertUser(newUser('bob'))
    for (const id of ['ann', 'bob']) {
      await store.insertAppPassword(newAppPassword(`p-${id}`, id))
      await store.putTombstone(newTombstone(id, 'd', T0))
      await store.putStoredSecret({ userId: id, upstream: 'main', sealed: 's', keyId: 'k1', updatedAt: T0 })
    }
    t.equal(await store.deleteUser('ann', T0), true)
    t.equal(await store.deleteUser('ann', T0), false)
    t.equal(await store.userById('ann'), null)
    t.equal(await store.appPasswordById('p-ann'), null)
    t.equal(await store.tombstone('ann', 'd'), null)
    t.equal(await store.storedSecret('ann', 'main'), null)
    t.equal(await store.liveCheck('ann', 'p-ann'), null)
    t.ok(await store.appPasswordById('p-bob'), 'others keep theirs')
    t.ok(await store.tombstone('bob', 'd'))
    t.ok(await store.storedSecret('bob', 'main'))
    t.equal(await store.insertUser(newUser('new', { address: 'ann@example.org' })), null, 'reserved')
  })

  t.test('policy: what goes in comes out, with the one epoch that stands for all of it', async (t) => {
    const store = await open(t)
    const odd = 'o"f%f_i\\ce'
    await store.insertUser(newUser('ann', { groups: ['b', odd] }))
    await store.insertAppPassword(newAppPassword('p1', 'ann'))
    t.strictSame(await store.policies.read(), { epoch: 1, rows: [] })
    await store.policies.put({ scope: 'group', subject: odd, appPasswords: true })
    await store.policies.put({ scope: 'group', subject: odd, appPasswords: false })
    await store.policies.put({ scope: 'all', subject: '', appPasswords: true })
    t.equal(await store.policies.raiseEpoch(), 2)
    t.strictSame(await store.policies.read(), {
      epoch: 2,
      rows: [
        { scope: 'all', subject: '', appPasswords: true },
        { scope: 'group', subject: odd, appPasswords: false },
      ],
    })
    const told = [(await store.liveCheck('ann', 'p1'))?.policyEpoch, (await store.liveCheck('ann', ''))?.policyEpoch]
    t.strictSame(
      [...told, await store.ping()],
      [2, 2, 2],
      'whoever reads a user or asks for a sign of life hears of it',
    )
    t.equal((await store.userById('ann'))?.epoch, 1, 'and no user’s has moved')
    await t.rejects(
      store.transaction(async (tx) => {
        await tx.policies.raiseEpoch()
        throw new Error('rolled back')
      }),
      /rolled back/,
    )
    t.equal(await store.ping(), 2)
    t.equal(await store.policies.delete('group', odd), true)
    t.equal(await store.policies.delete('group', odd), false)

    for (const appPasswords of [true, false, null]) {
      t.match(await store.updateUser('ann', { appPasswords }), { appPasswords })
      t.match(await store.userById('ann'), { appPasswords })
      t.equal((await store.policies.users({ after: null, limit: 10 })).length, appPasswords === null ? 0 : 1)
    }
  })

  t.test('app passwords: what goes in comes out', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    const lastUsed = { at: later(5), protocol: 'smtp', ip: '2001:db8::1', agent: null } as const
    const full = newAppPassword('p1', 'ann', { expiresAt: later(1000), lastUsed, networks: [], selector: 65535 })
    await store.insertAppPassword(full)
    t.strictSame(await store.appPasswordById('p1'), full)
    const user = await store.userById('ann')
    t.strictSame(await store.liveCheck('ann', 'p1'), { user, appPassword: full, policyEpoch: 1 })
    t.strictSame(await store.liveCheck('ann', 'p2'), { user, appPassword: null, policyEpoch: 1 })
    await store.insertUser(newUser('bob'))
    t.equal((await store.liveCheck('bob', 'p1'))?.appPassword, null, "another user's is not live for this one")
    t.equal(await store.liveCheck('carl', 'p1'), null)

    t.equal(await store.updateAppPassword('p1', { name: 'new name' }), true)
    t.equal(await store.updateAppPassword('p2', { name: 'new name' }), false)
    await store.replaceAppPasswordHash('p1', '$new')
    t.match(await store.appPasswordById('p1'), { name: 'new name', hash: '$new' })
    t.equal((await store.userById('ann'))?.epoch, 1, 'a new hash for the same secret takes nobody out')
    t.equal(await store.deleteAppPassword('p1'), true)
    t.equal(await store.deleteAppPassword('p1'), false)
    t.equal(await store.appPasswordById('p1'), null)
  })

  t.test('app passwords: found by user and selector, newest first, counted while they live', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    await store.insertUser(newUser('bob'))
    await store.insertAppPassword(newAppPassword('p1', 'ann', { selector: 7, createdAt: later(1) }))
    await store.insertAppPassword(
      newAppPassword('p2', 'ann', { selector: 7, createdAt: later(3), expiresAt: later(100) }),
    )
    await store.insertAppPassword(newAppPassword('p3', 'ann', { selector: 8, createdAt: later(2) }))
    await store.insertAppPassword(newAppPassword('p4', 'bob', { selector: 7 }))
    const ids = (rows: readonly AppPasswordRow[]) => rows.map((row) => row.id)
    t.strictSame(ids(await store.appPasswordsBySelector('ann', 7)).sort(), ['p1', 'p2'])
    t.strictSame(ids(await store.appPasswordsBySelector('ann', 9)), [])
    t.strictSame(ids(await store.appPasswordsOf('ann')), ['p2', 'p3', 'p1'])
    t.equal(await store.countAppPasswords('ann', later(99)), 3)
    t.equal(await store.countAppPasswords('ann', later(100)), 2, 'R10: one that has run out does not count')
    t.equal(await store.countAppPasswords('carl', T0), 0)
    t.strictSame([...(await store.countAppPasswordsOf(['ann', 'carl'], later(100)))], [['ann', 2]], 'a page at once')
    t.strictSame([...(await store.countAppPasswordsOf([], T0))], [])
    const { live, expired } = await store.appPasswordTotals(later(100))
    t.strictSame(await store.appPasswordTotals(later(99)), { live: live + 1, expired: expired - 1 })
  })

  t.test('app passwords: last uses in one statement, unused ones found', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    for (const id of ['p1', 'p2', 'p3']) await store.insertAppPassword(newAppPassword(id, 'ann'))
    const use = (ms: number) => ({ at: later(ms), protocol: 'imap', ip: '192.0.2.1', agent: 'Mail "16" ✉' }) as const
    await store.noteLastUsed(
      new Map([
        ['p1', use(50)],
        ['p2', use(10)],
        ['gone', use(9)],
      ]),
    )
    await store.noteLastUsed(new Map())
    t.strictSame((await store.appPasswordById('p1'))?.lastUsed, use(50))
    t.equal((await store.appPasswordById('p3'))?.lastUsed, null)
    await store.noteLastUsed(new Map([['p1', use(20)]]))
    t.strictSame((await store.appPasswordById('p1'))?.lastUsed, use(50), 'a late message does not turn time back')

    const unused = async (ms: number, limit = 10) =>
      (await store.appPasswordsUnusedSince(later(ms), limit)).map((row) => row.id)
    t.strictSame(await unused(0), [], 'made at that time is not before it')
    t.strictSame(await unused(1), ['p3'], 'never used: since it was made')
    t.strictSame(await unused(11), ['p3', 'p2'])
    t.strictSame(await unused(51), ['p3', 'p2', 'p1'], 'longest unused first')
    t.strictSame(await unused(51, 2), ['p3', 'p2'])
    const many = new Map(Array.from({ length: 2500 }, (_, i) => [i === 2400 ? 'p3' : `x${i}`, use(60)]))
    await store.noteLastUsed(many)
    t.strictSame((await store.appPasswordById('p3'))?.lastUsed, use(60), 'a batch of any size')
  })

  t.test('M5: what is still tried with a deleted app password adds up in its tombstone', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    await store.insertUser(newUser('bob'))
    for (let i = 1; i <= 3; i++) await store.putTombstone(newTombstone('ann', `d${i}`, later(i)))
    await store.putTombstone(newTombstone('bob', 'd1', T0))
    const note = (userId: string, digest: string, tries: number, at: number) =>
      ({ userId, digest, tries, at: later(at), ip: `192.0.2.${at}`, protocol: 'imap' }) as const
    await store.noteTombstoneTries([note('ann', 'd1', 3, 10), note('ann', 'd2', 1, 11), note('ann', 'gone', 1, 12)])
    await store.noteTombstoneTries([note('ann', 'd1', 4, 20)])
    const listed = await store.listTombstones('ann')
    t.strictSame(
      listed.map(({ digest, lastTried }) => [digest, lastTried?.tries ?? 0, lastTried?.ip ?? null]),
      [
        ['d3', 0, null],
        ['d2', 1, '192.0.2.11'],
        ['d1', 7, '192.0.2.20'],
      ],
    )
    t.strictSame(listed[2]?.lastTried, { at: later(20), ip: '192.0.2.20', protocol: 'imap', tries: 7 })
    t.equal((await store.tombstone('bob', 'd1'))?.lastTried, null)
  })

  t.test("R39: a user's language is kept, and changing it takes no access away", async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    t.equal(await store.setUserLanguage('ann', 'nl'), true)
    t.match(await store.userById('ann'), { language: 'nl', epoch: 1 })
    await store.setUserLanguage('ann', null)
    t.match(await store.userById('ann'), { language: null })
    t.equal(await store.setUserLanguage('bob', 'nl'), false)
  })

  t.test('tombstones', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    await store.insertUser(newUser('bob'))
    for (let i = 1; i <= 6; i++) await store.putTombstone(newTombstone('ann', `d${i}`, later(i)))
    await store.putTombstone(newTombstone('bob', 'd1', later(1)))
    t.strictSame(await store.tombstone('ann', 'd3'), { ...newTombstone('ann', 'd3', later(3)), lastTried: null })
    t.equal(await store.tombstone('bob', 'd3'), null)
    await store.trimTombstones('ann', 4)
    t.equal(await store.tombstone('ann', 'd2'), null, 'the oldest go')
    t.ok(await store.tombstone('ann', 'd3'))
    t.ok(await store.tombstone('bob', 'd1'), "others' stay")
    await store.trimTombstones('ann', 4)
    t.ok(await store.tombstone('ann', 'd3'), 'four may stay')
    t.equal(await store.deleteTombstonesBefore(later(4)), 2)
    t.equal(await store.tombstone('ann', 'd3'), null)
    t.ok(await store.tombstone('ann', 'd4'))
  })

  t.test('stored secrets: one per user and upstream', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    const row = { userId: 'ann', upstream: 'main', sealed: 's1', keyId: 'k1', updatedAt: T0 }
    await store.putStoredSecret(row)
    await store.putStoredSecret({ ...row, upstream: 'other' })
    await store.putStoredSecret({ ...row, sealed: 's2', keyId: 'k2', updatedAt: later(1) })
    t.strictSame(await store.storedSecret('ann', 'main'), { ...row, sealed: 's2', keyId: 'k2', updatedAt: later(1) })
    t.strictSame(await store.storedSecret('ann', 'other'), { ...row, upstream: 'other' })
    t.equal(await store.deleteStoredSecret('ann', 'main'), true)
    t.equal(await store.deleteStoredSecret('ann', 'main'), false)
    t.equal(await store.storedSecret('ann', 'main'), null)
  })

  t.test('audit: in the order things happened, by user, since a time, page by page', async (t) => {
    const store = await open(t)
    const entry = (i: number, userId: string | null) => ({
      at: later(i * 10),
      event: 'user_added',
      actor: 'cli:root',
      userId,
      user: userId && `${userId}@example.org`,
      detail: { i, text: 'é "\n', yes: true, none: null },
    })
    const seqs: number[] = []
    for (const [i, user] of ['ann', 'bob', 'ann', null, 'ann'].entries())
      seqs.push(await store.appendAudit(entry(i, user)))
    t.strictSame(
      seqs,
      seqs.toSorted((a, b) => a - b),
    )
    const page = async (userId: string | null, since: Date | null, afterSeq: number, limit = 10) =>
      (await store.listAudit({ userId, since, afterSeq, limit })).map((row) => seqs.indexOf(row.seq))
    t.strictSame((await store.listAudit({ userId: 'bob', since: null, afterSeq: 0, limit: 9 }))[0], {
      seq: seqs[1],
      ...entry(1, 'bob'),
    })
    t.strictSame(await page(null, null, 0), [0, 1, 2, 3, 4])
    t.strictSame(await page(null, null, 0, 2), [0, 1])
    t.strictSame(await page(null, null, seqs[1] ?? 0, 2), [2, 3])
    t.strictSame(await page('ann', null, 0), [0, 2, 4])
    t.strictSame(await page('ann', later(15), 0), [2, 4])
    t.strictSame(await page(null, later(15), 0, 2), [2, 3])
    t.strictSame(await page(null, later(15), seqs[3] ?? 0, 2), [4])
    t.strictSame(await page(null, later(41), 0), [], 'nothing that late')

    const back = async (userId: string | null, since: Date | null, afterSeq: number, limit = 10) =>
      (await store.listAudit({ userId, since, order: 'newest', afterSeq, limit })).map((row) => seqs.indexOf(row.seq))
    t.strictSame(await back(null, null, 0), [4, 3, 2, 1, 0], 'the newest first')
    t.strictSame(await back(null, null, 0, 2), [4, 3])
    t.strictSame(await back('ann', null, seqs[4] ?? 0), [2, 0])
    t.strictSame(await back('ann', later(15), 0), [4, 2])
    t.strictSame(await back(null, later(15), seqs[3] ?? 0, 9), [2], 'older ones, as far as the time goes')
    t.strictSame(await back(null, later(41), 0), [])
    t.strictSame(await back(null, null, seqs[0] ?? 0), [], 'the end')
    const next = await store.appendAudit(entry(5, 'ann'))
    t.strictSame(await back(null, null, seqs[3] ?? 0, 2), [2, 1], 'what is added moves no page')
    seqs.push(next)
    const about = async (address: string, order: 'oldest' | 'newest') =>
      (await store.listAudit({ userId: null, address, since: null, order, afterSeq: 0, limit: 9 })).map((row) =>
        seqs.indexOf(row.seq),
      )
    t.strictSame(await about('ann@example.org', 'oldest'), [0, 2, 4, 5], 'by address')
    t.strictSame(await about('bob@example.org', 'newest'), [1])
    t.strictSame(await about('nobody@example.org', 'newest'), [])
  })

  t.test('audit: a clock that was set back hides nothing', async (t) => {
    const store = await open(t)
    const seqs: number[] = []
    for (const ms of [500, 90, 150]) {
      const rest = { event: 'user_added', actor: 'system', userId: null, user: null, detail: {} }
      seqs.push(await store.appendAudit({ at: later(ms), ...rest }))
    }
    const found = await store.listAudit({ userId: null, since: later(100), afterSeq: 0, limit: 10 })
    t.strictSame(
      found.map((row) => row.seq),
      [seqs[0], seqs[2]],
    )
    const back = await store.listAudit({ userId: null, since: later(100), order: 'newest', afterSeq: 0, limit: 10 })
    t.strictSame(
      back.map((row) => row.seq),
      [seqs[2], seqs[0]],
      'in either order',
    )
  })

  t.test('keys: check values, and how many rows each key has', async (t) => {
    const store = await open(t)
    t.equal((await store.keyChecks()).size, 0)
    t.equal((await store.keyUse()).size, 0)
    await store.putKeyCheck('k1', 'one')
    await store.putKeyCheck('k2', 'two')
    t.strictSame([...(await store.keyChecks())].sort(), [
      ['k1', 'one'],
      ['k2', 'two'],
    ])
    await store.insertUser(newUser('ann', { passwordHash: '$', passwordKeyId: 'k2' }))
    await store.insertUser(newUser('bob'))
    await store.insertAppPassword(newAppPassword('p1', 'ann'))
    await store.insertAppPassword(newAppPassword('p2', 'ann', { keyId: 'k2' }))
    await store.putTombstone(newTombstone('ann', 'd', T0))
    await store.putStoredSecret({ userId: 'ann', upstream: 'main', sealed: 's', keyId: 'k1', updatedAt: T0 })
    t.strictSame([...(await store.keyUse())].sort(), [
      ['k1', 3],
      ['k2', 2],
    ])
  })

  t.test('cached logins: opaque, until they run out', async (t) => {
    const store = await open(t)
    await store.putCachedLogin({ key: 'a', value: 'v1', expiresAt: later(10) })
    await store.putCachedLogin({ key: 'b', value: 'v2', expiresAt: later(20) })
    await store.putCachedLogin({ key: 'a', value: 'v3', expiresAt: later(15) })
    t.equal(await store.cachedLogin('a', later(14)), 'v3')
    t.equal(await store.cachedLogin('a', later(15)), null, 'run out')
    t.equal(await store.cachedLogin('c', T0), null)
    await store.deleteCachedLogin('b')
    await store.deleteCachedLogin('b')
    t.equal(await store.cachedLogin('b', T0), null)
    t.equal(await store.deleteExpiredCachedLogins(later(15)), 1)
    t.equal(await store.cachedLogin('a', T0), null)
  })

  t.test('transactions: all of it or nothing, one after the other', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    const oops = new Error('half-way')
    await t.rejects(
      store.transaction(async (tx) => {
        await tx.insertUser(newUser('bob'))
        await tx.updateUser('ann', { enabled: false })
        await tx.noteLastUsed(new Map([['p', { at: T0, protocol: 'imap', ip: '::1', agent: null }]]))
        t.ok(await tx.userById('bob'), 'it sees its own writes')
        throw oops
      }),
      oops,
      'the error comes out as it was thrown',
    )
    t.equal(await store.userById('bob'), null)
    t.match(await store.userById('ann'), { enabled: true, epoch: 1 })
    t.equal(await store.transaction(async () => 42), 42)

    // Read, think, write: with any interleaving some of these would be lost.
    await Promise.all(
      Array.from({ length: 50 }, () =>
        store.transaction(async (tx) => {
          const epoch = await tx.raiseUserEpoch('ann')
          await tx.updateUser('ann', { name: String(epoch) })
        }),
      ),
    )
    t.match(await store.userById('ann'), { epoch: 101, name: '100' })
  })

  t.test('transactions: reads that come meanwhile see all of it or nothing', async (t) => {
    const store = await open(t)
    await store.insertUser(newUser('ann'))
    const writing = store.transaction(async (tx) => {
      await tx.updateUser('ann', { enabled: false })
      await new Promise((resolve) => setImmediate(resolve))
      await tx.insertUser(newUser('bob'))
    })
    const [ann, bob] = await Promise.all([store.userById('ann'), store.userById('bob')])
    await writing
    t.equal(ann?.enabled, bob === null, 'both or neither')
  })

  t.test('text that looks like SQL is text', async (t) => {
    const store = await open(t)
    const nasty = `'; drop table users; -- "x" \\ %_ \u{1f4f1}`
    await store.insertUser(newUser('ann', { name: nasty, groups: [nasty] }))
    await store.insertAppPassword(newAppPassword('p1', 'ann', { name: nasty }))
    await store.updateAppPassword('p1', { name: `${nasty}!` })
    const use = { at: T0, protocol: 'imap', ip: nasty, agent: nasty } as const
    await store.noteLastUsed(new Map([['p1', use]]))
    t.match(await store.userById('ann'), { name: nasty, groups: [nasty] })
    t.match(await store.appPasswordById('p1'), { name: `${nasty}!`, lastUsed: use })
    t.equal(await store.userById(nasty), null)
  })

  t.test('a closed store says so', async (t) => {
    const store = await open(t)
    await store.ping()
    const waiting = store.userById('ann').catch((error: unknown) => error)
    await store.close()
    await store.close()
    const before = await waiting
    t.ok(before === null || before instanceof StoreError, 'a read on its way is answered or refused')
    const calls: (() => Promise<unknown>)[] = [
      () => store.ping(),
      () => store.userById('a'),
      () => store.transaction(async () => 1),
    ]
    for (const call of calls) {
      await t.rejects(call(), { name: 'StoreError', code: 'ERR_STORE_UNAVAILABLE' })
    }
  })
}
