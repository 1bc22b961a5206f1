import t from 'tap'
import { FUZZERS } from './fuzzers.ts'
import { createRandom } from './random.ts'

// Fixed, so that a run says something about the code and not about the day; `npm run fuzz` looks further.
const SEED = 0x5a11

for (const [name, { run, rounds }] of Object.entries(FUZZERS)) {
  t.test(`${name}: ${rounds} rounds of nonsense, and nothing but declared answers (invariants 4, 11)`, async (t) => {
    const before = process.memoryUsage().rss
    await run(createRandom(SEED), rounds, t)
    const grownMiB = Math.round((process.memoryUsage().rss - before) / 2 ** 20)
    t.ok(grownMiB < 300, `memory is bounded: grew by ${grownMiB} MiB`)
  })
}
