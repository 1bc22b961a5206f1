import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Config } from '../../src/config.ts'
import type { LoginAttempt } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { ServiceAnswer } from '../../src/contract/services.ts'
import type { DevicePolicy } from '../../src/keeper/devices.ts'
import { createDevices } from '../../src/keeper/devices.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { attempt, edge, house } from './house.ts'

/** The upstream of every house, with ActiveSync. */
function withEas(config: Config): Config {
  const { main } = config.upstreams
  if (main === undefined) throw new Error('no upstream')
  const eas = { url: 'https://mail.internal/SOGo', ca: null, serverName: null, identity: null }
  return { ...config, upstreams: { main: { ...main, eas } } }
}

function visit(password: string, id: string, more: Partial<LoginAttempt> = {}): LoginAttempt {
  return {
    ...attempt('ann@a.test', password, { protocol: 'eas' }),
    device: { id, type: 'iPhone', protocolVersion: '14.1' },
    ...more,
  }
}

async function setUp(t: Parameters<typeof house>[0], eas = '', more: Parameters<typeof house>[1] = {}) {
  const h = await house(t, { yaml: eas === '' ? '' : `eas: { ${eas} }`, config: withEas, ...more })
  await h.addUser('ann@a.test')
  const phone = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  /** 'in', or why not. */
  async function result(login: LoginAttempt): Promise<string> {
    try {
      const grant = await e.admit(login)
      e.settle(grant, 'accepted')
      e.port.ended(grant.id, { reason: 'client-closed', netInBytes: 0, netOutBytes: 0, durationMs: 1 })
      return 'in'
    } catch (error) {
      if (error instanceof LoginFailure) return `${error.reason}: ${error.message}`
      throw error
    }
  }
  const list = async () => (await h.call('device.list', { user: 'ann@a.test' })).devices
  return { h, e, phone, result, list }
}

t.test('M6: devices are seen, with the first and the last time; what has no device leaves none', async (t) => {
  let now = new Date('2026-01-01T00:00:00Z')
  const { h, phone, result, list } = await setUp(t, '', { clock: () => now })
  t.equal(await result(attempt('ann@a.test', phone.password)), 'in', 'IMAP')
  t.strictSame(await list(), [])
  t.equal(await result(visit(phone.password, 'appl1')), 'in')
  now = new Date('2026-01-02T00:00:00Z')
  t.equal(await result(visit(phone.password, 'appl1', { agent: 'Apple-iPhone/2' })), 'in')
  t.match(await list(), [
    {
      id: 'appl1',
      user: 'ann@a.test',
      type: 'iPhone',
      agent: 'Apple-iPhone/2',
      protocolVersion: '14.1',
      state: 'allowed',
      firstSeenAt: '2026-01-01T00:00:00.000Z',
      lastSeenAt: '2026-01-02T00:00:00.000Z',
      lastIp: '192.0.2.1',
    },
  ])
  await h.close()
  const again = await house(t, { directory: h.directory, config: withEas })
  const { devices } = await again.call('device.list', { user: 'ann@a.test' })
  t.match(devices, [{ id: 'appl1', lastSeenAt: '2026-01-02T00:00:00.000Z' }], 'it was written')
  await again.call('user.delete', { address: 'ann@a.test' })
  t.equal((await again.store.devices.of('x')).length, 0)
})

