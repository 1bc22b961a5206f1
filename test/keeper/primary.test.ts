import t from 'tap'
import { createPrimaryPasswords } from '../../src/keeper/primary.ts'
import { Secret } from '../../src/secret.ts'

function setUp(options: Partial<Parameters<typeof createPrimaryPasswords>[0]> = {}) {
  const time = { now: 1_000_000 }
  const primary = createPrimaryPasswords({ now: () => time.now, ...options })
  return {
    time,
    take: (user: string, secret: string, upstream = 'main') => primary.take(user, upstream, new Secret(secret)),
    refuse(user: string, secret: string) {
      const taken = primary.take(user, 'main', new Secret(secret))
      if (taken.verdict === 'send') taken.attempt.refused()
      return taken.verdict
    },
  }
}

t.test('a secret that the upstream refused is not sent again for ten minutes', async (t) => {
  const s = setUp()
  t.equal(s.refuse('u1', 'wrong'), 'send')
  t.equal(s.refuse('u1', 'wrong'), 'refused-before')
  t.equal(s.refuse('u2', 'wrong'), 'send', 'of somebody else it may be right')
  s.time.now += 10 * 60_000
  t.equal(s.refuse('u1', 'wrong'), 'send')
})

t.test('at most five refused per user in a quarter of an hour', async (t) => {
  const s = setUp()
  for (let i = 0; i < 5; i++) {
    t.equal(s.refuse('u1', `${i}`), 'send')
    s.time.now += 60_000
  }
  t.match(s.take('u1', 'right'), { verdict: 'spent', ration: 'user', waitMs: 10 * 60_000 })
  t.equal(s.take('u2', 'right').verdict, 'send')
  s.time.now += 10 * 60_000
  t.equal(s.take('u1', 'right').verdict, 'send', 'the oldest refusal is forgotten')
})

t.test('threat B3: places are taken before the upstream answers', async (t) => {
  const s = setUp()
  const taken = Array.from({ length: 8 }, (_, i) => s.take('u1', `${i}`))
  t.strictSame(
    taken.map(({ verdict }) => verdict),
    ['send', 'send', 'send', 'send', 'send', 'spent', 'spent', 'spent'],
  )
})

t.test('what was accepted or never judged gives its place back, once', async (t) => {
  const s = setUp()
  for (let i = 0; i < 50; i++) {
    const taken = s.take('u1', 'right')
    if (taken.verdict !== 'send') throw new Error(`attempt ${i}: ${taken.verdict}`)
    if (i % 2) taken.attempt.accepted()
    else taken.attempt.unjudged()
    taken.attempt.refused()
    taken.attempt.accepted()
  }
  t.equal(s.take('u1', 'right').verdict, 'send', 'nor does a late word count it as refused')
})

t.test('a budget per upstream', async (t) => {
  const s = setUp({ perUpstream: 3, upstreamWindowMs: 1000 })
  for (let i = 0; i < 3; i++) t.equal(s.refuse(`u${i}`, 'x'), 'send')
  t.match(s.take('u9', 'x'), { verdict: 'spent', ration: 'upstream' })
  t.equal(s.take('u9', 'x', 'other').verdict, 'send')
  s.time.now += 1000
  t.equal(s.take('u9', 'x').verdict, 'send')
})
