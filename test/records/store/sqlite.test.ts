import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import type { Test } from 'tap'
import t from 'tap'
import type { Migrations } from '../../../src/records/store/migrations.ts'
import { migrationsFor } from '../../../src/records/store/migrations.ts'
import { openSqlite } from '../../../src/records/store/sqlite.ts'
import { later, newAppPassword, newUser, T0 } from '../../contract/store.ts'
import { quickest } from '../../support/quickest.ts'

const CHILD = join(import.meta.dirname, 'child.ts')
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)

function child(t: Test, what: 'hold' | 'write', file: string): ChildProcess {
  const process_ = spawn(process.execPath, [CHILD, what, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => process_.kill('SIGKILL'))
  return process_
}

/** Lines of a child's output as they come. */
function linesOf(from: ChildProcess): AsyncIterableIterator<string> {
  if (!from.stdout) throw new Error('no output to read')
  return createInterface({ input: from.stdout })[Symbol.asyncIterator]()
}

t.test('the file and what stands beside it are for their owner alone', async (t) => {
  const file = join(t.testdir(), 'new', 'deeper', 'store.db')
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const store = await openSqlite({ file })
  await store.insertUser(newUser('ann'))
  const directory = join(file, '..')
  t.equal(modeOf(directory), '700')
  t.strictSame(readdirSync(directory).sort(), ['store.db', 'store.db-wal'])
  for (const name of readdirSync(directory)) t.equal(modeOf(join(directory, name)), '600', name)
  await store.close()
  t.strictSame(readdirSync(directory), ['store.db'], 'closing leaves one file')

  chmodSync(file, 0o664)
  const again = await openSqlite({ file })
  t.equal(modeOf(file), '600', 'a wider mode is taken back')
  t.ok(await again.userById('ann'))
  await again.close()
})

t.test('one opener, ever', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const locked = { name: 'StoreError', code: 'ERR_STORE_LOCKED', message: /store\.db.*a server that runs/ }

  await t.test('from another process', async (t) => {
    const holder = child(t, 'hold', file)
    const lines = linesOf(holder)
    t.equal((await lines.next()).value, 'open')
    const tookMs = await quickest(2000, async () => {
      const from = performance.now()
      await t.rejects(openSqlite({ file }), locked)
      return performance.now() - from
    })
    t.ok(tookMs < 2000, 'said quickly')
    holder.stdin?.end()
    await once(holder, 'exit')
    const store = await openSqlite({ file })
    await store.close()
  })

  await t.test('from the same process, and the refusal does not loosen the first one', async (t) => {
    const store = await openSqlite({ file })
    t.teardown(() => store.close())
    await t.rejects(openSqlite({ file, lockWaitMs: 0 }), locked)
    await store.backup(join(t.testdir(), 'copy.db'))
    const other = spawnSync(process.execPath, [CHILD, 'hold', file], { input: '', encoding: 'utf8' })
    t.match(other.stderr, /ERR_STORE_LOCKED/, 'neither did a backup')
    t.notMatch(other.stdout, /open/)
    await store.insertUser(newUser('ann'))
  })

  await t.test('a killed holder holds nothing', async (t) => {
    const holder = child(t, 'hold', file)
    await linesOf(holder).next()
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const store = await openSqlite({ file })
    t.ok(await store.userById('ann'))
    await store.close()
  })
})

/** The steps of this version and one more that `up` takes. */
function withStep(up: (db: Kysely<never>) => Promise<void>): Migrations {
  return { ...migrationsFor('sqlite'), '9999': { up } }
}

