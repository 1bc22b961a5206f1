import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceHandlers, UserView } from '../../src/contract/services.ts'
import { serveServices } from '../../src/contract/services-channel.ts'
import { captureLog } from '../support/logs.ts'
import { house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

t.test('users, with no server running', async (t) => {
  const { run } = house(t)
  const added = await run([
    'user',
    'add',
    'Ann@Example.ORG',
    '--name',
    'Ann',
    '--group',
    'office',
    '--group',
    'staff',
    '--admin',
    '--json',
  ])
  t.equal(added.status, 0, added.stderr)
  t.match(added.json(), {
    address: 'ann@example.org',
    name: 'Ann',
    groups: ['office', 'staff'],
    admin: true,
    enabled: true,
    hasPassword: false,
  })
  t.match(await run(['user', 'add', 'bob', '--password-stdin'], { input: 'correct horse battery\n' }), {
    status: 0,
    stdout: 'added bob@example.org\n',
  })

  const again = await run(['user', 'add', 'ann', '--json'])
  t.equal(again.status, 1)
  t.equal(again.error().code, 'exists')

  const list = await run(['user', 'list', '--json'])
  t.strictSame(
    list.json<UserView[]>().map(({ address, hasPassword }) => [address, hasPassword]),
    [
      ['ann@example.org', false],
      ['bob@example.org', true],
    ],
  )
  const found = await run(['user', 'list', '--search', 'BO', '--json'])
  t.match(found.json(), [{ address: 'bob@example.org' }])
  t.equal(found.json<UserView[]>().length, 1)
  t.match((await run(['user', 'list'])).stdout, /^ADDRESS .*\nann@example\.org +Ann +enabled, admin +office staff +0 /)
  t.match((await run(['user', 'show', 'ann'])).stdout, /^portal password: none$/m)

  const update = await run(['user', 'update', 'ann', '--name', 'Ann Lee', '--no-admin', '--json'])
  t.match(update.json(), { name: 'Ann Lee', admin: false, groups: ['office', 'staff'] })
  t.equal((await run(['user', 'update', 'ann', '--admin'])).stdout, 'changed ann@example.org\n')
  t.match((await run(['user', 'show', 'ann', '--json'])).json(), { name: 'Ann Lee', admin: true })
  t.equal((await run(['user', 'update', 'ann'])).status, 2)

  t.match((await run(['user', 'update', 'ann', '--language', 'NL', '--json'])).json(), { language: 'nl', admin: true })
  t.match((await run(['user', 'show', 'ann'])).stdout, /^language: +nl$/m)
  t.match((await run(['user', 'update', 'ann', '--language', 'none', '--json'])).json(), { language: null })
  t.match(await run(['user', 'update', 'ann', '--language', 'tlh']), { status: 2, stderr: /one of en, nl, or none/ })
  t.match((await run(['user', 'add', 'cas', '--language', 'nl', '--json'])).json(), { language: 'nl' })
  t.match((await run(['user', 'show', 'cas', '--json'])).json(), { language: 'nl' })
  t.equal((await run(['user', 'delete', 'cas', '--yes'])).status, 0)

  t.match((await run(['user', 'disable', 'ann'])).stdout, 'disabled ann@example.org; 0 sessions ended\n')
  t.equal((await run(['user', 'show', 'ann', '--json'])).json<UserView>().enabled, false)
  t.match((await run(['user', 'enable', 'ann', '--json'])).json(), { enabled: true })

  const set = await run(['user', 'set-password', 'ann', '--password-stdin'], { input: 'another long password' })
  t.equal(set.stdout, 'set the password of ann@example.org; 0 sessions ended\n')
  t.notMatch(set.stdout + set.stderr, 'another long password')

  t.equal(
    (await run(['user', 'delete', 'bob'])).stdout,
    'deleted bob@example.org; 0 sessions ended\n',
    'no terminal, nobody to ask',
  )
  const gone = await run(['user', 'add', 'bob'])
  t.equal(gone.status, 1, 'a deleted name stays reserved')
  t.equal((await run(['user', 'show', 'bob'])).status, 1)
})

t.test('user import: in pieces, refused lines named, exit 1 when any was refused', async (t) => {
  const { run, directory } = house(t)
  const lines = Array.from({ length: 450 }, (_, i) => `user${i}@example.org,User ${i},office`)
  lines.splice(210, 0, 'not an address!,X,', 'two,fields', '"open,quote@example.org",,')
  writeFileSync(join(directory, 'users.csv'), `\ufeffaddress,name,groups\r\n${lines.join('\r\n')}\r\n`)
  const imported = await run(['user', 'import', 'users.csv', '--json'])
  t.equal(imported.status, 1)
  t.match(imported.json(), {
    added: 450,
    unchanged: 0,
    refused: [{ line: 212 }, { line: 213, why: /2 fields/ }, { line: 214 }],
  })
  t.match(imported.stderr, /^sallyport: line 212 \(not an address!\): /m)

  const users = (await run(['user', 'list', '--json'])).json<UserView[]>()
  t.equal(users.length, 450, 'all pages of the list')
  t.equal(new Set(users.map(({ address }) => address)).size, 450)
  t.match(
    users.find(({ address }) => address === 'user7@example.org'),
    { name: 'User 7', groups: ['office'] },
  )

  const jsonLines =
    '{"address":"user1@example.org"}\n\n{"address":"zoe@example.net","groups":["a","b"],"language":"NL"}\n'
  const second = await run(['user', 'import', '-'], { input: jsonLines })
  t.equal(second.status, 0)
  t.equal(second.stdout, '1 user added, 1 unchanged, 0 refused\n')
  t.match(second.stderr, /2 lines: 1 added/, 'progress on standard error')
  t.match((await run(['user', 'show', 'zoe@example.net', '--json'])).json(), { language: 'nl', groups: ['a', 'b'] })
  const third = await run(['user', 'import', '-'], { input: 'address,language\ny@example.org,en\nz@example.org,xx\n' })
  t.match(third.stderr, /line 3 \(z@example\.org\): has a language that is none of en, nl/)

  t.match(await run(['user', 'import', 'nowhere.csv']), { status: 1, stderr: /nowhere\.csv does not exist/ })
  t.match(await run(['user', 'import', '-'], { input: 'mail,name\na@example.org,b\n' }), {
    status: 1,
    stderr: /must name the columns/,
  })
})

t.test('user import: people in many groups, over the socket of a running server', async (t) => {
  const { run, directory } = house(t)
  const pieces: number[] = []
  const server = await serveServices({
    runtimeDirectory: join(directory, 'data/run'),
    handlers: {
      'user.import': async ({ users }) => {
        pieces.push(users.length)
        return { added: users.length, unchanged: 0, refused: [] }
      },
    } as Partial<ServiceHandlers> as ServiceHandlers,
    log: captureLog().log,
  })
  t.teardown(() => server.close())
  const groups = Array.from({ length: 32 }, (_, i) => `CN=Department-${i}/OU=Groups/DC=example/DC=org`)
  const lines = Array.from({ length: 250 }, (_, i) => JSON.stringify({ address: `user${i}@example.org`, groups }))
  lines.push(JSON.stringify({ address: 'all@example.org', groups: [...groups, 'one-more'] }))
  const imported = await run(['user', 'import', '-', '--json'], { input: lines.join('\n') })
  t.match(imported.json(), { added: 250, refused: [{ line: 251, address: 'all@example.org', why: /32 groups/ }] })
  t.ok(pieces.length > 2 && pieces.length < 50, `in ${pieces.length} messages`)
})