t.test('M6: all devices that wait, whoever they are of, page by page', async (t) => {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const clock = () => {
    now += 1000
    return new Date(now)
  }
  const { h, phone, result } = await setUp(t, 'quarantine: true', { clock })
  await h.addUser('bob@a.test')
  const other = await h.issue('bob@a.test')
  for (const n of [1, 2, 3]) {
    await result(visit(phone.password, `ann${n}`))
    await result({ ...visit(other.password, `bob${n}`), ...attempt('bob@a.test', other.password, { protocol: 'eas' }) })
  }
  await h.call('device.allow', { user: 'ann@a.test', id: 'ann1' })
  await h.call('device.block', { user: 'bob@a.test', id: 'bob2' })
  const all = async (request: { readonly state?: 'waiting' | 'allowed' | 'blocked' }, limit: number) => {
    const found: string[] = []
    let after: string | null = null
    do {
      const page: ServiceAnswer<'device.list'> = await h.call('device.list', { ...request, after, limit })
      t.ok(page.devices.length <= limit)
      found.push(...page.devices.map(({ user, id }) => `${user} ${id}`))
      after = page.next
    } while (after !== null)
    return found
  }
  for (const limit of [1, 2, 4, 200]) {
    t.strictSame(
      await all({ state: 'waiting' }, limit),
      ['bob@a.test bob1', 'ann@a.test ann2', 'ann@a.test ann3', 'bob@a.test bob3'],
      `by ${limit}`,
    )
  }
  t.strictSame(await all({ state: 'blocked' }, 1), ['bob@a.test bob2'])
  t.equal((await all({}, 2)).length, 6)
  t.match(await h.call('device.list', { user: 'ann@a.test', state: 'waiting' }), {
    devices: [{ id: 'ann2' }, { id: 'ann3' }],
    next: null,
  })
  for (const after of ['x', '1 2', 'a b c', '-1 b c', '1 b c d', `${'9'.repeat(16)} b c`]) {
    await t.rejects(h.call('device.list', { after }), { code: 'invalid', message: /no page/ }, after)
  }
  t.strictSame(
    (await h.call('device.list', { after: '999999999999999 b c' })).devices,
    [],
    'no date is no fault of ours',
  )
})

t.test('a page of devices fits a frame, however long their words are', async (t) => {
  const { h } = await setUp(t)
  const users = await h.store.listUsers({ after: null, limit: 1 })
  const at = new Date('2026-01-01T00:00:00Z')
  const long = 'x'.repeat(400)
  await h.store.transaction(async (tx) => {
    for (let n = 0; n < 200; n++) {
      await tx.devices.insert({
        userId: users[0]?.id ?? '',
        id: `device${n}`,
        type: long,
        agent: long,
        protocolVersion: null,
        state: 'waiting',
        blockedBy: null,
        appPasswords: [],
        firstSeen: at,
        lastSeen: at,
        lastIp: '',
      })
    }
  })
  const first = await h.call('device.list', { limit: 200 })
  t.ok(Buffer.byteLength(JSON.stringify(first)) < 64 * 1024)
  t.ok(first.devices.length > 20)
  const second = await h.call('device.list', { limit: 200, after: first.next })
  const seen = new Set([...first.devices, ...second.devices].map(({ id }) => id))
  t.equal(seen.size, first.devices.length + second.devices.length, 'and the next goes on where it was cut')
})

t.test('a grant says where ActiveSync is: Host, and the path in front', async (t) => {
  const { e, phone } = await setUp(t)
  const grant = await e.admit(visit(phone.password, 'appl1'))
  t.match(grant.upstream, {
    hosts: [{ host: 'mail.internal', port: 443 }],
    tls: 'implicit',
    http: { host: 'mail.internal', path: '/SOGo' },
  })
})

t.test('a request seen before costs no argon2 and waits for nothing', async (t) => {
  const { h, phone, result } = await setUp(t)
  await result(visit(phone.password, 'appl1'))
  const { argon2 } = await h.paths()
  for (let i = 0; i < 20; i++) t.equal(await result(visit(phone.password, 'appl1')), 'in')
  t.equal((await h.paths()).argon2, argon2)
})

t.test('block ends its sessions and keeps it out; another device goes on; allow and forget take it back', async (t) => {
  const { h, e, phone, result, list } = await setUp(t)
  const one = await e.admit(visit(phone.password, 'lost'))
  e.settle(one, 'accepted')
  const other = await e.admit(visit(phone.password, 'kept'))
  e.settle(other, 'accepted')
  const blocked = await h.call('device.block', { user: 'ann@a.test', id: 'LOST' })
  t.match(blocked, { device: { id: 'lost', state: 'blocked' }, sessionsEnded: 1, unanswered: [] })
  t.strictSame(e.told, [one.id], 'M2')
  t.match(await result(visit(phone.password, 'lost')), /^device-refused: .* blocked/)
  t.equal(await result(visit(phone.password, 'kept')), 'in')
  t.equal(await result(attempt('ann@a.test', phone.password)), 'in', 'the app password itself works')
  await h.call('device.allow', { user: 'ann@a.test', id: 'lost' })
  t.equal(await result(visit(phone.password, 'lost')), 'in')
  await h.call('device.forget', { user: 'ann@a.test', id: 'lost' })
  t.strictSame(
    (await list()).map(({ id }) => id),
    ['kept'],
  )
  for (const name of ['device.block', 'device.allow', 'device.forget'] as const) {
    await t.rejects(h.call(name, { user: 'ann@a.test', id: 'nobody' }), { code: 'not-found' })
  }
  const { entries } = await h.call('audit.list', {})
  const events = entries.map(({ event }) => event)
  for (const event of ['device_blocked', 'device_allowed', 'device_forgotten']) t.ok(events.includes(event), event)
})