t.test('a schema step that fails leaves nothing behind, and taking it again works', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const first = await openSqlite({ file })
  await first.insertUser(newUser('ann'))
  await first.putCachedLogin({ key: 'k', value: 'v', expiresAt: later(1000) })
  await first.close()

  const halfWay = withStep(async (db) => {
    await db.schema.createTable('extra').addColumn('id', 'text').execute()
    await sql`alter table users add column quota integer`.execute(db)
    throw new Error('power cut')
  })
  await t.rejects(openSqlite({ file, migrations: halfWay }), {
    code: 'ERR_STORE_SCHEMA',
    message: /schema version 9999 and is as it was: power cut/,
  })
  const raw = new DatabaseSync(file)
  const tables = raw.prepare("select name from sqlite_master where type = 'table'").all()
  t.notOk(
    tables.some((row) => row.name === 'extra'),
    'no table left',
  )
  t.notOk(
    raw
      .prepare('pragma table_info(users)')
      .all()
      .some((row) => row.name === 'quota'),
    'no column left',
  )
  raw.close()

  const old = await openSqlite({ file })
  t.ok(await old.userById('ann'), 'the version before still opens it')
  await old.insertUser(newUser('bob'))
  await old.close()

  const whole = withStep(async (db) => {
    await db.schema.createTable('extra').addColumn('id', 'text').execute()
    await sql`alter table users add column quota integer`.execute(db)
  })
  const store = await openSqlite({ file, migrations: whole })
  t.ok(await store.userById('bob'))
  await store.close()

  const copy = `${file}.before-9999`
  t.equal(modeOf(copy), '600')
  const before = await openSqlite({ file: copy })
  t.ok(await before.userById('bob'), 'the copy is of the last time')
  t.equal(await before.cachedLogin('k', T0), null, 'without cached logins')
  await before.close()

  await t.rejects(openSqlite({ file }), { code: 'ERR_STORE_SCHEMA', message: /schema version 9999.*none after \d{4}/ })
  const again = await openSqlite({ file, migrations: whole })
  t.ok(await again.userById('ann'), 'refusing it changed nothing')
  await again.close()
})

t.test('what is not our store is refused and not touched', async (t) => {
  const directory = t.testdir({ 'text.db': 'not a database at all, but longer than the header of one is: '.repeat(4) })
  await t.rejects(openSqlite({ file: join(directory, 'text.db') }), { code: 'ERR_STORE_CORRUPT', message: /text\.db/ })

  const foreign = join(directory, 'foreign.db')
  const other = new DatabaseSync(foreign)
  other.exec('create table users (id)')
  other.close()
  await t.rejects(openSqlite({ file: foreign }), { code: 'ERR_STORE_SCHEMA', message: /not a store of sallyport/ })
  const same = new DatabaseSync(foreign)
  t.equal(same.prepare('select count(*) as n from sqlite_master').get()?.n, 1)
  same.close()

  mkdirSync(join(directory, 'folder.db'))
  await t.rejects(openSqlite({ file: join(directory, 'folder.db') }), {
    code: 'ERR_STORE_SCHEMA',
    message: /store\.sqlite/,
  })
  await t.rejects(
    openSqlite({ file: '/proc/sallyport/store.db' }),
    { code: 'ERR_STORE_UNAVAILABLE', message: /can't prepare the store \/proc.*ENOENT/ },
    'a file system that knows no new names: told at once',
  )
  writeFileSync(join(directory, 'empty.db'), '')
  const fresh = await openSqlite({ file: join(directory, 'empty.db') })
  await fresh.ping()
  await fresh.close()
  t.pass('an empty file is a new store: its maker may have been killed')
})

t.test('a page that was damaged is a StoreError, not a crash', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const store = await openSqlite({ file })
  for (let i = 0; i < 200; i++) await store.insertUser(newUser(`u${i}`, { name: 'n'.repeat(1000) }))
  await store.close()
  const { size } = statSync(file)
  const raw = await import('node:fs/promises')
  const handle = await raw.open(file, 'r+')
  // The first page (header and schema) stays whole: it opens, and breaks when it is read.
  for (let at = 8 * 4096; at < size; at += 4096) await handle.write(Buffer.alloc(512, 0xa5), 0, 512, at)
  await handle.close()
  await t.rejects(
    (async () => {
      const broken = await openSqlite({ file })
      t.teardown(() => broken.close())
      for (let i = 0; i < 200; i++) await broken.userByAddress(`u${i}@example.org`)
      await broken.listUsers({ after: null, limit: 200 })
    })(),
    { name: 'StoreError', code: 'ERR_STORE_CORRUPT' },
  )
})

