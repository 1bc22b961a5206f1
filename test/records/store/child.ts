/**
 * A process that opens a store and does as its arguments say, for tests of locks, crashes and full disks.
 *
 * `hold FILE`: opens it, says "open", waits for the end of its input, closes it.
 * `write FILE`: adds users for ever and prints the number of each once it is committed.
 */

import { openStore } from '../../../src/records/store/open.ts'
import { StoreError } from '../../../src/records/store/store.ts'
import { newAppPassword, newUser, T0 } from '../../contract/store.ts'

const [what, file = ''] = process.argv.slice(2)
const store = await openStore({ sqlite: file })
console.log('open')

if (what === 'hold') {
  for await (const _ of process.stdin);
  await store.close()
} else {
  try {
    for (let i = 0; ; i++) {
      await store.transaction(async (tx) => {
        await tx.insertUser(newUser(`u${i}`, { name: 'x'.repeat(2000) }))
        await tx.insertAppPassword(newAppPassword(`p${i}`, `u${i}`))
        await tx.appendAudit({ at: T0, event: 'user_added', actor: 'test', userId: `u${i}`, user: null, detail: { i } })
      })
      console.log(i)
      // Its standard output is written when the event loop turns.
      await new Promise((resolve) => setImmediate(resolve))
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    console.log(error.code)
    // Still there for readers.
    console.log((await store.listUsers({ after: null, limit: 1 })).length)
    process.exit(3)
  }
}
