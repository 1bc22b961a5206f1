import t from 'tap'
import { createLog, printable } from '../src/log.ts'
import { Secret } from '../src/secret.ts'

function capture() {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    version: '1.2.3',
    process: 'test',
    destination: { write: (line) => void lines.push(line) },
  })
  return { log, lines }
}

t.test('one JSON object a line, fields in their declared order', async (t) => {
  const { log, lines } = capture()
  log.event('info', 'login_refused', 'login refused', {
    reason: 'bad-credentials',
    remote_ip: '192.0.2.1',
    protocol: 'imap',
  })
  t.equal(lines.length, 1)
  const line = lines[0] ?? ''
  t.match(JSON.parse(line), {
    level: 'info',
    service: 'sallyport',
    version: '1.2.3',
    event: 'login_refused',
    process: 'test',
  })
  t.match(JSON.parse(line).time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.ok(line.indexOf('"protocol"') < line.indexOf('"remote_ip"'), 'protocol stands before remote_ip')
  t.ok(line.indexOf('"remote_ip"') < line.indexOf('"reason"'), 'remote_ip stands before reason')
})

t.test('J1: no byte of a client forges a line or reaches a terminal', async (t) => {
  const { log, lines } = capture()
  const hostile = 'ann\r\n{"event":"login_accepted"}\u001b[2J\u007f\u0085\u2028\u2029\u202e\ufeff'
  log.event('info', 'login_refused', 'x', { agent: hostile, user: 'u'.repeat(500) })
  const line = lines.join('')
  t.equal(line.split('\n').length, 2, 'one line and its end')
  t.notMatch(line, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202e\ufeff]/)
  t.ok(JSON.parse(line).user.length <= 129, 'names are cut at 128')
})

t.test('invariant 5: a secret given by mistake prints as a placeholder', async (t) => {
  const { log, lines } = capture()
  log.event('info', 'warning', 'x', { detail: `${new Secret('hunter2')}` })
  t.notMatch(lines.join(''), /hunter2/)
})

t.test('bugs are counted and carry their stack', async (t) => {
  const { log, lines } = capture()
  log.bug(new TypeError('x is not a function'), 'connection ended by a fault in this program', { session: 's1' })
  t.equal(log.bugs, 1)
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 'error',
    event: 'bug',
    session: 's1',
    stack: /TypeError: x is not a function\n/,
  })
})

t.test('levels', async (t) => {
  const { log, lines } = capture()
  log.event('debug', 'connection_opened', 'x')
  t.equal(lines.length, 0)
  log.setLevel('debug')
  log.event('debug', 'connection_opened', 'x')
  t.equal(lines.length, 1)
})

t.test('printable', async (t) => {
  t.equal(printable('a\u0000b'), 'a\\u{0}b')
  t.equal(printable('plain ü €'), 'plain ü €', 'letters of any language stay')
  t.equal(printable('abcdef', 3), 'abc…')
  t.equal(printable('\u0080\u0080', 8), '\\u{80}\\u…', 'what is written longer counts as it is written')
  t.equal(printable('ab📱', 3), 'ab\ufffd…', 'no half of a character is left')
})
