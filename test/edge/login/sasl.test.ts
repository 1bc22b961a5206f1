import t from 'tap'
import type { Sasl } from '../../../src/edge/login/sasl.ts'
import {
  decodeBase64,
  decodeInitialResponse,
  decodeName,
  decodeOauthBearer,
  decodePassword,
  decodePlain,
  decodeXoauth2,
  encodeLoginAnswer,
  encodeOauthBearer,
  encodePlain,
  encodeXoauth2,
  LOGIN_CHALLENGES,
  MAX_SASL_CHARS,
} from '../../../src/edge/login/sasl.ts'
import { Secret } from '../../../src/secret.ts'

/** A result with its secrets opened, so that tables can compare it; a refusal is its reason. */
function shown(result: Sasl<unknown>): unknown {
  if (!result.ok) return result.why
  if (Buffer.isBuffer(result.value)) return result.value.toString('latin1')
  if (result.value instanceof Secret) return result.value.reveal()
  if (typeof result.value !== 'object' || result.value === null) return result.value
  return Object.fromEntries(
    Object.entries(result.value).map(([key, value]) => [key, value instanceof Secret ? value.reveal() : value]),
  )
}

const bytes = (text: string) => Buffer.from(text, 'utf8')

t.test('base64: one value has one spelling (A12)', async (t) => {
  for (const [text, want, why] of [
    ['', '', 'empty'],
    ['YQ==', 'a', 'two pads'],
    ['YWI=', 'ab', 'one pad'],
    ['YWJj', 'abc', 'no pad'],
    ['YQ', 'base64', 'padding missing'],
    ['YQ=', 'base64', 'padding half missing'],
    ['YWJj====', 'base64', 'padding too long'],
    ['YR==', 'base64', 'bits behind the last octet'],
    ['YQ==YQ==', 'base64', 'padding inside'],
    ['Y Q==', 'base64', 'blank inside'],
    ['YQ== ', 'base64', 'blank behind'],
    ['_-A=', 'base64', 'URL alphabet'],
    ['YQ\r==', 'base64', 'CR inside'],
    ['=', 'base64', '= alone is a spelling of initial responses only'],
    ['*', 'base64', 'the cancel sign is not data'],
    ['é===', 'base64', 'eight bit'],
    ['A'.repeat(MAX_SASL_CHARS), '\0'.repeat((MAX_SASL_CHARS / 4) * 3), 'the longest'],
    ['A'.repeat(MAX_SASL_CHARS + 4), 'too-long', 'longer than the longest'],
  ] as const) {
    t.equal(shown(decodeBase64(text)), want, why)
  }
  t.equal(shown(decodeInitialResponse('=')), '', 'RFC 4959 §3: = is the empty initial response')
  t.equal(shown(decodeInitialResponse('YQ==')), 'a')
  t.equal(shown(decodeInitialResponse('==')), 'base64')
})

t.test('PLAIN, decoded (RFC 4616 §2)', async (t) => {
  for (const [raw, want, why] of [
    ['\0ann\0pw', { authzid: '', authcid: 'ann', secret: 'pw' }, 'no authzid'],
    ['ann\0ann\0pw', { authzid: 'ann', authcid: 'ann', secret: 'pw' }, 'mutt: authzid equal to the user'],
    ['bob\0ann\0pw', { authzid: 'bob', authcid: 'ann', secret: 'pw' }, 'acting for another is the caller’s to refuse'],
    ['\0jörg\0pä€', { authzid: '', authcid: 'jörg', secret: 'pä€' }, 'UTF-8 in both'],
    ['\0ann\0p w\t"\\', { authzid: '', authcid: 'ann', secret: 'p w\t"\\' }, 'passwords are opaque'],
    ['\0\ufeffann\0\ufeffpw', { authzid: '', authcid: '\ufeffann', secret: '\ufeffpw' }, 'a byte order mark is kept'],
    ['', 'fields', 'empty'],
    ['ann\0pw', 'fields', 'two parts'],
    ['\0ann\0pw\0', 'fields', 'NUL at the end (A7)'],
    ['\0ann\0\0pw', 'fields', 'four parts (A12)'],
    ['\0\0\0', 'fields', 'four empty parts'],
    ['\0\0', { authzid: '', authcid: '', secret: '' }, 'three empty parts'],
    ['\0\0pw', { authzid: '', authcid: '', secret: 'pw' }, 'no user: nobody'],
    ['\0ann\0', { authzid: '', authcid: 'ann', secret: '' }, 'no password: a wrong one'],
    ['\0ann\r\0pw', 'control', 'CR in the user'],
    ['\0ann\n\0pw', 'control', 'LF in the user'],
    ['a\nb\0ann\0pw', 'control', 'LF in the authzid'],
    ['\0ann\0p\nw', 'control', 'LF in the password'],
    ['\0ann\0p\rw', 'control', 'CR in the password'],
  ] as const) {
    t.strictSame(shown(decodePlain(bytes(raw))), want, why)
  }
  t.equal(shown(decodePlain(Buffer.from([0, 0xff, 0xfe, 0, 0x70]))), 'utf-8', 'a user that is not UTF-8')
  t.equal(shown(decodePlain(Buffer.from([0xc3, 0, 0x61, 0, 0x70]))), 'utf-8', 'an authzid that is not UTF-8')
  t.equal(shown(decodePlain(Buffer.from([0, 0xc0, 0x80, 0, 0x70]))), 'utf-8', 'an overlong NUL is not UTF-8')
  t.strictSame(
    shown(decodePlain(Buffer.from([0, 0x61, 0, 0x70, 0xe9]))),
    { authzid: '', authcid: 'a', secret: 'pé' },
    'a password in Latin-1 is read as such',
  )
})

