import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { PolicyView } from '../../src/contract/services.ts'
import { house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

t.test('R29: policy and narrowing from the command line, with no server running', async (t) => {
  const { run } = house(t)
  await run(['user', 'add', 'ann'])
  const made = await run(['app-password', 'create', '--user', 'ann', '--name', 'phone', '--json'])
  const { id } = made.json<{ id: string }>()

  const narrowed = await run(['app-password', 'update', id, '--protocols', 'smtp', '--networks', '10.0.0.0/8'])
  t.match(narrowed.stdout, /phone +smtp +10\.0\.0\.0\/8 .*\n0 sessions ended\n$/s, narrowed.stderr)
  t.match((await run(['app-password', 'update', id, '--networks', 'any', '--json'])).json(), {
    networks: [],
    sessionsEnded: 0,
    unanswered: [],
  })
  t.match((await run(['app-password', 'update', id, '--name', 'scanner', '--json'])).json(), { name: 'scanner' })
  t.equal((await run(['app-password', 'update', id, '--name', 'phone'])).status, 0)
  t.type(
    (await run(['app-password', 'update', id, '--expires', '90d', '--json'])).json<{ expiresAt: string }>().expiresAt,
    'string',
  )
  t.match((await run(['app-password', 'update', id, '--expires', 'never', '--json'])).json(), { expiresAt: null })
  t.match(await run(['app-password', 'update', id]), { status: 2, stderr: /say what is to change/ })

  const set = await run(['user', 'set-groups', 'ann', '--group', 'contractors'])
  t.equal(set.stdout, 'ann@example.org is in contractors; 0 sessions ended\n', set.stderr)
  t.equal((await run(['user', 'set-groups', 'ann'])).status, 2)

  const forbidden = await run(['policy', 'set', 'forbidden', '--group', 'contractors'])
  t.equal(forbidden.stdout, 'app passwords for group contractors: forbidden; 0 sessions ended\n', forbidden.stderr)
  t.match((await run(['policy', 'show', 'ann'])).stdout, /forbidden, by what holds for group contractors \(set here\)/)
  t.match(
    (await run(['policy', 'list'])).stdout,
    /^FOR .*\neverybody +allowed +configuration +allowed\ngroup contractors +forbidden +set here +–\n$/,
  )
  t.equal((await run(['policy', 'list', '--json'])).json<PolicyView[]>().length, 2)
  t.match(await run(['app-password', 'create', '--user', 'ann', '--name', 'other']), { status: 77 })
  t.match(await run(['policy', 'set', 'maybe', '--all']), { status: 2, stderr: /allowed, forbidden, default/ })
  t.match(await run(['policy', 'set', 'allowed']), { status: 2, stderr: /--all, or --group, or --user/ })
})

t.test('J3: audit --verify finds what was changed behind the keeper’s back', async (t) => {
  const { run, directory } = house(t)
  await run(['user', 'add', 'ann'])
  await run(['user', 'disable', 'ann'])
  const sound = await run(['audit', '--verify', '--json'])
  t.equal(sound.status, 0, sound.stderr)
  const { mark } = sound.json<{ mark: { seq: number; code: string } }>()
  t.match(
    (await run(['audit', '--verify', '--mark', `${mark.seq}:${mark.code}`])).stdout,
    /is sound.*\n2 entries checked\nmark: 2:/,
  )
  const database = new DatabaseSync(join(directory, 'data/sallyport.db'))
  database.exec("update audit set actor = 'cli:nobody' where seq = 1")
  database.close()
  t.match(await run(['audit', '--verify']), { status: 1, stdout: /^the audit trail is broken at entry 1: / })
  t.match(await run(['audit', '--mark', 'x', '--verify']), { status: 2 })
})
