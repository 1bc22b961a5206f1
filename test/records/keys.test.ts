import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import type { Test } from 'tap'
import t from 'tap'
import { openKeys } from '../../src/records/key-file.ts'
import { createKeys, DIGEST_PURPOSES, Key, keyCheck, SEAL_PURPOSES } from '../../src/records/keys.ts'
import { openStore } from '../../src/records/store/open.ts'
import { newAppPassword, newUser } from '../contract/store.ts'

const master = (fill: number) => Buffer.alloc(32, fill)
const made = new Date('2026-01-02T03:04:05.678Z')

t.test('one subkey per purpose, all different, fixed for ever', async (t) => {
  const key = new Key({ id: 'k1', createdAt: made, master: master(1) })
  const digests = DIGEST_PURPOSES.map((purpose) => key.hmac(purpose, 'a', 'b').toString('hex'))
  const subkeys = SEAL_PURPOSES.map((purpose) => key.cipherKey(purpose).export().toString('hex'))
  t.equal(
    new Set([...digests, ...subkeys, key.pepper.toString('hex')]).size,
    DIGEST_PURPOSES.length + SEAL_PURPOSES.length + 1,
  )
  t.equal(key.pepper.length, 32)
  t.notOk(subkeys.includes(master(1).toString('hex')), 'no subkey is the master key')
  t.not(key.hmac('cache', 'a', 'b').toString('hex'), key.hmac('cache', 'ab').toString('hex'))
  t.ok(key.hmac('cache', 'a', 'b\0c'), 'the last part may hold anything')
  t.throws(() => key.hmac('cache', 'a\0b', 'c'), RangeError)
})

t.test('invariant 5: a key prints as its id', async (t) => {
  const key = new Key({ id: 'k1', createdAt: made, master: master(7) })
  const pepper = key.pepper
  for (const text of [
    inspect(key, { depth: 9, showHidden: true }),
    JSON.stringify(key),
    `${inspect(createKeys('k1', [{ id: 'k1', createdAt: made, master: master(7) }]), { depth: 9 })}`,
  ]) {
    t.match(text, /k1/)
    t.notOk(text.includes(pepper.toString('hex').slice(0, 8)) || text.includes('<Buffer'), text)
  }
})

t.test('keys: the active one first, the others by id', async (t) => {
  const keys = createKeys(
    'b',
    ['a', 'b', 'c'].map((id, i) => ({ id, createdAt: made, master: master(i) })),
  )
  t.strictSame(
    keys.all.map((key) => key.id),
    ['b', 'a', 'c'],
  )
  t.equal(keys.active, keys.byId('b'))
  t.equal(keys.byId('d'), null)
  t.throws(() => createKeys('d', [{ id: 'a', createdAt: made, master: master(1) }]), RangeError)
  t.throws(
    () =>
      createKeys(
        'a',
        [1, 2].map((i) => ({ id: 'a', createdAt: made, master: master(i) })),
      ),
    RangeError,
  )
  t.throws(() => new Key({ id: 'a', createdAt: made, master: Buffer.alloc(31) }), RangeError)
  t.throws(() => new Key({ id: 'A b', createdAt: made, master: master(1) }), RangeError)
})

async function emptyStore(t: Test) {
  const directory = t.testdir()
  const store = await openStore({ sqlite: join(directory, 'store.db') })
  t.teardown(() => store.close())
  return { directory, store, file: join(directory, 'keys') }
}

t.test('a key file is made for an empty store, and read from then on', async (t) => {
  const { directory, store, file } = await emptyStore(t)
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const keys = await openKeys({ file, store, now: () => made })
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.strictSame(
    readdirSync(directory).filter((name) => name.startsWith('keys')),
    ['keys'],
    'nothing half-made beside it',
  )
  const content = JSON.parse(readFileSync(file, 'utf8'))
  t.match(content, { format: 1, active: keys.active.id, keys: [{ id: keys.active.id, createdAt: made.toISOString() }] })
  t.equal(Buffer.from(content.keys[0].key, 'base64').length, 32)
  t.strictSame([...(await store.keyChecks())], [[keys.active.id, keyCheck(keys.active)]])

  const again = await openKeys({ file, store })
  t.equal(again.active.id, keys.active.id)
  t.ok(again.active.pepper.equals(keys.active.pepper))
  t.strictSame(again.active.createdAt, made)

  const stored =
    readFileSync(join(directory, 'store.db')).toString('latin1') +
    readFileSync(join(directory, 'store.db-wal')).toString('latin1')
  t.notOk(
    stored.includes(content.keys[0].key) ||
      stored.includes(Buffer.from(content.keys[0].key, 'base64').toString('latin1')),
  )
})

t.test('killed between making the file and noting its check: the next start goes on', async (t) => {
  const { store, file } = await emptyStore(t)
  const content = {
    format: 1,
    active: 'k1',
    keys: [{ id: 'k1', createdAt: made.toISOString(), key: master(5).toString('base64') }],
  }
  writeFileSync(file, JSON.stringify(content), { mode: 0o600 })
  const keys = await openKeys({ file, store })
  t.strictSame([...(await store.keyChecks())], [['k1', keyCheck(keys.active)]])
})

