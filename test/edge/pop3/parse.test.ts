import t from 'tap'
import { parseAuth, parseCapabilities, parseCommandLine, parseReply } from '../../../src/edge/pop3/parse.ts'

t.test('command lines: keyword and everything behind its blank', async (t) => {
  for (const [line, want, why] of [
    ['CAPA', { name: 'CAPA', rest: null }, 'bare'],
    ['capa', { name: 'CAPA', rest: null }, 'any case (client 2)'],
    ['CAPA ', { name: 'CAPA', rest: '' }, 'a blank at the end'],
    ['PASS abcd efgh', { name: 'PASS', rest: 'abcd efgh' }, 'RFC 1939 §7: a password with a blank'],
    ['PASS  abcd ', { name: 'PASS', rest: ' abcd ' }, 'blanks at both ends are the password’s'],
    ['PASS', { name: 'PASS', rest: null }, 'nothing typed'],
    ['USER \xc3\xa4nn', { name: 'USER', rest: '\xc3\xa4nn' }, 'octets stay octets'],
    ['', null, 'empty'],
    [' CAPA', null, 'a blank in front'],
    ['CAPA\tx', null, 'a tab'],
    ['CAPA\r', null, 'A7: a bare CR'],
    ['\xffCAPA', null, 'eight bits'],
    ['x'.repeat(33), null, 'too long for a keyword'],
  ] as const) {
    t.strictSame(parseCommandLine(line), want, why)
  }
})

t.test('AUTH: mechanism and initial response (RFC 5034 §4)', async (t) => {
  for (const [rest, want, why] of [
    ['PLAIN', { mechanism: 'PLAIN', initialResponse: null }, 'two steps'],
    ['plain', { mechanism: 'PLAIN', initialResponse: null }, 'any case'],
    ['PLAIN AGEA', { mechanism: 'PLAIN', initialResponse: 'AGEA' }, 'one step'],
    ['PLAIN =', { mechanism: 'PLAIN', initialResponse: '=' }, 'empty response'],
    ['PLAIN ', { mechanism: 'PLAIN', initialResponse: null }, 'a blank at the end is none'],
    ['PLAIN A B', { mechanism: 'PLAIN', initialResponse: 'A B' }, 'no base64, which is said later'],
    ['', null, 'nothing'],
    [' PLAIN', null, 'two blanks'],
  ] as const) {
    t.strictSame(parseAuth(rest), want, why)
  }
})

t.test('replies of a server (RFC 2449 §8, D1)', async (t) => {
  for (const [line, want, why] of [
    ['+OK', { kind: '+OK', code: null }, 'bare'],
    ['+OK ready', { kind: '+OK', code: null }, 'prose'],
    ['+OK [XCLIENT] Dovecot ready.', { kind: '+OK', code: 'XCLIENT' }, 'a code in the greeting'],
    ['+OK gr\xfc\xdfe', { kind: '+OK', code: null }, 'eight-bit prose'],
    ['-ERR', { kind: '-ERR', code: null }, 'bare'],
    ['-ERR [AUTH] no', { kind: '-ERR', code: 'AUTH' }, 'RFC 3206'],
    ['-ERR [sys/temp] no', { kind: '-ERR', code: 'SYS/TEMP' }, 'codes in any case'],
    ['-ERR [] no', { kind: '-ERR', code: null }, 'an empty code is none'],
    ['-ERR [AUTH no', { kind: '-ERR', code: null }, 'nor half of one'],
    ['-ERR no [AUTH]', { kind: '-ERR', code: null }, 'nor one elsewhere'],
    ['+', { kind: 'continuation' }, 'without its blank'],
    ['+ ', { kind: 'continuation' }, 'empty challenge'],
    ['+ AGEA', { kind: 'continuation' }, 'challenge'],
    ['+OKAY', null, 'another word'],
    ['-ERROR', null, 'another word'],
    ['+ok', null, 'RFC 1939 §3: in upper case'],
    ['* OK IMAP', null, 'IMAP'],
    ['220 mx', null, 'SMTP'],
    ['HTTP/1.1 400', null, 'HTTP'],
    ['', null, 'empty'],
    ['+OK a\0b', null, 'A7: NUL'],
    ['+OK a\rb', null, 'A7: CR'],
    [' +OK', null, 'a blank in front'],
  ] as const) {
    t.strictSame(parseReply(line), want, why)
  }
})

t.test('capabilities (RFC 2449 §3)', async (t) => {
  const found = parseCapabilities(['TOP', 'uidl', 'SASL PLAIN  login', 'EXPIRE 0 '])
  t.strictSame(found && [...found], [
    ['TOP', []],
    ['UIDL', []],
    ['SASL', ['PLAIN', 'LOGIN']],
    ['EXPIRE', ['0']],
  ])
  t.equal(parseCapabilities([])?.size, 0, 'none')
  t.equal(parseCapabilities(['TOP', '']), null, 'an empty line')
  t.equal(parseCapabilities(['T\0P']), null, 'NUL')
  t.equal(parseCapabilities(['IMPLEMENTATION a\x01b']), null, 'a control character')
  t.equal(parseCapabilities(['__proto__ x', 'constructor'])?.has('SASL'), false, 'names are only names')
})
