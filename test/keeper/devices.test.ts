import t from 'tap'
import type { Config } from '../../src/config.ts'
import type { LoginAttempt } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import { attempt, edge, house } from './house.ts'

/** The upstream of every house, with ActiveSync. */
function withEas(config: Config): Config {
  const { main } = config.upstreams
  if (main === undefined) throw new Error('no upstream')
  const eas = { url: 'https://mail.internal/SOGo', ca: null, serverName: null }
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
