import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceAnswer } from '../../src/contract/services.ts'
import { SERVICE_METHODS } from '../../src/contract/services.ts'
import { fitting } from '../../src/keeper/services/shared.ts'
import { openStore } from '../../src/records/store/open.ts'
import { StoreError } from '../../src/records/store/store.ts'
import { noteSecret } from '../support/secrets.ts'
import { edge, house } from './house.ts'

t.test('every method of the contract has its handler, and none besides', async (t) => {
  const h = await house(t)
  t.strictSame(Object.keys(h.keeper.services).sort(), Object.keys(SERVICE_METHODS).sort())
})

t.test('users: added, listed page by page, shown, disabled, enabled, deleted; all by name', async (t) => {
  const h = await house(t)
  const ann = await h.call('user.add', { address: 'Ann@A.test', name: 'Ann', groups: ['staff'], admin: true })
  t.match(ann, {
    address: 'ann@a.test',
    name: 'Ann',
    groups: ['staff'],
    admin: true,
    enabled: true,
    hasPassword: false,
  })
  await t.rejects(h.call('user.add', { address: 'ann@a.test' }), { code: 'exists' })
  await t.rejects(h.call('user.add', { address: 'a*b@a.test' }), { code: 'invalid' }, 'C1: the separator')
  await t.rejects(h.call('user.show', { address: 'bob@a.test' }), { code: 'not-found' })
  const report = await h.call('user.import', {
    users: [
      { line: 1, address: 'bob@a.test' },
      { line: 2, address: 'ann@a.test' },
      { line: 3, address: 'nonsense@elsewhere.test' },
    ],
  })
  t.match(report, { added: 1, unchanged: 1, refused: [{ line: 3 }] })

  const seen: string[] = []
  let after: string | null = null
  do {
    const page: ServiceAnswer<'user.list'> = await h.call('user.list', { after, limit: 1 })
    seen.push(...page.users.map(({ address }) => address))
    after = page.next
  } while (after !== null)
  t.strictSame(seen, ['ann@a.test', 'bob@a.test'])

  t.match(await h.call('user.disable', { address: 'ann@a.test' }), { enabled: false, sessionsEnded: 0 })
  await h.call('user.disable', { address: 'ann@a.test' })
  t.match(await h.call('user.enable', { address: 'ann@a.test' }), { enabled: true })
  t.equal(h.capture.of('user_disabled').length, 1, 'said once')
  t.match(h.capture.of('user_enabled'), [{ user: 'ann@a.test', detail: 'by cli:test' }])
  await h.call('user.delete', { address: 'ann@a.test' })
  await t.rejects(h.call('user.add', { address: 'ann@a.test' }), { code: 'exists' }, 'the name stays reserved')

  const { entries } = await h.call('audit.list', {})
  t.ok(entries.every(({ actor }) => actor === 'cli:test'))
  t.strictSame(
    entries.map(({ event }) => event),
    ['user_added', 'user_added', 'user_disabled', 'user_enabled', 'user_deleted'],
  )
})

t.test('users: several things changed at once; whoever is disabled by it loses every session', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  await edge(h.keeper).login('ann@a.test', password)
  t.match(await h.call('user.update', { address: 'ann@a.test', name: 'Ann', groups: ['b', 'a'] }), {
    name: 'Ann',
    groups: ['a', 'b'],
    sessionsEnded: 0,
  })
  t.match(await h.call('user.update', { address: 'ann@a.test', name: null, enabled: false }), {
    name: null,
    enabled: false,
    sessionsEnded: 1,
  })
  t.equal(h.capture.of('user_disabled').length, 1)
})

