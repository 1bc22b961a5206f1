import { once } from 'node:events'
import t from 'tap'
import { createDeadlines } from '../../../src/edge/net/deadlines.ts'

// Deadlines keep no process alive, and here there is nothing else that would.
const awake = setInterval(() => undefined, 1000)
t.teardown(() => clearInterval(awake))

t.test('A11: a deadline is never early, and not much later than asked for', async (t) => {
  const deadlines = createDeadlines(() => 80)
  const startedAt = performance.now()
  await once(deadlines.next(), 'abort')
  const elapsedMs = performance.now() - startedAt
  t.ok(elapsedMs >= 80, `not early: ${elapsedMs}`)
})

t.test('what begins together shares a signal; what begins later has another', async (t) => {
  const deadlines = createDeadlines(() => 40)
  const first = deadlines.next()
  t.equal(deadlines.next(), first)
  await once(first, 'abort')
  const second = deadlines.next()
  t.not(second, first)
  t.notOk(second.aborted)
  deadlines.expireAll()
})

t.test('E7: many that began together end a few in each turn', async (t) => {
  const deadlines = createDeadlines(() => 60_000)
  const signals = Array.from({ length: 100 }, () => deadlines.next())
  const over = () => signals.filter(({ aborted }) => aborted).length
  deadlines.expireAll()
  t.equal(over(), 32)
  while (over() < 100) {
    const before = over()
    await new Promise(setImmediate)
    t.ok(over() - before <= 32)
  }
})

t.test('how long it is is asked when it begins', async (t) => {
  let ms = 60_000
  const deadlines = createDeadlines(() => ms)
  const long = deadlines.next()
  ms = 40
  const short = deadlines.next()
  t.not(short, long)
  await once(short, 'abort')
  t.notOk(long.aborted)
  deadlines.expireAll()
})

t.test('expireAll ends what runs and nothing that comes after', async (t) => {
  const deadlines = createDeadlines(() => 60_000)
  const before = deadlines.next()
  deadlines.expireAll()
  t.ok(before.aborted)
  t.notOk(deadlines.next().aborted)
  deadlines.expireAll()
})
