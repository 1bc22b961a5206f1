/** Stored secrets, audit, bus and last uses. */

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import t from 'tap'
import { AUDIT_EVENTS, appendAudit, readAudit } from '../../src/records/audit.ts'
import type { BusEvent } from '../../src/records/bus.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { createLastUseBatch } from '../../src/records/last-use.ts'
import { normaliseNetwork } from '../../src/records/networks.ts'
import type { LastUse, Store } from '../../src/records/store/store.ts'
import { StoreError } from '../../src/records/store/store.ts'
import { Secret } from '../../src/secret.ts'
import { openHouse, POLICY, ROOT } from './house.ts'

t.test('stored secrets: sealed, bound to user and upstream, opened where they are used', async (t) => {
  const house = await openHouse(t)
  const ann = await house.addUser('ann@example.org')
  const bob = await house.addUser('bob@example.org')
  house.told()
  const value = 'mailbox-p\u00e4ssword-of-ann'
  t.match(await house.secrets.set('Ann', 'main', new Secret(value), ROOT), { id: ann.id, epoch: 2 })
  t.strictSame(house.told(), [{ kind: 'user-changed', userId: ann.id, epoch: 2 }])
  t.match((await house.audit()).at(-1), { event: 'secret_set', user: ann.address, detail: { upstream: 'main' } })
  const opened = await house.secrets.open(ann.id, 'main')
  t.ok(opened.ok && opened.secret.reveal() === value)
  t.notOk(inspect(opened, { depth: 9 }).includes(value))
  t.strictSame(await house.secrets.open(ann.id, 'other'), { ok: false, why: 'none' })
  t.strictSame(await house.secrets.open(bob.id, 'main'), { ok: false, why: 'none' })

  const row = await house.store.storedSecret(ann.id, 'main')
  if (!row) throw new Error('it is not stored')
  t.equal(row.keyId, house.keys.active.id)
  await house.store.putStoredSecret({ ...row, userId: bob.id })
  t.strictSame(await house.secrets.open(bob.id, 'main'), { ok: false, why: 'bad-seal' }, 'I-6: moved to another user')
  await house.store.putStoredSecret({ ...row, upstream: 'other' })
  t.strictSame(
    await house.secrets.open(ann.id, 'other'),
    { ok: false, why: 'bad-seal' },
    'I-6: moved to another upstream',
  )
  await house.store.putStoredSecret({ ...row, upstream: 'broken', sealed: 'AAAA' })
  t.strictSame(await house.secrets.open(ann.id, 'broken'), { ok: false, why: 'malformed' }, 'refused, not a crash')
  t.ok((await house.secrets.open(ann.id, 'main')).ok, 'the others go on')

  await house.secrets.set('ann', 'main', new Secret('second'), ROOT)
  const second = await house.secrets.open(ann.id, 'main')
  t.ok(second.ok && second.secret.reveal() === 'second', 'replaced')
  house.told()
  t.match(await house.secrets.delete('ann', 'main', ROOT), { deleted: true, user: { epoch: 4 } })
  t.match(await house.secrets.delete('ann', 'main', ROOT), { deleted: false, user: { epoch: 4 } })
  t.equal(house.told().length, 1)
  t.strictSame(await house.secrets.open(ann.id, 'main'), { ok: false, why: 'none' })
  for (const bad of ['', 'a\r\nb', 'a\0b', 'x'.repeat(1025)]) {
    await t.rejects(house.secrets.set('ann', 'main', new Secret(bad), ROOT), { code: 'invalid' })
  }
  await t.rejects(house.secrets.set('nobody', 'main', new Secret('x'), ROOT), { code: 'not-found' })
  await t.rejects(house.secrets.delete('nobody', 'main', ROOT), { code: 'not-found' })

  await house.secrets.set('ann', 'main', new Secret(value), ROOT)
  await house.store.close()
  const bytes = readFileSync(house.file)
  t.ok(bytes.includes('secret_set'))
  for (const form of [value, 'mailbox-p', Buffer.from(value).toString('base64url').slice(0, 16)])
    t.notOk(bytes.includes(form))
})

t.test('audit: a closed list of events, each with its fields', async (t) => {
  const house = await openHouse(t)
  for (const [event, fields] of Object.entries(AUDIT_EVENTS)) {
    t.match(event, /^[a-z]+(_[a-z]+)+$/)
    for (const field of fields) t.notMatch(field, /secret|hash|digest|value|token/i, `${event}.${field}`)
  }
  const entry = { event: 'secret_set', actor: ROOT, user: null, at: house.clock.now } as const
  await appendAudit(house.store, { ...entry, detail: { upstream: 'main' } })
  await t.rejects(
    appendAudit(house.store, { ...entry, detail: { upstream: 'x', value: 'y' } as object }),
    /no field value/,
  )
  const page = await readAudit(house.store, { userId: null, since: null, afterSeq: 0, limit: 10 })
  t.equal(page.entries.length, 1)
  t.strictSame(await readAudit(house.store, { userId: null, since: null, afterSeq: page.lastSeq, limit: 10 }), {
    entries: [],
    lastSeq: page.lastSeq,
  })
})

