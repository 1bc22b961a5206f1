/** What administrators and their programs may do over HTTP, at the keeper (threats H8). */

import { createHash } from 'node:crypto'
import t from 'tap'
import { ADMIN_METHODS } from '../../src/contract/portal/admin.ts'
import type { ApiScope } from '../../src/contract/services/api-scopes.ts'
import type { IssuedAppPassword, IssuedInvitation } from '../../src/contract/services.ts'
import { SERVICE_METHODS } from '../../src/contract/services.ts'
import type { PeopleHouse } from './people.ts'
import { CLIENT, enrol, peopleHouse } from './people.ts'

async function caller(h: PeopleHouse, scopes: readonly ApiScope[], expiresInMs = 3600_000) {
  const { id, token } = await h.call('token.create', { name: 'test', scopes: [...scopes], expiresInMs })
  return {
    id,
    bearer: token,
    call: (method: string, params: Record<string, unknown> = {}, idempotencyKey: string | null = null) =>
      h.ask('admin.call', { client: CLIENT, as: { bearer: token }, method, params, idempotencyKey }),
  }
}

t.test('what belongs to the control socket is not to be had over HTTP', async (t) => {
  const h = await peopleHouse(t)
  const kept = Object.keys(SERVICE_METHODS).filter((name) => !Object.hasOwn(ADMIN_METHODS, name))
  for (const name of ['backup', 'keys.status', 'check.identity', 'secret.set', 'health'])
    t.ok(kept.includes(name), name)
  const { call } = await caller(h, ['users:read'])
  for (const name of [...kept, 'constructor', '__proto__', 'nothing']) {
    await t.rejects(call(name), { code: 'not-found' }, name)
  }
})

t.test('a token: known, not over, with the scope; its calls are audited with what came of them', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const reader = await caller(h, ['users:read'])
  t.match(await reader.call('user.list'), { answer: { users: [{ address: 'ann@a.test' }] }, replayed: false })
  await t.rejects(reader.call('user.disable', { address: 'ann@a.test' }), { code: 'forbidden', message: /users:write/ })
  await t.rejects(reader.call('audit.list'), { code: 'forbidden' })
  const writer = await caller(h, ['users:write'])
  await t.rejects(writer.call('user.list'), { code: 'forbidden' }, 'writing is not reading')
  await t.rejects(writer.call('user.disable', { address: 'ann@a.test', more: 1 }), { code: 'invalid' }, 'H7')
  await writer.call('user.disable', { address: 'ann@a.test' })
  await t.rejects(writer.call('user.disable', { address: 'nobody@a.test' }), { code: 'not-found' })
  const { entries } = await h.call('audit.list', {})
  t.match(
    entries.filter(({ event }) => event === 'admin_called').map(({ actor, detail }) => [actor, detail.result]),
    [
      [`token:${writer.id}`, 'invalid'],
      [`token:${writer.id}`, 'done'],
      [`token:${writer.id}`, 'not-found'],
    ],
  )
  t.match(
    entries.find(({ event }) => event === 'user_disabled'),
    { actor: `token:${writer.id}` },
  )
  t.notOk(JSON.stringify([entries, h.capture.lines]).includes(writer.bearer), 'J2')

  for (const bearer of ['x', `${writer.bearer}x`, writer.bearer.slice(0, -1), 'sallyport_', 'sallyport_\0']) {
    const asked = { client: CLIENT, as: { bearer }, method: 'user.list', params: {} }
    await t.rejects(h.ask('admin.call', asked), { code: 'unauthorised' })
  }
  const session = await enrol(h, 'bob@a.test')
  const asked = { client: CLIENT, as: { bearer: session.session }, method: 'user.list', params: {} }
  await t.rejects(h.ask('admin.call', asked), { code: 'unauthorised' }, 'a session is no token')
  h.pass(3600_000)
  await t.rejects(reader.call('user.list'), { code: 'unauthorised' }, 'run out')
  const gone = await caller(h, ['users:read'])
  await h.call('token.delete', { id: gone.id })
  await t.rejects(gone.call('user.list'), { code: 'unauthorised' }, 'deleted')
  const made = await h.issue('bob@a.test')
  const app = { client: CLIENT, as: { bearer: made.password }, method: 'user.list', params: {} }
  await t.rejects(h.ask('admin.call', app), { code: 'unauthorised' }, 'R33: an app password opens no API')
})

t.test('a session: of an administrator, and fresh for what changes something', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test', { admin: true })
  const bob = await enrol(h, 'bob@a.test')
  const call = (session: string, method: string, params: Record<string, unknown> = {}) =>
    h.ask('admin.call', { client: CLIENT, as: { session }, method, params })
  await t.rejects(call(bob.session, 'user.list'), { code: 'forbidden' })
  t.match(await call(ann.session, 'user.list'), { answer: { users: [{}, {}] } })
  t.match(await call(ann.session, 'user.disable', { address: 'bob@a.test' }), { answer: { enabled: false } })
  await t.rejects(call(ann.session, 'user.delete', { address: 'ann@a.test' }), { code: 'forbidden' }, 'the last one')
  await t.rejects(call(ann.session, 'user.disable', { address: 'ann@a.test' }), { code: 'forbidden' })
  await t.rejects(call(ann.session, 'user.update', { address: 'ann@a.test', admin: false }), { code: 'forbidden' })
  h.pass(5 * 60_000 + 1)
  await t.rejects(call(ann.session, 'user.enable', { address: 'bob@a.test' }), { code: 'step-up-needed' })
  t.ok(await call(ann.session, 'user.list'), 'reading goes on')
  await h.call('user.update', { address: 'ann@a.test', admin: false })
  await t.rejects(call(ann.session, 'user.list'), { code: 'signed-out' }, 'H2: the role is gone, and the session')
})

