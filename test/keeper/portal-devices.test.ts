/** People's own devices of ActiveSync at the keeper (M6): whose they are (threats H7), what takes a fresh factor (H9). */

import type { Test } from 'tap'
import t from 'tap'
import type { LoginAttempt } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import { attempt, edge } from './house.ts'
import { CLIENT, enrol, invitationFor, peopleHouse } from './people.ts'

const STEP_UP_MS = 5 * 60_000 + 1

async function setUp(t: Test, eas = '') {
  const h = await peopleHouse(t, {
    yaml: eas === '' ? '' : `eas: { ${eas} }`,
    config: (config) => {
      const { main } = config.upstreams
      if (main === undefined) throw new Error('no upstream')
      const http = { url: 'https://mail.internal', ca: null, serverName: null, identity: null }
      return { ...config, upstreams: { main: { ...main, eas: http } } }
    },
  })
  const ann = await enrol(h, 'ann@a.test')
  const bob = await enrol(h, 'bob@a.test')
  const e = edge(h.keeper)
  async function phone(user: string, id: string) {
    const { password } = await h.issue(user, { name: id.slice(0, 64) })
    const device = { id, type: 'iPhone', protocolVersion: '14.1' }
    const login: LoginAttempt = { ...attempt(user, password, { protocol: 'eas' }), device }
    return {
      /** An open session. */
      async comes() {
        const grant = await e.admit(login)
        e.settle(grant, 'accepted')
        return grant
      },
      /** Whether it is kept out for what it is. */
      async isRefused() {
        try {
          const grant = await e.admit(login)
          e.settle(grant, 'accepted')
          return false
        } catch (error) {
          if (error instanceof LoginFailure && error.reason === 'device-refused') return true
          throw error
        }
      },
    }
  }
  const states = async (session: string) =>
    (await h.ask('device.list', { session })).devices.map(({ id, state }) => `${id} ${state}`)
  return { h, e, ann, bob, phone, states }
}

t.test('M6, M2: the owner sees a device, blocks it, and lets it in again', async (t) => {
  const { h, e, ann, phone } = await setUp(t)
  const { session } = ann
  t.strictSame(await h.ask('device.list', { session }), { devices: [], mayAllow: true })
  const lost = await phone('ann@a.test', 'lost')
  const grant = await lost.comes()
  t.match(await h.ask('device.list', { session }), {
    devices: [{ id: 'lost', user: 'ann@a.test', type: 'iPhone', state: 'allowed', lastIp: '192.0.2.1' }],
  })
  t.match(await h.ask('device.block', { client: CLIENT, session, id: 'LOST' }), {
    device: { id: 'lost', state: 'blocked' },
    sessionsEnded: 1,
    unanswered: [],
  })
  t.strictSame(e.told, [grant.id])
  t.ok(await lost.isRefused())
  t.match(await h.ask('device.allow', { client: CLIENT, session, id: 'lost' }), { device: { state: 'allowed' } })
  t.notOk(await lost.isRefused())
  t.equal(await h.ask('device.forget', { client: CLIENT, session, id: 'lost' }), null)
  t.match(await h.ask('device.list', { session }), { devices: [] })

  const { id } = await h.call('user.show', { address: 'ann@a.test' })
  const { entries } = await h.call('audit.list', { user: 'ann@a.test' })
  t.match(
    entries.filter(({ event }) => event.startsWith('device_')),
    ['device_blocked', 'device_allowed', 'device_forgotten'].map((event) => ({
      event,
      actor: `user:${id}`,
      user: 'ann@a.test',
      detail: { device: 'lost' },
    })),
    'the trail says who, and which',
  )
})

