import t from 'tap'
import type { KnownGood } from '../../../src/keeper/throttle/known-good.ts'
import { createKnownGood } from '../../../src/keeper/throttle/known-good.ts'
import { Secret } from '../../../src/secret.ts'

const SECRET = 'abcd efgh ijkl mnop'

function note(known: KnownGood, userId: string, ip: string, appPasswordId: string, secret = SECRET): string {
  const mark = known.mark(`${userId}@a.test`, ip, new Secret(secret)) ?? ''
  known.note(mark, ip, { userId, appPasswordId })
  return mark
}

t.test('threat B4: a login is known by user, secret and block together', async (t) => {
  const known = createKnownGood()
  note(known, 'u1', '192.0.2.1', 'p')
  const has = (user: string, ip: string, secret: string) => {
    const mark = known.mark(user, ip, new Secret(secret))
    return mark !== null && known.has(mark)
  }
  t.equal(has('u1@a.test', '192.0.2.1', SECRET), true)
  t.equal(has('u1@a.test', '192.0.2.1', 'ABCD-efgh-ijklmnop'), true, 'however it is typed')
  t.equal(has('u1@a.test', '192.0.2.1', 'abcd efgh ijkl mnoq'), false, 'another secret')
  t.equal(has('u1@a.test', '192.0.2.2', SECRET), false, 'another address')
  t.equal(has('u2@a.test', '192.0.2.1', SECRET), false, 'another user')
  note(known, 'u2', '2001:db8::1', 'q')
  t.equal(has('u2@a.test', '2001:db8::2', SECRET), true, 'one /64')
  t.equal(has('u2@a.test', '2001:db8:0:1::1', SECRET), false)
  t.equal(known.mark('u1@a.test', '192.0.2.1', new Secret('correct horse')), null, 'no app password looks like that')
})

t.test('at most so many of a user, the one unused for longest goes; users are bounded, too', async (t) => {
  const known = createKnownGood({ perUser: 3, maxUsers: 2 })
  const marks = [0, 1, 2, 3, 4].map((i) => note(known, 'u1', `10.0.0.${i}`, 'p'))
  t.strictSame(
    marks.map((mark) => known.has(mark)),
    [false, false, true, true, true],
  )
  t.strictSame(
    [1, 2].map((i) => known.knows('u1', `10.0.0.${i}`)),
    [false, true],
  )
  note(known, 'u1', '10.0.0.2', 'p')
  note(known, 'u1', '10.0.0.9', 'p')
  t.equal(known.knows('u1', '10.0.0.2'), true, 'used again')
  t.equal(known.knows('u1', '10.0.0.3'), false)
  for (const user of ['u2', 'u3']) note(known, user, '10.0.0.1', 'p')
  t.equal(known.knows('u1', '10.0.0.2'), false)
  t.equal(known.has(marks[2] ?? ''), false, 'nothing is left of a user that was pushed out')
})

t.test('gone with the app password, and with the user', async (t) => {
  const known = createKnownGood()
  const [gone, kept] = [note(known, 'u1', '10.0.0.1', 'p'), note(known, 'u1', '10.0.0.2', 'q', 'bcde fghi jklm nopq')]
  known.forget('u1', 'p')
  t.strictSame([known.has(gone), known.knows('u1', '10.0.0.1')], [false, false])
  t.strictSame([known.has(kept), known.knows('u1', '10.0.0.2')], [true, true])
  known.forgetUser('u1')
  t.strictSame([known.has(kept), known.knows('u1', '10.0.0.2')], [false, false])
  const other = note(known, 'u2', '10.0.0.1', 'p')
  known.forgetUser(null)
  t.equal(known.has(other), false)
})
