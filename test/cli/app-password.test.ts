import t from 'tap'
import type { AppPasswordView, IssuedAppPassword } from '../../src/contract/services.ts'
import { house } from './run.ts'

t.test('app passwords, with no server running', async (t) => {
  const { run } = house(t)
  await run(['user', 'add', 'ann'])
  const create = (name: string, ...more: string[]) =>
    run(['app-password', 'create', '--user', 'ann', '--name', name, '--json', ...more])

  const made = await create('phone')
  t.equal(made.status, 0, made.stderr)
  const issued = made.json<IssuedAppPassword>()
  t.strictSame(
    Object.keys(issued),
    ['id', 'user', 'name', 'password', 'protocols', 'createdAt'],
    'exactly what is promised',
  )
  t.match(
    issued,
    {
      user: 'ann@example.org',
      name: 'phone',
      password: /^[a-z]{4}( [a-z]{4}){3}$/,
      protocols: ['imap', 'pop3', 'smtp', 'eas'],
    },
    'R6, R7',
  )

  const narrow = await create(
    'scanner',
    '--protocols',
    'smtp,IMAP',
    '--networks',
    '192.0.2.0/24,10.1.2.3',
    '--expires',
    '90d',
  )
  t.strictSame(narrow.json<IssuedAppPassword>().protocols.toSorted(), ['imap', 'smtp'])
  const text = await run(['app-password', 'create', '--user', 'ann', '--name', 'tablet'])
  t.match(
    text.stdout,
    /^App password "tablet" for ann@example\.org \(imap, pop3, smtp, eas\):\n\n {4}[a-z]{4}( [a-z]{4}){3}\n\nIt is shown only now/,
  )

  const listed = await run(['app-password', 'list', '--user', 'ann', '--json'])
  const list = listed.json<AppPasswordView[]>()
  t.strictSame(list.map(({ name }) => name).sort(), ['phone', 'scanner', 'tablet'])
  t.notMatch(listed.stdout, issued.password, 'R16: shown once')
  const scanner = list.find(({ name }) => name === 'scanner')
  t.strictSame(scanner?.networks.length, 2)
  const lifeMs = Date.parse(scanner?.expiresAt ?? '') - Date.parse(scanner?.createdAt ?? '')
  t.equal(Math.round(lifeMs / 86_400_000), 90)
  t.match((await run(['app-password', 'list', '--user', 'ann'])).stdout, /^ID .*LAST USED\n.*\d\d:\d\dZ /)

  const one = await run(['app-password', 'delete', issued.id])
  t.match(one.stdout, `deleted 1 app password; 0 sessions ended\n  ${issued.id}  ann@example.org  phone\n`)
  t.match((await run(['app-password', 'delete', issued.id, '--json'])).error(), { code: 'not-found' })
  t.match((await run(['app-password', 'delete', '--unused-for', '1h', '--json'])).json(), {
    deleted: [],
    sessionsEnded: 0,
  })
  t.match(
    (await run(['app-password', 'delete', '--user', 'ann', '--all', '--yes'])).stdout,
    /^deleted 2 app passwords; 0 sessions ended\n/,
  )
  t.strictSame((await run(['app-password', 'list', '--user', 'ann', '--json'])).json(), [])
  t.match((await run(['app-password', 'create', '--user', 'nobody', '--name', 'x', '--json'])).error(), {
    code: 'not-found',
  })
})

t.test('R8, R29: the cap, and app passwords forbidden', async (t) => {
  const { run, directory } = house(t)
  await run(['user', 'add', 'ann'])
  const env = { SALLYPORT_APPPASSWORDS__PERUSER: '1' }
  t.equal((await run(['app-password', 'create', '--user', 'ann', '--name', 'a'], { env })).status, 0)
  const capped = await run(['app-password', 'create', '--user', 'ann', '--name', 'b', '--json'], { env })
  t.equal(capped.status, 1)
  t.match(capped.error(), { code: 'cap-reached' })
  const forbidden = await run(['app-password', 'create', '--user', 'ann', '--name', 'b', '--json'], {
    env: { SALLYPORT_APPPASSWORDS__ALLOWED: 'false' },
  })
  t.equal(forbidden.status, 77)
  t.match(forbidden.error(), { code: 'forbidden' })
  t.ok(directory)
})