t.test('kill -9 in the middle of writing: all that was confirmed is there, and whole', async (t) => {
  const file = join(t.testdir(), 'store.db')
  for (const enough of [5, 40]) {
    const writer = child(t, 'write', file)
    let last = -1
    for await (const line of linesOf(writer)) {
      if (line === 'open') continue
      last = Number(line)
      if (last === enough) writer.kill('SIGKILL')
    }
    const store = await openSqlite({ file })
    const users = await store.listUsers({ after: null, limit: 200_000 })
    t.ok(users.length > last, `${last + 1} confirmed, ${users.length} there`)
    for (const user of users) {
      const i = user.id.slice(1)
      t.ok((await store.liveCheck(user.id, `p${i}`))?.appPassword, 'with its app password')
      t.equal(
        (await store.listAudit({ userId: user.id, since: null, afterSeq: 0, limit: 9 })).length,
        1,
        'and its entry',
      )
    }
    await store.close()
    const raw = new DatabaseSync(file)
    t.equal(raw.prepare('pragma integrity_check').get()?.integrity_check, 'ok')
    raw.exec('delete from users; delete from audit')
    raw.close()
  }
})

t.test('a full disk is a StoreError; what was there stays readable', async (t) => {
  const file = join(t.testdir(), 'store.db')
  // Files of this process may not grow beyond 600 KiB, of which the schema takes 380.
  const script = 'trap "" XFSZ; ulimit -f 600; exec "$0" "$@"'
  const writer = spawnSync('bash', ['-c', script, process.execPath, CHILD, 'write', file], { encoding: 'utf8' })
  const lines = writer.stdout.trim().split('\n')
  t.equal(writer.status, 3, writer.stderr)
  t.strictSame(lines.slice(-2), ['ERR_STORE_UNAVAILABLE', '1'])
  const confirmed = Number(lines.at(-3))
  const store = await openSqlite({ file })
  t.ok((await store.listUsers({ after: null, limit: 200_000 })).length > confirmed)
  await store.insertUser(newUser('after'))
  await store.close()
})