t.test('H7: somebody else’s device is not there, though it has the same id as one’s own', async (t) => {
  const { h, e, ann, bob, phone, states } = await setUp(t)
  const { session } = ann
  const bobs = await phone('bob@a.test', 'bobs')
  await bobs.comes()
  for (const name of ['device.block', 'device.allow', 'device.forget'] as const) {
    for (const id of ['bobs', 'nobodys'])
      await t.rejects(h.ask(name, { client: CLIENT, session, id }), { code: 'not-found' }, `${name} ${id}`)
  }
  t.strictSame(await states(session), [])

  const [one, other] = [await phone('ann@a.test', 'same'), await phone('bob@a.test', 'same')]
  await one.comes()
  await other.comes()
  t.match(await h.ask('device.block', { client: CLIENT, session, id: 'same' }), { sessionsEnded: 1 })
  t.equal(e.told.length, 1)
  t.ok(await one.isRefused())
  t.notOk(await other.isRefused(), 'bob’s goes on')
  await h.ask('device.forget', { client: CLIENT, session, id: 'same' })
  t.strictSame(await states(bob.session), ['bobs allowed', 'same allowed'], 'all as it was')
  for (const name of ['device.list', 'device.block', 'device.allow', 'device.forget'] as const) {
    const asked = { client: CLIENT, session: 'x'.repeat(24), id: 'same' }
    const request = name === 'device.list' ? { session: asked.session } : asked
    await t.rejects(h.ask(name, request as typeof asked), { code: 'signed-out' }, name)
  }
})

t.test('H9: blocking takes no fresh factor; allowing and forgetting do', async (t) => {
  const { h, ann, phone, states } = await setUp(t)
  const { session } = ann
  await (await phone('ann@a.test', 'lost')).comes()
  h.pass(STEP_UP_MS)
  const asked = { client: CLIENT, session, id: 'lost' }
  await t.rejects(h.ask('device.forget', asked), { code: 'step-up-needed' })
  t.match(await h.ask('device.block', asked), { sessionsEnded: 1 })
  await t.rejects(h.ask('device.allow', asked), { code: 'step-up-needed' })
  await t.rejects(h.ask('device.forget', asked), { code: 'step-up-needed' })
  t.strictSame(await states(session), ['lost blocked'])

  await h.call('user.add', { address: 'eve@a.test' })
  await (await phone('eve@a.test', 'hers')).comes()
  const begun = await h.ask('invitation.accept', {
    client: CLIENT,
    invitation: await invitationFor(h, 'eve@a.test'),
  })
  if (begun.next !== 'signed-in') throw new Error(begun.why)
  const early = h.ask('device.block', { client: CLIENT, session: begun.session.token, id: 'hers' })
  await t.rejects(early, { code: 'forbidden' }, 'nor may somebody who has proved no second step yet')
})

t.test('quarantine: only an administrator lets a device in, whichever way its owner turns', async (t) => {
  const { h, ann, phone, states } = await setUp(t, 'quarantine: true')
  const { session } = ann
  const fresh = await phone('ann@a.test', 'new1')
  t.ok(await fresh.isRefused())
  t.match(await h.ask('device.list', { session }), { devices: [{ state: 'waiting' }], mayAllow: false })
  const asked = { client: CLIENT, session, id: 'new1' }
  await t.rejects(h.ask('device.allow', asked), { code: 'forbidden' })
  await h.ask('device.block', asked)
  await t.rejects(h.ask('device.allow', asked), { code: 'forbidden' }, 'not by a block that is taken back')
  await h.ask('device.forget', asked)
  t.ok(await fresh.isRefused(), 'not by forgetting it')
  t.strictSame(await states(session), ['new1 waiting'])

  const boss = await enrol(h, 'boss@a.test', { admin: true })
  const params = { user: 'ann@a.test', id: 'new1' }
  const call = (as: string) =>
    h.ask('admin.call', { client: CLIENT, as: { session: as }, method: 'device.allow', params })
  await t.rejects(call(session), { code: 'forbidden' }, 'the owner is none')
  t.match(await call(boss.session), { answer: { device: { state: 'allowed' } } })
  t.notOk(await fresh.isRefused())
})

t.test('M6: the longest id there is, 64 raw bytes in hexadecimal, can be blocked, too', async (t) => {
  const { h, ann, phone } = await setUp(t)
  const id = '0f'.repeat(64)
  const odd = await phone('ann@a.test', id)
  await odd.comes()
  t.match(await h.ask('device.block', { client: CLIENT, session: ann.session, id }), { sessionsEnded: 1 })
  t.ok(await odd.isRefused())
})

