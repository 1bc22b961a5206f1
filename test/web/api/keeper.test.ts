import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { edge } from '../../keeper/house.ts'
import { noteSecret } from '../../support/secrets.ts'
import { keeperHouse } from './house.ts'

interface Made {
  readonly id: string
  readonly password: string | null
}
const problem = (name: string) => ({ json: { type: `urn:sallyport:problem:${name}` } })

t.test('users: from the first to the last verb', async (t) => {
  const { api } = await keeperHouse(t)
  const made = await api('POST', '/users', { address: 'Ann@A.test', name: 'Ann', groups: ['staff'] })
  t.match(made, { status: 201, json: { address: 'ann@a.test', admin: false, appPasswords: 0 } })
  const id = String(made.json.id)
  t.equal(made.headers.location, `/api/v1/users/${id}`)
  t.equal(made.headers['cache-control'], 'no-store')
  t.match(await api('POST', '/users', { address: 'ann@a.test' }), { status: 409, ...problem('exists') })
  for (const who of [id, 'ann@a.test', 'ANN%40a.test', 'ann']) {
    t.match(await api('GET', `/users/${who}`), { status: 200, json: { id, address: 'ann@a.test' } }, who)
  }
  t.match(await api('PATCH', `/users/${id}`, { name: null, groups: ['b', 'a'] }), {
    status: 200,
    json: { name: null, groups: ['a', 'b'], enabled: true },
  })
  t.match(await api('PATCH', `/users/${id}`, {}), { status: 200, json: { groups: ['a', 'b'] } }, 'nothing is nothing')
  t.match(await api('POST', `/users/${id}/set-password`, { password: 'short' }), { status: 422, ...problem('invalid') })
  t.match(await api('POST', `/users/${id}/set-password`, { password: 'correct horse battery' }), {
    status: 200,
    json: { hasPassword: true, sessionsEnded: 0 },
  })
  t.match(
    await api('POST', '/users/import', {
      users: [
        { line: 1, address: 'bob@a.test' },
        { line: 2, address: 'x@y' },
      ],
    }),
    {
      status: 200,
      json: { added: 1, unchanged: 0, refused: [{ line: 2 }] },
    },
  )
  t.match(await api('GET', '/users?q=bo'), { json: { items: [{ address: 'bob@a.test' }], next: null } })
  t.match(await api('DELETE', `/users/${id}`), { status: 200, json: { sessionsEnded: 0 } })
  for (const verb of ['GET', 'DELETE'] as const) {
    t.match(await api(verb, `/users/${id}`), { status: 404, ...problem('not-found') })
  }
})

t.test('R16, R24, R25: an app password is shown once, and its end ends its sessions', async (t) => {
  const h = await keeperHouse(t)
  const { api } = h
  await h.addUser('ann@a.test')
  const made = await api('POST', '/users/ann@a.test/app-passwords', { name: 'phone', protocols: ['imap'] })
  t.match(made, { status: 201, json: { user: 'ann@a.test', name: 'phone', protocols: ['imap'] } })
  const { id, password } = made.json as unknown as Made
  t.match(password, /^([a-z]{4} ){3}[a-z]{4}$/)
  t.equal(made.headers.location, `/api/v1/app-passwords/${id}`)
  const e = edge(h.keeper)
  await e.login('ann@a.test', password ?? '')
  t.match(await api('GET', '/sessions?user=ann@a.test'), { json: { items: [{ appPassword: { id } }], next: null } })
  const list = await api('GET', '/users/ann@a.test/app-passwords')
  t.match(list, { json: { items: [{ id, name: 'phone' }], next: null } })
  t.strictSame((await api('GET', `/app-passwords/${id}`)).json, (list.json.items as unknown[])[0])
  t.match(await api('GET', '/app-passwords/nothing'), { status: 404, ...problem('not-found') })
  t.notMatch(list.text, password ?? '')
  t.match(await api('PATCH', `/app-passwords/${id}`, { networks: ['10.0.0.0/8'] }), {
    status: 200,
    json: { id, networks: ['10.0.0.0/8'] },
  })
  t.match(await api('DELETE', `/app-passwords/${id}`), { status: 200, json: { deleted: [{ id }] } })
  t.match(await api('DELETE', `/app-passwords/${id}`), { status: 404, ...problem('not-found') })
  await api('POST', '/users/ann@a.test/app-passwords', { name: 'one' })
  const second = await api('POST', '/users/ann@a.test/app-passwords', { name: 'two' })
  await e.login('ann@a.test', String(second.json.password))
  const all = await api('DELETE', '/users/ann@a.test/app-passwords')
  t.match(all, { status: 200, json: { sessionsEnded: 1 } })
  t.equal((all.json.deleted as unknown[]).length, 2)
  t.match(await api('DELETE', '/app-passwords?unusedForMs=1'), { status: 200, json: { deleted: [] } })
})

