import t from 'tap'
import { LOGIN_FAILURE_REASONS, LoginFailure } from '../../../src/contract/failure.ts'
import { SPARES } from '../../../src/edge/smtp/line-gate.ts'
import { PASSWORD } from '../login/house.ts'
import { base64, ehlo, friendlySmtp, GOOD, hello, KEYWORDS, NAME, openSmtpHouse } from './house.ts'

const IN = '235 2.7.0 Authentication successful'

t.test('client 13: EHLO says what is ours, and what every upstream keeps once that is known', async (t) => {
  await t.test('nothing known yet: nothing promised', async (t) => {
    await using house = await openSmtpHouse(t)
    const client = await house.connect()
    t.strictSame(await hello(client), [`250-${NAME}`, '250 AUTH PLAIN LOGIN'])
    client.send('QUIT\r\n')
    t.equal(await client.rest(), '221 2.0.0 Bye\r\n')
    await house.served()
    t.equal(house.upstream.connections, 0, 'nobody dialled')
  })
  await t.test('known: without what only a server can mean', async (t) => {
    const known = ['SIZE 42', 'AUTH LOGIN', 'AUTH=LOGIN', 'STARTTLS', 'XCLIENT NAME', 'XFORWARD NAME', 'X-EXPS', 'DSN']
    await using house = await openSmtpHouse(t, { known })
    const client = await house.connect()
    t.strictSame(await hello(client), [`250-${NAME}`, '250-SIZE 42', '250-DSN', '250 AUTH PLAIN LOGIN'])
  })
  await t.test('a login teaches it', async (t) => {
    await using house = await openSmtpHouse(t)
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${GOOD}\r\n`)
    t.equal(await client.line(), IN)
    const next = await house.connect()
    t.strictSame(await hello(next), [`250-${NAME}`, ...KEYWORDS.map((line) => `250-${line}`), '250 AUTH PLAIN LOGIN'])
  })
})

t.test('whatever a client calls itself: it is a word in the log and nothing more (F4)', async (t) => {
  await using house = await openSmtpHouse(t)
  for (const name of ['[127.0.0.1]', '[IPv6:2001:db8::1]', 'HP LaserJet 5', 'my_scanner', 'x'.repeat(1000), '\xe9']) {
    for (const verb of ['EHLO', 'HELO']) {
      const client = await house.connect()
      await client.line()
      client.send(`${verb} ${name}\r\n`)
      await client.linesUntil(/^250 /)
      client.send(`AUTH PLAIN ${GOOD}\r\n`)
      t.equal(await client.line(), IN, `${verb} ${name.slice(0, 20)}`)
    }
  }
  t.ok(house.gate.attempts.some(({ agent }) => agent === 'HP LaserJet 5'))
})

t.test('every way to log in that clients use (client 1, 2, 12)', async (t) => {
  for (const [why, talk, mechanism] of [
    ['PLAIN with an initial response', [[`AUTH PLAIN ${GOOD}`, IN]], 'PLAIN'],
    ['in lower case', [[`auth plain ${GOOD}`, IN]], 'PLAIN'],
    [
      'PLAIN in two steps (s-nail)',
      [
        ['AUTH PLAIN', '334 '],
        [GOOD, IN],
      ],
      'PLAIN',
    ],
    [
      'authzid equal to the user (git send-email, mutt)',
      [[`AUTH PLAIN ${base64(`ann@example.org\0ann\0${PASSWORD}`)}`, IN]],
      'PLAIN',
    ],
    [
      'LOGIN, both prompts (JavaMail)',
      [
        ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
        [base64('ANN@Example.org'), '334 UGFzc3dvcmQ6'],
        [base64(PASSWORD), IN],
      ],
      'LOGIN',
    ],
    [
      'LOGIN, user inline',
      [
        [`AUTH login ${base64('ann')}`, '334 UGFzc3dvcmQ6'],
        [base64(PASSWORD), IN],
      ],
      'LOGIN',
    ],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openSmtpHouse(t)
      const client = await house.connect()
      await hello(client)
      for (const [line, answer] of talk) {
        client.send(`${line}\r\n`)
        t.equal(await client.line(), answer)
      }
      client.send('MAIL FROM:<ann@example.org>\r\n')
      t.equal(await client.line(), '250 MAIL FROM:<ann@example.org>', 'and now the upstream answers')
      t.match(house.gate.attempts, [
        {
          protocol: 'smtp',
          mechanism,
          agent: 'client.example.net',
          credential: { kind: 'password', authcid: 'ann@example.org', authzid: '' },
        },
      ])
      t.strictSame(house.gate.secrets, [PASSWORD])
      t.strictSame(house.gate.outcomes, ['accepted'])
    })
  }
})

t.test('client 11, invariant 4: a wrong password is a 535 and the connection stays open', async (t) => {
  await using house = await openSmtpHouse(t)
  const client = await house.connect()
  await hello(client)
  for (const [line, answer] of [
    [`AUTH PLAIN ${base64('\0ann\0wrong')}`, '535 5.7.8 Authentication failed.'],
    ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
    [base64('ann'), '334 UGFzc3dvcmQ6'],
    [base64('wrong too'), '535 5.7.8 Authentication failed.'],
    ['NOOP', '250 2.0.0 OK'],
    [`AUTH PLAIN ${GOOD}`, IN],
  ]) {
    client.send(`${line}\r\n`)
    t.equal(await client.line(), answer)
  }
  t.equal(house.gate.attempts.length, 3)
  t.equal(house.upstream.connections, 1, 'nobody dials for a wrong password')
})

t.test('C2, C3: somebody else’s identity and impossible names read as a wrong password', async (t) => {
  await using house = await openSmtpHouse(t, { dialogue: { maxRefusals: 10 } })
  const client = await house.connect()
  await hello(client)
  for (const name of ['bob@example.org\0ann', '\0ann*bob', '\0ann\u00a0', '\0']) {
    client.send(`AUTH PLAIN ${base64(`${name}\0${PASSWORD}`)}\r\n`)
    t.equal(await client.line(), '535 5.7.8 Authentication failed.')
  }
  t.strictSame(
    house.gate.attempts.map(({ credential }) => credential.authcid),
    ['', '', '', ''],
  )
})

t.test('invariant 11: each reason in its code; ours and the upstream’s never read as a wrong password', async (t) => {
  const wanted = {
    'bad-credentials': '535 5.7.8',
    'app-password-deleted': '535 5.7.8',
    'app-password-expired': '535 5.7.8',
    'not-on-this-protocol': '535 5.7.8',
    'device-refused': '535 5.7.8',
    'use-app-password': '535 5.7.8',
    'tls-required': '538 5.7.11',
    throttled: '454 4.7.0',
    'too-many-sessions': '421 4.7.0',
    'store-unavailable': '454 4.7.0',
    'keeper-unavailable': '454 4.7.0',
    'upstream-unreachable': '454 4.7.0',
    'upstream-protocol': '454 4.7.0',
    'upstream-refused': '454 4.7.0',
    'token-unavailable': '454 4.7.0',
    busy: '454 4.7.0',
  }
  for (const reason of LOGIN_FAILURE_REASONS) {
    // The dialogue says this one itself, before the gate is asked.
    if (reason === 'tls-required') continue
    await using house = await openSmtpHouse(t, { dialogue: { portalUrl: 'https://portal.example.org/' } })
    house.gate.decide = () => {
      throw new LoginFailure(reason, 'not for the client')
    }
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${GOOD}\r\nNOOP\r\n`)
    const line = await client.line()
    t.equal(line.slice(0, 9), wanted[reason], reason)
    t.notMatch(line, /not for the client/)
    const isHelped = /deleted|expired|protocol$|use-app|device/.test(reason) && !reason.startsWith('upstream')
    t.equal(line.includes('https://portal.example.org/'), isHelped, `${reason}: ${line}`)
    t.equal(
      await (reason === 'too-many-sessions' ? client.rest() : client.line()),
      line.startsWith('421') ? '' : '250 2.0.0 OK',
    )
  }
})

