import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import t from 'tap'
import { migrationsFor } from '../../../src/records/store/migrations.ts'
import { restoreStore } from '../../../src/records/store/restore.ts'
import { openSqlite } from '../../../src/records/store/sqlite.ts'
import { later, newAppPassword, newUser, T0 } from '../../contract/store.ts'

/** A store with ann (epoch 3) and bob, and a backup of it; the store then goes on without bob. */
async function housesAndBackup(t: Test) {
  const directory = t.testdir()
  const target = join(directory, 'store.db')
  const file = join(directory, 'backup.db')
  const store = await openSqlite({ file: target })
  await store.putKeyCheck('k1', 'check-of-k1')
  await store.insertUser(newUser('ann'))
  await store.insertUser(newUser('bob'))
  await store.insertAppPassword(newAppPassword('p1', 'ann'))
  await store.raiseUserEpoch('ann')
  await store.raiseUserEpoch('ann')
  await store.policies.raiseEpoch()
  await store.backup(file)
  await store.deleteUser('bob', T0)
  await store.deleteAppPassword('p1')
  for (let i = 0; i < 5; i++) await store.raiseUserEpoch('ann')
  for (let i = 0; i < 5; i++) await store.policies.raiseEpoch()
  await store.putCachedLogin({ key: 'k', value: 'v', expiresAt: later(9e12) })
  return { directory, target, file, store }
}

t.test('backup and restore: what was there is there again, and every epoch is one that never was', async (t) => {
  const { directory, target, file, store } = await housesAndBackup(t)
  const lost = (await store.userById('ann'))?.epoch ?? 0
  await store.close()
  const seen: unknown[] = []
  const now = new Date()
  const restored = restoreStore({
    file,
    target,
    actor: 'cli:root',
    now: () => now,
    checkKeys: (checks) => seen.push([...checks]),
  })
  t.strictSame(seen, [[['k1', 'check-of-k1']]])
  t.equal(restored.users, 2)
  t.equal((statSync(target).mode & 0o777).toString(8), '600')

  const again = await openSqlite({ file: target })
  t.ok(await again.userById('bob'))
  t.ok(await again.appPasswordById('p1'))
  t.equal(await again.cachedLogin('k', T0), null)
  for (const id of ['ann', 'bob']) {
    t.ok(((await again.userById(id))?.epoch ?? 0) > lost + 1_000_000, `${id}: far beyond what counting reached`)
  }
  t.ok((await again.ping()) > 7 + 1_000_000, 'the policy’s as well')
  const [entry] = await again.listAudit({ userId: null, since: null, afterSeq: 0, limit: 9 })
  t.match(entry, { event: 'store_restored', actor: 'cli:root', at: now, detail: { file } })
  const first = (await again.userById('ann'))?.epoch ?? 0
  const firstPolicy = await again.ping()
  await again.close()

  const aside = await openSqlite({ file: restored.aside ?? '' })
  t.equal(await aside.userById('bob'), null, 'the old store is kept whole')
  t.equal((await aside.userById('ann'))?.epoch, lost)
  await aside.close()
  t.notOk(
    readdirSync(directory).some((name) => name.includes('restoring')),
    'nothing half-done is left',
  )

  restoreStore({ file, target, actor: 'cli:root', now: () => new Date(now.getTime() + 2000) })
  const third = await openSqlite({ file: target })
  t.ok(((await third.userById('ann'))?.epoch ?? 0) > first, 'a second restore goes further')
  t.ok((await third.ping()) > firstPolicy)
  await third.close()
})

t.test('restore of a backup that knows no policy epoch yet', async (t) => {
  const directory = t.testdir()
  const [target, file] = [join(directory, 'store.db'), join(directory, 'backup.db')]
  const steps = Object.entries(migrationsFor('sqlite')).filter(([version]) => version < '0011')
  const old = await openSqlite({ file: target, migrations: Object.fromEntries(steps) })
  await old.insertUser(newUser('ann'))
  await old.policies.put({ scope: 'all', subject: '', appPasswords: false })
  await old.backup(file)
  await old.close()
  restoreStore({ file, target, actor: 'cli:root' })
  const store = await openSqlite({ file: target })
  t.ok(((await store.userById('ann'))?.epoch ?? 0) > 1_000_000)
  t.match(await store.policies.read(), { epoch: 1, rows: [{ scope: 'all', appPasswords: false }] })
  await store.close()
})