t.test('sessions: one, and all of a user', async (t) => {
  const h = await keeperHouse(t)
  const e = edge(h.keeper)
  for (const user of ['ann@a.test', 'bob@a.test']) {
    await h.addUser(user)
    const { password } = await h.issue(user)
    for (let i = 0; i < 3; i++) await e.login(user, password)
  }
  const page = await h.api('GET', '/sessions?limit=4')
  t.equal((page.json.items as unknown[]).length, 4)
  t.match(page.headers.link, /^<\/api\/v1\/sessions\?limit=4&cursor=[\w-]+>; rel="next"$/)
  const [first] = page.json.items as readonly { readonly id: string }[]
  t.match(await h.api('DELETE', `/sessions/${first?.id}`), { status: 200, json: { sessionsEnded: 1 } })
  t.match(await h.api('DELETE', `/sessions/${first?.id}`), { status: 404, ...problem('not-found') })
  t.match(await h.api('DELETE', '/sessions?user=bob@a.test'), { status: 200 })
  t.match(await h.api('GET', '/sessions?user=bob@a.test'), { json: { items: [] } })
  t.match(await h.api('DELETE', '/sessions?user=carl@a.test'), { status: 404 })
})

t.test('policies: for a group, for a user, for everybody', async (t) => {
  const { api, addUser } = await keeperHouse(t)
  await addUser('ann@a.test', ['staff'])
  t.match(await api('PUT', '/policies/groups/staff', { appPasswords: 'forbidden' }), {
    status: 200,
    json: { scope: 'group', subject: 'staff', appPasswords: 'forbidden', changed: true },
  })
  t.match(await api('GET', '/users/ann@a.test/policy'), {
    json: { appPasswords: 'forbidden', decidedBy: { scope: 'group', subject: 'staff' } },
  })
  t.match(await api('POST', '/users/ann@a.test/app-passwords', { name: 'x' }), { status: 403, ...problem('forbidden') })
  t.match(await api('PUT', '/policies/users/ann@a.test', { appPasswords: 'allowed' }), { status: 200 })
  t.match(await api('POST', '/users/ann@a.test/app-passwords', { name: 'x' }), { status: 201 })
  t.match(await api('PUT', '/policies/all', { appPasswords: 'forbidden' }), { status: 200 })
  const list = await api('GET', '/policies')
  t.strictSame(
    (list.json.items as readonly { scope: string }[]).map(({ scope }) => scope),
    ['all', 'group', 'user'],
  )
  t.match(await api('PUT', '/policies/users/bob@a.test', { appPasswords: 'default' }), { status: 404 })
})

