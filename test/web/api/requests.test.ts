import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PortalServices } from '../../../src/contract/portal.ts'
import { PROBLEM_NAMES, PROBLEMS, problemType } from '../../../src/web/api/problem.ts'
import { apiApp, ask, SOME_TOKEN } from './house.ts'

/** What is refused here must not even reach the keeper. */
const nobody: PortalServices = {
  call: async (name) => {
    throw new Error(`the keeper was asked for ${name}`)
  },
}
const authorization = `Bearer ${SOME_TOKEN}`
const json = { authorization, 'content-type': 'application/json' }

t.test('H8: who brings no token, two, or something else is told so, before a body is read', async (t) => {
  const app = await apiApp(t, nobody)
  for (const [headers, why] of [
    [{}, 'none'],
    [{ authorization: 'Basic YW5uOnNlY3JldC1zZWNyZXQtc2VjcmV0' }, 'another scheme'],
    [{ authorization: 'Bearer' }, 'an empty one'],
    [{ authorization: 'Bearer short' }, 'too short to be one'],
    [{ authorization: `Bearer ${'x'.repeat(300)}` }, 'too long'],
    [{ authorization: `Bearer ${SOME_TOKEN} x` }, 'something behind it'],
    [{ authorization: 'Bearer abcd efgh ijkl mnop' }, 'an app password as it is shown (R33)'],
    [{ authorization: 'Bearer ab\u00e9defghijklmnopqrst' }, 'not ASCII'],
    [{ cookie: `token=${SOME_TOKEN}` }, 'a cookie'],
    [{ 'x-api-key': SOME_TOKEN }, 'another header'],
  ] as const) {
    const answer = await ask(app, {
      method: 'POST',
      url: '/api/v1/users',
      headers: { ...headers, 'content-type': 'application/json' },
      body: 'x'.repeat(100_000),
    })
    t.match(answer, { status: 401, json: { type: 'urn:sallyport:problem:unauthorised', status: 401 } }, why)
    t.match(answer.headers['www-authenticate'], /^Bearer realm="sallyport"/, why)
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.equal(answer.headers['cache-control'], 'no-store')
  }
  const none = await ask(app, { url: '/api/v1/users' })
  t.equal(none.headers['www-authenticate'], 'Bearer realm="sallyport"', 'RFC 6750 §3.1: no error for who sent none')
  const two = await ask(app, {
    url: '/api/v1/users',
    headers: { authorization: [authorization, authorization] } as never,
  })
  t.equal(two.status, 401, 'two tokens are none')
})

t.test('H8: a token in an address is refused wherever it stands, also beside a good one', async (t) => {
  const app = await apiApp(t, nobody)
  for (const query of ['access_token=x', `token=${SOME_TOKEN}`, 'ACCESS_TOKEN=x', 'q=a&api_key=x']) {
    for (const path of ['/api/v1/users', '/api/v1/openapi.json', '/api/v1/nothing']) {
      const answer = await ask(app, { url: `${path}?${query}`, headers: { authorization } })
      t.match(answer, { status: 400, json: { type: 'urn:sallyport:problem:token-in-address' } }, `${path}?${query}`)
      t.notMatch(answer.text, SOME_TOKEN)
    }
  }
})

