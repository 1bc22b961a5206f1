import t from 'tap'
import {
  agentOf,
  keywordsOf,
  parametersOf,
  parseAuth,
  parseCommandLine,
  parseReplyLine,
  xtext,
} from '../../../src/edge/smtp/parse.ts'

t.test('command lines', async (t) => {
  t.strictSame(parseCommandLine('ehlo  x '), { ok: true, verb: 'EHLO', rest: 'x' })
  t.strictSame(parseCommandLine('NOOP'), { ok: true, verb: 'NOOP', rest: '' })
  t.strictSame(parseCommandLine('AUTH\tPLAIN x'), { ok: true, verb: 'AUTH', rest: 'PLAIN x' })
  t.strictSame(parseCommandLine('VRFY caf\xe9'), { ok: true, verb: 'VRFY', rest: 'caf\xe9' })
  for (const line of ['', ' NOOP', 'NO\rOP', 'NO\0OP', 'NOOP \x7f', 'NOOP \x1b[0m']) {
    t.equal(parseCommandLine(line).ok, false, JSON.stringify(line))
  }
})

t.test('AUTH', async (t) => {
  t.strictSame(parseAuth('plain'), { mechanism: 'PLAIN', initialResponse: null })
  t.strictSame(parseAuth('PLAIN  ='), { mechanism: 'PLAIN', initialResponse: '=' })
  t.strictSame(parseAuth('X-Y_9 a'), { mechanism: 'X-Y_9', initialResponse: 'a' })
  for (const rest of ['', 'PLAIN a b', 'PL+AIN', 'X'.repeat(21)]) t.equal(parseAuth(rest), null, rest)
})

t.test('reply lines of an upstream', async (t) => {
  t.strictSame(parseReplyLine('250-SIZE 1'), { code: 250, isLast: false, text: 'SIZE 1' })
  t.strictSame(parseReplyLine('334 '), { code: 334, isLast: true, text: '' })
  t.strictSame(parseReplyLine('220'), { code: 220, isLast: true, text: '' })
  t.match(parseReplyLine('220 gr\xfc\xdfe'), { code: 220 })
  for (const line of ['', '25', '250x', '150 x', '999 x', '220 a\0', '220 a\rb', '* OK', 'HTTP/1.1 200 OK', ' 220 x']) {
    t.equal(parseReplyLine(line), null, JSON.stringify(line))
  }
})

t.test('keywords', async (t) => {
  const keywords = keywordsOf(['host says hello', 'SIZE 10 ', 'AUTH PLAIN', 'auth=LOGIN x', '', '-x', 'A\x07', 'DSN'])
  t.strictSame(keywords, ['SIZE 10', 'AUTH PLAIN', 'auth=LOGIN x', 'DSN'])
  t.strictSame(parametersOf(keywords, 'AUTH'), ['PLAIN', 'LOGIN', 'X'])
  t.strictSame(parametersOf(keywords, 'DSN'), [])
  t.equal(parametersOf(keywords, 'XCLIENT'), null)
  t.equal(keywordsOf(Array.from({ length: 1000 }, (_, i) => `K${i}`)).length, 40)
})

t.test('F4: xtext (RFC 3461 §4)', async (t) => {
  t.equal(xtext('192.0.2.1'), '192.0.2.1')
  t.equal(xtext('IPV6:2001:db8::1'), 'IPV6:2001:db8::1')
  t.equal(xtext('a b+c=d\r\né'), 'a+20b+2Bc+3Dd+0D+0A+C3+A9')
})

t.test('the agent', async (t) => {
  t.equal(agentOf('[127.0.0.1]'), '[127.0.0.1]')
  t.equal(agentOf(''), null)
  t.ok((agentOf('x'.repeat(999)) ?? '').length <= 128)
  t.notMatch(agentOf('a\x1b[31m'), /\x1b/)
})
