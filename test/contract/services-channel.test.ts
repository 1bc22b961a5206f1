import { chmodSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { ServiceHandlers } from '../../src/contract/services.ts'
import { ServiceError } from '../../src/contract/services.ts'
import { connectServices, controlPaths, localServices, serveServices } from '../../src/contract/services-channel.ts'
import { connectIpc } from '../../src/ipc.ts'
import { Secret } from '../../src/secret.ts'
import { captureLog } from '../support/logs.ts'

const calls: [string, unknown, string][] = []
/** Every method answers as the test says; those it does not name note the call and answer null. */
function handlersOf(some: Partial<ServiceHandlers>): ServiceHandlers {
  return new Proxy(some, {
    get: (given, name: keyof ServiceHandlers) =>
      given[name] ??
      (async (params: unknown, actor: string) => {
        calls.push([name, params, actor])
        return null
      }),
  }) as ServiceHandlers
}

async function keeper(t: Test, some: Partial<ServiceHandlers> = {}) {
  const runtimeDirectory = join(mkdtempSync(join(tmpdir(), 'services-')), 'run')
  const log = captureLog()
  const serve = () => serveServices({ runtimeDirectory, handlers: handlersOf(some), log: log.log })
  const server = await serve()
  t.teardown(async () => {
    await server.close()
    rmSync(join(runtimeDirectory, '..'), { recursive: true, force: true })
  })
  return { runtimeDirectory, log, server, serve, paths: controlPaths(runtimeDirectory) }
}

t.test('a call carries its checked request, defaults filled in, and who asks', async (t) => {
  const { runtimeDirectory } = await keeper(t)
  const services = await connectServices(runtimeDirectory, 'cli:root')
  t.teardown(() => services.close())
  await services.call('user.add', { address: 'ann@example.org' })
  t.strictSame(calls.pop(), [
    'user.add',
    { address: 'ann@example.org', name: null, groups: [], admin: false, language: null, password: null },
    'cli:root',
  ])
})

t.test('a ServiceError keeps its code and its words; a bug keeps neither', async (t) => {
  const { runtimeDirectory, log } = await keeper(t, {
    'user.show': async () => {
      throw new ServiceError('not-found', 'there is no user ann@example.org')
    },
    'user.list': async () => {
      throw new TypeError('hunter2')
    },
  })
  const services = await connectServices(runtimeDirectory, 'cli:root')
  t.teardown(() => services.close())
  await t.rejects(services.call('user.show', { address: 'ann@example.org' }), {
    name: 'ServiceError',
    code: 'not-found',
    message: 'there is no user ann@example.org',
  })
  const bug = await services.call('user.list', {}).catch((error: unknown) => error)
  t.match(bug, { name: 'ServiceError', code: 'unavailable' })
  t.notMatch(String(bug), /hunter2/)
  t.equal(log.of('bug').length, 1)
})

t.test('requests are checked on the keeper’s side, and a refusal quotes no value', async (t) => {
  const { runtimeDirectory, paths } = await keeper(t)
  const services = await connectServices(runtimeDirectory, 'cli:root')
  t.teardown(() => services.close())
  const before = calls.length
  const error = await services
    .call('user.set-password', { address: '', password: 'hunter2'.repeat(200) })
    .catch((error: unknown) => error)
  t.match(error, { code: 'invalid', message: /address.*password/ })
  t.notMatch(String(error), /hunter2/)
  await t.rejects(services.call('user.add', { address: 'x'.repeat(70_000) }), { code: 'invalid' })

  const raw = await connectIpc({
    path: paths.socket,
    role: 'control',
    name: 'cli:x',
    key: new Secret(readFileSync(paths.key, 'utf8')),
    handlers: { request: async () => null, notice() {}, closed() {}, bug() {} },
  })
  for (const method of ['user.none', 'toString', '__proto__', 'constructor']) {
    await t.rejects(raw.request(method, {}, 1000), { code: 'invalid' }, method)
  }
  raw.close()
  t.equal(calls.length, before, 'nothing reached a handler')
})

t.test('a long page comes through', async (t) => {
  const entries = Array.from({ length: 200 }, (_, seq) => ({
    seq,
    at: '2026-11-21T00:00:00.000Z',
    event: 'user.added',
    actor: 'cli:root',
    user: 'ann@example.org',
    detail: { why: 'ł'.repeat(1000) },
  }))
  const { runtimeDirectory } = await keeper(t, { 'audit.list': async () => ({ entries, lastSeq: 199 }) })
  const services = await connectServices(runtimeDirectory, 'cli:root')
  t.teardown(() => services.close())
  t.strictSame((await services.call('audit.list', {})).entries, entries)
})

t.test('invariant 13: without the key the control socket answers nothing', async (t) => {
  const { runtimeDirectory, paths, log } = await keeper(t)
  t.equal(lstatSync(paths.key).mode & 0o777, 0o600)
  t.equal(lstatSync(paths.socket).mode & 0o777, 0o600)
  t.equal(lstatSync(runtimeDirectory).mode & 0o777, 0o700)
  const key = readFileSync(paths.key, 'utf8')
  t.ok(key.length >= 43, '256 bits')
  writeFileSync(paths.key, 'a guess')
  await t.rejects(connectServices(runtimeDirectory, 'edge'), { code: 'ERR_IPC_REFUSED' })
  rmSync(paths.key)
  await t.rejects(connectServices(runtimeDirectory, 'edge'), { code: 'ERR_IPC_REFUSED' })
  t.match(log.of('warning').at(-1)?.detail, /did not know the key/)
})

t.test('each start has its own key; a stop takes it away', async (t) => {
  const { runtimeDirectory, paths, server, serve } = await keeper(t)
  const first = readFileSync(paths.key, 'utf8')
  await server.close()
  t.notOk(existsSync(paths.key))
  t.notOk(existsSync(paths.socket))
  await t.rejects(connectServices(runtimeDirectory, 'cli:root'), { code: 'ERR_IPC_UNREACHABLE' })
  const second = await serve()
  t.not(readFileSync(paths.key, 'utf8'), first)
  const services = await connectServices(runtimeDirectory, 'cli:root')
  await second.close()
  await t.rejects(services.call('health', {}), { code: 'unavailable' })
})

t.test(
  'a key that may not be read is told apart',
  { skip: process.geteuid?.() === 0 && 'root reads all' },
  async (t) => {
    const { runtimeDirectory, paths } = await keeper(t)
    chmodSync(paths.key, 0)
    await t.rejects(connectServices(runtimeDirectory, 'cli:x'), { code: 'ERR_IPC_PERMISSION' })
  },
)

t.test('in one process the same checks hold', async (t) => {
  const services = localServices(handlersOf({}), 'cli:root')
  await services.call('app-password.list', { user: 'ann@example.org' })
  t.strictSame(calls.pop(), ['app-password.list', { user: 'ann@example.org' }, 'cli:root'])
  await t.rejects(services.call('app-password.list', { user: '' }), { name: 'ServiceError', code: 'invalid' })
})