t.test('users: a language is what refusals are worded in from then on, and costs nobody a hash (R39)', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  await e.login('ann@a.test', password)
  const before = await h.store.userByAddress('ann@a.test')
  t.match(await h.call('user.update', { address: 'ann@a.test', language: 'nl' }), { language: 'nl', sessionsEnded: 0 })
  await h.call('user.update', { address: 'ann@a.test', language: 'nl' })
  t.equal((await h.store.userByAddress('ann@a.test'))?.epoch, before?.epoch, 'no login is forgotten')
  await e.login('ann@a.test', password)
  t.equal(h.keeper.hasher.runs, 2, 'one to make it, one at the first login')
  await h.call('app-password.update', { id, protocols: ['smtp'] })
  const refused = await e.login('ann@a.test', password).catch((error: unknown) => error)
  t.match(refused, { reason: 'not-on-this-protocol', language: 'nl' })
  t.match(await h.call('user.update', { address: 'ann@a.test', language: null, name: 'Ann' }), {
    language: null,
    name: 'Ann',
  })
  const { entries } = await h.call('audit.list', { user: 'ann@a.test' })
  t.strictSame(
    entries.filter(({ event }) => event === 'user_language_set').map(({ detail }) => detail.language),
    ['nl', null],
  )
})

t.test('app passwords: another name ends nothing and costs no hash; with other things it is one change', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { id, password } = await h.issue('ann@a.test', { name: 'phone' })
  const e = edge(h.keeper)
  await e.login('ann@a.test', password)
  const before = await h.store.userByAddress('ann@a.test')
  t.match(await h.call('app-password.update', { id, name: ' Telefoon ' }), { name: 'Telefoon', sessionsEnded: 0 })
  t.equal((await h.store.userByAddress('ann@a.test'))?.epoch, before?.epoch)
  t.equal(e.sessions.size, 1)
  t.match(
    await e.login('ann@a.test', password),
    { appPassword: { name: 'Telefoon' } },
    'seen before, and by its new name',
  )
  t.equal(h.keeper.hasher.runs, 2, 'one to make it, one at the first login')
  t.match(await h.call('app-password.update', { id, name: 'scanner', protocols: ['smtp'] }), {
    name: 'scanner',
    protocols: ['smtp'],
    sessionsEnded: 2,
  })
  await t.rejects(h.call('app-password.update', { id, name: ' ' }), { code: 'invalid' })
  const { entries } = await h.call('audit.list', { user: 'ann@a.test' })
  t.strictSame(
    entries.filter(({ event }) => event === 'app_password_renamed').map(({ detail }) => [detail.before, detail.name]),
    [
      ['phone', 'Telefoon'],
      ['Telefoon', 'scanner'],
    ],
  )
})

t.test('users: searched, and meant by id as well as by address', async (t) => {
  const h = await house(t)
  const ann = await h.call('user.add', { address: 'ann.lee@a.test', name: 'Ann Lee' })
  await h.call('user.add', { address: 'bob@a.test', name: 'Bob Lee' })
  const found = async (search: string) => (await h.call('user.list', { search })).users.map(({ address }) => address)
  t.strictSame(await found('lee'), ['ann.lee@a.test', 'bob@a.test'])
  t.strictSame(await found('bo'), ['bob@a.test'])
  t.strictSame(await found('ann.lee@a.t'), ['ann.lee@a.test'])
  t.strictSame(await found(' '), [], 'nothing asked, nobody found')
  const first = await h.call('user.list', { search: 'lee', limit: 1 })
  t.match(await h.call('user.list', { search: 'lee', limit: 1, after: first.next }), {
    users: [{ address: 'bob@a.test' }],
  })

  t.equal((await h.call('user.show', { address: ann.id })).address, 'ann.lee@a.test')
  t.match(await h.call('user.disable', { address: ann.id }), { address: 'ann.lee@a.test', enabled: false })
  t.strictSame(await h.call('session.list', { user: ann.id }), { sessions: [], next: null })
  const id = '00000000-0000-4000-8000-000000000000'
  await t.rejects(h.call('user.show', { address: id }), { code: 'not-found' })
  const named = await h.call('user.add', { address: `${id}@a.test` })
  t.equal((await h.call('user.show', { address: id })).id, named.id, 'a name that looks like one')
})