t.test('restore where there is no store yet', async (t) => {
  const { directory, file, store } = await housesAndBackup(t)
  await store.close()
  const target = join(directory, 'elsewhere', 'new.db')
  t.equal(restoreStore({ file, target, actor: 'cli:root' }).aside, null)
  const made = await openSqlite({ file: target })
  t.ok(await made.userById('bob'))
  await made.close()
})

t.test('restore over a store that is damaged, with a log beside it', async (t) => {
  const { target, file, store } = await housesAndBackup(t)
  await store.close()
  writeFileSync(target, 'this was a store once, until the disk broke; now it is nothing that could be opened')
  writeFileSync(`${target}-wal`, 'and a log of it')
  const { aside } = restoreStore({ file, target, actor: 'cli:root' })
  t.match(readFileSync(aside ?? '', 'utf8'), /until the disk broke/)
  t.notOk(existsSync(`${target}-wal`), 'a log that is not its own never stands beside the new store')
  const again = await openSqlite({ file: target })
  t.ok(await again.userById('bob'))
  await again.close()
})

t.test('restore refuses, and leaves the store as it was', async (t) => {
  const { directory, target, file, store } = await housesAndBackup(t)
  const refused = async (
    what: string,
    from: string,
    want: Error | { code: string; message?: RegExp },
    more: object = {},
  ) => {
    const before = existsSync(target) ? readFileSync(target) : null
    t.throws(() => restoreStore({ file: from, target, actor: 'cli:root', ...more }), want, what)
    t.strictSame(existsSync(target) ? readFileSync(target) : null, before, `${what}: untouched`)
    const left = readdirSync(directory).filter((name) => /restoring|before-restore/.test(name))
    t.strictSame(left, [], `${what}: nothing left about`)
  }

  await refused('a server running', file, { code: 'ERR_STORE_LOCKED' })
  await store.insertUser(newUser('carl'))
  await store.close()

  await refused('no such file', join(directory, 'none.db'), {
    code: 'ERR_STORE_UNAVAILABLE',
    message: /there is no backup/,
  })
  await refused('the store itself', target, { code: 'ERR_STORE_UNAVAILABLE', message: /is the store itself/ })

  const text = join(directory, 'text.db')
  writeFileSync(text, 'no database '.repeat(100))
  await refused('not a database', text, { code: 'ERR_STORE_CORRUPT', message: /text\.db/ })

  const foreign = join(directory, 'foreign.db')
  const other = new DatabaseSync(foreign)
  other.exec('create table users (id); create table schema_migrations (name)')
  other.close()
  await refused('a database of something else', foreign, { code: 'ERR_STORE_SCHEMA' })
  const empty = join(directory, 'empty.db')
  writeFileSync(empty, '')
  await refused('an empty file', empty, { code: 'ERR_STORE_SCHEMA', message: /empty\.db is not a backup/ })

  const newer = join(directory, 'newer.db')
  const step = { up: async () => {} }
  await (await openSqlite({ file: newer, migrations: { ...migrationsFor('sqlite'), '9999': step } })).close()
  await refused('a backup of a newer version', newer, { code: 'ERR_STORE_SCHEMA', message: /9999/ })

  const damaged = join(directory, 'damaged.db')
  writeFileSync(damaged, readFileSync(file))
  const handle = await open(damaged, 'r+')
  const { size } = await handle.stat()
  for (let at = 4096 * 2; at < size; at += 4096) await handle.write(Buffer.alloc(64, 0xff), 0, 64, at)
  await handle.close()
  await refused('a damaged backup', damaged, { code: 'ERR_STORE_CORRUPT' })

  const noKeys = new Error('these are not our keys')
  await refused('keys that are not ours', file, noKeys, {
    checkKeys() {
      throw noKeys
    },
  })
  const again = await openSqlite({ file: target })
  t.ok(await again.userById('carl'))
  await again.close()
})