t.test('LOGIN, decoded', async (t) => {
  t.equal(LOGIN_CHALLENGES.name, 'VXNlcm5hbWU6', 'the prompt that clients compare')
  t.equal(LOGIN_CHALLENGES.password, 'UGFzc3dvcmQ6', 'the prompt that clients compare')
  t.equal(shown(decodeName(bytes('ann@example.org'))), 'ann@example.org')
  t.equal(shown(decodeName(bytes('ann\0'))), 'control', 'A7: alice NUL is not alice')
  t.equal(shown(decodeName(bytes(''))), '', 'an empty name is a name nobody has')
  t.equal(shown(decodeName(Buffer.from([0xe9]))), 'utf-8')
  t.equal(shown(decodePassword(bytes('p w'))), 'p w')
  t.equal(shown(decodePassword(Buffer.from([0xe9]))), 'é')
  t.equal(shown(decodePassword(bytes(''))), '')
  t.equal(shown(decodePassword(bytes('p\0'))), 'control')
})

t.test('XOAUTH2, decoded', async (t) => {
  for (const [raw, want, why] of [
    ['user=ann@x.org\x01auth=Bearer ya29.t\x01\x01', { authzid: 'ann@x.org', token: 'ya29.t' }, 'as described'],
    ['user=ann\x01auth=bearer t\x01\x01', { authzid: 'ann', token: 't' }, 'scheme in any case'],
    ['user=ann\x01auth=Bearer t\x01', 'fields', 'one \\x01 short'],
    ['user=ann\x01auth=Bearer t\x01\x01\x01', 'fields', 'one \\x01 too many'],
    ['user=ann\x01user=bob\x01auth=Bearer t\x01\x01', 'fields', 'C6: a second user'],
    ['auth=Bearer t\x01user=ann\x01\x01', 'fields', 'another order'],
    ['user=\x01auth=Bearer t\x01\x01', 'empty', 'no user'],
    ['user=ann\x01auth=Bearer \x01\x01', 'empty', 'no token'],
    ['user=ann\x01auth=Basic t\x01\x01', 'fields', 'another scheme'],
    ['user=ann\x01auth=Bearer a b\x01\x01', 'control', 'a blank in the token'],
    ['user=a\nb\x01auth=Bearer t\x01\x01', 'control', 'LF in the user (C3)'],
    ['user=a\0b\x01auth=Bearer t\x01\x01', 'control', 'NUL in the user'],
    ['', 'fields', 'empty'],
  ] as const) {
    t.strictSame(shown(decodeXoauth2(bytes(raw))), want, why)
  }
  t.equal(shown(decodeXoauth2(Buffer.from([0xff]))), 'utf-8')
})

t.test('OAUTHBEARER, decoded (RFC 7628 §3.1)', async (t) => {
  for (const [raw, want, why] of [
    [
      'n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01',
      { authzid: 'user@example.com', token: 'vF9dft4qmT' },
      'the example of RFC 7628 §4.1',
    ],
    ['n,,\x01auth=Bearer t\x01\x01', { authzid: '', token: 't' }, 'no authzid: the token says who'],
    ['y,,\x01auth=Bearer t\x01\x01', { authzid: '', token: 't' }, 'a client that could do channel binding'],
    ['n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01', { authzid: 'a,b=c', token: 't' }, 'RFC 5801 §4 escapes'],
    ['n,a=a=2Xb,\x01auth=Bearer t\x01\x01', 'fields', 'an unknown escape'],
    ['n,a=,\x01auth=Bearer t\x01\x01', 'fields', 'an empty authzid'],
    ['n,b=ann,\x01auth=Bearer t\x01\x01', 'fields', 'not an authzid'],
    ['p=tls-unique,,\x01auth=Bearer t\x01\x01', 'fields', 'channel binding that we do not do'],
    ['n,a=ann,extra\x01auth=Bearer t\x01\x01', 'fields', 'more behind the header'],
    ['n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01', 'fields', 'two tokens'],
    ['n,,\x01host=x\x01\x01', 'fields', 'no token'],
    ['n,,\x01=x\x01auth=Bearer t\x01\x01', 'fields', 'a pair without a key'],
    ['n,,\x01ho st=x\x01auth=Bearer t\x01\x01', 'fields', 'a key that is not letters'],
    ['n,,\x01host=a\nb\x01auth=Bearer t\x01\x01', 'control', 'LF in a value'],
    ['n,a=a\nb,\x01auth=Bearer t\x01\x01', 'control', 'LF in the authzid'],
    ['n,,\x01auth=Bearer t\x01', 'fields', 'one \\x01 short'],
    ['', 'fields', 'empty'],
  ] as const) {
    t.strictSame(shown(decodeOauthBearer(bytes(raw))), want, why)
  }
})

