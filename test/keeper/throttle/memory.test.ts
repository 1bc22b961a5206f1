/** Threat B11 by measurement: made-up users cost a bounded amount of memory, however many there are. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { createKnownGood } from '../../../src/keeper/throttle/known-good.ts'
import { createThrottle } from '../../../src/keeper/throttle.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'

t.setTimeout(240_000)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const MIB = 1024 * 1024
const A_ROUND = 100_000

function heapMiB(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed / MIB
}

t.test('threat B11: 100,000 made-up users, and 100,000 more: memory is flat', async (t) => {
  const time = { now: 1_000_000 }
  const throttle = createThrottle({
    delaysMs: [2000, 4000, 8000, 15_000],
    trustedNetworks: [],
    knownGood: createKnownGood(),
    metrics: createMetrics(),
    now: () => time.now,
  })
  let made = 0
  /** Each with a name and a /64 of its own, so that all tables fill. */
  async function madeUpUsers(): Promise<void> {
    for (let i = 0; i < A_ROUND; i++) {
      made += 1
      const ip = `2001:db8:${(made >> 16).toString(16)}:${(made & 0xffff).toString(16)}::1`
      const typed = new Secret(`made up ${made}`)
      await throttle.charge(`user-with-a-long-name-${made}@example.org`, ip, typed).failed(typed)
    }
  }
  const empty = heapMiB()
  await madeUpUsers()
  const full = heapMiB()
  const entries = throttle.entries
  await madeUpUsers()
  const later = heapMiB()
  t.comment(
    `${entries} entries: ${(full - empty).toFixed(0)} MiB, ${Math.round(((full - empty) * MIB) / entries)} bytes each; after 100,000 more ${(later - full).toFixed(1)} MiB more`,
  )
  t.ok(entries >= 3 * 99_000 && throttle.entries <= 5 * 100_000, `${throttle.entries} entries`)
  t.ok(full - empty < 200, `${(full - empty).toFixed(0)} MiB`)
  t.ok(later - full < 8, `${(later - full).toFixed(1)} MiB more`)
  // And there is room again for others once they are forgotten.
  time.now += 15 * 60_000 + 1
  const typed = new Secret('later')
  t.equal((await throttle.charge('late@example.org', '192.0.2.1', typed).failed(typed)).delayMs, 2000)
})