t.test('with 10,000 users and 100,000 app passwords nothing scans', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const texts = new Set<string>()
  const store = await openSqlite({ file, onStatement: (text) => texts.add(text) })
  await store.transaction(async (tx) => {
    await tx.insertUser(newUser('ann'))
    await tx.updateUser('ann', { name: 'Ann' })
    await tx.raiseUserEpoch('ann')
    await tx.insertAppPassword(newAppPassword('p1', 'ann'))
    await tx.countAppPasswords('ann', T0)
    await tx.countAppPasswordsOf(['ann', 'bob'], T0)
    await tx.appPasswordById('p1')
    await tx.appPasswordsOf('ann')
    await tx.appPasswordsBySelector('ann', 1)
    await tx.appPasswordsUnusedSince(T0, 100)
    await tx.updateAppPassword('p1', { name: 'x' })
    await tx.replaceAppPasswordHash('p1', 'h')
    await tx.noteLastUsed(new Map([['p1', { at: T0, protocol: 'imap', ip: '::1', agent: null }]]))
    await tx.deleteAppPassword('p1')
    await tx.putTombstone({ userId: 'ann', digest: 'd', keyId: 'k', appPasswordId: 'p', name: 'n', deletedAt: T0 })
    await tx.tombstone('ann', 'd')
    await tx.trimTombstones('ann', 1)
    await tx.deleteTombstonesBefore(T0)
    await tx.putStoredSecret({ userId: 'ann', upstream: 'm', sealed: 's', keyId: 'k', updatedAt: T0 })
    await tx.storedSecret('ann', 'm')
    await tx.deleteStoredSecret('ann', 'm')
    await tx.appendAudit({ at: T0, event: 'e', actor: 'a', userId: null, user: null, detail: {} })
    await tx.listAudit({ userId: null, since: null, afterSeq: 0, limit: 9 })
    await tx.listAudit({ userId: 'ann', since: T0, afterSeq: 0, limit: 9 })
    await tx.listAudit({ userId: null, since: T0, afterSeq: 0, limit: 9 })
    for (const since of [null, T0]) {
      for (const afterSeq of [0, 9]) {
        await tx.listAudit({ userId: null, since, order: 'newest', afterSeq, limit: 9 })
        await tx.listAudit({ userId: 'ann', since, order: 'newest', afterSeq, limit: 9 })
        await tx.listAudit({ userId: null, address: 'ann@a.test', since, order: 'newest', afterSeq, limit: 9 })
        await tx.listAudit({ userId: null, address: 'ann@a.test', since, afterSeq, limit: 9 })
      }
    }
    for (const state of [null, 'waiting'] as const) {
      await tx.devices.list({ state, after: null, limit: 9 })
      await tx.devices.list({ state, after: { firstSeen: T0, userId: 'ann', id: 'x' }, limit: 9 })
    }
    await tx.listUsers({ after: null, limit: 9 })
    await tx.searchUsers(['ann'], { after: null, limit: 9 })
    await tx.administratorBesides('ann')
    await tx.searchUsers(['ann', 'lee'], { after: 'a', limit: 9 })
    await tx.userById('ann')
    await tx.userByAddress('ann@example.org')
    await tx.deleteUser('ann', T0)
  })
  await store.transaction(async (tx) => {
    await tx.policies.raiseEpoch()
    await tx.policies.put({ scope: 'all', subject: '', appPasswords: false })
    await tx.policies.read()
    await tx.policies.users({ after: null, limit: 9 })
    await tx.policies.delete('all', '')
  })
  await store.liveCheck('ann', 'p1')
  await store.ping()
  await store.putCachedLogin({ key: 'k', value: 'v', expiresAt: T0 })
  await store.cachedLogin('k', T0)
  await store.deleteCachedLogin('k')
  await store.deleteExpiredCachedLogins(T0)
  await store.close()

  const raw = new DatabaseSync(file)
  raw.exec('pragma foreign_keys = on')
  const explained = [...texts].filter(
    (text) => /^\s*(select|insert|update|delete)/i.test(text) && !/schema_migrations|sqlite_master/.test(text),
  )
  t.ok(explained.length >= 30, `${explained.length} statements`)
  const stepsOf = (text: string) =>
    raw
      .prepare(`explain query plan ${text}`)
      .all()
      .map((row) => String(row.detail))
  const scansOf = (text: string) =>
    stepsOf(text).filter(
      (step) => step.startsWith('SCAN') && !/json_each|SCAN (u|asked|part)\b|CONSTANT ROW|VALUES CLAUSE/.test(step),
    )
  t.strictSame(scansOf('select * from users where name = ?'), ['SCAN users'], 'a scan would be seen')
  // Schema steps read all there is, once; what is set for everybody and for groups is always read whole.
  const steps = ['select "address", "name" from "users"', 'update "devices" set "blocked_by" = ? where "state" = ?']
  const isWhole = (text: string) => text.includes('from "policy_epoch" left join "policies"')
  for (const text of explained.filter((text) => !steps.includes(text) && !isWhole(text))) {
    t.strictSame(scansOf(text), [], text)
    const sorts = stepsOf(text).filter((step) => step.includes('TEMP B-TREE'))
    // The rows of one user, 40 as a rule, are sorted in memory; so are the addresses that a search found.
    if (!/"user_id" = \?|"user_words"/.test(text)) t.strictSame(sorts, [], text)
  }
  raw.close()
})

t.test('counting for users, however many, fills no cache of statements', async (t) => {
  const texts = new Set<string>()
  const store = await openSqlite({ file: join(t.testdir(), 'store.db'), onStatement: (text) => texts.add(text) })
  t.teardown(() => store.close())
  for (const id of ['first', 'last']) {
    await store.insertUser(newUser(id))
    await store.insertAppPassword(newAppPassword(`of-${id}`, id))
  }
  texts.clear()
  for (let others = 0; others <= 300; others++) {
    const ids = ['first', ...Array.from({ length: others }, (_, n) => `u${n}`), 'last']
    const counts = await store.countAppPasswordsOf(ids, T0)
    if (counts.size !== 2 || counts.get('first') !== 1 || counts.get('last') !== 1) {
      t.fail(`${ids.length} users`, { counts: [...counts] })
    }
  }
  t.equal(texts.size, 9, 'of the 256 that are kept: 2, 4 … 512')
})