t.test(
  'M6: what an administrator has blocked its owner can neither let in, nor forget, nor make their own block',
  async (t) => {
    const { h, ann, phone, states } = await setUp(t)
    const { session } = ann
    const lost = await phone('ann@a.test', 'lost')
    await lost.comes()
    const boss = await enrol(h, 'boss@a.test', { admin: true })
    const params = { user: 'ann@a.test', id: 'lost' }
    const asBoss = (method: 'device.block' | 'device.allow' | 'device.forget') =>
      h.ask('admin.call', { client: CLIENT, as: { session: boss.session }, method, params })
    t.match(await asBoss('device.block'), { answer: { device: { state: 'blocked', blockedBy: 'administrator' } } })
    const asked = { client: CLIENT, session, id: 'lost' }
    const refused = { code: 'forbidden', message: /blocked by an administrator/ }
    await t.rejects(h.ask('device.allow', asked), refused)
    await t.rejects(h.ask('device.forget', asked), refused)
    t.match(
      await h.ask('device.block', asked),
      { device: { blockedBy: 'administrator' } },
      'it stays an administrator’s',
    )
    await t.rejects(h.ask('device.allow', asked), refused)
    t.strictSame(await states(session), ['lost blocked'])
    t.ok(await lost.isRefused())

    const told = (await h.ask('methods.list', { session })).notices.filter(({ kind }) => kind === 'done-for-you')
    t.match(
      told.filter((notice) => 'what' in notice && notice.what === 'device-blocked'),
      [{ name: 'iPhone' }],
    )
    const { entries } = await h.call('audit.list', { user: 'ann@a.test' })
    t.equal(entries.filter(({ event }) => event === 'device_allowed' || event === 'device_forgotten').length, 0)

    t.match(await asBoss('device.allow'), { answer: { device: { state: 'allowed', blockedBy: null } } })
    t.notOk(await lost.isRefused())
    await h.ask('device.block', asked)
    t.match(
      await h.call('device.block', params),
      { device: { blockedBy: 'administrator' } },
      'an administrator’s goes further',
    )
    await t.rejects(h.ask('device.allow', asked), refused)
    await h.call('device.forget', params)
    t.notOk(await lost.isRefused(), 'by hand on the server')
  },
)

t.test('M6: one’s own block is told to nobody; an administrator undoes a block of their own phone', async (t) => {
  const { h, phone, states } = await setUp(t)
  const boss = await enrol(h, 'boss@a.test', { admin: true })
  const { session } = boss
  await (await phone('boss@a.test', 'mine')).comes()
  const asked = { client: CLIENT, session, id: 'mine' }
  t.match(await h.ask('device.block', asked), { device: { blockedBy: 'owner' } })
  const { notices } = await h.ask('methods.list', { session })
  t.strictSame(
    notices.filter((notice) => 'what' in notice && notice.what === 'device-blocked'),
    [],
  )
  t.match(await h.ask('device.allow', asked), { device: { state: 'allowed', blockedBy: null } })
  await h.call('device.block', { user: 'boss@a.test', id: 'mine' })
  await h.ask('device.allow', asked)
  t.strictSame(await states(session), ['mine allowed'])
})

t.test('a device chooses its own name, so what is mailed of it is nothing to click on', async (t) => {
  const { h, e, ann } = await setUp(t)
  const { password } = await h.issue('ann@a.test')
  const device = { id: 'x1', type: 'https://evil.example', protocolVersion: '14.1' }
  const grant = await e.admit({ ...attempt('ann@a.test', password, { protocol: 'eas' }), device })
  e.settle(grant, 'accepted')
  await h.call('device.block', { user: 'ann@a.test', id: 'x1' })
  const { notices } = await h.ask('methods.list', { session: ann.session })
  t.match(
    notices.filter((notice) => 'what' in notice && notice.what === 'device-blocked'),
    [{ name: null }],
  )
})