t.test('devices: listed, kept out, let in, forgotten; of their own user only', async (t) => {
  const h = await keeperHouse(t)
  const { id: userId } = await h.addUser('ann@a.test')
  await h.addUser('bob@a.test')
  const at = new Date()
  const device = { type: 'iPhone', agent: null, protocolVersion: '14.1', appPasswords: [], lastIp: '192.0.2.7' }
  const allowed = { state: 'allowed', blockedBy: null } as const
  const times = { firstSeen: at, lastSeen: at }
  await h.store.transaction((tx) => tx.devices.insert({ userId, id: 'appl1', ...allowed, ...device, ...times }))
  t.match(await h.api('GET', '/users/ann@a.test/devices'), {
    status: 200,
    json: { items: [{ id: 'appl1', user: 'ann@a.test', state: 'allowed' }], next: null },
  })
  const { id: bob } = (await h.store.userByAddress('bob@a.test')) ?? { id: '' }
  const waiting = {
    ...device,
    state: 'waiting',
    blockedBy: null,
    firstSeen: new Date(at.getTime() + 1),
    lastSeen: at,
  } as const
  await h.store.transaction((tx) => tx.devices.insert({ userId: bob, id: 'appl2', ...waiting }))
  const page = await h.api('GET', '/devices?limit=1')
  t.match(page, { status: 200, json: { items: [{ id: 'appl1', user: 'ann@a.test' }] } }, 'those of all users')
  t.match(await h.api('GET', `/devices?limit=1&cursor=${page.json.next}`), {
    json: { items: [{ id: 'appl2', user: 'bob@a.test', state: 'waiting' }], next: null },
  })
  const listed = async (path: string) => (await h.api('GET', path)).json.items
  t.match(await listed('/devices?state=waiting'), [{ id: 'appl2' }])
  t.strictSame(await listed('/devices?state=blocked'), [])
  t.strictSame(await listed('/users/ann@a.test/devices?state=waiting'), [])
  t.match(await h.api('GET', '/devices?state=lost'), { status: 422 })
  t.match(await h.api('GET', '/devices?cursor=eHg'), { status: 422 }, 'a cursor of another list')
  t.match(await h.api('POST', '/users/ann@a.test/devices/appl1/block'), {
    status: 200,
    json: { device: { state: 'blocked' }, sessionsEnded: 0 },
  })
  t.match(await h.api('POST', `/users/${userId}/devices/appl1/allow`), { json: { device: { state: 'allowed' } } })
  for (const [verb, path] of [
    ['POST', '/users/bob@a.test/devices/appl1/block'],
    ['POST', '/users/ann@a.test/devices/other/allow'],
    ['DELETE', '/users/bob@a.test/devices/appl1'],
  ] as const) {
    t.match(await h.api(verb, path), { status: 404, ...problem('not-found') }, `H7: ${verb} ${path}`)
  }
  t.match(await h.api('DELETE', '/users/ann@a.test/devices/appl1'), { status: 200, json: { id: 'appl1' } })
  t.match(await h.api('GET', '/users/ann@a.test/devices'), { json: { items: [] } })
})

t.test('throttle: who is slowed down, and letting them go', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  const e = edge(h.keeper)
  for (const user of ['ann@a.test', 'bob@a.test']) await e.login(user, 'wrongwrongwrong!').catch(() => null)
  const list = await h.api('GET', '/throttle')
  t.match(list, { status: 200, json: { next: null } })
  t.ok(Number(list.json.total) >= 4)
  t.match((await h.api('GET', '/throttle?user=ann@a.test&limit=1')).json.items, [{ user: 'ann@a.test', failures: 1 }])
  t.match(await h.api('DELETE', '/throttle'), { status: 422 }, 'nobody is forgotten by leaving something out')
  t.match(await h.api('DELETE', '/throttle?address=nonsense'), { status: 422, ...problem('invalid') })
  const cleared = await h.api('DELETE', '/throttle?user=ann@a.test')
  t.ok(Number(cleared.json.cleared) >= 1)
  t.match((await h.api('GET', '/throttle?user=ann@a.test')).json.items, [])
})