t.test('a block that comes while a login is checked is not missed', async (t) => {
  const { h, e, phone, result } = await setUp(t)
  t.equal(await result(visit(phone.password, 'lost')), 'in')
  for (let i = 0; i < 50; i++) {
    await h.call('device.allow', { user: 'ann@a.test', id: 'lost' })
    const before = e.sessions.size
    const [login] = await Promise.allSettled([
      e.admit(visit(phone.password, 'lost')).then((grant) => e.sessions.has(grant.id) && e.settle(grant, 'accepted')),
      h.call('device.block', { user: 'ann@a.test', id: 'lost' }),
    ])
    await new Promise((resolve) => setTimeout(resolve, 2))
    t.equal(e.sessions.size, before, `no survivor (${login.status})`)
  }
})

t.test('quarantine: a new device waits until it is allowed; those known stay in', async (t) => {
  const { h, phone, result, list } = await setUp(t, 'quarantine: true')
  t.match(await result(visit(phone.password, 'new1')), /^device-refused: .* waits/)
  t.match(await list(), [{ id: 'new1', state: 'waiting' }])
  await h.call('device.allow', { user: 'ann@a.test', id: 'new1' })
  t.equal(await result(visit(phone.password, 'new1')), 'in')
})

t.test(
  'quarantine: with a primary password only whoever has the right one leaves a device, and hears that it waits',
  async (t) => {
    const { h, e, list } = await setUp(t, 'quarantine: true', {
      yaml: 'primaryPassword: until-enrolled\neas: { quarantine: true }',
    })
    const guess = await e.admit(visit('a guess', 'new1'))
    t.match(
      guess,
      { verifiedBy: 'upstream', deviceRefused: /waits/ },
      'invariant 6: the upstream is asked as for any device',
    )
    e.settle(guess, 'upstream-refused')
    t.strictSame(await list(), [])
    const right = await e.admit(visit('the right one', 'new1'))
    t.match(right, { deviceRefused: /waits/ })
    e.settle(right, 'accepted')
    e.port.ended(right.id, { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 1 })
    t.match(await list(), [{ id: 'new1', state: 'waiting' }], 'so that somebody can allow it')
    await h.call('device.allow', { user: 'ann@a.test', id: 'new1' })
    t.equal((await e.admit(visit('the right one', 'new1'))).deviceRefused, undefined)
  },
)

