/** E5 by measurement, in the keeper alone: what is over leaves nothing on the heap. */

import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { edge, house } from './house.ts'

t.setTimeout(240_000)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const KIB = 1024
const ANN = 'ann@a.test'

/** Twice, with a turn of the event loop between, in which what was waiting for the first is let go. */
async function heapKiB(): Promise<number> {
  collect()
  await setImmediate()
  collect()
  return process.memoryUsage().heapUsed / KIB
}

const LETTERS = 'abcdefghjkmnpqrstvwxyz'
/** Looks like an app password, and is nobody's. */
const guess = (): string =>
  Array.from(randomBytes(16), (byte, i) => (i > 0 && i % 4 === 0 ? ' ' : '') + LETTERS[byte % LETTERS.length]).join('')
/** Code that is compiled on the way is on the heap, too; what is kept by mistake is kept in each round. */
const ROUNDS = 4

t.test('E5: logins, guesses and app passwords that come and go leave nothing on the heap', async (t) => {
  const home = await house(t, { lastUseFlushMs: 10 })
  // It is kept in memory here.
  home.capture.log.setLevel('error')
  const phone = edge(home.keeper)
  await home.addUser(ANN)
  const { password } = await home.issue(ANN)
  await phone.result(ANN, password)

  const kinds = {
    login: [1000, () => phone.result(ANN, password)],
    'wrong guess': [1000, () => phone.result(ANN, guess())],
    'call of a service': [1000, () => home.call('health', {})],
    scrape: [300, () => home.metrics.snapshot()],
    'app password, used and deleted with its session': [
      150,
      async () => {
        const made = await home.call('app-password.create', { user: ANN, name: 'tablet' })
        await phone.login(ANN, made.password)
        await home.call('app-password.delete', { id: made.id })
        phone.told.length = 0
      },
    ],
  } as const satisfies Record<string, readonly [number, () => Promise<unknown>]>

  for (const [name, [times, once]] of Object.entries(kinds)) {
    const round = async () => {
      for (let i = 0; i < times; i++) await once()
    }
    let before = await heapKiB()
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < ROUNDS; i++) {
      await round()
      const after = await heapKiB()
      least = Math.min(least, ((after - before) * KIB) / times)
      before = after
    }
    t.comment(`${name}: ${least.toFixed(0)} bytes each`)
    // An entry of a table has 300 and more. In so few app passwords what is compiled late weighs more than one of those.
    t.ok(least < (times < 200 ? 1500 : 250), `${name} keeps ${least.toFixed(0)} bytes each`)
  }
})