t.test('H7: keys that are not there and values that are wrong are refused, each by its JSON pointer', async (t) => {
  const app = await apiApp(t, nobody)
  const post = (url: string, body: string) => ask(app, { method: 'POST', url, headers: json, body })
  for (const [body, pointers, why] of [
    [
      '{"address":"ann@example.org","id":"x","enabled":true,"epoch":9}',
      ['#/id', '#/enabled', '#/epoch'],
      'mass assignment',
    ],
    ['{"address":"ann@example.org","__proto__":{"admin":true}}', ['#/__proto__'], 'a prototype'],
    ['{"address":"ann@example.org","constructor":1}', ['#/constructor'], ''],
    ['{"address":7}', ['#/address'], 'a wrong type'],
    ['{}', ['#/address'], 'nothing of what is needed'],
    ['{"address":"ann@example.org","groups":["a",7]}', ['#/groups/1'], 'inside a list'],
    ['{"address":"ann@example.org","a/b~c d":1}', ['#/a~1b~0c%20d'], 'RFC 6901 §3 and §6: escaped'],
    ['[]', ['#'], 'not an object'],
    ['null', ['#'], ''],
    ['', ['#'], 'no body'],
  ] as const) {
    const answer = await post('/api/v1/users', body)
    t.match(answer, { status: 422, json: { type: 'urn:sallyport:problem:invalid' } }, why || body)
    const errors = (answer.json.errors ?? []) as readonly { pointer: string }[]
    t.strictSame(
      errors.map(({ pointer }) => pointer),
      pointers,
      why || body,
    )
  }
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key${i}${'x'.repeat(60)}`, 1]))
  const long = await post('/api/v1/users', JSON.stringify(many))
  t.equal(long.status, 422)
  t.ok(long.text.length < 4000, 'an answer does not grow with what was sent')
  const secret = await post('/api/v1/users/ann/set-password', '{"password":["hunter2"]}')
  t.match(secret.json.errors, [{ pointer: '#/password' }])
  t.notMatch(secret.text, 'hunter2', 'what was sent is not said back')
})

t.test('bodies: JSON in UTF-8, at most 64 KiB, and none where none belongs', async (t) => {
  const app = await apiApp(t, nobody)
  const url = '/api/v1/users'
  for (const [headers, body, status, type] of [
    [json, '{"address":', 400, 'malformed-request'],
    [json, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'malformed-request'],
    [{ ...json, 'content-type': 'text/plain' }, '{}', 415, 'unsupported-media-type'],
    [{ ...json, 'content-type': 'application/x-www-form-urlencoded' }, 'address=ann', 415, 'unsupported-media-type'],
    [json, `{"address":"${'a'.repeat(65 * 1024)}"}`, 413, 'too-large'],
    [json, '['.repeat(60_000), 400, 'malformed-request'],
  ] as const) {
    const answer = await ask(app, { method: 'POST', url, headers, body })
    t.match(answer, { status, json: { type: `urn:sallyport:problem:${type}` } })
  }
  const deep = await ask(app, {
    method: 'POST',
    url,
    headers: json,
    body: `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
  })
  t.equal(deep.status, 422, 'deep nesting is no more than a wrong type')
  const deleting = await ask(app, { method: 'DELETE', url: '/api/v1/users/ann', headers: json, body: '{"all":true}' })
  t.match(deleting, { status: 422, json: { errors: [{ pointer: '#', detail: 'This takes no body.' }] } })
})

t.test('a list that fits the body and not the keeper’s frame is refused here, with words', async (t) => {
  const app = await apiApp(t, nobody)
  const users = Array.from({ length: 200 }, (_, line) => ({ line, address: `${'a'.repeat(280)}${line}@a.test` }))
  const body = JSON.stringify({ users })
  t.ok(body.length < 64 * 1024)
  const answer = await ask(app, { method: 'POST', url: '/api/v1/users/import', headers: json, body })
  t.match(answer, { status: 413, json: { type: 'urn:sallyport:problem:too-large', detail: /in pieces/ } })
})

