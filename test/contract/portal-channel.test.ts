import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { PortalHandlers } from '../../src/contract/portal.ts'
import { connectPortal, localPortal, servePortal } from '../../src/contract/portal-channel.ts'
import { ServiceError } from '../../src/contract/services.ts'
import { connectIpc } from '../../src/ipc.ts'
import { Secret } from '../../src/secret.ts'
import { captureLog } from '../support/logs.ts'

const KEY = new Secret('the key of web')
const ANN = { ip: '192.0.2.1', agent: null, language: 'en' } as const

/** Every method answers as the test says; those it does not name answer null. */
function handlersOf(some: Partial<PortalHandlers>): PortalHandlers {
  return new Proxy(some, {
    get: (given, name: keyof PortalHandlers) => given[name] ?? (async () => null),
  }) as PortalHandlers
}

function keeper(t: Test, some: Partial<PortalHandlers>) {
  const directory = mkdtempSync(join(tmpdir(), 'portal-'))
  const path = join(directory, 'run/web.sock')
  const logs = captureLog()
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const serve = () => servePortal({ path, key: KEY, handlers: handlersOf(some), log: logs.log })
  const connect = (key = KEY, waitMs = 2000) => {
    const portal = connectPortal({ path, key, log: logs.log, waitMs })
    t.teardown(() => portal.close())
    return portal
  }
  return { path, logs, serve, connect }
}

t.test('a question carries its checked request, defaults filled in; an error its code and words', async (t) => {
  const seen: unknown[] = []
  const house = keeper(t, {
    'app-password.issue': async (params) => {
      seen.push(params)
      throw new ServiceError('cap-reached', 'there are 40 already')
    },
    'methods.list': async () => {
      throw new TypeError('hunter2')
    },
  })
  const server = await house.serve()
  const portal = house.connect()
  const session = 'x'.repeat(22)
  await t.rejects(portal.call('app-password.issue', { client: ANN, session, name: 'phone' }), {
    code: 'cap-reached',
    message: 'there are 40 already',
  })
  t.match(seen, [{ session, name: 'phone', networks: [] }])
  await t.rejects(portal.call('methods.list', { session }), { code: 'unavailable' })
  t.equal(house.logs.log.bugs, 1, 'a bug of the keeper is told no further')
  t.notMatch(JSON.stringify(await portal.call('methods.list', { session }).catch(String)), /hunter2/)
  await server.close()
})

t.test('web is taken for hostile: what breaks the table reaches no handler, and is not quoted', async (t) => {
  const asked: string[] = []
  const house = keeper(t, {
    'sign-in.password': async () => {
      asked.push('sign-in.password')
      return { next: 'refused', why: 'bad-credentials' }
    },
  })
  const server = await house.serve()
  t.teardown(() => server.close())
  const peer = await connectIpc({
    path: house.path,
    role: 'web',
    name: 'web',
    key: KEY,
    handlers: { request: async () => null, notice() {}, closed() {}, bug() {} },
  })
  t.teardown(() => peer.close())
  for (const [method, params, why] of [
    ['user.delete', { address: 'ann@example.org' }, 'a service of the control socket'],
    ['constructor', {}, 'a name of every object'],
    ['sign-in.password', { client: ANN, user: 'ann', password: 'hunter2', admin: true }, 'an unknown key'],
    ['sign-in.password', { client: ANN, user: 'ann', password: ['hunter2'] }, 'another type'],
    ['sign-in.password', { client: ANN, user: 'a'.repeat(300), password: 'hunter2' }, 'too long'],
  ] as const) {
    const error = await peer.request(method, params, 1000).then(
      () => null,
      (reason: Error) => reason,
    )
    t.match(error, { code: 'invalid' }, why)
    t.notMatch(error?.message ?? '', /hunter2/)
  }
  t.strictSame(asked, [])
})

t.test('a keeper that is away: a question waits for it for a moment, and is then unavailable', async (t) => {
  const house = keeper(t, { 'invitation.show': async () => null })
  const portal = house.connect(KEY, 30_000)
  const asked = portal.call('session.sign-out', { session: 'x'.repeat(22) })
  const first = await house.serve()
  t.equal(await asked, null, 'it waited')
  await first.close()
  const short = house.connect(KEY, 100)
  await t.rejects(short.call('session.sign-out', { session: 'x'.repeat(22) }), { code: 'unavailable' })
  const again = portal.call('session.sign-out', { session: 'x'.repeat(22) })
  const second = await house.serve()
  t.equal(await again, null, 'the same channel is there again')
  await second.close()
})

t.test(
  'a line of people who wait to sign in, as long as it gets behind one address, holds up nobody else',
  async (t) => {
    const line = Promise.withResolvers<Awaited<ReturnType<PortalHandlers['sign-in.password']>>>()
    const house = keeper(t, { 'sign-in.password': () => line.promise })
    const server = await house.serve()
    t.teardown(() => server.close())
    const portal = house.connect()
    const waiting = Array.from({ length: 200 }, (_, n) =>
      portal.call('sign-in.password', { client: ANN, user: `made-up-${n}`, password: 'a guess' }),
    )
    t.equal(await portal.call('session.sign-out', { session: 'x'.repeat(22) }), null)
    line.resolve({ next: 'refused', why: 'bad-credentials' })
    t.equal((await Promise.all(waiting)).length, 200)
  },
)

t.test('without the key there is no channel', async (t) => {
  const house = keeper(t, {})
  const server = await house.serve()
  t.teardown(() => server.close())
  const stranger = house.connect(new Secret('a guess'), 300)
  await t.rejects(stranger.call('sign-in.options', {}), { code: 'unavailable' })
  await house.logs.wait('warning', ({ msg }) => msg === 'a caller was turned away')
})

t.test('in one process the handlers are called directly, and checked all the same', async (t) => {
  const portal = localPortal(handlersOf({}))
  t.equal(await portal.call('session.sign-out', { session: 'x'.repeat(22) }), null)
  await t.rejects(portal.call('session.sign-out', { session: 'x' }), { code: 'invalid' })
})
