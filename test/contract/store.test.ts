import { join } from 'node:path'
import t from 'tap'
import { openStore } from '../../src/records/store/open.ts'
import { storeContract } from './store.ts'

t.test('SQLite', async (t) => {
  storeContract(t, async (t) => {
    const store = await openStore({ sqlite: join(t.testdir(), 'store.db') })
    t.teardown(() => store.close())
    return store
  })
})
