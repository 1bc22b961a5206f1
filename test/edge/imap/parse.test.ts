import t from 'tap'
import type { Pieces } from '../../../src/edge/imap/parse.ts'
import {
  literalMarker,
  parseAuthenticate,
  parseCommandLine,
  parseId,
  parseLogin,
} from '../../../src/edge/imap/parse.ts'
import { parseResponse } from '../../../src/edge/imap/responses.ts'
import { isForeign } from '../../../src/edge/login/dialogue.ts'

t.test('command lines: tag, name, rest (A14)', async (t) => {
  for (const [line, want, why] of [
    ['a1 NOOP', { ok: true, tag: 'a1', name: 'NOOP', rest: '' }, 'plain'],
    ['a1 noop', { ok: true, tag: 'a1', name: 'NOOP', rest: '' }, 'any case'],
    ['00000001 LOGIN a b', { ok: true, tag: '00000001', name: 'LOGIN', rest: 'a b' }, 'alpine’s tags'],
    [
      "]x.-!#$&',/:;<=>?@[^_`|}~ X",
      { ok: true, tag: "]x.-!#$&',/:;<=>?@[^_`|}~", name: 'X', rest: '' },
      'every tag character',
    ],
    ['a1 NOOP ', { ok: true, tag: 'a1', name: 'NOOP', rest: '' }, 'a blank at the end'],
    [`${'x'.repeat(64)} NOOP`, { ok: true, tag: 'x'.repeat(64), name: 'NOOP', rest: '' }, '64 characters'],
    [`${'x'.repeat(65)} NOOP`, { ok: false, tag: null }, '65 characters'],
    ['', { ok: false, tag: null }, 'empty line'],
    ['a1', { ok: false, tag: null }, 'only a word'],
    ['a1 ', { ok: false, tag: 'a1' }, 'no command'],
    [' NOOP', { ok: false, tag: null }, 'no tag'],
    ['+ NOOP', { ok: false, tag: null }, 'plus as a tag'],
    ['a+ NOOP', { ok: false, tag: null }, 'plus in a tag'],
    ['* OK', { ok: false, tag: null }, 'star as a tag'],
    ['a%b NOOP', { ok: false, tag: null }, 'wildcard in a tag'],
    ['a"b NOOP', { ok: false, tag: null }, 'quote in a tag'],
    ['a(b NOOP', { ok: false, tag: null }, 'parenthesis in a tag'],
    ['a\\b NOOP', { ok: false, tag: null }, 'backslash in a tag'],
    ['a{1} NOOP', { ok: false, tag: null }, 'brace in a tag'],
    ['a\x1b[31m NOOP', { ok: false, tag: null }, 'escape in a tag'],
    ['a\xe9 NOOP', { ok: false, tag: null }, 'eight bit in a tag'],
    ['a\rb NOOP', { ok: false, tag: null }, 'CR in a tag'],
    ['a1  NOOP', { ok: false, tag: 'a1' }, 'two blanks'],
    ['a1 NO(OP', { ok: false, tag: 'a1' }, 'parenthesis in the command'],
    ['a1 LOGIN{3}', { ok: false, tag: 'a1' }, 'no blank before the argument'],
    ['a1 \xe9', { ok: false, tag: 'a1' }, 'eight bit in the command'],
    [`a1 ${'X'.repeat(33)}`, { ok: false, tag: 'a1' }, 'a command longer than any'],
  ] as const) {
    t.strictSame(parseCommandLine(line), want, why)
  }
})

t.test('other languages (A10)', async (t) => {
  for (const line of ['GET / HTTP/1.1', 'POST /', 'put /x', 'Host: mail', 'HOST:x', 'CONNECT a:1', 'PRI * HTTP/2.0']) {
    t.ok(isForeign(line), line)
  }
  for (const line of ['a1 GET', 'GETTER NOOP', 'HOST LOGIN', 'PRI NOOP', '']) t.notOk(isForeign(line), line)
})

t.test('literal markers (A5)', async (t) => {
  for (const [line, want, why] of [
    ['a LOGIN {5}', { bytes: 5, synchronising: true, before: 'a LOGIN ' }, 'synchronising'],
    ['a LOGIN {5+}', { bytes: 5, synchronising: false, before: 'a LOGIN ' }, 'non-synchronising'],
    ['{0}', { bytes: 0, synchronising: true, before: '' }, 'empty'],
    ['{007+}', { bytes: 7, synchronising: false, before: '' }, 'leading zeros are digits'],
    ['x{5}', { bytes: 5, synchronising: true, before: 'x' }, 'where it stands is not asked'],
    ['{5}{6}', { bytes: 6, synchronising: true, before: '{5}' }, 'the last one counts'],
    ['{4294967296}', { bytes: 4294967296, synchronising: true, before: '' }, '2^32 does not wrap'],
    [
      '{18446744073709551617+}',
      { bytes: Number.POSITIVE_INFINITY, synchronising: false, before: '' },
      '2^64+1 neither',
    ],
    [
      `{${'0'.repeat(5000)}1}`,
      { bytes: Number.POSITIVE_INFINITY, synchronising: true, before: '' },
      'digits without end',
    ],
    ['{}', null, 'no digits'],
    ['{+}', null, 'no digits, plus'],
    ['{-1}', null, 'negative'],
    ['{+5}', null, 'plus in front'],
    ['{4G}', null, 'unit'],
    ['{0x10}', null, 'hexadecimal'],
    ['{ 5}', null, 'blank'],
    ['{5 }', null, 'blank behind'],
    ['{5++}', null, 'two plus'],
    ['{5} ', null, 'not at the end'],
    ['5}', null, 'no opening'],
    ['}', null, 'a brace'],
    ['', null, 'nothing'],
  ] as const) {
    t.strictSame(literalMarker(line), want, why)
  }
})

