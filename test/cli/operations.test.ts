import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AuditView, UserView } from '../../src/contract/services.ts'
import { CONFIG, house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

t.test('sessions, secrets, audit, keys, with no server running', async (t) => {
  const { run } = house(t)
  await run(['user', 'add', 'zoe@example.net'])
  t.strictSame((await run(['session', 'list', '--json'])).json(), [])
  t.match((await run(['session', 'list'])).stdout, /^ID .*STATE\n$/)
  t.equal((await run(['session', 'end', '--user', 'zoe@example.net'])).stdout, '0 sessions ended\n')

  const secret = 'zoe-secret-at-upstream'
  const set = await run(['secret', 'set', '--user', 'zoe@example.net', '--upstream', 'own'], { input: `${secret}\n` })
  t.equal(set.stdout, 'stored the password of zoe@example.net at own\n')
  const wrong = await run(['secret', 'set', '--user', 'zoe@example.net', '--upstream', 'nowhere', '--json'], {
    input: secret,
  })
  t.equal(wrong.status, 78)
  t.match(wrong.error(), { code: 'not-configured' })
  t.equal((await run(['secret', 'delete', '--user', 'zoe@example.net', '--upstream', 'own'])).status, 0)
  t.equal((await run(['secret', 'delete', '--user', 'zoe@example.net', '--upstream', 'own'])).status, 1, 'gone already')

  const audit = await run(['audit', '--json', '--since', '1h'])
  const entries = audit.json<AuditView[]>()
  t.strictSame(
    entries.map(({ event }) => event),
    ['user_added', 'sessions_ended', 'secret_set', 'secret_deleted'],
  )
  t.match(entries[0]?.actor, /^cli:/)
  t.notMatch(audit.stdout, secret)
  t.match(
    (await run(['audit', '--user', 'zoe@example.net'])).stdout,
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}user_added +zoe@example\.net {2}by cli:/,
  )
  t.strictSame((await run(['audit', '--json', '--since', '1ms'])).json(), [])

  const newest = ['audit', '--json', '--newest-first']
  t.strictSame((await run(newest)).json(), entries.toReversed())
  t.strictSame((await run([...newest, '--limit', '2'])).json(), entries.toReversed().slice(0, 2))
  t.strictSame((await run(['audit', '--json', '--limit', '1'])).json(), entries.slice(0, 1))
  t.match(await run(['audit', '--limit', '0']), { status: 2, stderr: /1 or more/ })
  t.match(await run(['audit', '--follow', '--newest-first']), { status: 2, stderr: /--follow goes on from the oldest/ })
  t.equal((await run(['user', 'delete', 'zoe@example.net', '--yes'])).status, 0)
  t.match(
    (await run([...newest, '--user', 'zoe@example.net'])).json(),
    [{ event: 'user_deleted' }],
    'of one who was deleted',
  )
  t.match(await run(['audit', '--user', 'nobody@example.net']), { status: 1, stderr: /no user nobody@example\.net/ })

  const keys = await run(['keys', 'status', '--json'])
  t.match(keys.json(), { keys: [{ active: true }] })
  t.notMatch(keys.stdout, /"key"/, 'no key value')
})