t.test('A12: an exchange that makes no sense is a 501, and no guess', async (t) => {
  for (const [why, talk] of [
    [
      'cancelled',
      [
        ['AUTH PLAIN', '334 '],
        ['*', '501 5.5.4 Cancelled.'],
      ],
    ],
    [
      'cancelled at the name',
      [
        ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
        ['*', '501 5.5.4 Cancelled.'],
      ],
    ],
    [
      'cancelled at the password',
      [
        ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
        [base64('ann'), '334 UGFzc3dvcmQ6'],
        ['*', '501 5.5.4 Cancelled.'],
      ],
    ],
    [
      'not base64',
      [
        ['AUTH PLAIN', '334 '],
        ['!!!!', '501 5.5.4 This is not base64.'],
      ],
    ],
    ['not base64, at once', [['AUTH PLAIN !!!!', '501 5.5.4 This is not base64.']]],
    [
      'base64 without its padding',
      [[`AUTH PLAIN ${base64('\0ann\0abcde').replace(/=+$/, '')}`, '501 5.5.4 This is not base64.']],
    ],
    ['two fields', [[`AUTH PLAIN ${base64('ann\0x')}`, '501 5.5.4 This is not what the mechanism asks for.']]],
    ['four fields', [[`AUTH PLAIN ${base64('\0ann\0x\0y')}`, '501 5.5.4 This is not what the mechanism asks for.']]],
    ['an empty initial response', [['AUTH PLAIN =', '501 5.5.4 This is not what the mechanism asks for.']]],
    [
      'a line end in the name',
      [[`AUTH PLAIN ${base64('\0ann\r\nx\0y')}`, '501 5.5.4 Line ends and NUL are not allowed.']],
    ],
    ['three arguments', [['AUTH PLAIN AA== AA==', '501 5.5.4 AUTH takes the name of a mechanism.']]],
    ['no mechanism', [['AUTH', '501 5.5.4 AUTH takes the name of a mechanism.']]],
    ['an unknown mechanism', [['AUTH CRAM-MD5', '504 5.5.4 Error: Unrecognized authentication type']]],
    [
      'B13, C6: one with a secret behind it',
      [[`AUTH XOAUTH2 ${GOOD}`, '504 5.5.4 Error: Unrecognized authentication type']],
    ],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openSmtpHouse(t)
      const client = await house.connect()
      await hello(client)
      for (const [line, answer] of talk) {
        client.send(`${line}\r\n`)
        t.equal(await client.line(), answer)
      }
      t.equal(house.gate.attempts.length, 0)
      client.send(`NOOP\r\nAUTH PLAIN ${GOOD}\r\n`)
      t.equal(await client.line(), '250 2.0.0 OK', 'and the talk goes on')
      t.equal(await client.line(), IN)
    })
  }
})