t.test('an idempotency key: once, of two at once, for one request; a replay shows no secret', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const one = await caller(h, ['app-passwords:write', 'users:write'])
  const params = { user: 'ann@a.test', name: 'phone' }
  const first = await one.call('app-password.create', params, 'key-1')
  const made = first.answer as IssuedAppPassword
  t.match(made.password, /^[a-z ]+$/)
  const again = await one.call('app-password.create', params, 'key-1')
  t.match(again, { replayed: true, answer: { id: made.id, password: null } })
  await t.rejects(one.call('app-password.create', { ...params, name: 'other' }, 'key-1'), { code: 'invalid' })
  const results = await Promise.allSettled([1, 2, 3].map(() => one.call('app-password.create', params, 'key-2')))
  const fresh = results.filter((each) => each.status === 'fulfilled' && !each.value.replayed)
  t.equal(fresh.length, 1)
  t.equal((await h.call('app-password.list', { user: 'ann@a.test' })).length, 2)
  const other = await caller(h, ['app-passwords:write'])
  t.match(await other.call('app-password.create', params, 'key-1'), { replayed: false }, "another caller's key")
  await t.rejects(one.call('app-password.create', { user: 'nobody@a.test', name: 'x' }, 'key-3'), { code: 'not-found' })
  t.match(await one.call('app-password.create', params, 'key-3'), { replayed: false }, 'a failure leaves the key free')
  const invited = await one.call('user.invite', { address: 'ann@a.test' }, 'key-4')
  t.ok((invited.answer as IssuedInvitation).url)
  t.match(await one.call('user.invite', { address: 'ann@a.test' }, 'key-4'), { answer: { url: null }, replayed: true })
})

t.test(
  'a password in a request leaves no fast digest in the store; the key is for that password all the same',
  async (t) => {
    const h = await peopleHouse(t)
    const one = await caller(h, ['users:write'], 72 * 3600_000)
    const params = { address: 'ann@a.test', password: 'correct horse 7' }
    t.match(await one.call('user.add', params, 'key'), { replayed: false })
    const claim = { caller: `token:${one.id}`, key: 'key', request: '', answer: null, createdAt: h.time.at }
    const kept = await h.store.people.claimIdempotencyKey(claim)
    const digest = createHash('sha256')
      .update(JSON.stringify(['user.add', params]))
      .digest('base64url')
    t.notOk(kept?.request.includes(digest), 'nobody can try passwords at it')
    t.match(await one.call('user.add', params, 'key'), { replayed: true })
    await t.rejects(one.call('user.add', { ...params, password: 'battery staple 8' }, 'key'), { code: 'invalid' })
    await h.close()
    const later = await peopleHouse(t, {
      directory: h.directory,
      clock: () => new Date(h.time.at.getTime() + 3600_000),
    })
    const replay = { client: CLIENT, as: { bearer: one.bearer }, method: 'user.add', params, idempotencyKey: 'key' }
    t.match(await later.ask('admin.call', replay), { replayed: true }, 'and outlives a restart')
    await t.rejects(later.ask('admin.call', { ...replay, params: { ...params, admin: true } }), { code: 'forbidden' })
    await t.rejects(later.ask('admin.call', { ...replay, params: { ...params, name: 'x' } }), { code: 'invalid' })
  },
)

t.test('an idempotency key whose call nobody runs any more: the outcome is unknown, for a day', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const one = await caller(h, ['app-passwords:write'], 72 * 3600_000)
  const params = { user: 'ann@a.test', name: 'phone' }
  // As a call leaves it that was cut off: claimed, and never answered.
  const request = createHash('sha256')
    .update(JSON.stringify(['app-password.create', params]))
    .digest('base64url')
  const claim = { caller: `token:${one.id}`, request, answer: null }
  const startedAt = h.time.at
  await h.store.people.claimIdempotencyKey({ ...claim, key: 'before', createdAt: new Date(startedAt.getTime() - 1) })
  await h.store.people.claimIdempotencyKey({ ...claim, key: 'elsewhere', createdAt: startedAt })
  const ask = (key: string) => one.call('app-password.create', params, key)
  await t.rejects(
    ask('before'),
    { code: 'outcome-unknown', message: /another key/ },
    'claimed by a keeper before this one',
  )
  await t.rejects(ask('elsewhere'), { code: 'unavailable' }, 'another node may be at it')
  h.pass(120_000)
  await t.rejects(ask('elsewhere'), { code: 'outcome-unknown' }, 'but not for so long')
  t.equal((await h.call('app-password.list', { user: 'ann@a.test' })).length, 0)
  h.pass(24 * 3600_000)
  t.match(await ask('before'), { replayed: false })
})

t.test('an idempotency key is free again after a day', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const one = await caller(h, ['app-passwords:write'], 72 * 3600_000)
  const params = { user: 'ann@a.test', name: 'phone' }
  await one.call('app-password.create', params, 'key')
  h.pass(24 * 3600_000)
  t.match(await one.call('app-password.create', params, 'key'), { replayed: false })
})
