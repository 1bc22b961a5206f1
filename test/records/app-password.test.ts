import { randomBytes, randomInt } from 'node:crypto'
import t from 'tap'
import {
  checkAppPasswordName,
  formatAppPassword,
  generateAppPassword,
  isLive,
  normaliseAppPassword,
  selectorOf,
  tombstoneDigestOf,
} from '../../src/records/app-password.ts'
import { Key } from '../../src/records/keys.ts'
import { Secret } from '../../src/secret.ts'

const key = new Key({ id: 'k1', createdAt: new Date(0), master: Buffer.alloc(32, 1) })
const other = new Key({ id: 'k2', createdAt: new Date(0), master: Buffer.alloc(32, 2) })
const read = (typed: string) => normaliseAppPassword(new Secret(typed))?.reveal() ?? null

t.test('R6, R7: generated, 16 to 32 letters a to z, never the same', async (t) => {
  const seen = new Set<string>()
  for (let length = 16; length <= 32; length++) {
    for (let i = 0; i < 50; i++) {
      const value = generateAppPassword(length).reveal()
      t.match(value, new RegExp(`^[a-z]{${length}}$`))
      seen.add(value)
    }
  }
  t.equal(seen.size, 17 * 50)
  for (const wrong of [15, 33, 0, -1, 16.5, Number.NaN]) t.throws(() => generateAppPassword(wrong), RangeError)
})

function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, n) => sum + n, 0) / counts.length
  return counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
}

/** 25 degrees of freedom: passed once in some 10^9 fair runs. */
const BOUND = 90

t.test('R7: every letter is equally likely, in every place', async (t) => {
  const counts = Array.from({ length: 16 }, () => new Array<number>(26).fill(0))
  for (let i = 0; i < 20_000; i++) {
    const value = generateAppPassword(16).reveal()
    for (const [at, count] of counts.entries()) {
      const letter = value.charCodeAt(at) - 97
      count[letter] = (count[letter] ?? 0) + 1
    }
  }
  for (const [at, count] of counts.entries())
    t.ok(chiSquare(count) < BOUND, `place ${at}: ${chiSquare(count).toFixed(1)}`)
  const all = Array.from({ length: 26 }, (_, letter) => counts.reduce((sum, count) => sum + (count[letter] ?? 0), 0))
  t.ok(chiSquare(all) < BOUND, `all places: ${chiSquare(all).toFixed(1)}`)

  const folded = new Array<number>(26).fill(0)
  for (const byte of randomBytes(320_000)) folded[byte % 26] = (folded[byte % 26] ?? 0) + 1
  t.ok(chiSquare(folded) > 2 * BOUND, 'as many letters from folded bytes would be seen')
})

t.test('R7: shown in groups of four', async (t) => {
  for (const [value, shown] of [
    ['abcdefghijklmnop', 'abcd efgh ijkl mnop'],
    ['abcdefghijklmnopq', 'abcd efgh ijkl mnop q'],
    ['abcdefghijklmnopqrstuvwxyzabcdef', 'abcd efgh ijkl mnop qrst uvwx yzab cdef'],
  ] as const)
    t.equal(formatAppPassword(new Secret(value)).reveal(), shown)
})

t.test('R7: however it is typed, it is the same', async (t) => {
  const value = 'abcdefghijklmnop'
  for (const [typed, why] of [
    [value, 'as it is'],
    ['abcd efgh ijkl mnop', 'as it is shown'],
    ['abcd-efgh-ijkl-mnop', 'with hyphens'],
    ['ABCD EFGH IJKL MNOP', 'in capitals'],
    ['Abcd efgh ijkl mnop', 'a telephone capitalised it'],
    [' abcd  efgh\tijkl mnop ', 'blanks all over'],
    ['abcd\u00a0efgh\u00a0ijkl\u00a0mnop', 'copied with no-break spaces'],
  ] as const)
    t.equal(read(typed), value, why)
})

t.test('what can not be an app password is null', async (t) => {
  for (const [typed, why] of [
    ['', 'nothing'],
    ['abcdefghijklmno', '15 letters'],
    ['a'.repeat(33), '33 letters'],
    ['abcdefghijklmno1', 'a digit'],
    ['correct horse battery staple!', "a person's"],
    ['abcdefghijklmno\u212a', 'Kelvin sign: lower case is k'],
    ['\uff41bcdefghijklmnop', 'full width'],
    ['abcdefghijklmn\u0131p', 'dotless i'],
    ['abcdefgh\u200bijklmnop', 'zero width'],
    ['abcdefghijklmnop\0', 'NUL'],
    ['abcdefghijklmnop\r\n', 'CR LF'],
    ['abcd_efgh_ijkl_mnop', 'underscores'],
    ['abcd–efgh–ijkl–mnop', 'dashes that are not hyphens'],
    [`abcdefghijklmnop${' '.repeat(300)}`, 'endless'],
  ] as const)
    t.equal(read(typed), null, why)
})

