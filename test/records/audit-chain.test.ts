import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { appendAudit } from '../../src/records/audit.ts'
import { checkAudit, createAuditSealer, markText } from '../../src/records/audit-chain.ts'
import { createKeys } from '../../src/records/keys.ts'
import { restoreStore } from '../../src/records/store/restore.ts'
import { openSqlite } from '../../src/records/store/sqlite.ts'
import type { Store } from '../../src/records/store/store.ts'

const AT = new Date('2026-01-02T03:04:05Z')
const material = (id: string, byte: number) => ({ id, createdAt: AT, master: Buffer.alloc(32, byte) })
const KEYS = createKeys('k1', [material('k1', 1)])
const ROTATED = createKeys('k2', [material('k2', 2), material('k1', 1)])
const ENTRIES = 450

async function write(store: Store, count: number, from = 0): Promise<void> {
  await store.transaction(async (tx) => {
    for (let i = from; i < from + count; i++) {
      const user = i % 3 === 0 ? null : { id: `u${i}`, address: `u${i}@a.test` }
      await appendAudit(tx, { event: 'secret_set', actor: 'cli:root', user, at: AT, detail: { upstream: `n${i}` } })
    }
  })
}

/** A closed store with a sound trail of entries; some of before the chain. */
async function trail(directory: string, older = 0) {
  const file = `${directory}/store.db`
  const store = await openSqlite({ file })
  await write(store, older)
  store.sealAudit(createAuditSealer(KEYS))
  await write(store, ENTRIES, older)
  const mark = await store.auditChain.mark()
  await store.close()
  if (mark === null) throw new Error('no chain')
  return { file, mark }
}

async function check(file: string, keys = KEYS, noted: Parameters<typeof checkAudit>[2] = null) {
  const store = await openSqlite({ file })
  try {
    return await checkAudit(store, keys, noted)
  } finally {
    await store.close()
  }
}

t.test('J3: whatever is done to an entry without the key shows', async (t) => {
  for (const [what, sql, seq] of [
    ['another actor', "update audit set actor = 'cli:nobody' where seq = 200", 200],
    ['another time', 'update audit set at = at + 1 where seq = 1', 1],
    ['another user', "update audit set address = 'eve@a.test', user_id = 'u1' where seq = 201", 201],
    ['another detail', `update audit set detail = '{"upstream":"x"}' where seq = 450`, 450],
    ['one taken out', 'delete from audit where seq = 200', 201],
    ['the first one taken out', 'delete from audit where seq = 1', 2],
    ['the last one taken out', 'delete from audit where seq = 450', 450],
    ['one put in', "insert into audit (at, event, actor, detail) values (1, 'secret_set', 'x', '{}')", null],
    ['its code taken away', 'update audit set code = null, key_id = null where seq = 200', 200],
    ['a key that nobody has', "update audit set key_id = 'other' where seq = 200", null],
    ['two changed places', 'update audit set seq = case seq when 7 then 999 else seq end where seq in (7)', 8],
    ['a code of another entry', 'update audit set code = (select code from audit where seq = 9) where seq = 8', 8],
    ['everything but the end', 'delete from audit', 450],
    ['the end forgotten', 'delete from audit_head', 450],
  ] as const) {
    const { file } = await trail(t.testdir())
    t.match(await check(file), { sound: ENTRIES, older: 0, unknownKey: 0, broken: null }, 'sound')
    const database = new DatabaseSync(file)
    database.exec(sql)
    database.close()
    const { broken, unknownKey } = await check(file)
    if (what === 'a key that nobody has') t.equal(unknownKey, 1, `${what} is said`)
    else if (seq === null) {
      // Behind the end, where the next entry would stand: it is found when that one is there.
      const store = await openSqlite({ file })
      store.sealAudit(createAuditSealer(KEYS))
      await write(store, 1)
      await store.close()
      t.match((await check(file)).broken, { seq: 451 }, what)
    } else t.match(broken, { seq }, what)
  }
})

t.test('J3: a shorter chain is sound, and a mark noted elsewhere tells', async (t) => {
  const { file, mark } = await trail(t.testdir())
  t.match(await check(file, KEYS, mark), { broken: null })
  const database = new DatabaseSync(file)
  database.exec('delete from audit where seq > 400')
  database.exec('update audit_head set seq = 400, code = (select code from audit where seq = 400)')
  database.close()
  t.match(await check(file), { sound: 400, broken: null }, 'by itself it looks well')
  t.match(await check(file, KEYS, mark), { broken: { seq: 450 } }, 'the mark is not there any more')
  t.match(markText(mark), /^450:[\w-]{43}$/)
})

t.test(
  'entries of before the chain are counted, keys may be rotated, another key finds every entry wrong',
  async (t) => {
    const { file } = await trail(t.testdir(), 5)
    t.match(await check(file), { sound: ENTRIES, older: 5, broken: null })
    const store = await openSqlite({ file })
    store.sealAudit(createAuditSealer(ROTATED))
    await write(store, 10, 1000)
    await store.close()
    t.match(await check(file, ROTATED), { sound: ENTRIES + 10, unknownKey: 0, broken: null })
    t.match(await check(file, createKeys('k2', [material('k2', 2)])), { sound: 10, unknownKey: ENTRIES, broken: null })
    t.match(await check(file, createKeys('k1', [material('k1', 3)])), { sound: 0, broken: { seq: 6 } })
  },
)

t.test('a backup that is put back goes on with its chain', async (t) => {
  const directory = t.testdir()
  const { file, mark } = await trail(directory)
  const backup = `${directory}/backup.db`
  const store = await openSqlite({ file })
  await store.backup(backup)
  await store.close()
  restoreStore({ file: backup, target: file, actor: 'cli:root', sealer: createAuditSealer(KEYS) })
  t.match(await check(file, KEYS, mark), { sound: ENTRIES + 1, broken: null })
})