t.test('a fault of ours while a device is noted is a bug, and not a store that is away', async (t) => {
  let broken = false
  const { h, e } = await setUp(t, '', {
    yaml: 'primaryPassword: until-enrolled',
    wrapStore: (store) =>
      new Proxy(store, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (name === 'transaction' && broken) return () => Promise.reject(new TypeError('planted'))
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
  })
  const grant = await e.admit(visit('the right one', 'new1'))
  broken = true
  e.settle(grant, 'accepted')
  e.logout(grant)
  while (h.capture.lines.every(({ detail, stack }) => !String(detail ?? stack).includes('planted'))) await turn()
  t.equal(h.capture.log.bugs, 1)
  t.strictSame(h.capture.of('warning'), [])
  broken = false
})

t.test('bindAppPassword: from the first device and no other, until that is forgotten', async (t) => {
  const { h, phone, result } = await setUp(t, 'bindAppPassword: true')
  const tablet = await h.issue('ann@a.test', { name: 'tablet' })
  t.equal(await result(visit(phone.password, 'one')), 'in')
  t.match(await result(visit(phone.password, 'two')), /^device-refused: .* belongs/)
  t.equal(await result(visit(tablet.password, 'two')), 'in', 'another app password, another device')
  t.match(await result(visit(tablet.password, 'one')), /^device-refused/)
  await h.call('device.forget', { user: 'ann@a.test', id: 'one' })
  t.equal(await result(visit(phone.password, 'three')), 'in')
})

t.test('M2: a reload that binds app passwords ends what other devices have open, and says how much', async (t) => {
  const { h, e, phone } = await setUp(t)
  for (const id of ['first', 'second', 'second']) e.settle(await e.admit(visit(phone.password, id)), 'accepted')
  await h.keeper.reload({ ...h.config, eas: { ...h.config.eas, bindAppPassword: true } })
  t.equal(e.sessions.size, 1)
  t.match((await h.call('audit.list', { order: 'newest', limit: 1 })).entries, [
    { event: 'sessions_ended', actor: 'system', detail: { why: 'configuration', count: 2 } },
  ])
  await h.keeper.reload({ ...h.config, eas: { ...h.config.eas, bindAppPassword: true, quarantine: true } })
  t.equal(e.sessions.size, 1, 'who is in already was let in')
})

t.test('at most so many devices; a wrong secret is never a device', async (t) => {
  const { phone, result, list } = await setUp(t, 'devicesPerUser: 2')
  t.match(await result(visit('wrong-wrong-wrong-wr', 'guess')), /^bad-credentials/)
  t.equal(await result(visit(phone.password, 'a')), 'in')
  t.equal(await result(visit(phone.password, 'b')), 'in')
  t.match(await result(visit(phone.password, 'c')), /^device-refused: .* 2 devices/)
  t.equal(await result(visit(phone.password, 'a')), 'in')
  t.strictSame(
    (await list()).map(({ id }) => id),
    ['a', 'b'],
  )
})

t.test(
  'what decides who may come is in the store before anybody comes: a keeper that is killed forgets none of it',
  async (t) => {
    const { h, e, phone } = await setUp(t, 'bindAppPassword: true, devicesPerUser: 2')
    const tablet = await h.issue('ann@a.test', { name: 'tablet' })
    await e.admit(visit(phone.password, 'one'))
    await e.admit(visit(tablet.password, 'two'))
    const { id: userId } = await h.call('user.show', { address: 'ann@a.test' })
    t.match(await h.store.devices.of(userId), [
      { id: 'one', appPasswords: [phone.id] },
      { id: 'two', appPasswords: [tablet.id] },
    ])
  },
)

/** Two keepers over one store, as two nodes will have it: each with a memory of its own, and a bus that may fall silent. */
async function twoNodes(t: Parameters<typeof house>[0], policy: Partial<DevicePolicy> = {}) {
  const h = await house(t)
  const { id: userId } = await h.addUser('ann@a.test')
  const appPasswords = [await h.issue('ann@a.test'), await h.issue('ann@a.test', { name: 'tablet' })]
  const all = { quarantine: false, bindAppPassword: false, perUser: 20, ...policy }
  const bus = createLocalBus((error) => t.error(error))
  let alive = true
  const node = () =>
    createDevices({
      store: h.store,
      bus: { ...bus, alive: () => alive },
      policy: () => all,
      clock: () => new Date(),
      flushMs: 60_000,
      onError: (error) => t.error(error),
    })
  const nodes = [node(), node()] as const
  t.teardown(async () => {
    for (const each of nodes) await each[Symbol.asyncDispose]()
    await h.close()
  })
  for (const each of nodes) {
    bus.subscribe((event) => {
      if (event.kind === 'devices-changed' && alive) each.drop(event.userId)
    })
  }
  const comes = (at: 0 | 1, id: string, appPassword: 0 | 1 = 0) => {
    const device = { id, type: 'iPhone', protocolVersion: '14.1' }
    const appPasswordId = appPasswords[appPassword]?.id ?? ''
    return nodes[at].visit({ userId, appPasswordId, device, agent: null, ip: '192.0.2.1', isProven: true })
  }
  const set = (at: 0 | 1, id: string, state: 'allowed' | 'blocked') =>
    nodes[at].change(userId, (tx) => tx.devices.setState(userId, id, state, state === 'blocked' ? 'owner' : null))
  const silence = () => {
    alive = false
  }
  return { h, userId, nodes, comes, set, silence }
}

t.test('two keepers: at most so many devices in all, whoever counts', async (t) => {
  const { h, userId, comes } = await twoNodes(t, { perUser: 5 })
  await comes(0, 'd0')
  await comes(1, 'd0')
  const all = await Promise.all(Array.from({ length: 40 }, (_, i) => comes(i % 2 === 0 ? 0 : 1, `d${i}`)))
  t.equal(all.filter((why) => why === null).length, 5)
  t.match(all.at(-1), /5 devices, of at most 5/)
  t.equal((await h.store.devices.of(userId)).length, 5)
})

t.test('two keepers: an app password is of one device, whoever saw it first', async (t) => {
  const { comes } = await twoNodes(t, { bindAppPassword: true })
  await comes(0, 'known', 1)
  await comes(1, 'known', 1)
  const both = await Promise.all([comes(0, 'one'), comes(1, 'two')])
  t.equal(both.filter((why) => why === null).length, 1, 'of two at once one is first')
  const [first, other] = both[0] === null ? ['one', 'two'] : ['two', 'one']
  for (const at of [0, 1] as const) {
    t.equal(await comes(at, first), null)
    t.match(await comes(at, other), `belongs to the device ${first}`)
    t.match(await comes(at, 'known'), 'belongs', 'switching to a device that is known already')
  }
})

t.test(
  'two keepers: waiting, blocked and let in are the same everywhere; with a silent bus each asks the store',
  async (t) => {
    const { comes, set, silence } = await twoNodes(t, { quarantine: true })
    t.match(await comes(0, 'one'), 'waits')
    t.match(await comes(1, 'one'), 'waits')
    await set(0, 'one', 'allowed')
    t.equal(await comes(1, 'one'), null)
    t.equal(comes(1, 'one'), null, 'from memory')
    await set(0, 'one', 'blocked')
    t.match(await comes(1, 'one'), 'blocked')
    await set(0, 'one', 'allowed')
    t.equal(await comes(1, 'one'), null)
    silence()
    await set(0, 'one', 'blocked')
    t.match(await comes(1, 'one'), 'blocked')
  },
)

t.test('a device that was forgotten is not brought back by what was noted of it', async (t) => {
  const { h, userId, nodes, comes } = await twoNodes(t)
  await comes(0, 'one')
  await comes(1, 'one')
  await comes(1, 'one')
  await nodes[0].change(userId, (tx) => tx.devices.delete(userId, 'one'))
  await nodes[1].of(userId)
  t.strictSame(await h.store.devices.of(userId), [])
})

t.test('app passwords that are gone are no device’s own any more', async (t) => {
  const { h, phone, result } = await setUp(t, 'bindAppPassword: true')
  const { id: userId } = await h.call('user.show', { address: 'ann@a.test' })
  t.equal(await result(visit(phone.password, 'one')), 'in')
  await h.call('app-password.delete', { id: phone.id })
  const next = await h.issue('ann@a.test', { name: 'next' })
  t.equal(await result(visit(next.password, 'one')), 'in')
  t.strictSame(
    (await h.store.devices.of(userId)).map(({ appPasswords }) => appPasswords),
    [[next.id]],
  )
})

t.test('M2: a keeper that takes sessions over ends those of devices that are blocked already', async (t) => {
  const { h, e, phone } = await setUp(t)
  const grants = []
  for (const id of ['lost', 'kept']) grants.push(await e.admit(visit(phone.password, id)))
  const { id: userId } = await h.call('user.show', { address: 'ann@a.test' })
  // As if the keeper had died between the block and the end of the sessions.
  await h.store.devices.setState(userId, 'lost', 'blocked', 'owner')
  await h.close()
  const again = await house(t, { directory: h.directory, config: withEas })
  const port = again.keeper.gateHouse.attach({ end: () => {} })
  const sessions = grants.map(({ id, device }) => ({
    grantId: id,
    userId,
    logName: 'ann@a.test',
    appPassword: { id: phone.id, name: 'phone' },
    protocol: 'eas' as const,
    ...(device !== undefined && { device }),
    ip: '192.0.2.1',
    port: 1,
    startedAt: 0,
    settled: true,
  }))
  t.strictSame(await port.resume(sessions), [grants[0]?.id])
  port.close()
})