t.test('the audit trail: page by page, of one user, and who did it', async (t) => {
  const { api, tokenWith, caller } = await keeperHouse(t)
  for (const name of ['ann', 'bob']) await api('POST', '/users', { address: `${name}@a.test` })
  const seen: { seq: number; event: string; actor: string }[] = []
  for (let path: string | null = '/audit?limit=2'; path !== null; ) {
    const page = await api('GET', path)
    seen.push(...(page.json.items as typeof seen))
    path = page.json.next === null ? null : `/audit?limit=2&cursor=${String(page.json.next)}`
  }
  t.strictSame(
    seen.map(({ seq }) => seq),
    seen.map((_, i) => i + 1),
    'each once, in order',
  )
  const added = seen.filter(({ event }) => event === 'user_added')
  t.equal(added.length, 2)
  t.ok(
    added.every(({ actor }) => /^token:/.test(actor)),
    'H8: the token is named',
  )
  const own = await api('GET', '/audit?user=bob@a.test')
  t.match(own.json.items, [{ event: 'user_added', user: 'bob@a.test' }])
  const back: number[] = []
  for (let path: string | null = '/audit?order=newest&limit=2'; path !== null; ) {
    const page = await api('GET', path)
    back.push(...(page.json.items as typeof seen).map(({ seq }) => seq))
    path = page.json.next === null ? null : `/audit?order=newest&limit=2&cursor=${String(page.json.next)}`
  }
  t.strictSame(back, seen.map(({ seq }) => seq).toReversed(), 'the newest first')
  t.match(await api('GET', '/audit?order=random'), { status: 422, ...problem('invalid') })

  const { id } = (await api('GET', '/users/bob@a.test')).json
  await api('DELETE', '/users/bob@a.test')
  const gone = { status: 200, json: { items: [{ event: 'user_deleted' }, { event: 'user_added' }] } }
  t.match(await api('GET', '/audit?user=Bob@A.test&order=newest'), gone, 'of somebody who was deleted, by address')
  t.match(await api('GET', `/audit?user=${String(id)}&order=newest`), gone, 'and by id')
  t.match(await api('GET', '/audit?user=nobody@a.test'), { status: 404 })
  t.match(await api('GET', '/audit?since=2999-01-01T00:00:00Z'), { json: { items: [], next: null } })
  const reader = caller(await tokenWith(['audit:read']))
  t.match(await reader('GET', '/audit'), { status: 200 })
  t.match(await reader('GET', '/users'), { status: 403 })
})

t.test('H8: a token opens what its scopes say, until it is over or deleted', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  const reader = h.caller(await h.tokenWith(['users:read']))
  t.match(await reader('GET', '/users'), { status: 200 })
  for (const [verb, path, body] of [
    ['POST', '/users', { address: 'eve@a.test' }],
    ['PATCH', '/users/ann@a.test', { admin: true }],
    ['DELETE', '/users/ann@a.test', undefined],
    ['GET', '/users/ann@a.test/app-passwords', undefined],
    ['GET', '/sessions', undefined],
    ['GET', '/audit', undefined],
    ['GET', '/tokens', undefined],
    ['DELETE', '/users/nobody@a.test', undefined],
  ] as const) {
    const answer = await reader(verb, path, body)
    t.match(answer, { status: 403, ...problem('forbidden') }, `${verb} ${path}`)
    t.match(answer.headers['www-authenticate'], /error="insufficient_scope"/)
  }
  t.match(await h.api('GET', '/users/ann@a.test'), { json: { admin: false } })

  const short = h.caller(await h.tokenWith(['users:read'], { expiresInMs: 1 }))
  await new Promise((resolve) => setTimeout(resolve, 5))
  const over = await short('GET', '/users')
  t.match(over, { status: 401, json: { type: 'urn:sallyport:problem:unauthorised', detail: /ran out at 20/ } })
  t.match(over.headers['www-authenticate'], /error="invalid_token"/)

  const { id, token } = await h.call('token.create', { name: 'x', scopes: ['users:read'] })
  const deleted = h.caller(token)
  t.match(await deleted('GET', '/users'), { status: 200 })
  await h.call('token.delete', { id })
  t.match(await deleted('GET', '/users'), { status: 401 })
})

t.test('tokens: made, listed, used, deleted; shown once', async (t) => {
  const h = await keeperHouse(t)
  const ask = { name: 'backup job', scopes: ['audit:read'], expiresInMs: 60_000 }
  const made = await h.api('POST', '/tokens', ask, { 'idempotency-key': 'k' })
  t.match(made, { status: 201, json: { name: 'backup job', scopes: ['audit:read'], lastUsedAt: null } })
  const token = noteSecret(String(made.json.token))
  t.match((await h.api('POST', '/tokens', ask, { 'idempotency-key': 'k' })).json, { id: made.json.id, token: null })
  t.match(await h.caller(token)('GET', '/audit'), { status: 200 })
  const list = await h.api('GET', '/tokens')
  const [first] = list.json.items as readonly { readonly id: string }[]
  t.equal(first?.id, made.json.id)
  t.strictSame((await h.api('GET', `/tokens/${first?.id}`)).json, first)
  t.match(await h.api('GET', '/tokens/nothing'), { status: 404, ...problem('not-found') })
  t.notMatch(list.text, token)
  t.notMatch((await h.api('GET', '/audit')).text, token)
  t.match(await h.api('DELETE', `/tokens/${String(made.json.id)}`), { status: 200, json: { name: 'backup job' } })
  t.match(await h.api('DELETE', `/tokens/${String(made.json.id)}`), { status: 404 })
  t.match(await h.caller(token)('GET', '/audit'), { status: 401 })
  for (const body of [
    { ...ask, scopes: [] },
    { ...ask, scopes: ['everything'] },
    { ...ask, expiresInMs: 0 },
    { ...ask, expiresInMs: 400 * 24 * 60 * 60_000 },
    { ...ask, name: '' },
    { ...ask, createdBy: 'cli:root' },
  ])
    t.match(await h.api('POST', '/tokens', body), { status: 422, ...problem('invalid') }, JSON.stringify(body))
})