t.test('what comes too early, or never', async (t) => {
  await using house = await openSmtpHouse(t, { dialogue: { maxErrors: 100 } })
  const client = await house.connect()
  await client.line()
  for (const [line, answer] of [
    ['AUTH PLAIN', /^503 5\.5\.1 /],
    ['MAIL FROM:<a@example.org>', /^503 5\.5\.1 /],
    ['EHLO', /^501 /],
    ['HELO old.example.net', /^250 gate\.example\.org$/],
    ['MAIL FROM:<a@example.org>', /^530 5\.7\.0 /],
    ['RCPT TO:<a@example.org>', /^530 5\.7\.0 /],
    ['DATA', /^530 5\.7\.0 /],
    ['RSET', /^250 /],
    ['VRFY ann', /^252 /],
    ['WIZ', /^500 5\.5\.2 /],
    ['SHELL', /^500 5\.5\.2 /],
    ['KILL me', /^500 5\.5\.2 /],
    ['XCLIENT ADDR=10.0.0.1', /^500 5\.5\.2 /],
    ['XFORWARD ADDR=10.0.0.1', /^500 5\.5\.2 /],
    ['ETRN x', /^500 5\.5\.2 /],
    ['constructor', /^500 5\.5\.2 /],
    ['EHLO a\rb', /^500 5\.5\.2 Control/],
    [' NOOP', /^500 5\.5\.2 /],
    ['', /^500 5\.5\.2 /],
    ['STARTTLS', /^502 5\.5\.1 /],
  ] as const) {
    client.send(`${line}\r\n`)
    t.match(await client.line(), answer, line)
  }
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  t.equal(await client.line(), IN)
})

