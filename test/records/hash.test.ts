import t from 'tap'
import { createHasher } from '../../src/records/hash.ts'
import { Key } from '../../src/records/keys.ts'
import { preparePassword } from '../../src/records/primary-password.ts'
import { Secret } from '../../src/secret.ts'

const key = new Key({ id: 'k1', createdAt: new Date(0), master: Buffer.alloc(32, 1) })
const other = new Key({ id: 'k2', createdAt: new Date(0), master: Buffer.alloc(32, 2) })
const cheap = { memoryKiB: 64, passes: 1 }
const secret = new Secret('abcdefghijklmnop')

t.test('argon2id, 19 MiB, two passes, one lane; peppered', async (t) => {
  const hasher = createHasher()
  const phc = await hasher.hash(secret, key)
  t.match(phc, /^\$argon2id\$v=19\$/)
  t.strictSame(new Set(phc.split('$')[3]?.split(',')), new Set(['m=19456', 't=2', 'p=1']))
  t.not(await hasher.hash(secret, key), phc, 'salted')
  t.equal(await hasher.verify(phc, secret, key), true)
  t.equal(await hasher.verify(phc, new Secret('abcdefghijklmnoq'), key), false)
  t.equal(await hasher.verify(phc, secret, other), false, 'without its pepper a hash is worth nothing')
  t.equal(hasher.runs, 5)
})

t.test('a hash made by the reference implementation with a secret is verified', async (t) => {
  // RFC 9106 §5.3 has associated data, which we never use; this one was made with node:crypto argon2Sync instead.
  const crypto = await import('node:crypto')
  const salt = Buffer.alloc(16, 3)
  const settings = { message: 'abcdefghijklmnop', nonce: salt, parallelism: 1, tagLength: 32, memory: 64, passes: 1 }
  const tag = crypto.argon2Sync('argon2id', { ...settings, secret: key.pepper })
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  for (const order of ['m=64,t=1,p=1', 'p=1,t=1,m=64', 't=1,m=64,p=1']) {
    const phc = `$argon2id$v=19$${order}$${text(salt)}$${text(tag)}`
    t.equal(await createHasher(cheap).verify(phc, secret, key), true, order)
    t.equal(createHasher(cheap).needsRehash(phc), false, 'parameters are read by name')
    t.equal(createHasher({ ...cheap, passes: 2 }).needsRehash(phc), true)
    t.equal(createHasher({ ...cheap, memoryKiB: 65 }).needsRehash(phc), true)
  }
})

t.test('B5: more than 256 bytes are refused before they are hashed', async (t) => {
  const hasher = createHasher(cheap)
  const phc = await hasher.hash(new Secret('x'.repeat(256)), key)
  t.equal(await hasher.verify(phc, new Secret('x'.repeat(256)), key), true)
  for (const long of ['x'.repeat(257), 'é'.repeat(129), 'x'.repeat(1_000_000)]) {
    await t.rejects(hasher.hash(new Secret(long), key), { name: 'HasherError', code: 'ERR_HASHER_TOO_LONG' })
    t.equal(await hasher.verify(phc, new Secret(long), key), false)
  }
  t.equal(hasher.runs, 2)
})

t.test('a row that was tampered with is refused, whatever it asks for', async (t) => {
  const hasher = createHasher(cheap)
  const tail = `$${'A'.repeat(22)}$${'A'.repeat(43)}`
  for (const [phc, why] of [
    ['', 'nothing'],
    ['secret', 'clear text'],
    [`$argon2i$v=19$m=64,t=1,p=1${tail}`, 'another argon2'],
    [`$argon2id$v=16$m=64,t=1,p=1${tail}`, 'an old version'],
    [`$argon2id$v=19$m=64,t=1${tail}`, 'a parameter is missing'],
    [`$argon2id$v=19$m=99999999,t=1,p=1${tail}`, 'all the memory there is'],
    [`$argon2id$v=19$m=64,t=99999,p=1${tail}`, 'all the time there is'],
    [`$argon2id$v=19$m=64,t=1,p=9999${tail}`, 'all the threads there are'],
    [`$argon2id$v=19$m=64,t=1,p=1$$`, 'no salt, no tag'],
    [`$argon2id$v=19$m=64,t=1,p=1${tail}$more`, 'more'],
    ['$2b$10$abcdefghijklmnopqrstuv', 'bcrypt'],
  ] as const) {
    await t.rejects(hasher.verify(phc, secret, key), { code: 'ERR_HASHER_MALFORMED' }, why)
    t.throws(() => hasher.needsRehash(phc), { code: 'ERR_HASHER_MALFORMED' }, why)
  }
  t.equal(hasher.runs, 0)
})

