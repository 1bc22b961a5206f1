/**
 * Pins what we use of smtp-server, so that a release that moves it is noticed here and not by a mail client.
 */

import { SMTPServer } from 'smtp-server'
import t from 'tap'
import { createLineGates, STAND_IN } from '../../../src/edge/smtp/line-gate.ts'

const NAME = 'gate.example.org'

// The library's own timer keeps no process alive; in an edge the client's socket does.
const alive = setInterval(() => undefined, 1000)
t.teardown(() => clearInterval(alive))

function gates(t: { fail(text: string): unknown }) {
  return createLineGates({ name: NAME, onError: (error) => t.fail(error.message) })
}

t.test('the public surface that we rely on', async (t) => {
  const server = new SMTPServer({ logger: false, secured: true, secure: true })
  t.type(server.connect, 'function')
  t.equal(server.connect.length, 2, 'connect(socket, { id, … })')
  t.type(server.on, 'function')
  t.ok(server.connections instanceof Set)
  t.notOk(server.server.listening, 'it opens no port by itself')
})

t.test('each line has one reply, in these words', async (t) => {
  const gate = gates(t).open(true)
  for (const [line, reply, isOver = false] of [
    ['MAIL FROM:<a@example.org>', '503 5.5.1 Error: send HELO/EHLO first\r\n'],
    ['EHLO', '501 Error: syntax: EHLO hostname\r\n'],
    [
      'EHLO x',
      `250-${NAME}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN\r\n`,
    ],
    ['HELO x', `250 ${NAME}\r\n`],
    ['NOOP', '250 2.0.0 OK\r\n'],
    ['RSET', '250 2.0.0 Flushed\r\n'],
    ['MAIL FROM:<a@example.org>', '530 5.7.0 Please log in first.\r\n'],
    ['RCPT TO:<a@example.org>', '530 5.7.0 Please log in first.\r\n'],
    ['DATA', '530 5.7.0 Please log in first.\r\n'],
    ['WIZ', '500 5.5.2 Error: command not recognized\r\n'],
    ['STARTTLS', '500 5.5.2 Error: command not recognized\r\n'],
    ['XCLIENT LOGIN=ceo', '500 5.5.2 Error: command not recognized\r\n'],
    ['AUTH CRAM-MD5', '504 5.5.4 Error: Unrecognized authentication type\r\n'],
    ['AUTH PLAIN', '334 \r\n'],
    ['*', '501 5.5.4 Authentication aborted\r\n'],
    ['AUTH LOGIN', '334 VXNlcm5hbWU6\r\n'],
    [STAND_IN.login, '334 UGFzc3dvcmQ6\r\n'],
    ['*', '501 5.5.4 Authentication aborted\r\n'],
    ['QUIT', '221 2.0.0 Bye\r\n', true],
  ] as const) {
    t.strictSame(await gate.hand(line), { at: 'reply', reply, isOver }, line)
  }
  t.strictSame(await gate.hand('NOOP'), { at: 'reply', reply: '', isOver: true }, 'after the end there is nothing')
  gate.close()
})

t.test('AUTH asks, and a refusal is the answer, in each of our codes', async (t) => {
  const gate = gates(t).open(true)
  await gate.hand('EHLO x')
  for (const [code, enhanced] of [
    [535, '5.7.8'],
    [454, '4.7.0'],
  ] as const) {
    for (const lines of [
      [`AUTH PLAIN ${STAND_IN.plain}`],
      ['AUTH PLAIN', STAND_IN.plain],
      [`AUTH LOGIN ${STAND_IN.login}`, STAND_IN.login],
    ]) {
      let handed = await gate.hand(lines[0] ?? '')
      for (const line of lines.slice(1)) {
        t.match(handed, { at: 'reply', reply: /^334 / })
        handed = await gate.hand(line)
      }
      t.equal(handed.at, 'login')
      if (handed.at !== 'login') return
      t.strictSame(await handed.refuse(code, 'No.'), {
        at: 'reply',
        reply: `${code} ${enhanced} No.\r\n`,
        isOver: false,
      })
    }
  }
  gate.close()
})

t.test('nobody waits for the library to be ready, but the first', async (t) => {
  const made = gates(t)
  await made.open(true).hand('NOOP')
  const isAnswered = made
    .open(true)
    .hand('EHLO x')
    .then(() => true)
  const isLate = (async () => {
    for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve))
    return false
  })()
  t.ok(await Promise.race([isAnswered, isLate]), 'within a few turns of the loop; the library’s own delay is 100 ms')
})

t.test('conversations don’t mix', async (t) => {
  const all = gates(t)
  const open = [true, false, true].map((isSecure) => all.open(isSecure))
  await Promise.all(open.map((gate, i) => gate.hand(`EHLO n${i}`)))
  const asked = await Promise.all(open.map((gate) => gate.hand(`AUTH PLAIN ${STAND_IN.plain}`)))
  const answers = await Promise.all(asked.map((handed, i) => handed.at === 'login' && handed.refuse(535, `No, ${i}.`)))
  t.strictSame(
    answers.map((handed) => handed && handed.at === 'reply' && handed.reply),
    [0, 1, 2].map((i) => `535 5.7.8 No, ${i}.\r\n`),
  )
  for (const gate of open) gate.close()
})

t.test('closed before it was ready, or twice', async (t) => {
  const gate = gates(t).open(false)
  const handed = gate.hand('NOOP')
  gate.close()
  gate.close()
  t.strictSame(await handed, { at: 'reply', reply: '', isOver: true })
})
