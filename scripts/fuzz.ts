/**
 * Runs the fuzzers of test/fuzz with ever new seeds: `npm run fuzz`, for SALLYPORT_FUZZ_SECONDS (default 60).
 *
 * A failure names its seed; `SALLYPORT_FUZZ_SEED=<seed> npm run fuzz` starts there. SALLYPORT_FUZZ=<name> runs one of them.
 */

import { randomInt } from 'node:crypto'
import t from 'tap'
import { FUZZERS } from '../test/fuzz/fuzzers.ts'
import { createRandom } from '../test/fuzz/random.ts'

const seconds = Number(process.env.SALLYPORT_FUZZ_SECONDS ?? 60)
const firstSeed = Number(process.env.SALLYPORT_FUZZ_SEED ?? randomInt(2 ** 31))
const only = process.env.SALLYPORT_FUZZ

t.setTimeout((seconds + 60) * 1000)
const endsAt = performance.now() + seconds * 1000
let rounds = 0
for (let seed = firstSeed; t.passing() && performance.now() < endsAt; seed++) {
  for (const [name, fuzzer] of Object.entries(FUZZERS)) {
    if (only !== undefined && only !== name) continue
    await t.test(`${name}, seed ${seed}`, (t) => fuzzer.run(createRandom(seed), fuzzer.rounds, t))
    rounds += fuzzer.rounds
  }
}
t.comment(`${rounds} rounds, seeds from ${firstSeed}`)
