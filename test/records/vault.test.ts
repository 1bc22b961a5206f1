import t from 'tap'
import type { KeyMaterial } from '../../src/records/keys.ts'
import { createKeys } from '../../src/records/keys.ts'
import { createVault } from '../../src/records/vault.ts'

const material = (id: string, fill: number): KeyMaterial => ({
  id,
  createdAt: new Date(0),
  master: Buffer.alloc(32, fill),
})
const keys = createKeys('k1', [material('k1', 1)])
const vault = createVault(keys)
const bound = ['upstream-secret', 'user-1', 'main']

t.test('what was sealed opens with the same binding', async (t) => {
  for (const plain of ['', 'x', 'pässwörd ✉', 'y'.repeat(100_000)]) {
    const { sealed, keyId } = vault.seal(plain, bound)
    t.equal(keyId, 'k1')
    t.match(sealed, /^[A-Za-z0-9_-]+$/)
    const opened = vault.open(sealed, bound)
    t.ok(opened.ok && opened.plain.toString() === plain)
  }
  const bytes = Buffer.from([0, 255, 1, 254])
  const opened = vault.open(vault.seal(bytes, bound).sealed, bound)
  t.ok(opened.ok && opened.plain.equals(bytes))
})

t.test('the same thing is never sealed alike, and shows nothing', async (t) => {
  const envelopes = new Set(Array.from({ length: 1000 }, () => vault.seal('secret', bound).sealed))
  t.equal(envelopes.size, 1000)
  for (const sealed of envelopes) t.notOk(Buffer.from(sealed, 'base64url').includes('secret'))
})

t.test('I-6: another user, another upstream, another purpose: it does not open', async (t) => {
  const { sealed } = vault.seal('secret', bound)
  for (const [binding, why] of [
    [['upstream-secret', 'user-2', 'main'], 'another user'],
    [['upstream-secret', 'user-1', 'other'], 'another upstream'],
    [['token', 'user-1', 'main'], 'another purpose'],
    [['upstream-secret', 'user-1'], 'a part left out'],
    [['upstream-secret', 'user-1', 'main', ''], 'a part too many'],
    [['upstream-secretuser-1', '', 'main'], 'parts run together'],
    [['upstream-secret', 'user-1m', 'ain'], 'a letter moved over'],
    [[], 'none'],
  ] as const)
    t.strictSame(vault.open(sealed, binding), { ok: false, why: 'bad-seal' }, why)
  t.strictSame(
    createVault(keys, 'cache-seal').open(sealed, bound),
    { ok: false, why: 'bad-seal' },
    'cache and rest differ',
  )
})

t.test('one flipped bit anywhere, and it does not open', async (t) => {
  const envelope = Buffer.from(vault.seal('secret', bound).sealed, 'base64url')
  for (let bit = 0; bit < envelope.length * 8; bit++) {
    const bent = Buffer.from(envelope)
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.equal(vault.open(bent.toString('base64url'), bound).ok, false, `bit ${bit}`)
  }
  for (let length = 0; length < envelope.length; length++) {
    t.equal(vault.open(envelope.subarray(0, length).toString('base64url'), bound).ok, false, `cut at ${length}`)
  }
  t.equal(vault.open(Buffer.concat([envelope, Buffer.from([0])]).toString('base64url'), bound).ok, false, 'made longer')
})

t.test('what never was an envelope is malformed', async (t) => {
  for (const text of ['', 'AQ', '!!!', 'plain text', Buffer.alloc(64).toString('base64url')]) {
    t.strictSame(vault.open(text, bound), { ok: false, why: 'malformed' }, text)
  }
})

t.test('several keys: seals with the active one, opens under any, says when one is missing', async (t) => {
  const { sealed: old } = vault.seal('secret', bound)
  const both = createVault(createKeys('k2', [material('k1', 1), material('k2', 2)]))
  t.equal(both.open(old, bound).ok, true)
  const { sealed: young, keyId } = both.seal('secret', bound)
  t.equal(keyId, 'k2')
  t.strictSame(vault.open(young, bound), { ok: false, why: 'unknown-key' })
  const impostor = createVault(createKeys('k1', [material('k1', 9)]))
  t.strictSame(impostor.open(old, bound), { ok: false, why: 'bad-seal' }, 'the same id is not the same key')
})