t.test('LOGIN’s arguments (client 8)', async (t) => {
  const literal = (text: string) => Buffer.from(text, 'latin1')
  for (const [pieces, want, why] of [
    [['ann pw'], ['ann', 'pw'], 'atoms'],
    [['ann@example.org p]w'], ['ann@example.org', 'p]w'], 'astring characters'],
    [['"ann" "p w"'], ['ann', 'p w'], 'quoted'],
    [['"a\\"b" "c\\\\d"'], ['a"b', 'c\\d'], 'both escapes'],
    [['"" ""'], ['', ''], 'empty quoted'],
    [['NIL nil'], ['NIL', 'nil'], 'NIL is an atom like any other here'],
    [['', literal('ann'), ' ', literal('p w'), ''], ['ann', 'p w'], 'two literals (fdm)'],
    [['"ann" ', literal('"\\('), ''], ['ann', '"\\('], 'quoted and literal'],
    [['', literal('ann'), ' pw'], ['ann', 'pw'], 'literal and atom'],
    [['"\xe9" "\xe9"'], ['\xe9', '\xe9'], 'eight bit in quoted strings'],
    [['', literal(''), ' pw'], ['', 'pw'], 'an empty literal'],
    [[''], null, 'nothing'],
    [['ann'], null, 'one'],
    [['ann pw more'], null, 'three'],
    [['ann  pw'], ['ann', 'pw'], 'two blanks'],
    [['ann pw '], ['ann', 'pw'], 'a blank at the end'],
    [[' ann pw'], ['ann', 'pw'], 'a blank in front'],
    [['ann\tpw'], null, 'TAB is no blank'],
    [['"ann"pw'], null, 'no blank between'],
    [['"ann" "pw'], null, 'open quote'],
    [['"ann" "pw\\"'], null, 'open quote behind an escape'],
    [['"ann" "p\\w"'], null, 'an escape that is none'],
    [['"ann" "pw\\'], null, 'an escape at the end'],
    [['"an\rn" pw'], null, 'A7: bare CR in a quoted string'],
    [['an\rn pw'], null, 'A7: bare CR in an atom'],
    [['ann p%*w'], ['ann', 'p%*w'], 'wildcards in an atom (scripts)'],
    [['CORP\\ann pw'], ['CORP\\ann', 'pw'], 'a backslash in an atom (scripts)'],
    [['ann p"w'], null, 'a quote in an atom'],
    [['ann p{w'], null, 'brace in an atom'],
    [['ann {5'], null, 'half a marker'],
    [['ann {}'], null, 'a marker that is none'],
    [['ann p\xe9'], null, 'eight bit in an atom'],
    [['(ann) pw'], null, 'a list'],
    [['(ann pw)'], null, 'a list of two'],
    [['ann ('], null, 'an open list'],
    [['ann )'], null, 'a closed one'],
    [['x', literal('ann'), ' pw'], null, 'a literal glued to an atom'],
    [['', literal('ann'), 'x pw'], null, 'an atom glued to a literal'],
    [['', literal('ann'), '', literal('pw'), ''], null, 'two literals without a blank'],
    [['ann ', literal('p\nw'), ''], null, 'A7: LF in a literal'],
    [['ann ', literal('p\rw'), ''], null, 'A7: CR in a literal'],
    [['ann ', literal('p\0w'), ''], null, 'A7: NUL in a literal'],
    [['~', literal('ann'), ' pw'], null, 'literal8 is not for LOGIN'],
  ] as const satisfies [Pieces, readonly [string, string] | null, string][]) {
    const parsed = parseLogin(pieces)
    t.strictSame(parsed && [parsed.user.toString('latin1'), parsed.password.toString('latin1')], want, why)
  }
})

t.test('AUTHENTICATE’s arguments (RFC 4959 §3)', async (t) => {
  for (const [rest, want, why] of [
    ['PLAIN', { mechanism: 'PLAIN', initialResponse: null }, 'without'],
    ['plain', { mechanism: 'PLAIN', initialResponse: null }, 'Thunderbird: in lower case'],
    ['PLAIN AGEAYg==', { mechanism: 'PLAIN', initialResponse: 'AGEAYg==' }, 'with'],
    ['PLAIN =', { mechanism: 'PLAIN', initialResponse: '=' }, 'with an empty one'],
    [
      'PLAIN ',
      { mechanism: 'PLAIN', initialResponse: '' },
      'a blank and nothing: not base64 of anything, said by SASL',
    ],
    ['', null, 'none'],
    ['"PLAIN"', null, 'quoted'],
    ['PLAIN(', null, 'not an atom'],
    ['X'.repeat(33), null, 'longer than any'],
  ] as const) {
    t.strictSame(parseAuthenticate(rest), want, why)
  }
})

