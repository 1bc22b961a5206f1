import t from 'tap'
import type { ApiTokenView, IssuedApiToken, IssuedInvitation, UserDetail } from '../../src/contract/services.ts'
import { CONFIG, house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

const WITH_PORTAL = `${CONFIG}portal: { url: "https://mail.example.org/" }\n`

t.test('invitations: printed once, stored as a digest, replaced by the next one', async (t) => {
  const { run } = house(t, WITH_PORTAL)
  const added = await run(['user', 'add', 'ann@example.org', '--invite', '--json'])
  t.equal(added.status, 0, added.stderr)
  const { invitation } = added.json<{ invitation: IssuedInvitation }>()
  t.match(invitation, { user: 'ann@example.org', mailed: false })
  t.match(invitation.url, /^https:\/\/mail\.example\.org\/invitation\/[\w-]{22}$/)

  const again = await run(['user', 'invite', 'ann'])
  t.match(again.stdout, /https:\/\/mail\.example\.org\/invitation\/[\w-]{22}\n/)
  const reset = await run(['user', 'reset-two-step', 'ann', '--yes'])
  t.match(reset.stdout, /^0 methods deleted\nInvitation for ann@example\.org/)
  const shown = await run(['user', 'show', 'ann', '--json'])
  t.match(shown.json<UserDetail>(), { methods: [], recoveryCodes: null })
  t.match((await run(['user', 'show', 'ann'])).stdout, /two-step: +not set up/)
  const audit = await run(['audit', '--json'])
  t.notMatch(audit.stdout, /invitation\//)

  const nobody = await run(['user', 'invite', 'nobody@example.org', '--json'])
  t.equal(nobody.error().code, 'not-found')
  t.equal((await run(['user', 'add', 'bob', '--mail'])).status, 2)
})

t.test('without a portal nobody can be invited, and it is said what to do', async (t) => {
  const { run } = house(t)
  const refused = await run(['user', 'add', 'ann@example.org', '--invite'])
  t.equal(refused.status, 78)
  t.match(refused.stderr, /set portal\.url/)
})

t.test('tokens of the API: printed once, listed without their value, deleted', async (t) => {
  const { run } = house(t)
  t.equal((await run(['token', 'create', '--name', 'x', '--scopes', 'everything'])).status, 2)
  const made = await run(['token', 'create', '--name', 'helpdesk', '--scopes', 'users:read,audit:read', '--json'])
  t.equal(made.status, 0, made.stderr)
  const token = made.json<IssuedApiToken>()
  t.match(token, { name: 'helpdesk', scopes: ['audit:read', 'users:read'], lastUsedAt: null })
  t.match(token.token, /^sallyport_[\w-]{43}$/)
  const listed = await run(['token', 'list', '--json'])
  t.match(listed.json<ApiTokenView[]>(), [{ id: token.id, name: 'helpdesk' }])
  t.notOk(listed.stdout.includes(token.token))
  t.match((await run(['token', 'list'])).stdout, /helpdesk/)
  t.match(await run(['token', 'delete', token.id, '--yes']), { status: 0, stdout: 'deleted token "helpdesk"\n' })
  t.equal((await run(['token', 'delete', token.id, '--yes', '--json'])).error().code, 'not-found')
})
