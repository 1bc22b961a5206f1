/** A loop that stands still is measured and told (threat E7). */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createMetrics } from '../../src/metrics.ts'
import { watchLoopLag } from '../../src/supervisor/loop-lag.ts'
import { captureLog } from '../support/logs.ts'

const EVERY_MS = 20

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

t.test('E7: 300 ms in which nothing happens are in the metric, and in the log once', async (t) => {
  const metrics = createMetrics()
  const { log, of } = captureLog()
  using _ = watchLoopLag(metrics, log, EVERY_MS)
  const count = async (le: number | '+Inf') => {
    const { values } = await metrics.eventLoopLag.get()
    return values.find(({ metricName, labels }) => metricName?.endsWith('_bucket') && labels.le === le)?.value ?? 0
  }
  block(300)
  // One look, and no other before it is asked.
  await sleep(1)
  t.strictSame(of('warning'), [], 'a process that has just started is busy')
  const before = (await count('+Inf')) - (await count(0.2))
  for (let times = 1; times <= 2; times++) {
    block(300)
    await sleep(4 * EVERY_MS)
    t.ok((await count('+Inf')) - (await count(0.2)) >= before + times, 'above 0.2 s, which an alert can ask for')
  }
  t.match(of('warning'), [{ level: 'warn', msg: /stood still/ }])
  t.ok(Number(of('warning')[0]?.duration_ms) >= 200)
})
