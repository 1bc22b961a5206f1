/**
 * The scan that every test run ends with: a secret is found in every form it could be printed in, and nothing else is.
 */

import t from 'tap'
import { createSecretScan, formsOf } from '../../scripts/secret-scan.ts'

const SECRET = 'pa"ss wörd+1'

t.test('a secret is found in every form (invariant 5)', async (t) => {
  const scan = createSecretScan(['something else', SECRET])
  const sasl = (user: string): string => Buffer.from(`\0${user}\0${SECRET}`).toString('base64')
  for (const [text, why] of [
    [`password was ${SECRET}!`, 'plain'],
    [JSON.stringify({ detail: `got ${SECRET}` }), 'inside JSON'],
    [`https://x/?p=${encodeURIComponent(SECRET)}`, 'in an address'],
    [Buffer.from(SECRET).toString('hex'), 'hex'],
    [`AUTHENTICATE PLAIN ${sasl('ann')}`, 'SASL blob, first alignment'],
    [`AUTHENTICATE PLAIN ${sasl('anna')}`, 'SASL blob, second alignment'],
    [`AUTHENTICATE PLAIN ${sasl('annab')}`, 'SASL blob, third alignment'],
  ] as const) {
    const hits = scan(`first line\n${text}\nlast line`)
    t.equal(hits[0]?.secret, 2, why)
    t.equal(hits[0]?.line, 2, why)
    t.notOk(hits[0]?.excerpt.includes(SECRET), 'the report does not repeat it')
  }
})

t.test('no false alarm', async (t) => {
  const scan = createSecretScan([SECRET, 'short'])
  t.same(scan(`pa"ss wörd+2 ${Buffer.from('\0ann\0another secret').toString('base64')} short`), [])
  t.same(scan(''), [])
})

t.test('base64 forms hold nothing of what stands around the secret', async (t) => {
  for (const { text } of formsOf('abcdefghijklmnop').filter(({ form }) => form === 'in base64')) {
    const found = [0, 1, 2].some((n) =>
      Buffer.from(`${'x'.repeat(n)}abcdefghijklmnopYZ`)
        .toString('base64')
        .includes(text),
    )
    t.ok(found, text)
  }
})