t.test('a store made under other keys is refused, and says so', async (t) => {
  const { store, file } = await emptyStore(t)
  const keys = await openKeys({ file, store })
  const right = readFileSync(file, 'utf8')
  await store.insertUser(newUser('ann'))

  renameSync(file, `${file}.lost`)
  await t.rejects(openKeys({ file, store }), {
    name: 'KeyError',
    code: 'ERR_KEYS_MISSING',
    message: /put it back from where you keep it/,
  })
  t.notOk(readdirSync(join(file, '..')).includes('keys'), 'no new one was made')

  const other = JSON.parse(right)
  other.keys[0].key = randomBytes(32).toString('base64')
  writeFileSync(file, JSON.stringify(other), { mode: 0o600 })
  await t.rejects(openKeys({ file, store }), {
    code: 'ERR_KEYS_MISMATCH',
    message: /is not the key .* belongs to this store/,
  })

  other.keys[0].id = other.active = 'k-other'
  writeFileSync(file, JSON.stringify(other))
  await t.rejects(openKeys({ file, store }), {
    code: 'ERR_KEYS_MISMATCH',
    message: new RegExp(`made with key ${keys.active.id}, which`),
  })
  t.strictSame([...(await store.keyChecks()).keys()], [keys.active.id], 'a wrong file leaves no check behind')

  const both = JSON.parse(right)
  both.keys.push(...other.keys)
  both.active = 'k-other'
  writeFileSync(file, JSON.stringify(both))
  const two = await openKeys({ file, store })
  t.equal(two.active.id, 'k-other')
  t.ok(two.byId(keys.active.id))
  t.equal((await store.keyChecks()).size, 2, 'a key that was added is noted')

  writeFileSync(file, right)
  await t.rejects(openKeys({ file, store }), { code: 'ERR_KEYS_MISMATCH' }, 'and missed once it is gone again')
})

t.test('a store with rows and no checks is refused', async (t) => {
  const { store, file } = await emptyStore(t)
  await store.insertUser(newUser('ann'))
  await store.insertAppPassword(newAppPassword('p1', 'ann'))
  await t.rejects(openKeys({ file, store }), { code: 'ERR_KEYS_MISSING' })
  const content = {
    format: 1,
    active: 'k1',
    keys: [{ id: 'k1', createdAt: made.toISOString(), key: master(5).toString('base64') }],
  }
  writeFileSync(file, JSON.stringify(content), { mode: 0o600 })
  await t.rejects(openKeys({ file, store }), { code: 'ERR_KEYS_MISMATCH' })
})

t.test('I-11: a key file that others may read, or that is no file, is refused', async (t) => {
  const { directory, store, file } = await emptyStore(t)
  await openKeys({ file, store })
  for (const mode of [0o640, 0o604, 0o660, 0o644, 0o601]) {
    chmodSync(file, mode)
    const want = {
      code: 'ERR_KEYS_MODE',
      message: `the key file ${file} has mode ${mode.toString(8)}; run: chmod 600 ${file}`,
    }
    await t.rejects(openKeys({ file, store }), want, mode.toString(8))
    t.equal(statSync(file).mode & 0o777, mode, 'what others have read by now is not made secret by a chmod of ours')
  }
  chmodSync(file, 0o400)
  t.ok(await openKeys({ file, store }), 'stricter is fine')
  chmodSync(file, 0o600)

  mkdirSync(join(directory, 'folder'))
  await t.rejects(openKeys({ file: join(directory, 'folder'), store }), {
    code: 'ERR_KEYS_FILE',
    message: /not a regular file/,
  })
  execFileSync('mkfifo', ['-m', '600', join(directory, 'pipe')])
  await t.rejects(openKeys({ file: join(directory, 'pipe'), store }), {
    code: 'ERR_KEYS_FILE',
    message: /not a regular file/,
  })
  rmSync(join(directory, 'pipe'))
  await t.test("somebody else's", { skip: process.geteuid?.() !== 0 && 'only root can give files away' }, async (t) => {
    chownSync(file, 65534, 65534)
    await t.rejects(openKeys({ file, store }), {
      code: 'ERR_KEYS_FILE',
      message: /belongs to user 65534, and this runs as user 0; run this as that user .*: chown 0/,
    })
    chownSync(file, 0, 0)
  })
  await t.rejects(openKeys({ file: join(directory, 'nowhere', 'keys'), store: (await emptyStore(t)).store }), {
    code: 'ERR_KEYS_FILE',
    message: /can't make the key file/,
  })
})

t.test('a key file that is not one: says where, and nothing of what it holds', async (t) => {
  const { store, file } = await emptyStore(t)
  const secret = master(5).toString('base64')
  const key = { id: 'k1', createdAt: made.toISOString(), key: secret }
  const good = { format: 1, active: 'k1', keys: [key] }
  for (const [content, why, message] of [
    ['', 'empty', /not JSON/],
    [`{"format":1,"active":"k1","keys":[{"id":"k1","key":"${secret}`, 'cut off', /not JSON/],
    [JSON.stringify({ ...good, format: 2 }), 'another format', /wrong at format/],
    [JSON.stringify({ ...good, keys: [] }), 'no keys', /wrong at keys/],
    [JSON.stringify({ ...good, keys: [{ ...key, key: `${secret}!` }] }), 'not base64', /wrong at keys\.0\.key/],
    [JSON.stringify({ ...good, keys: [{ ...key, key: secret.slice(0, 40) }] }), 'short', /k1 .* 32 bytes/],
    [JSON.stringify({ ...good, active: 'k2' }), 'active is not there', /active key/],
    [JSON.stringify({ ...good, keys: [key, key] }), 'twice', /twice/],
    [JSON.stringify({ ...good, keys: [{ ...key, id: '../k' }] }), 'strange id', /wrong at keys\.0\.id/],
    [' '.repeat(70_000), 'long', /too long/],
  ] as const) {
    writeFileSync(file, content, { mode: 0o600 })
    const error = await openKeys({ file, store }).catch((error: Error) => error)
    t.match(error, { name: 'KeyError', code: 'ERR_KEYS_FILE', message }, why)
    t.notOk(inspect(error, { depth: 9 }).includes(secret.slice(0, 12)), `${why}: the key is not shown`)
  }
})
