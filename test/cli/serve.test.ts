import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Step } from '../../src/cli/check/report.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import { freePort } from '../support/ports.ts'
import { Program } from '../support/program.ts'
import { CONFIG, house } from './run.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../scripts/sallyport')

/** Waits until the server's output has a line of the event. */
async function logged(server: Program, event: string): Promise<void> {
  for (let tries = 0; tries < 2400; tries++) {
    if (server.output.includes(`"event":"${event}"`)) return
    if (server.ended.aborted) throw new Error(`the server ended: ${server.output}`)
    await delay(25)
  }
  throw new Error(`no ${event}: ${server.output}`)
}

t.setTimeout(240_000)

t.test(
  'a server whose sockets are elsewhere: the command says where it has looked, and finds them when told',
  async (t) => {
    const { run, directory } = house(t)
    const elsewhere = { RUNTIME_DIRECTORY: join(directory, 'elsewhere') }
    const env = { PATH: process.env.PATH, ...COMPILE_CACHE, ...elsewhere }
    await using server = new Program(LAUNCHER, ['serve'], { cwd: directory, env })
    await logged(server, 'started')
    const lost = await run(['user', 'list', '--json'])
    t.equal(lost.status, 69)
    t.match(lost.error(), {
      code: 'ERR_STORE_LOCKED',
      message: new RegExp(`not in ${directory}/data/run: give .*RUNTIME_DIRECTORY`),
    })
    t.strictSame((await run(['user', 'list', '--json'], { env: elsewhere })).json(), [])
  },
)

for (const workers of ['0', '1']) {
  t.test(`commands against a running server (workers: ${workers})`, async (t) => {
    const port = await freePort()
    const { launch: run, directory } = house(t, `${CONFIG.replace('port: 0', `port: ${port}`)}workers: ${workers}\n`)
    t.equal((await run(['health'])).status, 69)
    await using server = new Program(LAUNCHER, ['serve'], {
      cwd: directory,
      env: { PATH: process.env.PATH, ...COMPILE_CACHE },
    })
    await logged(server, 'started')

    const health = await run(['health', '--json'])
    t.equal(health.status, 0, health.stderr)
    t.match(health.json(), { ok: true, store: 'up', redis: 'none' })
    t.match((await run(['health'])).stdout, /^up: version /)

    if (workers === '0') {
      t.equal(await server.stop('SIGTERM', 60_000), 0)
      return
    }

    t.equal((await run(['user', 'add', 'ann'])).status, 0)
    const made = await run(['app-password', 'create', '--user', 'ann', '--name', 'phone', '--json'])
    t.equal(made.status, 0, made.stderr)
    const { id, password } = made.json<{ id: string; password: string }>()
    t.strictSame((await run(['session', 'list', '--json'])).json(), [])
    t.match((await run(['app-password', 'delete', id])).stdout, /^deleted 1 app password; 0 sessions ended/)
    t.match((await run(['user', 'show', 'nobody', '--json'])).error(), { code: 'not-found' }, 'errors cross the socket')

    const steps = (await run(['check', '--json'])).json<Step[]>()
    t.match(
      steps.filter(({ hop }) => hop === `listener imap-${port}`),
      [
        { step: 'connect', ok: true },
        { step: 'tls', ok: true },
      ],
      'own listeners are tried',
    )
    t.match(
      steps.find(({ hop }) => hop === 'store'),
      { ok: true, detail: /the running server \(pid \d+\)/ },
    )

    t.match(await run(['restore', 'sallyport.yaml']), { status: 69, stderr: /a server is running: stop it first/ })
    const copy = await run(['backup', 'copy.db'])
    t.equal(copy.status, 0, copy.stderr)

    const follow = new Program(LAUNCHER, ['audit', '--follow', '--json'], {
      cwd: directory,
      env: { PATH: process.env.PATH, ...COMPILE_CACHE },
    })
    await run(['user', 'disable', 'ann'])
    for (let tries = 0; tries < 2400 && !follow.output.includes('user_disabled'); tries++) await delay(25)
    t.match(follow.output, /"event":"user_disabled"/, 'audit --follow goes on')
    t.equal(await follow.stop('SIGINT', 60_000), 0, 'and ends by Ctrl-C')
    t.ok(
      follow.output
        .trim()
        .split('\n')
        .every((line) => JSON.parse(line).seq > 0),
      'one entry a line',
    )

    const second = await run(['serve'])
    t.ok([1, 69].includes(second.status), `a second server does not start: ${second.status}`)
    t.equal(await server.stop('SIGTERM', 60_000), 0, 'SIGTERM: exit 0')
    t.notMatch(server.output, password.slice(0, 9), 'no secret in the log')
    t.equal((await run(['health'])).status, 69)
    t.equal((await run(['restore', 'copy.db'])).status, 0, 'a backup made while the server ran')
  })
}

t.test('A3: what is dangerous is said at the start, and by check', async (t) => {
  const { run, directory } = house(
    t,
    CONFIG.replace(/^( +)(imap: \{ host: )[^,]+, (.*?)\}/m, '$1$2mail.invalid, tls: none }'),
  )
  const said = /upstreams\.main\.imap\.tls: is none for a host on the network/
  await using server = new Program(LAUNCHER, ['serve'], {
    cwd: directory,
    env: { PATH: process.env.PATH, ...COMPILE_CACHE },
  })
  await logged(server, 'started')
  t.match(server.output, said)
  const steps = (await run(['check', '--json'])).json<Step[]>()
  t.match(
    steps.find(({ step, detail }) => step === 'warning' && said.test(detail)),
    { hop: 'configuration', advice: /change it/ },
  )
})

t.test('serve: what is in the way', async (t) => {
  const { launch, directory } = house(t)
  const taken = createServer()
  await new Promise<void>((done) => taken.listen(0, done))
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  writeFileSync(join(directory, 'sallyport.yaml'), CONFIG.replace('port: 0', `port: ${port}`))
  const { status, stderr } = await launch(['serve'])
  t.equal(status, 69)
  t.match(stderr, new RegExp(`sallyport: .*${port}`), 'names the port')
})