t.test('backup: consistent while others write, private, without cached logins, never over a file', async (t) => {
  const directory = t.testdir()
  const store = await openSqlite({ file: join(directory, 'store.db') })
  t.teardown(() => store.close())
  await store.putCachedLogin({ key: 'key-of-cached-login', value: 'value-of-cached-login', expiresAt: later(9e9) })
  for (let i = 0; i < 300; i++) {
    await store.transaction(async (tx) => {
      await tx.insertUser(newUser(`u${i}`, { name: 'n'.repeat(3000) }))
      await tx.insertAppPassword(newAppPassword(`p${i}`, `u${i}`))
    })
  }
  let writing = true
  const writes = (async () => {
    for (let i = 1000; writing; i++) {
      await store.transaction(async (tx) => {
        await tx.insertUser(newUser(`u${i}`))
        // Between the two a page of the copy may be written.
        await new Promise((resolve) => setImmediate(resolve))
        await tx.insertAppPassword(newAppPassword(`p${i}`, `u${i}`))
      })
    }
  })()
  const to = join(directory, 'backup.db')
  await store.backup(to)
  writing = false
  await writes

  t.equal(modeOf(to), '600')
  t.strictSame(
    readdirSync(directory).filter((name) => name !== 'store.db' && !name.startsWith('store.db-')),
    ['backup.db'],
    'nothing beside it, nothing half-written',
  )
  const raw = new DatabaseSync(to, { readOnly: true })
  t.equal(raw.prepare('pragma integrity_check').get()?.integrity_check, 'ok')
  t.equal(raw.prepare('select count(*) as n from cached_logins').get()?.n, 0)
  const users = raw.prepare('select count(*) as n from users').get()?.n
  t.ok(Number(users) >= 300)
  t.equal(raw.prepare('select count(*) as n from app_passwords').get()?.n, users, 'each user with its app password')
  raw.close()
  const { readFileSync } = await import('node:fs')
  t.notOk(readFileSync(to).includes('of-cached-login'), 'not in its free pages either')

  await t.rejects(store.backup(to), { code: 'ERR_STORE_UNAVAILABLE', message: /backup\.db is there already/ })
  await t.rejects(store.backup(join(directory, 'nowhere', 'b.db')), {
    code: 'ERR_STORE_UNAVAILABLE',
    message: /nowhere/,
  })
  t.notOk(existsSync(join(directory, 'nowhere')))
  await store.ping()
})

/** The schema as it was before a step. */
const stepsBefore = (step: string) =>
  Object.fromEntries(Object.entries(migrationsFor('sqlite')).filter(([version]) => version < step))

t.test('0009: a device that was blocked before anybody kept who did it counts as an administrator’s', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const old = await openSqlite({ file, migrations: stepsBefore('0009') })
  await old.insertUser(newUser('ann'))
  await old.close()
  const raw = new DatabaseSync(file)
  const insert = raw.prepare(
    "insert into devices (user_id, id, state, app_passwords, first_seen, last_seen, last_ip) values ('ann', ?, ?, '[]', 0, 0, '')",
  )
  for (const state of ['blocked', 'allowed', 'waiting']) insert.run(state, state)
  raw.close()
  const store = await openSqlite({ file })
  t.teardown(() => store.close())
  t.strictSame(
    (await store.devices.of('ann')).map(({ id, blockedBy }) => [id, blockedBy]),
    [
      ['allowed', null],
      ['blocked', 'administrator'],
      ['waiting', null],
    ],
  )
})

t.test('0011: what was set before there was an epoch is there with the first one', async (t) => {
  const file = join(t.testdir(), 'store.db')
  const old = await openSqlite({ file, migrations: stepsBefore('0011') })
  const row = { scope: 'group', subject: 'office', appPasswords: false } as const
  await old.policies.put(row)
  await old.close()
  for (const epoch of [1, 2]) {
    const store = await openSqlite({ file })
    t.strictSame(await store.policies.read(), { epoch, rows: [row] }, 'once, however often it is opened')
    await store.policies.raiseEpoch()
    await store.close()
  }
})