t.test('H8: a token can’t make itself more than it is', async (t) => {
  const h = await keeperHouse(t)
  await h.call('user.add', { address: 'root@a.test', admin: true })
  await h.addUser('ann@a.test')
  const maker = h.caller(await h.tokenWith(['tokens:write', 'users:read']))
  t.match(await maker('POST', '/tokens', { name: 'more', scopes: ['users:read', 'users:write'] }), {
    status: 403,
    ...problem('forbidden'),
  })
  t.match(await maker('POST', '/tokens', { name: 'as much', scopes: ['users:read'] }), { status: 201 })

  const clerk = h.caller(await h.tokenWith(['users:write']))
  for (const [verb, path, body] of [
    ['POST', '/users', { address: 'eve@a.test', admin: true }],
    ['PATCH', '/users/ann@a.test', { admin: true }],
    ['PATCH', '/users/root@a.test', { name: 'x' }],
    ['PATCH', '/users/ROOT', { enabled: false }],
    ['DELETE', '/users/root@a.test', undefined],
    ['POST', '/users/root@a.test/set-password', { password: 'correct horse battery' }],
    ['POST', '/users/root@a.test/reset-two-step', {}],
    ['POST', '/users/root@a.test/invite', {}],
  ] as const) {
    const answer = await clerk(verb, path, body)
    t.match(answer, { status: 403, json: { detail: /administrators:write/ } }, `${verb} ${path}`)
  }
  const { id } = await h.call('user.show', { address: 'root@a.test' })
  t.match(await clerk('PATCH', `/users/${id}`, { admin: false }), { status: 403 }, 'nor by id')
  t.match(await clerk('PATCH', '/users/ann@a.test', { name: 'Ann' }), { status: 200 }, 'others it may change')
  t.match(await clerk('DELETE', '/users/nobody@a.test'), { status: 404 })
  const more = h.caller(await h.tokenWith(['users:write', 'administrators:write']))
  t.match(await more('PATCH', '/users/ann@a.test', { admin: true }), { status: 200, json: { admin: true } })
})

