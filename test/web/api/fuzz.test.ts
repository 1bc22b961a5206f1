import t from 'tap'
import { PROBLEM_NAMES, problemType } from '../../../src/web/api/problem.ts'
import { API_ROUTES } from '../../../src/web/api/routes.ts'
import { createRandom } from '../../fuzz/random.ts'
import { keeperHouse } from './house.ts'

const TYPES: ReadonlySet<unknown> = new Set(PROBLEM_NAMES.map(problemType))
const ROUNDS = 1500

const WORDS = [
  'ann@a.test',
  'ann',
  '',
  ' ',
  'a*b@a.test',
  '\u0000',
  '\ud800',
  '\u202e',
  '../../etc',
  '%',
  "' or 1=1 --",
  '__proto__',
  'constructor',
  '00000000-0000-4000-8000-000000000000',
  'x'.repeat(300),
  '10.0.0.0/8',
  '::/0',
  'imap',
  'users:read',
  'default',
  '2026-01-01T00:00:00Z',
  '📱',
] as const
const KEYS = [
  'name',
  'address',
  'groups',
  'admin',
  'enabled',
  'password',
  'protocols',
  'networks',
  'expiresInMs',
  'users',
] as const
const MORE_KEYS = ['line', 'scopes', 'appPasswords', 'mail', 'unknown', '__proto__', 'toString'] as const

t.test('whatever is sent, the answer is a documented one and never a fault of ours', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.comment(`seed ${seed}`)
  const { below, oneIn, pick } = createRandom(seed)
  const several = <T>(most: number, make: () => T): T[] => Array.from({ length: below(most) }, make)
  const value = (depth = 0): unknown =>
    pick<() => unknown>([
      () => pick(WORDS),
      () => pick(WORDS),
      () => pick([0, -1, 1, 1e9, 1e300, 0.5, 2 ** 53]),
      () => pick([true, false, null]),
      () => (depth > 2 ? [] : several(4, () => value(depth + 1))),
      () => (depth > 2 ? {} : object(depth + 1)),
    ])()
  const object = (depth = 0): unknown =>
    Object.fromEntries(several(5, () => [pick([...KEYS, ...MORE_KEYS]), value(depth)]))

  const { api, addUser, capture, issue } = await keeperHouse(t, { yaml: 'portal: { url: https://mail.a.test }' })
  await addUser('ann@a.test')
  const { id } = await issue('ann@a.test')
  const seen = new Map<number, number>()
  for (let round = 0; round < ROUNDS; round++) {
    const route = pick(API_ROUTES.filter(({ id }) => id !== 'deleteUser'))
    const path = route.path.replaceAll(/\{(\w+)\}/g, () =>
      encodeURIComponent((oneIn(2) ? pick(['ann@a.test', id]) : pick(WORDS)).toWellFormed() || 'x'),
    )
    const query = new URLSearchParams()
    for (const name of Object.keys(route.query.shape))
      if (oneIn(2)) query.append(name, pick([...WORDS, '0', '1', '200', '-1', '1e3']))
    if (oneIn(20)) query.append('more', '1')
    const near = () => pick([{ name: pick(WORDS) }, { address: `u${round}@a.test`, name: pick(WORDS) }])
    const made = oneIn(10) ? value() : oneIn(3) ? near() : object()
    const body = route.body === null ? undefined : made
    const key = oneIn(10) ? { 'idempotency-key': `k${below(5)}` } : {}
    const answer = await api(route.verb, `${path}?${query.toString()}`, body, key)
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
    // 501 is no fault: what was asked for (a mail, say) is not in the configuration.
    const isOurFault = answer.status >= 500 && answer.status !== 501
    if (answer.status >= 300 && (isOurFault || !TYPES.has(answer.json.type))) {
      t.fail(`${route.verb} ${path}?${query.toString()} ${JSON.stringify(body)}: ${answer.status} ${answer.text}`)
    }
  }
  t.comment(Object.fromEntries(seen))
  for (const status of [200, 201, 404, 422]) t.ok(seen.has(status), `${status} came about`)
  t.same(capture.of('bug'), [])
})