t.test('ID’s argument (RFC 2971 §3.1)', async (t) => {
  const literal = Buffer.from('153')
  const pairs = (count: number) => `(${Array.from({ length: count }, (_, i) => `"k${i}" "v"`).join(' ')})`
  for (const [pieces, want, why] of [
    [['NIL'], {}, 'NIL'],
    [['()'], {}, 'an empty list'],
    [['("name" "Thunderbird" "version" "153")'], { name: 'Thunderbird', version: '153' }, 'two pairs'],
    [['("Name" "x" "vendor" NIL)'], { name: 'x' }, 'any case; NIL as a value'],
    [['("version" ', literal, ')'], { version: '153' }, 'a literal as a value'],
    [['("name" "a" "name" "b")'], { name: 'a' }, 'the first of two'],
    [['("name" "x" )'], { name: 'x' }, 'a blank before the end'],
    [[pairs(30)], Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, 'v'])), 'thirty pairs'],
    [[pairs(31)], null, 'thirty-one'],
    [[''], null, 'nothing'],
    [['x'], null, 'an atom'],
    [['"x"'], null, 'a string'],
    [['("name")'], null, 'half a pair'],
    [['("name" x)'], null, 'an atom as a value'],
    [['(name "x")'], null, 'an atom as a field'],
    [['("name" ("x"))'], null, 'nested'],
    [['("name" "x"'], null, 'open'],
    [['("name" "x"))'], null, 'closed twice'],
    [['("name" "x") NIL'], null, 'more behind it'],
    [['(('.repeat(4000)], null, 'deep'],
  ] as const satisfies [Pieces, Record<string, string> | null, string][]) {
    const parsed = parseId(pieces)
    const shown = parsed && Object.fromEntries([...parsed].map(([field, value]) => [field, value.toString('latin1')]))
    t.strictSame(shown, want, why)
  }
})

t.test('responses of an upstream (D1)', async (t) => {
  const status = (tag: string | null, word: string, code: object | null) => ({
    kind: 'status',
    tag,
    status: word,
    code,
  })
  for (const [line, want, why] of [
    ['* OK ready', status(null, 'OK', null), 'greeting'],
    ['* ok ready', status(null, 'OK', null), 'any case'],
    ['* OK', status(null, 'OK', null), 'without text'],
    ['* OK [CAPABILITY A B] x', status(null, 'OK', { name: 'CAPABILITY', rest: 'A B' }), 'with a code'],
    ['* OK [alert] x', status(null, 'OK', { name: 'ALERT', rest: '' }), 'a code alone'],
    ['* OK [half', status(null, 'OK', null), 'half a code is text'],
    ['* PREAUTH hi', status(null, 'PREAUTH', null), 'PREAUTH'],
    ['* BYE no', status(null, 'BYE', null), 'BYE'],
    ['x1 NO [LIMIT] too many', status('x1', 'NO', { name: 'LIMIT', rest: '' }), 'tagged'],
    ['x1 OK gr\xfc\xdfe', status('x1', 'OK', null), 'eight-bit prose'],
    ['+ abc', { kind: 'continuation', text: 'abc' }, 'continuation'],
    ['+ ', { kind: 'continuation', text: '' }, 'empty continuation'],
    ['+', { kind: 'continuation', text: '' }, 'bare plus'],
    ['* CAPABILITY IMAP4rev1  AUTH=PLAIN ', { kind: 'capability', names: ['IMAP4rev1', 'AUTH=PLAIN'] }, 'loose blanks'],
    ['* 3 EXISTS', { kind: 'data' }, 'data'],
    ['* ID ("name" "x")', { kind: 'data' }, 'data'],
    ['* CAPABILITY', null, 'an empty list'],
    ['* CAPABILITY IMAP4rev1 "x"', null, 'a list that is not of atoms'],
    ['* CAPABILITY a\xe9', null, 'a list with eight-bit names'],
    ['x1 BYE', null, 'BYE has no tag'],
    ['x1 PREAUTH', null, 'nor has PREAUTH'],
    ['x1 DATA', null, 'nor data'],
    ['x1', null, 'a word'],
    ['*', null, 'a star'],
    ['* ', null, 'a star and a blank'],
    ['', null, 'nothing'],
    ['HTTP/1.1 400 Bad Request', null, 'HTTP'],
    ['220 mx ESMTP', null, 'SMTP'],
    ['+OK ready', null, 'POP3'],
    ['* OK {5}', null, 'a literal'],
    ['* OK {5+}', null, 'a literal of the client’s kind'],
    ['* OK a\0b', null, 'NUL'],
    ['* OK a\rb', null, 'bare CR'],
    ['* OK \x1b[2J', null, 'escape'],
  ] as const) {
    t.strictSame(parseResponse(line), want, why)
  }
})