t.test('invitations and a reset: the link once', async (t) => {
  const h = await keeperHouse(t, { yaml: 'portal: { url: https://mail.a.test }' })
  await h.addUser('ann@a.test')
  const key = { 'idempotency-key': 'i' }
  const invited = await h.api('POST', '/users/ann@a.test/invite', {}, key)
  t.match(invited, { status: 201, json: { user: 'ann@a.test', mailed: false, url: /^https:\/\/mail\.a\.test\// } })
  t.match(await h.api('POST', '/users/ann@a.test/invite', {}, key), { status: 201, json: { url: null } })
  t.match(await h.api('POST', '/users/ann@a.test/reset-two-step', {}), { status: 200, json: { methodsDeleted: 0 } })
  t.match(await h.api('GET', '/users/ann@a.test'), { json: { methods: [], recoveryCodes: null } })
})

t.test('wrong tokens are slowed down, and a right one is not', async (t) => {
  const h = await keeperHouse(t, { throttleDelaysMs: [60_000] })
  const wrong = (i: number) => h.caller(`sallyport_${String(i).padStart(40, 'x')}`)('GET', '/users')
  t.match(await wrong(1), { status: 401 })
  const second = await wrong(2)
  t.match(second, { status: 429, ...problem('throttled') })
  t.equal(second.headers['retry-after'], '15')
  const at = performance.now()
  for (let i = 3; i < 50; i++) t.equal((await wrong(i)).status, 429)
  t.ok(performance.now() - at < 30_000, 'nobody is kept waiting on a connection')
  t.match(await h.api('GET', '/users'), { status: 200 }, 'from the same address')
  const refused = h.capture.of('sign_in_refused')
  t.match(refused[0], { remote_ip: '192.0.2.1', reason: 'bad-credentials' })
  t.notMatch(JSON.stringify(h.capture.lines), 'xxxxxxxxx', 'wrong or right, no token is logged')
})

t.test('R33: an app password is no token, and neither is anything like one', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  const { password, id } = await h.issue('ann@a.test', {})
  const last = h.token.at(-1) === 'A' ? 'B' : 'A'
  for (const [token, why] of [
    [password.replaceAll(' ', ''), 'an app password'],
    [id, 'the id of one'],
    [`${h.token.slice(0, -1)}${last}`, 'one character off'],
    [h.token.slice(0, -1), 'the beginning of one'],
    [`${h.token}A`, 'more than one'],
    [h.token.toUpperCase(), 'another case'],
  ] as const) {
    t.match(await h.caller(token)('GET', '/users'), { status: 401, ...problem('unauthorised') }, why)
  }
  t.match(await h.api('GET', '/users'), { status: 200 }, 'the right one all the while')
})

t.test('H8: what the store holds of a token is no token', async (t) => {
  const h = await keeperHouse(t)
  await h.close()
  const bytes = readFileSync(join(h.directory, 'sallyport.db'))
  t.ok(bytes.includes('user_words'), 'it is the store that was read')
  t.notOk(bytes.includes(h.token.slice(10, 30)))
})

t.test('an Idempotency-Key: one thing, one id, the password once', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  const create = (key: string, name = 'phone', api = h.api) =>
    api('POST', '/users/ann@a.test/app-passwords', { name }, { 'idempotency-key': key })
  const first = await create('k1')
  t.match(first, { status: 201 })
  t.type(first.json.password, 'string')
  t.notOk('idempotent-replayed' in first.headers)
  const again = await create('k1')
  t.match(again, { status: 201, json: { id: first.json.id, password: null, name: 'phone' } })
  t.equal(again.headers['idempotent-replayed'], 'true')
  t.equal(again.headers.location, first.headers.location)
  t.match(await create('k1', 'tablet'), { status: 422, ...problem('invalid') }, 'another request with the same key')
  const other = h.caller(await h.tokenWith(['app-passwords:write']))
  const theirs = await create('k1', 'phone', other)
  t.not(theirs.json.id, first.json.id, 'keys are of the token that uses them')

  t.match(await create('k2', ''), { status: 422 })
  t.match(await create('k2', 'fixed'), { status: 201 }, 'what failed used no key up')
  const list = await h.api('GET', '/users/ann@a.test/app-passwords')
  t.equal((list.json.items as unknown[]).length, 3)
})

t.test('two requests at once with one Idempotency-Key make one', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        h.api('POST', '/users/ann@a.test/app-passwords', { name: 'phone' }, { 'idempotency-key': `round-${round}` }),
      ),
    )
    const made = answers.filter(({ status }) => status === 201)
    t.equal(new Set(made.map(({ json }) => json.id)).size, 1)
    t.equal(made.filter(({ json }) => json.password !== null).length, 1, 'the password once')
    t.ok(
      answers.every(({ status }) => status === 201 || status === 503),
      'the others: the same, or to be asked again',
    )
  }
  const list = await h.api('GET', '/users/ann@a.test/app-passwords')
  t.equal((list.json.items as unknown[]).length, 10)
})

t.test('R8: creates at once never pass the cap', async (t) => {
  const h = await keeperHouse(t, { yaml: 'appPasswords: { perUser: 5 }' })
  await h.addUser('ann@a.test')
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => h.api('POST', '/users/ann@a.test/app-passwords', { name: `d${i}` })),
  )
  t.equal(answers.filter(({ status }) => status === 201).length, 5)
  const refused = answers.filter(({ status }) => status !== 201)
  t.equal(refused.length, 15)
  for (const answer of refused) t.match(answer, { status: 409, ...problem('cap-reached') })
  t.match(refused[0]?.json.detail, /delete one first; unused for longest: "d/, 'R9: and which could go')
})