t.test('R6, R7, R16: an app password is generated, and shown in one answer only', async (t) => {
  const h = await house(t, { yaml: 'appPasswords: { length: 20, protocols: [imap, smtp] }' })
  await h.addUser('ann@a.test')
  const issued = await h.issue('ann@a.test', { name: ' my phone ' })
  t.match(issued, { user: 'ann@a.test', name: 'my phone', protocols: ['imap', 'smtp'] })
  t.match(issued.password, /^([a-z]{4} ){4}[a-z]{4}$/)
  t.strictSame(Object.keys(issued).sort(), ['createdAt', 'id', 'name', 'password', 'protocols', 'user'])
  const bare = issued.password.replaceAll(' ', '')
  const everything = JSON.stringify([
    await h.call('app-password.list', { user: 'ann@a.test' }),
    await h.call('user.show', { address: 'ann@a.test' }),
    await h.call('audit.list', {}),
    await h.call('session.list', {}),
    h.capture.lines,
    await h.metrics.snapshot(),
  ])
  t.notOk(everything.includes(bare) || everything.includes(issued.password), 'nowhere else')
  t.match(h.capture.of('app_password_created'), [
    { user: 'ann@a.test', app_password: issued.id, app_password_name: 'my phone' },
  ])
})

t.test(
  'what is done is done, also when its owner can not be told: the answer with the only copy still comes',
  async (t) => {
    const state = { away: false }
    const away = () => Promise.reject(new StoreError('ERR_STORE_UNAVAILABLE', 'switched off by the test'))
    const h = await house(t, {
      wrapStore: (store) =>
        new Proxy(store, {
          get(target, name) {
            if (state.away && name === 'people') return { ...target.people, putNotice: away }
            const value: unknown = Reflect.get(target, name, target)
            if (typeof value !== 'function') return value
            return state.away && name !== 'close' ? away : value.bind(target)
          },
        }),
    })
    await h.addUser('ann@a.test')
    h.keeper.bus.subscribe(() => {
      state.away = true
    })
    const { id, password } = await h.issue('ann@a.test')
    t.match(password, /^[a-z ]+$/)
    t.match(h.capture.of('warning'), [{ user: 'ann@a.test', detail: /switched off/ }], 'and the log says so')
    state.away = false
    t.match(await h.call('app-password.list', { user: 'ann@a.test' }), [{ id }])
  },
)

t.test('the policy of a group bounds what can be issued', async (t) => {
  const h = await house(t, {
    yaml: 'groups: { scanners: { appPasswords: { perUser: 1, expiry: 30d, protocols: [smtp] } } }',
  })
  await h.addUser('scan@a.test', ['scanners'])
  await t.rejects(h.issue('scan@a.test', { protocols: ['imap'] }))
  const issued = await h.issue('scan@a.test')
  t.strictSame(issued.protocols, ['smtp'])
  const [view] = await h.call('app-password.list', { user: 'scan@a.test' })
  const days = (Date.parse(view?.expiresAt ?? '') - Date.now()) / 86_400_000
  t.ok(days > 29.9 && days <= 30)
  await t.rejects(h.issue('scan@a.test'), { code: 'cap-reached', message: /phone/ }, 'R9: it names the idle ones')
})

t.test('stored secrets: for a configured upstream, sealed, and used', async (t) => {
  const h = await house(t, { identity: '{ method: stored-secret }' })
  await h.addUser('ann@a.test')
  const secret = noteSecret('her upstream password')
  await t.rejects(h.call('secret.set', { user: 'ann@a.test', upstream: 'other', secret }), { code: 'not-configured' })
  await t.rejects(h.call('check.identity', { protocol: 'imap', user: 'ann@a.test' }), { code: 'not-configured' })
  t.strictSame(await h.call('secret.set', { user: 'ann@a.test', upstream: 'main', secret }), {
    user: 'ann@a.test',
    upstream: 'main',
  })
  t.strictSame(await h.call('check.identity', { protocol: 'imap', user: 'ann@a.test' }), {
    upstream: 'main',
    kind: 'password',
    authcid: 'ann@a.test',
    authzid: '',
    secret,
  })
  t.match(await h.call('secret.delete', { user: 'ann@a.test', upstream: 'main' }), { deleted: true })
  t.match(await h.call('secret.delete', { user: 'ann@a.test', upstream: 'main' }), { deleted: false })
  t.notMatch(JSON.stringify(await h.call('audit.list', {})), secret)
})