t.test('what goes upstream holds no CR, LF, NUL or \\x01 (C3)', async (t) => {
  const clear = (result: Sasl<string>) =>
    result.ok ? Buffer.from(result.value, 'base64').toString('utf8') : `refused: ${result.why}`
  const plain = (authzid: string, authcid: string, secret: string) =>
    clear(encodePlain({ authzid, authcid, secret: new Secret(secret) }))
  t.equal(plain('ann', 'master', 'pw'), 'ann\0master\0pw')
  t.equal(plain('', 'ann', 'pé'), '\0ann\0pé')
  for (const bad of ['\r', '\n', '\0', '\x01']) {
    const named = JSON.stringify(bad)
    t.equal(plain(`a${bad}`, 'master', 'pw'), 'refused: control', `${named} in the authzid`)
    t.equal(plain('a', `m${bad}`, 'pw'), 'refused: control', `${named} in the authcid`)
    t.equal(plain('a', 'm', `p${bad}`), 'refused: control', `${named} in the secret`)
    t.equal(clear(encodeLoginAnswer(`x${bad}`)), 'refused: control', `${named} in LOGIN`)
    const login = { authzid: `a${bad}`, token: new Secret('t') }
    t.equal(clear(encodeXoauth2(login)), 'refused: control', `${named} in XOAUTH2`)
    t.equal(clear(encodeOauthBearer(login, 'h', 1)), 'refused: control', `${named} in OAUTHBEARER`)
    const token = { authzid: 'a', token: new Secret(`t${bad}`) }
    t.equal(clear(encodeXoauth2(token)), 'refused: control', `${named} in a token of XOAUTH2`)
    t.equal(clear(encodeOauthBearer(token, 'h', 1)), 'refused: control', `${named} in a token of OAUTHBEARER`)
    t.equal(clear(encodeOauthBearer({ authzid: 'a', token: new Secret('t') }, `h${bad}`, 1)), 'refused: control')
  }
  t.equal(plain('a', '', 'pw'), 'refused: empty')
  t.equal(plain('a', 'm', ''), 'refused: empty')
  t.equal(clear(encodeLoginAnswer('')), 'refused: empty')
  t.equal(clear(encodeXoauth2({ authzid: '', token: new Secret('t') })), 'refused: empty')
  t.equal(plain('', 'm', 'x'.repeat(MAX_SASL_CHARS)), 'refused: too-long')
})

t.test('round trips, fixed seed', async (t) => {
  let seed = 0x5a11
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return seed % below
  }
  // Weighted towards what separates fields.
  const alphabet = ['a', 'Z', '0', '@', ',', '=', '*', ' ', 'é', '€', '😀', '\0', '\x01', '\r', '\n', '"', '\\', '2C']
  const word = () => Array.from({ length: random(6) }, () => alphabet[random(alphabet.length)] ?? '').join('')
  let kept = 0
  let refusals = 0
  for (let i = 0; i < 20_000; i++) {
    const [a, b, c] = [word(), word(), word()]
    const cases = [
      [{ authzid: a, authcid: b, secret: new Secret(c) }, encodePlain, decodePlain],
      [{ authzid: a, token: new Secret(c) }, encodeXoauth2, decodeXoauth2],
      [{ authzid: a, token: new Secret(c) }, (l: never) => encodeOauthBearer(l, 'host', 143), decodeOauthBearer],
    ] as const
    for (const [login, encode, decode] of cases) {
      const encoded = encode(login as never)
      if (!encoded.ok) {
        refusals++
        continue
      }
      kept++
      const octets = decodeBase64(encoded.value)
      const back = octets.ok ? shown(decode(octets.value)) : octets.why
      const want = shown({ ok: true, value: login })
      if (JSON.stringify(back) !== JSON.stringify(want)) t.strictSame(back, want, `case ${i}`)
    }
    // Any octets at all: an answer, never an exception, and no secret with what separates lines.
    const noise = Buffer.from(Array.from({ length: random(24) }, () => random(256)))
    for (const decode of [decodePlain, decodeXoauth2, decodeOauthBearer]) {
      for (const octets of [noise, bytes(`${a}\0${b}\0${c}`), bytes(`n,${a},\x01auth=Bearer ${b}\x01\x01`)]) {
        const result = decode(octets)
        if (result.ok && /[\r\n]/.test(JSON.stringify(shown(result)))) t.fail(`case ${i} let a line end through`)
      }
    }
  }
  t.ok(kept > 1000, `${kept} round trips`)
  t.ok(refusals > 1000, `${refusals} refusals`)
})