t.test('backup and restore', async (t) => {
  const { run, directory } = house(t)
  await run(['user', 'add', 'ann'])
  const made = await run(['backup', 'copy.db', '--json'])
  t.equal(made.status, 0, made.stderr)
  const file = join(directory, 'copy.db')
  t.match(made.json(), { file, bytes: statSync(file).size })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal((await run(['backup', 'copy.db'])).status, 1, 'never over a file that is there')

  await run(['user', 'add', 'bob'])
  const restored = await run(['restore', 'copy.db', '--json'])
  t.equal(restored.status, 0, restored.stderr)
  t.match(restored.json(), { users: 1, from: file, aside: /before-restore/ })
  t.strictSame(
    (await run(['user', 'list', '--json'])).json<UserView[]>().map(({ address }) => address),
    ['ann@example.org'],
  )
  const last = (await run(['audit', '--json'])).json<AuditView[]>().at(-1)
  t.match(last, { event: 'store_restored', actor: /^cli:/ })

  t.match(await run(['restore', 'nowhere.db']), { status: 1, stderr: /no backup .*nowhere\.db/ })
  writeFileSync(join(directory, 'junk.db'), 'this is no database'.repeat(500))
  t.not((await run(['restore', 'junk.db'])).status, 0)
  t.match(
    await run(['user', 'list']),
    { status: 0, stdout: /ann@example\.org/ },
    'a failed restore leaves the store alone',
  )

  const keys = join(directory, 'data/keys')
  const kept = readFileSync(keys)
  rmSync(keys)
  t.match(await run(['restore', 'copy.db']), { status: 78, stderr: /key file .*put it back/ })
  writeFileSync(keys, kept, { mode: 0o600 })
  const again = await run(['restore', 'copy.db'])
  t.equal(again.status, 0, again.stderr)
  const oncemore = await run(['restore', 'copy.db'])
  t.equal(oncemore.status, 0, `in the same second, or the next: ${oncemore.stderr}`)
  t.equal(readdirSync(join(directory, 'data')).filter((name) => /before-restore-[^.]*$/.test(name)).length, 3)
})

t.test('health: exit 69 with no server, and nothing is made', async (t) => {
  const { run, directory } = house(t)
  const health = await run(['health', '--json'])
  t.equal(health.status, 69)
  t.match(health.error(), { code: 'unavailable', message: 'no server is running' })
  t.throws(() => statSync(join(directory, 'data')), 'no data directory came into being')
})

t.test('exit codes of what is in the way', async (t) => {
  const { run, directory } = house(t)
  await run(['user', 'add', 'ann'])
  const keys = join(directory, 'data/keys')
  const kept = readFileSync(keys)
  rmSync(keys)
  t.match(await run(['user', 'list']), { status: 78, stderr: /key file/ }, 'the key file is gone')
  writeFileSync(keys, kept, { mode: 0o644 })
  t.match(await run(['user', 'list']), { status: 78, stderr: /chmod/ }, 'the key file is open to others')
  writeFileSync(join(directory, 'sallyport.yaml'), CONFIG.replace('dataDirectory: data', 'dataDirectory: file'))
  writeFileSync(join(directory, 'file'), 'no directory')
  t.match(
    await run(['user', 'list']),
    { status: 78, stderr: /^sallyport: can't prepare the store .* EEXIST: .*\/file'\n$/ },
    'a file, not a directory',
  )
})

t.test('not permitted: exit 77', async (t) => {
  if (process.getuid?.() !== 0) {
    t.pass('needs root to become somebody else', { skip: 'not root' })
    return
  }
  const { run, launch, directory } = house(t)
  await run(['user', 'add', 'ann'])
  const stranger = { uid: 65_534 }
  chmodSync(directory, 0o755)
  t.match(
    await launch(['user', 'list'], stranger),
    { status: 77, stderr: /master, which may not be read by this user/ },
    'a secret',
  )
  t.match((await launch(['user', 'list', '--json'], stranger)).error(), { code: 'not-permitted' })
  chmodSync(join(directory, 'sallyport.yaml'), 0o600)
  t.match(
    await launch(['user', 'list'], stranger),
    { status: 77, stderr: /sallyport\.yaml: may not be read/ },
    'the configuration',
  )
  writeFileSync(
    join(directory, 'open.yaml'),
    CONFIG.replaceAll('method: master-user, user: sallyport, passwordFile: master', 'method: stored-secret'),
  )
  const store = await launch(['user', 'list', '--config', 'open.yaml'], stranger)
  t.equal(store.status, 77, `the store: ${store.stderr}`)
  t.equal((await launch(['health', '--config', 'open.yaml'], stranger)).status, 77, 'the control socket')
})