t.test('A10: three errors, another protocol, NUL, a message without a login, an endless line', async (t) => {
  for (const [why, sent, answer] of [
    ['three unknown commands', 'FOO\r\nBAR\r\nBAZ\r\nNOOP\r\n', /^(500 [^\n]*\n){3}421 4\.7\.0 Too many errors\.\r\n$/],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^421 4\.7\.0 This is an SMTP server\.\r\n$/],
    ['POST', `POST / HTTP/1.1\r\n\r\nEHLO x\r\nAUTH PLAIN ${GOOD}\r\n`, /^421 4\.7\.0 [^\n]*\n$/],
    ['a header', 'Host: mail.example.org\r\n', /^421 /],
    ['A7: NUL', 'NO\0OP\r\n', /^421 4\.7\.0 NUL is not allowed\.\r\n$/],
    ['A7: NUL in an answer', 'EHLO x\r\nAUTH PLAIN\r\nAA\0==\r\n', /334 \r\n421 4\.7\.0 NUL[^\n]*\n$/],
    ['BDAT', `BDAT 9 LAST\r\nAUTH PLAIN ${GOOD}\r\n`, /^421 4\.7\.0 Please log in first\.\r\n$/],
    ['a long command', `NOOP ${'x'.repeat(3000)}\r\n`, /^421 4\.7\.0 Line too long\.\r\n$/],
    ['a line without end', 'x'.repeat(20_000), /^421 4\.7\.0 Line too long\.\r\n$/],
    ['an endless answer', `EHLO x\r\nAUTH PLAIN\r\n${'A'.repeat(20_000)}`, /334 \r\n421 4\.7\.0 Line too long\.\r\n$/],
    ['too much (A6)', 'NOOP\r\n'.repeat(12_000), /250 2\.0\.0 OK\r\n421 4\.7\.0 Too much[^\n]*\n$/],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openSmtpHouse(t)
      const client = await house.connect()
      await client.line()
      client.send(sent)
      t.match(await client.rest(), answer)
      await house.served()
      t.equal(house.gate.attempts.length, 0)
    })
  }
  await t.test('five refused logins', async (t) => {
    await using house = await openSmtpHouse(t)
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${base64('\0ann\0no')}\r\n`.repeat(7))
    t.match(await client.rest(), /^(535 [^\n]*\n){5}421 4\.7\.0 Too many refused logins\.\r\n$/)
  })
  await t.test('A11: silence', async (t) => {
    await using house = await openSmtpHouse(t, { loginMs: 150 })
    const client = await house.connect()
    await hello(client)
    client.send('AUTH LOGIN\r\n')
    t.equal(await client.rest(), '334 VXNlcm5hbWU6\r\n421 4.7.0 No login in time.\r\n')
  })
})

t.test('invariants 1 and 2, A9: bytes behind the login reach the upstream first, in order, in every cut', async (t) => {
  const login = `AUTH PLAIN ${GOOD}\r\n`
  const behind = 'MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n'
  const all = login + behind
  for (const cut of [0, 1, login.length - 1, login.length, login.length + 1, login.length + 9, all.length]) {
    const seen: string[] = []
    await using house = await openSmtpHouse(t, { upstream: friendlySmtp(seen) })
    const client = await house.connect()
    await hello(client)
    client.send(all.slice(0, cut))
    await new Promise((resolve) => setTimeout(resolve, 5))
    client.send(all.slice(cut))
    t.equal(await client.line(), IN, `cut at ${cut}`)
    for (const line of behind.split('\r\n').slice(0, -1)) t.equal(await client.line(), `250 ${line}`)
    t.strictSame(seen, behind.split('\r\n').slice(0, -1))
  }
  await t.test('the password in one write with the prompts, byte by byte (A8)', async (t) => {
    const seen: string[] = []
    await using house = await openSmtpHouse(t, { upstream: friendlySmtp(seen) })
    const client = await house.connect()
    await hello(client)
    for (const byte of `AUTH LOGIN\r\n${base64('ann')}\r\n${base64(PASSWORD)}\r\nMAIL\r\n`) {
      client.send(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.strictSame(
      [await client.line(), await client.line(), await client.line(), await client.line()],
      ['334 VXNlcm5hbWU6', '334 UGFzc3dvcmQ6', IN, '250 MAIL'],
    )
    t.strictSame(seen, ['MAIL'])
  })
  await t.test('on failure they meet a client that is not logged in, and count as no errors', async (t) => {
    await using house = await openSmtpHouse(t)
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${base64('\0ann\0no')}\r\n${behind}RSET\r\nAUTH PLAIN ${GOOD}\r\nMAIL\r\n`)
    t.match(await client.line(), /^535 /)
    for (let i = 0; i < 3; i++) t.match(await client.line(), /^530 5\.7\.0 /)
    t.match(await client.line(), /^250 /)
    t.equal(await client.line(), IN)
    t.equal(await client.line(), '250 MAIL')
  })
})

