import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { every } from '../src/pulse.ts'

t.test('all of one interval look in one turn, and each stops by itself', async (t) => {
  const seen: string[] = []
  const first = every(20, () => seen.push('first'))
  await sleep(7)
  const second = every(20, () => seen.push('second'))
  seen.length = 0
  while (seen.length < 2) await sleep(1)
  t.strictSame(seen.slice(0, 2), ['first', 'second'], 'in one turn, though one began later')
  first[Symbol.dispose]()
  seen.length = 0
  while (seen.length < 2) await sleep(1)
  t.strictSame(new Set(seen), new Set(['second']))
  second[Symbol.dispose]()
  second[Symbol.dispose]()
  const again = every(20, () => seen.push('again'))
  second[Symbol.dispose]()
  while (!seen.includes('again')) await sleep(1)
  t.pass('what is disposed of twice takes nobody else along')
  again[Symbol.dispose]()
  seen.length = 0
  await sleep(50)
  t.strictSame(seen, [])
})

t.test('row 10: an idle thread wakes up once an interval, however many look', async (t) => {
  const worker = new Worker(
    `const { every } = require(${JSON.stringify(`${import.meta.dirname}/../src/pulse.ts`)})
     const { parentPort } = require('node:worker_threads')
     for (let i = 0; i < 20; i++) { const end = Date.now() + 2; while (Date.now() < end); every(100, () => {}) }
     const { performance } = require('node:perf_hooks')
     const [before, from] = [performance.nodeTiming.uvMetricsInfo.loopCount, performance.now()]
     setTimeout(() => {
       const turns = performance.nodeTiming.uvMetricsInfo.loopCount - before
       parentPort.postMessage({ turns, intervals: (performance.now() - from) / 100 })
     }, 1050)`,
    { eval: true },
  )
  const [{ turns, intervals }] = await once(worker, 'message')
  t.ok(turns <= 2 * intervals + 5, `${turns} turns in ${intervals.toFixed(1)} intervals`)
})