t.test('queries: known parameters, once, in their limits', async (t) => {
  const app = await apiApp(t, nobody)
  for (const [url, parameter] of [
    ['/api/v1/users?limit=0', 'limit'],
    ['/api/v1/users?limit=201', 'limit'],
    ['/api/v1/users?limit=1e2', 'limit'],
    ['/api/v1/users?limit=', 'limit'],
    ['/api/v1/users?limit=5&limit=6', 'limit'],
    ['/api/v1/users?q=a&q=b', 'q'],
    ['/api/v1/users?cursor=%2e%2e', 'cursor'],
    [`/api/v1/users?cursor=${'A'.repeat(600)}`, 'cursor'],
    ['/api/v1/users?admin=1', 'admin'],
    ['/api/v1/users?__proto__=1', '__proto__'],
    ['/api/v1/audit?since=yesterday', 'since'],
    [`/api/v1/audit?cursor=${Buffer.from('-1').toString('base64url')}`, 'cursor'],
    ['/api/v1/app-passwords?unusedForMs=0', 'unusedForMs'],
    ['/api/v1/app-passwords', 'unusedForMs'],
  ] as const) {
    const method = url.includes('app-passwords') ? 'DELETE' : 'GET'
    const answer = await ask(app, { method, url, headers: { authorization } })
    t.match(answer, { status: 422, json: { errors: [{ parameter }] } }, url)
  }
  const all = await ask(app, { method: 'DELETE', url: '/api/v1/sessions', headers: { authorization } })
  t.equal(all.status, 422, 'nobody ends every session by leaving something out')
})

t.test('an Idempotency-Key is one, short and printable', async (t) => {
  const app = await apiApp(t, nobody)
  for (const key of ['', 'x'.repeat(129), 'a b', 'a\u00e9']) {
    const headers = { ...json, 'idempotency-key': key }
    const answer = await ask(app, { method: 'POST', url: '/api/v1/users', headers, body: '{"address":"ann"}' })
    t.match(answer, { status: 400, json: { type: 'urn:sallyport:problem:malformed-request' } }, JSON.stringify(key))
  }
})

t.test('paths: what is not there is 404, what can’t be done is 405 and says what can', async (t) => {
  const app = await apiApp(t, nobody)
  for (const url of [
    '/api/v1',
    '/api/v1/',
    '/api/v1/nothing',
    '/api/v1/users/ann/x',
    '/api/v1/users//x',
    '/api/v1/%00',
  ]) {
    const answer = await ask(app, { url, headers: { authorization } })
    t.match(answer, { status: 404, json: { type: 'urn:sallyport:problem:not-found' } }, url)
  }
  for (const [method, url, allow] of [
    ['PUT', '/api/v1/users', 'GET, HEAD, OPTIONS, POST'],
    ['POST', '/api/v1/users/ann', 'DELETE, GET, HEAD, OPTIONS, PATCH'],
    ['DELETE', '/api/v1/audit', 'GET, HEAD, OPTIONS'],
    ['POST', '/api/v1/openapi.json', 'GET, HEAD, OPTIONS'],
  ] as const) {
    const answer = await ask(app, { method, url })
    t.match(answer, { status: 405, json: { type: 'urn:sallyport:problem:method-not-allowed' } }, `${method} ${url}`)
    t.equal(answer.headers.allow, allow)
  }
  const options = await ask(app, { method: 'OPTIONS', url: '/api/v1/sessions/x' })
  t.match(options, { status: 204, headers: { allow: 'DELETE, OPTIONS' }, text: '' })
  t.notOk(
    Object.keys(options.headers).some((name) => name.startsWith('access-control')),
    'no page of another origin',
  )
})

t.test('every problem has a type of its own, and one status', async (t) => {
  t.equal(new Set(PROBLEM_NAMES.map(problemType)).size, PROBLEM_NAMES.length)
  for (const name of PROBLEM_NAMES) t.ok(PROBLEMS[name].status >= 400 && PROBLEMS[name].title.length > 0, name)
})

t.test('every problem is documented, with its status', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/api.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(urn:[\w:-]+)` \| (\d{3}) \|/gm)].map(([, type, status]) => [
    type,
    Number(status),
  ])
  const known = PROBLEM_NAMES.map((name) => [problemType(name), PROBLEMS[name].status])
  t.strictSame(rows.toSorted(), known.toSorted())
})