t.test('invariant 5: no password reaches the library', async (t) => {
  await using house = await openSmtpHouse(t)
  const { SMTPServer } = await import('smtp-server')
  const { connect } = SMTPServer.prototype
  t.teardown(() => {
    SMTPServer.prototype.connect = connect
  })
  const heard: string[] = []
  SMTPServer.prototype.connect = function (stream, options) {
    stream.on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')))
    connect.call(this, stream, options)
  }
  const client = await house.connect()
  await hello(client)
  client.send(
    `AUTH PLAIN\r\n${base64('\0ann\0first-secret')}\r\nAUTH LOGIN\r\n${base64('ann')}\r\n${base64('second-secret')}\r\n`,
  )
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  await client.linesUntil(/^235 /)
  const standIns = ['AUTH PLAIN', 'AC0ALQ==', 'AUTH LOGIN', 'LQ==', 'LQ==', 'AUTH PLAIN AC0ALQ==']
  t.strictSame(heard.join('').split('\r\n').slice(0, -1), ['EHLO client', ...standIns])
})

t.test('invariant 4: a client that leaves takes everything with it', async (t) => {
  const { SMTPServer } = await import('smtp-server')
  const open: InstanceType<typeof SMTPServer>[] = []
  const { connect } = SMTPServer.prototype
  SMTPServer.prototype.connect = function (stream, options) {
    open.push(this)
    connect.call(this, stream, options)
  }
  t.teardown(() => {
    SMTPServer.prototype.connect = connect
  })
  await using house = await openSmtpHouse(t)
  for (const talk of [
    '',
    'EHLO x\r\n',
    'EHLO x\r\nAUTH LOGIN\r\n',
    `EHLO x\r\nAUTH PLAIN ${base64('\0ann\0no')}\r\n`,
    'QUIT\r\n',
  ]) {
    const client = await house.connect()
    await client.line()
    client.send(talk)
    if (talk.includes('EHLO')) await client.linesUntil(/^250 /)
    client.end()
    await client.untilClosed()
  }
  const client = await house.connect()
  await hello(client)
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  t.equal(await client.line(), IN)
  await house.served(5)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(open.length, 6 + SPARES)
  t.strictSame(
    [...new Set(open)].map((server) => server.connections.size),
    [SPARES],
    'the library holds no connection but those that nobody has had yet, not even of a session that runs',
  )
  t.ok(await ehlo(client, 'again'), 'which is the upstream’s now')
})