t.test('bus: everybody hears everything in order, whatever one of them does', async (t) => {
  const bugs: unknown[] = []
  const bus = createLocalBus((error) => bugs.push(error))
  const heard: string[] = []
  const oops = new Error('a listener fell over')
  const first = bus.subscribe((event) => {
    heard.push(`first ${event.kind}`)
    throw oops
  })
  const listener = (event: BusEvent) => heard.push(`again ${event.kind}`)
  using _second = bus.subscribe(listener)
  const third = bus.subscribe(listener)
  bus.publish({ kind: 'policy-changed', epoch: 2 })
  t.strictSame(heard, ['first policy-changed', 'again policy-changed', 'again policy-changed'])
  t.strictSame(bugs, [oops])
  first[Symbol.dispose]()
  third[Symbol.dispose]()
  third[Symbol.dispose]()
  bus.publish({ kind: 'all-changed' })
  t.strictSame(heard.slice(3), ['again all-changed'])
  t.equal(bus.alive(), true)
})

const use = (ms: number): LastUse => ({ at: new Date(ms), protocol: 'imap', ip: '192.0.2.1', agent: null })

t.test('last uses: one statement for a batch, after a while, and at the end', async (t) => {
  const house = await openHouse(t)
  await house.addUser('ann@example.org')
  const ids: string[] = []
  for (const name of ['a', 'b'])
    ids.push((await house.appPasswords.issue({ address: 'ann', name }, POLICY, ROOT)).row.id)
  const [a = '', b = ''] = ids
  // The batch's own timer keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  const written: number[] = []
  let wrote = () => {}
  const store: Store = Object.create(house.store, {
    noteLastUsed: {
      async value(uses: ReadonlyMap<string, LastUse>) {
        written.push(uses.size)
        await house.store.noteLastUsed(uses)
        wrote()
      },
    },
  })
  const firstBatch = new Promise<void>((resolve) => {
    wrote = resolve
  })
  const batch = createLastUseBatch({ store, flushMs: 20, onError: (error) => t.error(error) })
  for (let i = 0; i < 100; i++) batch.note(a, use(1000 + i))
  batch.note(b, use(5000))
  t.strictSame(written, [], 'nothing is written on the path of a login')
  await firstBatch
  t.strictSame(written, [2])
  t.strictSame((await house.store.appPasswordById(a))?.lastUsed, use(1099))
  await batch.flush()
  t.strictSame(written, [2], 'nothing to write, nothing written')
  batch.note(b, use(6000))
  await batch[Symbol.asyncDispose]()
  t.strictSame((await house.store.appPasswordById(b))?.lastUsed, use(6000), 'what was waiting at the end is written')
})

t.test('last uses: a store that is away costs nothing but time', async (t) => {
  const written: (readonly [string, LastUse])[][] = []
  let away = true
  const store = {
    async noteLastUsed(uses: ReadonlyMap<string, LastUse>) {
      await Promise.resolve()
      if (away) throw new StoreError('ERR_STORE_UNAVAILABLE', 'gone fishing')
      written.push([...uses])
    },
  } as unknown as Store
  const errors: unknown[] = []
  await using batch = createLastUseBatch({
    store,
    flushMs: 1_000_000,
    maxWaiting: 3,
    onError: (error) => errors.push(error),
  })
  batch.note('a', use(1))
  batch.note('b', use(1))
  const flushing = batch.flush()
  batch.note('a', use(2))
  await flushing
  t.match(errors, [{ code: 'ERR_STORE_UNAVAILABLE' }])
  batch.note('c', use(3))
  batch.note('d', use(4))
  away = false
  await batch.flush()
  t.strictSame(
    written,
    [
      [
        ['a', use(2)],
        ['c', use(3)],
        ['d', use(4)],
      ],
    ],
    'the latest of each, the oldest forgotten at the bound',
  )
})

t.test('M9: networks in one spelling, or refused', async (t) => {
  for (const [raw, want] of [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.0.2.7', '192.0.2.7/32'],
    [' 192.0.2.255/25 ', '192.0.2.128/25'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/31', '255.255.255.254/31'],
    ['2001:DB8:0:0::1/32', '2001:db8::/32'],
    ['2001:db8::ffff/121', '2001:db8::ff80/121'],
    ['::1', '::1/128'],
    ['::ffff:10.9.9.9', '10.9.9.9/32'],
    ['::ffff:10.9.9.9/104', '10.0.0.0/8'],
    ['::/0', '::/0'],
  ] as const)
    t.equal(normaliseNetwork(raw), want, raw)
  for (const raw of [
    '',
    '/',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/ 8',
    '10.1',
    '010.0.0.1',
    '0x0a.0.0.1',
    '10.0.0.256',
    '10.0.0.0/255.0.0.0',
    '::1/129',
    'fe80::1%eth0',
    '::ffff:10.0.0.0/90',
    'example.org',
    '1e1.0.0.1/8',
  ]) {
    t.equal(normaliseNetwork(raw), null, raw)
  }
})