t.test('property: what is shown reads back as the value, however it is mangled', async (t) => {
  for (let i = 0; i < 2000; i++) {
    const value = generateAppPassword(randomInt(16, 33))
    t.equal(read(formatAppPassword(value).reveal()), value.reveal())
    const mangled = [...value.reveal()]
      .map((letter) => (randomInt(2) ? letter.toUpperCase() : letter) + [' ', '-', '\t', ''][randomInt(4)])
      .join('')
    t.equal(read(mangled), value.reveal())
  }
})

t.test('selector: 16 bits, fixed by key, user and value', async (t) => {
  const value = new Secret('abcdefghijklmnop')
  const selector = selectorOf(key, 'ann@example.org', value)
  t.equal(selector, 51_451, 'a stored row must be found for ever (value: openssl kdf, openssl dgst)')
  t.equal(selectorOf(key, 'ann@example.org', new Secret('abcdefghijklmnop')), selector)
  t.not(selectorOf(other, 'ann@example.org', value), selector)
  t.not(selectorOf(key, 'bob@example.org', value), selector)
  t.not(selectorOf(key, 'ann@example.org', new Secret('abcdefghijklmnoq')), selector)
  t.equal(tombstoneDigestOf(key, 'ann@example.org', value), 'EfMgccZ6XlIaSM7X4bI5aQ', 'and so must a tombstone')
  t.throws(() => selectorOf(key, 'ann@example.org\0abc', value), RangeError, 'no two questions are one')
})

t.test('invariant 9: a wrong guess meets one of 40 rows as often as chance has it', async (t) => {
  const user = 'ann@example.org'
  const rows = new Set<number>()
  while (rows.size < 40) rows.add(selectorOf(key, user, generateAppPassword(16)))
  const guesses = 60_000
  let hits = 0
  for (let i = 0; i < guesses; i++) if (rows.has(selectorOf(key, user, generateAppPassword(16)))) hits += 1
  // 36.6 expected, Poisson; outside 8…80 once in some 10^8.
  t.ok(hits >= 8 && hits <= 80, `${hits} of ${guesses} guesses would cost an argon2 run`)
})

t.test('live until it runs out', async (t) => {
  const at = new Date(1000)
  t.equal(isLive({ expiresAt: null }, at), true)
  t.equal(isLive({ expiresAt: new Date(1001) }, at), true)
  t.equal(isLive({ expiresAt: new Date(1000) }, at), false)
})

t.test('R13, R14, H6: names', async (t) => {
  for (const [raw, want, why] of [
    ['iPad', 'iPad', 'plain'],
    ['  iPad of Ann ', 'iPad of Ann', 'trimmed'],
    ['cafe\u0301', 'caf\u00e9', 'NFC'],
    ['👩‍👩‍👧 family', '👩‍👩‍👧 family', 'emoji with joiners'],
    ['=cmd|<b>&"\'', '=cmd|<b>&"\'', 'text is text; who prints it escapes it'],
    ['x'.repeat(64), 'x'.repeat(64), '64'],
    ['📱'.repeat(64), '📱'.repeat(64), '64 characters, not units'],
  ] as const)
    t.strictSame(checkAppPasswordName(raw), { ok: true, name: want }, why)
  for (const [raw, why, what] of [
    ['', 'empty', 'nothing'],
    [' \t ', 'empty', 'blanks'],
    ['x'.repeat(65), 'too-long', '65'],
    ['x'.repeat(100_000), 'too-long', 'very long'],
    ['a\nb', 'control', 'line feed'],
    ['a\u001b[31m', 'control', 'escape code'],
    ['a\u0000', 'control', 'NUL'],
    ['a\u0085b', 'control', 'C1'],
    ['a\u2028b', 'control', 'line separator'],
    ['a\u202egnp.exe', 'control', 'turns the direction'],
    ['a\ud800', 'control', 'lone surrogate'],
  ] as const)
    t.strictSame(checkAppPasswordName(raw), { ok: false, why }, what)
})
