/**
 * The command line and the admin API are two ways to the same services: for each common verb they give the same answer, and
 * for each refusal the same code and the same words. Against one running server.
 */

import t from 'tap'
import { freePort } from '../support/ports.ts'
import { startSallyport } from '../support/sallyport.ts'
import { noteSecret } from '../support/secrets.ts'

// Each command is a process, and the machine may be busy.
t.setTimeout(240_000)

const SCOPES = [
  'users:read,users:write,administrators:write,app-passwords:read,app-passwords:write,policies:read,policies:write',
  'devices:read,devices:write,sessions:read,sessions:write,throttle:read,throttle:write,audit:read,tokens:read,tokens:write',
].join(',')

type Json = Readonly<Record<string, unknown>>

t.test('the same answers, the same refusals', async (t) => {
  const port = await freePort()
  // No login is made: nobody need be behind.
  const dead = { host: '127.0.0.1', port: await freePort(), tls: 'implicit' }
  const stored = { method: 'stored-secret' }
  await using gate = await startSallyport({
    upstreams: { main: { imap: dead, identity: stored } },
    workers: 0,
    listeners: [{ protocol: 'http', bind: '127.0.0.1', port, serves: ['api'] }],
  })
  const { token } = await gate.json<{ token: string }>(['token', 'create', '--name', 'api', '--scopes', SCOPES])
  noteSecret(token)

  async function api(verb: string, path: string, body?: unknown): Promise<Json> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
      method: verb,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return (await response.json()) as Json
  }
  const items = async (path: string) => (await api('GET', path)).items
  const cli = (...args: readonly string[]) => gate.json<Json>(args)

  for (const name of ['ann', 'bob']) await cli('user', 'add', name, '--name', `${name} Lee`, '--group', 'staff')
  const ann = (await cli('user', 'show', 'ann')) as { readonly id: string }

  /** What only looks is asked both ways. */
  for (const [path, args, why] of [
    ['/users', ['user', 'list'], 'users'],
    ['/users?q=LEE', ['user', 'list', '--search', 'LEE'], 'users found'],
    ['/users/ann/app-passwords', ['app-password', 'list', '--user', 'ann'], 'app passwords'],
    ['/sessions', ['session', 'list'], 'sessions'],
    ['/policies', ['policy', 'list'], 'policies'],
    ['/users/ann/devices', ['device', 'list', '--user', 'ann'], 'devices'],
    ['/devices', ['device', 'list'], 'devices of all'],
    ['/throttle', ['throttle', 'list'], 'throttle'],
    ['/tokens', ['token', 'list'], 'tokens'],
    ['/audit?limit=3', ['audit'], 'audit'],
  ] as const) {
    const shown = await items(path)
    const printed = (await cli(...args)) as unknown as unknown[]
    t.strictSame(shown, path.includes('limit') ? printed.slice(0, 3) : printed, why)
  }
  t.strictSame(await api('GET', `/users/${ann.id}`), await cli('user', 'show', ann.id), 'a user')
  t.strictSame(await api('GET', '/users/ann/policy'), await cli('policy', 'show', 'ann'), 'a user’s policy')

  /** What changes something is done to two users alike: Ann over HTTP, Bob by the command line. */
  const alike = (value: Json) =>
    JSON.parse(
      JSON.stringify(value)
        .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
        .replaceAll(/(?:[a-z]{4} ){3}[a-z]{4}/g, 'SECRET')
        .replaceAll(/\b(?:ann|bob)\b/g, 'SOMEBODY'),
    ) as unknown
  const fields = { name: 'phone', protocols: ['imap'] }
  const annPhone = await api('POST', '/users/ann/app-passwords', fields)
  const bobPhone = await cli('app-password', 'create', '--user', 'bob', '--name', 'phone', '--protocols', 'imap')
  for (const { password } of [annPhone, bobPhone]) noteSecret(String(password))
  t.strictSame(alike(annPhone), alike(bobPhone), 'app-password create')
  const bobPhoneId = String(bobPhone.id)
  for (const [verb, path, body, args] of [
    ['PATCH', '/users/ann', { name: 'New', admin: true }, ['user', 'update', 'bob', '--name', 'New', '--admin']],
    ['PATCH', '/users/ann', { groups: ['b', 'a'] }, ['user', 'set-groups', 'bob', '--group', 'b', '--group', 'a']],
    ['PATCH', '/users/ann', { enabled: false }, ['user', 'disable', 'bob']],
    ['PUT', '/policies/users/ann', { appPasswords: 'forbidden' }, ['policy', 'set', 'forbidden', '--user', 'bob']],
    ['PUT', '/policies/users/ann', { appPasswords: 'default' }, ['policy', 'set', 'default', '--user', 'bob']],
    ['GET', `/app-passwords/${String(annPhone.id)}`, undefined, ['app-password', 'show', bobPhoneId]],
    [
      'PATCH',
      `/app-passwords/${String(annPhone.id)}`,
      { networks: ['10.0.0.0/8'] },
      ['app-password', 'update', bobPhoneId, '--networks', '10.0.0.0/8'],
    ],
    ['DELETE', '/sessions?user=ann', undefined, ['session', 'end', '--user', 'bob']],
    ['DELETE', '/throttle?user=ann', undefined, ['throttle', 'clear', '--user', 'bob']],
    ['DELETE', `/app-passwords/${String(annPhone.id)}`, undefined, ['app-password', 'delete', bobPhoneId, '--yes']],
    ['DELETE', '/users/ann/app-passwords', undefined, ['app-password', 'delete', '--user', 'bob', '--all', '--yes']],
    ['DELETE', '/users/ann', undefined, ['user', 'delete', 'bob', '--yes']],
  ] as const) {
    t.strictSame(alike(await api(verb, path, body)), alike(await cli(...args)), args.slice(0, 2).join(' '))
  }

  /** Refusals: the code of one is the type of the other, and people read the same words. */
  for (const [verb, path, body, args] of [
    ['GET', '/users/nobody', undefined, ['user', 'show', 'nobody']],
    ['POST', '/users', { address: 'ann' }, ['user', 'add', 'ann']],
    ['POST', '/users', { address: 'a b' }, ['user', 'add', 'a b']],
    ['POST', '/users', { address: 'x@elsewhere.test' }, ['user', 'add', 'x@elsewhere.test']],
    ['GET', '/app-passwords/nothing', undefined, ['app-password', 'show', 'nothing']],
    ['DELETE', '/app-passwords/nothing', undefined, ['app-password', 'delete', 'nothing', '--yes']],
    ['POST', '/users/ann/devices/x/block', undefined, ['device', 'block', 'x', '--user', 'ann']],
    ['DELETE', '/tokens/nothing', undefined, ['token', 'delete', 'nothing', '--yes']],
    ['DELETE', '/throttle?address=nonsense', undefined, ['throttle', 'clear', '--address', 'nonsense']],
  ] as const) {
    const problem = await api(verb, path, body)
    const result = await gate.cli([...args, '--json'])
    const { error } = JSON.parse(result.stderr) as {
      readonly error: { readonly code: string; readonly message: string }
    }
    t.strictSame(
      [problem.type, problem.detail],
      [`urn:sallyport:problem:${error.code}`, error.message],
      `${verb} ${path}`,
    )
  }
  t.same(gate.lines('bug'), [])
})
