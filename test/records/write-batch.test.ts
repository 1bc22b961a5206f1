import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createWriteBatch } from '../../src/records/write-batch.ts'

function setUp(options: { readonly maxWaiting?: number; readonly flushMs?: number } = {}) {
  const written: [string, number][][] = []
  const errors: unknown[] = []
  const state = { away: false, hold: null as Promise<void> | null }
  const batch = createWriteBatch<number>({
    flushMs: options.flushMs ?? 60_000,
    maxWaiting: options.maxWaiting ?? 100,
    merge: (earlier, later) => earlier + later,
    onError: (error) => errors.push(error),
    async write(notes) {
      await state.hold
      if (state.away) throw new Error('away')
      written.push([...notes])
    },
  })
  return { batch, written, errors, state }
}

t.test('notes of one key become one, and are written together', async (t) => {
  const { batch, written } = setUp()
  batch.note('a', 1)
  batch.note('b', 1)
  batch.note('a', 2)
  await batch.flush()
  await batch.flush()
  t.strictSame(written, [
    [
      ['b', 1],
      ['a', 3],
    ],
  ])
})

t.test('what could not be written is kept, with what came meanwhile', async (t) => {
  const { batch, written, errors, state } = setUp({ maxWaiting: 3 })
  const held = Promise.withResolvers<void>()
  state.hold = held.promise
  state.away = true
  for (const key of ['a', 'b']) batch.note(key, 1)
  const flushed = batch.flush()
  for (const key of ['b', 'c', 'd']) batch.note(key, 1)
  held.resolve()
  await flushed
  t.equal(errors.length, 1)
  state.away = false
  await batch.flush()
  t.strictSame(
    written,
    [
      [
        ['b', 2],
        ['c', 1],
        ['d', 1],
      ],
    ],
    'added up, and the oldest forgotten when there were too many',
  )
})

t.test('it is written by itself after a while, and when it is disposed', async (t) => {
  const { batch, written } = setUp({ flushMs: 5 })
  batch.note('a', 1)
  while (written.length === 0) await delay(1)
  batch.note('b', 1)
  await batch[Symbol.asyncDispose]()
  t.equal(written.length, 2)
})