t.test('B5: a bounded pool, a bounded queue, and who comes then is told it is temporary', async (t) => {
  const hasher = createHasher({ ...cheap, concurrency: 2, maxQueued: 3 })
  const phc = await hasher.hash(secret, key)
  let most = 0
  const verify = async () => {
    const result = hasher.verify(phc, secret, key)
    most = Math.max(most, hasher.running)
    return await result
  }
  const outcomes = await Promise.allSettled(Array.from({ length: 9 }, verify))
  t.strictSame(
    outcomes.map(({ status }) => status),
    [...Array(5).fill('fulfilled'), ...Array(4).fill('rejected')],
  )
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'ERR_HASHER_BUSY' })
  t.equal(most, 2)
  t.strictSame([hasher.running, hasher.queued], [0, 0])
  t.equal(await verify(), true, 'and then goes on')
})

t.test('whoever has waited longest is next', async (t) => {
  const hasher = createHasher({ ...cheap, concurrency: 1 })
  const phc = await hasher.hash(secret, key)
  const order: string[] = []
  const verified = ['first', 'second', 'third'].map(async (name) => {
    await hasher.verify(phc, secret, key)
    order.push(name)
  })
  t.equal(hasher.queued, 2)
  await Promise.all(verified)
  t.strictSame(order, ['first', 'second', 'third'])
  t.strictSame([hasher.running, hasher.queued], [0, 0])
})

t.test('low priority takes an idle pool or nothing', async (t) => {
  const hasher = createHasher({ ...cheap, concurrency: 4 })
  const phc = await hasher.hash(secret, key)
  const low = { priority: 'low' } as const
  t.equal(await hasher.verify(phc, secret, key, low), true)
  const normal = hasher.verify(phc, secret, key)
  await t.rejects(hasher.verify(phc, secret, key, low), { code: 'ERR_HASHER_BUSY' })
  await normal
  const one = hasher.verify(phc, secret, key, low)
  await t.rejects(hasher.verify(phc, secret, key, low), { code: 'ERR_HASHER_BUSY' }, 'one at a time')
  t.equal(await one, true)
})

t.test('hashing does not hold up the event loop', async (t) => {
  const hasher = createHasher({ concurrency: 1 })
  let turns = 0
  const tick = setInterval(() => turns++, 1)
  t.teardown(() => clearInterval(tick))
  await hasher.hash(secret, key)
  t.ok(turns > 0, `${turns} turns meanwhile`)
})

t.test('a primary password is made ready: RFC 8265 §4.2', async (t) => {
  const ready = (typed: string) => preparePassword(new Secret(typed))?.reveal() ?? null
  for (const [typed, want, why] of [
    ['Correct Horse', 'Correct Horse', 'case and blanks stay'],
    [' x ', ' x ', 'at the ends too'],
    ['cafe\u0301', 'caf\u00e9', 'NFC'],
    ['a\u3000b\u00a0c', 'a b c', 'blanks of other scripts'],
    ['\ufb01', '\ufb01', 'no compatibility mapping'],
    ['', null, 'empty'],
    ['a\nb', null, 'control'],
    ['a\0', null, 'NUL'],
    ['a\ud800', null, 'lone surrogate'],
    ['x'.repeat(257), null, 'long'],
    ['€'.repeat(86), null, 'long in bytes'],
  ] as const)
    t.equal(ready(typed), want, why)
})
