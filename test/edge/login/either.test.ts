import { getEventListeners } from 'node:events'
import t from 'tap'
import { either } from '../../../src/edge/login/either.ts'

t.test('the first of two aborts it, for its own reason, and nothing is left behind', async (t) => {
  for (const first of [0, 1]) {
    const pair = [new AbortController(), new AbortController()] as const
    using both = either(pair[0].signal, pair[1].signal)
    t.notOk(both.signal.aborted)
    pair[first]?.abort(`reason ${first}`)
    t.equal(both.signal.reason, `reason ${first}`)
    pair[1 - first]?.abort('too late')
    t.equal(both.signal.reason, `reason ${first}`)
    for (const { signal } of pair) t.equal(getEventListeners(signal, 'abort').length, 0)
  }
})

t.test('one that is over already counts', async (t) => {
  const live = new AbortController().signal
  t.equal(either(AbortSignal.abort('before'), live).signal.reason, 'before')
  t.equal(either(live, AbortSignal.abort('before')).signal.reason, 'before')
  t.equal(getEventListeners(live, 'abort').length, 0)
})

t.test('disposed of, it follows nobody', async (t) => {
  const one = new AbortController()
  const both = either(one.signal, new AbortController().signal)
  both[Symbol.dispose]()
  one.abort()
  t.notOk(both.signal.aborted)
})
