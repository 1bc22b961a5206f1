import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openKeeper } from '../../src/keeper/keeper.ts'
import { createMetrics } from '../../src/metrics.ts'
import { captureLog } from '../support/logs.ts'
import { edge, house, writeConfig } from './house.ts'

t.test('opens an empty directory, and only one at a time', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'sp-keeper-'))
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  const config = await writeConfig(parent, {})
  const elsewhere = { ...config, store: { sqlite: join(parent, 'deep', 'er', 'store.db') } }
  const options = { log: captureLog().log, metrics: createMetrics(), version: 'test' }
  const keeper = await openKeeper({ ...options, config: elsewhere })
  t.equal(statSync(join(parent, 'deep', 'er')).mode & 0o777, 0o700)
  await t.rejects(openKeeper({ ...options, config: elsewhere }), { code: 'ERR_STORE_LOCKED' })
  await keeper.close()
  const again = await openKeeper({ ...options, config: elsewhere })
  await again.close()
  await t.rejects(openKeeper({ ...options, config: { ...elsewhere, keys: { file: join(parent, 'other') } } }), {
    name: 'KeyError',
  })
  const third = await openKeeper({ ...options, config: elsewhere })
  await third.close()
  t.pass('a keeper that could not open its keys has let go of the store')
  const postgres = { postgres: { url: 'postgres://x/y', username: null, password: null } }
  await t.rejects(openKeeper({ ...options, config: { ...config, store: postgres } }), { message: /PostgreSQL/ })
})

t.test('reload: routes, limits and throttle take effect', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  const open = await e.login('ann@a.test', password)
  const { main } = h.config.upstreams
  if (!main) throw new Error('no upstream')
  const routed = {
    ...h.config,
    upstreams: { ...h.config.upstreams, other: main },
    routes: [{ domain: null, users: ['ann@a.test'], upstream: 'other' }],
  }
  await h.keeper.reload({ ...routed, limits: { ...h.config.limits, perUser: 2 } })
  const moved = await e.login('ann@a.test', password)
  t.equal(moved.upstream.name, 'other')
  t.equal(await e.result('ann@a.test', password), 'too-many-sessions')
  t.strictSame(e.told, [], 'nobody lost anything')
  t.strictSame(await h.paths(), { cache: 2, argon2: 1, miss: 0 }, 'no policy changed, so memory is kept')
  e.logout(open)

  await h.keeper.reload({ ...routed, appPasswords: { ...h.config.appPasswords, perUser: 7 } })
  t.strictSame(e.told, [], 'a policy that takes nothing from her ends nothing')
  t.equal(await e.result('ann@a.test', password), 'in')
  t.strictSame(await h.paths(), { cache: 3, argon2: 1, miss: 0 }, 'level 2 knows her')
})

t.test('invariant 5: no secret in a log line, a metric, a refusal or a process title', async (t) => {
  const h = await house(t)
  await h.addUser('ann@a.test')
  const { password } = await h.issue('ann@a.test')
  const e = edge(h.keeper)
  await e.login('ann@a.test', password)
  const refusals = [
    await e.refusal('ann@a.test', 'a mistyped secret'),
    await e.refusal('nobody@a.test', 'a mistyped secret'),
    await e.refusal('a mistyped secret', 'ann@a.test'),
    await e.refusal('ann@a.test', password, { protocol: 'pop3' }),
  ]
  const everything = [
    h.capture.text,
    await h.metrics.registry.metrics(),
    process.title,
    ...refusals.map((why) => `${why.message} ${why.logName} ${why.stack} ${JSON.stringify(why)}`),
  ].join('\n')
  for (const secret of [password, password.replaceAll(' ', ''), 'a mistyped secret', 'master secret']) {
    t.notOk(everything.includes(secret))
  }
})