t.test('check.identity: the master user, or why not', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  t.match(await h.call('check.identity', { protocol: 'imap', user: 'ann@a.test' }), {
    upstream: 'main',
    authcid: 'ann@a.test*sp',
    secret: 'master secret',
  })
  await t.rejects(h.call('check.identity', { protocol: 'pop3', user: 'ann@a.test' }), {
    code: 'not-configured',
    message: /no pop3 section/,
  })
  const through = await house(t, { yaml: 'primaryPassword: until-enrolled', identity: '{ method: pass-through }' })
  await through.addUser('ann@a.test')
  await t.rejects(through.call('check.identity', { protocol: 'imap', user: 'ann@a.test' }), { code: 'not-configured' })
})

t.test('sessions: listed page by page, by user', async (t) => {
  const h = await house(t)
  const e = edge(h.keeper)
  for (const user of ['ann@a.test', 'bob@a.test']) {
    await h.addUser(user)
    const { password } = await h.issue(user)
    for (let i = 0; i < 5; i++) await e.login(user, password)
  }
  const seen = new Set<string>()
  let after: string | null = null
  do {
    const page: ServiceAnswer<'session.list'> = await h.call('session.list', { after, limit: 3 })
    for (const { id } of page.sessions) seen.add(id)
    after = page.next
  } while (after !== null)
  t.equal(seen.size, 10)
  const anns = await h.call('session.list', { user: 'ANN@a.test' })
  t.match(anns, { next: null })
  t.match(
    anns.sessions,
    Array.from({ length: 5 }, () => ({ user: 'ann@a.test', state: 'open', upstream: 'main' })),
  )
  for (const user of ['a b', 'nobody@a.test']) {
    await t.rejects(h.call('session.list', { user }), { code: 'not-found' }, 'no list that reads as if nobody was in')
  }
})

t.test('keys, health, backup', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  await edge(h.keeper).login('ann@a.test', password)
  t.match(await h.call('keys.status', {}), { file: join(h.directory, 'keys'), keys: [{ active: true, rows: 1 }] })
  t.match(await h.call('health', {}), { ok: true, version: 'test', pid: process.pid, store: 'up', redis: 'none' })
  const file = join(h.directory, 'copy.db')
  await t.rejects(h.call('backup', { file: 'copy.db' }), { code: 'invalid' })
  const { bytes } = await h.call('backup', { file })
  t.equal(statSync(file).size, bytes)
  t.equal(statSync(file).mode & 0o777, 0o600)
  await t.rejects(h.call('backup', { file }), { code: 'invalid' })
  t.match((await h.call('audit.list', {})).entries.at(-1), { event: 'backup_made', detail: { file } })
  const copy = await openStore({ sqlite: file })
  t.teardown(() => copy.close())
  t.match(await copy.userByAddress('ann@a.test'), { address: 'ann@a.test' })
})

t.test('pages fit a frame', async (t) => {
  const rows = Array.from({ length: 200 }, (_, i) => ({ i, text: 'é'.repeat(400) }))
  const page = fitting(rows)
  t.ok(page.length > 50 && page.length < 80, `${page.length} rows`)
  t.ok(Buffer.byteLength(JSON.stringify(page)) <= 56 * 1024)
  t.strictSame(fitting(rows.slice(0, 3)), rows.slice(0, 3))
  const h = await house(t)
  for (let i = 0; i < 120; i++) {
    await h.call('user.add', {
      address: `user${String(i).padStart(3, '0')}@a.test`,
      name: 'é'.repeat(128),
      groups: Array.from({ length: 8 }, (_, j) => `${j} ${'x'.repeat(60)}`),
    })
  }
  let count = 0
  let after: string | null = null
  do {
    const answer: ServiceAnswer<'user.list'> = await h.call('user.list', { after, limit: 200 })
    t.ok(Buffer.byteLength(JSON.stringify(answer)) < 64 * 1024)
    count += answer.users.length
    after = answer.next
  } while (after !== null)
  t.equal(count, 120)
})