t.test('H7: a listing page by page, and cursors that nobody gave out', async (t) => {
  const h = await keeperHouse(t)
  const users = Array.from({ length: 130 }, (_, i) => ({ line: i, address: `u${String(i).padStart(3, '0')}@a.test` }))
  await h.api('POST', '/users/import', { users })
  const seen: string[] = []
  let pages = 0
  for (let url: string | undefined = '/users?limit=50'; url !== undefined; pages++) {
    const page = await h.api('GET', url)
    seen.push(...(page.json.items as readonly { address: string }[]).map(({ address }) => address))
    url = page.headers.link?.match(/^<\/api\/v1(\/[^>]+)>; rel="next"$/)?.[1]
    t.equal(page.json.next === null, url === undefined, 'the header and the body agree')
  }
  t.strictSame(
    seen,
    users.map(({ address }) => address),
  )
  t.ok(pages >= 3)
  for (const text of ['', "'; drop table users; --", '\u0000', '\uffff', 'zzz', '{"after":1}']) {
    const cursor = Buffer.from(text).toString('base64url') || 'AA'
    t.match(await h.api('GET', `/users?cursor=${cursor}`), { status: 200 }, JSON.stringify(text))
  }
  t.match(await h.api('GET', '/users'), { json: { items: { length: 100 } } })
})

t.test('H6: names are text, whatever they look like', async (t) => {
  const h = await keeperHouse(t)
  await h.addUser('ann@a.test')
  for (const name of [
    '=HYPERLINK("http://evil.test")',
    '","admin":true,"x":"',
    '</script><script>alert(1)</script>',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '{{7*7}} #{7*7}',
    '\\u0022\\n',
    '📱 téléphone',
  ]) {
    const made = await h.api('POST', '/users/ann@a.test/app-passwords', { name })
    t.equal(made.json.name, name)
    t.equal(made.headers['content-type'], 'application/json; charset=utf-8')
    t.equal(made.headers['x-content-type-options'], 'nosniff')
    t.match(await h.api('PATCH', '/users/ann@a.test', { name }), { json: { name, admin: false } })
  }
  for (const name of ['a\nb', 'a\u0000b', 'a\u202eb', 'x'.repeat(65), '', ' ']) {
    const answer = await h.api('POST', '/users/ann@a.test/app-passwords', { name })
    t.match(answer, { status: 422, ...problem('invalid') }, JSON.stringify(name))
  }
  t.match(await h.api('POST', '/users', { address: 'a*b@a.test' }), { status: 422 }, 'C1: a separator')
  t.match(await h.api('GET', '/users/..'), { status: 404 })
})

t.test('H8: the last administrator can’t be taken away by the API', async (t) => {
  const { api } = await keeperHouse(t)
  await api('POST', '/users', { address: 'root@a.test', admin: true })
  for (const [verb, body] of [
    ['PATCH', { admin: false }],
    ['PATCH', { enabled: false }],
    ['DELETE', undefined],
  ] as const) {
    t.match(await api(verb, '/users/root@a.test', body), { status: 403, ...problem('forbidden') })
  }
  t.match(await api('GET', '/users/root@a.test'), { json: { admin: true, enabled: true } })
})

t.test('nothing but the listed services can be asked for', async (t) => {
  const h = await keeperHouse(t)
  const client = { ip: '192.0.2.1', agent: null, language: 'en' } as const
  for (const method of [
    'backup',
    'check.identity',
    'keys.status',
    'secret.set',
    'health',
    'constructor',
    '__proto__',
  ]) {
    const call = { client, as: { bearer: h.token }, method, params: {}, idempotencyKey: null }
    await t.rejects(h.keeper.portal['admin.call'](call), { name: 'ServiceError', code: 'not-found' }, method)
  }
})

t.test('invariant 11, I-4: a store that is away reads as temporary, and its words stay inside', async (t) => {
  const h = await keeperHouse(t)
  await h.close()
  const answer = await h.api('GET', '/users')
  t.match(answer, { status: 503, ...problem('unavailable') })
  t.equal(answer.headers['retry-after'], '2')
  t.notMatch(answer.text, /store|sql|db/i)
})
