import t from 'tap'
import { LoginFailure } from '../../../src/contract/failure.ts'
import { PASSWORD } from '../login/house.ts'
import { base64, friendlyUpstream, openPop3 } from './house.ts'

const GOOD = base64(`\0ann@example.org\0${PASSWORD}`)
const LOGIN = `USER ann\r\nPASS ${PASSWORD}\r\n`
const IN = '+OK Logged in.'
const BEFORE = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'USER', 'SASL PLAIN LOGIN', '.']

t.test('client 5: the greeting offers no APOP, and CAPA says what is true', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  t.equal(await client.line(), '+OK sallyport is ready.', 'RFC 1939 §7: no timestamp')
  client.send('capa\r\n')
  t.match(await client.line(), /^\+OK /)
  t.strictSame(await client.linesUntil(/^\.$/), BEFORE)
  client.send('qUiT\r\n')
  t.equal(await client.rest(), '+OK Bye.\r\n', 'and it closes')
  await house.served()
  t.equal(house.upstream.connections, 0, 'nobody dialled')
})

t.test('every way to log in that clients use (client 1, 2, 12, 14)', async (t) => {
  for (const [talk, mechanism, why] of [
    [['USER ann@example.org\r\n', `PASS ${PASSWORD}\r\n`], 'USER', 'USER and PASS (fdm, s-nail: no CAPA before)'],
    [['user ann\r\n', `pass ${PASSWORD}\r\n`], 'USER', 'in lower case, a bare name'],
    [['USER ANN@Example.ORG\r\n', `PASS ${PASSWORD}\r\n`], 'USER', 'the name in any case'],
    [['USER CORP\\ann\r\n', `PASS ${PASSWORD}\r\n`], 'USER', 'a Windows name'],
    [['USER bob\r\n', 'USER ann\r\n', `PASS ${PASSWORD}\r\n`], 'USER', 'the last USER counts'],
    [[`AUTH PLAIN ${GOOD}\r\n`], 'PLAIN', 'initial response'],
    [['auth plain\r\n', `${GOOD}\r\n`], 'PLAIN', 'two steps, in lower case (PHP, mpop)'],
    [['AUTH PLAIN \r\n', `${GOOD}\r\n`], 'PLAIN', 'two steps, a blank at the end'],
    [
      [`AUTH PLAIN ${base64(`ann@example.org\0ann\0${PASSWORD}`)}\r\n`],
      'PLAIN',
      'an authorization identity equal to the user',
    ],
    [['AUTH LOGIN\r\n', `${base64('ann')}\r\n`, `${base64(PASSWORD)}\r\n`], 'LOGIN', 'LOGIN, prompts'],
    [[`AUTH LOGIN ${base64('ann')}\r\n`, `${base64(PASSWORD)}\r\n`], 'LOGIN', 'LOGIN, the user inline'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openPop3(t)
      const client = await house.connect()
      await client.line()
      for (const [i, piece] of talk.entries()) {
        client.send(piece)
        if (i < talk.length - 1) t.match(await client.line(), /^\+(OK)? /, 'asked for more')
      }
      t.equal(await client.line(), IN)
      client.send('CAPA\r\n')
      t.equal(await client.line(), '+OK CAPA done', 'client 14: CAPA after the login is the upstream’s')
      t.match(house.gate.attempts, [
        {
          protocol: 'pop3',
          mechanism,
          agent: null,
          credential: { kind: 'password', authcid: 'ann@example.org', authzid: '' },
        },
      ])
      t.strictSame(house.gate.secrets, [PASSWORD])
      t.strictSame(house.gate.outcomes, ['accepted'])
      t.match(await house.logs.wait('login_accepted'), { protocol: 'pop3', user: 'ann@example.org', mechanism })
    })
  }
})

t.test('PASS takes the rest of its line, blanks and all (RFC 1939 §7)', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  for (const [line, secret, why] of [
    ['PASS  a b ', ' a b ', 'blanks at both ends'],
    ['PASS p\xe4ss', 'päss', 'Latin-1'],
    ['PASS p\xc3\xa4ss', 'päss', 'UTF-8'],
    ['PASS ', '', 'nothing: a wrong password, and no error'],
  ] as const) {
    client.send(`USER ann\r\n${line}\r\n`)
    t.match(await client.line(), /^\+OK /)
    t.match(await client.line(), /^-ERR \[AUTH\] /)
    t.equal(house.gate.secrets.at(-1), secret, why)
  }
})

t.test('prompts are exact, and the mechanisms are listed for who asks (client 12)', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send('AUTH\r\n')
  t.match(await client.line(), /^\+OK /)
  t.strictSame(await client.linesUntil(/^\.$/), ['PLAIN', 'LOGIN', '.'])
  client.send('AUTH LOGIN\r\n')
  t.equal(await client.line(), '+ VXNlcm5hbWU6')
  client.send(`${base64('ann')}\r\n`)
  t.equal(await client.line(), '+ UGFzc3dvcmQ6')
  client.send('*\r\nAUTH PLAIN\r\n')
  t.equal(await client.line(), '-ERR Cancelled.')
  t.equal(await client.line(), '+ ', 'an empty challenge has its blank')
})

t.test('client 11, invariant 4: a wrong password is -ERR [AUTH] and the connection stays open', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send('USER ann\r\nPASS wrong-password\r\n')
  await client.line()
  t.equal(await client.line(), '-ERR [AUTH] Authentication failed.')
  client.send('CAPA\r\n')
  await client.line()
  t.strictSame(await client.linesUntil(/^\.$/), BEFORE)
  client.send(LOGIN)
  await client.line()
  t.equal(await client.line(), IN)
  t.equal(house.gate.attempts.length, 2)
  t.equal(house.upstream.connections, 1, 'nobody dials for a wrong password')
  t.match(await house.logs.wait('login_refused'), { protocol: 'pop3', reason: 'bad-credentials', mechanism: 'USER' })
})

t.test('invariant 2, A8, A9: what stands behind the login reaches the upstream, wherever the cut is', async (t) => {
  const behind = 'STAT\r\nRETR 1\r\nUIDL\r\n'
  for (const login of [LOGIN, `AUTH PLAIN ${GOOD}\r\n`]) {
    const all = `${login}${behind}`
    const replies = login === LOGIN ? ['+OK Go ahead.', IN] : [IN]
    // One house for all cuts: each is a connection of its own.
    const seen: string[] = []
    await using house = await openPop3(t, { upstream: friendlyUpstream(seen) })
    for (let cut = 0; cut < all.length; cut++) {
      const client = await house.connect()
      await client.line()
      client.send(all.slice(0, cut))
      await new Promise((resolve) => setImmediate(resolve))
      client.send(all.slice(cut))
      const lines = [...replies, '+OK STAT done', '+OK RETR done', '+OK UIDL done']
      const got: string[] = []
      for (const _ of lines) got.push(await client.line())
      t.strictSame(got, lines, `cut at ${cut}`)
      t.strictSame(seen.splice(0), ['STAT', 'RETR 1', 'UIDL'], 'in order, each once')
      client.end()
    }
    t.equal(house.gate.outcomes.length, all.length)
  }
})

t.test('A8: byte by byte, and with bare line feeds', async (t) => {
  const seen: string[] = []
  await using house = await openPop3(t, { upstream: friendlyUpstream(seen) })
  const client = await house.connect()
  await client.line()
  for (const byte of `CAPA\nUSER ann\nPASS ${PASSWORD}\nSTAT\r\n`) {
    client.send(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await client.linesUntil(/^\.$/)
  t.match(await client.line(), /^\+OK /)
  t.equal(await client.line(), IN)
  t.equal(await client.line(), '+OK STAT done')
})

t.test('A9: nothing is answered while the verdict is open', async (t) => {
  await using house = await openPop3(t)
  const verdict = Promise.withResolvers<void>()
  house.gate.decide = () => verdict.promise
  const client = await house.connect()
  await client.line()
  client.send(`${LOGIN}STAT\r\n`)
  await client.line()
  await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(client.buffered, '')
  verdict.resolve()
  t.equal(await client.line(), IN)
  t.equal(await client.line(), '+OK STAT done')
})

t.test('A9: on failure, commands behind the login meet a client that is not logged in, one reply each', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send(
    `USER ann\r\nPASS wrong-password\r\nSTAT\r\nUIDL\r\nLIST\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nNOOP\r\nRSET\r\n${LOGIN}STAT\r\n`,
  )
  await client.line()
  t.match(await client.line(), /^-ERR \[AUTH\] /)
  for (let i = 0; i < 8; i++) t.equal(await client.line(), '-ERR Please log in first.', 'and none of them is an error')
  await client.line()
  t.equal(await client.line(), IN)
  t.equal(await client.line(), '+OK STAT done')
})

t.test('bytes that are no text pass untouched in both directions (client 15)', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const got = Promise.withResolvers<Buffer>()
  await using house = await openPop3(t, {
    upstream: async (peer) => {
      peer.send('+OK hi\r\n')
      await peer.expect(/^CAPA$/)
      peer.send('+OK\r\nSASL PLAIN\r\n.\r\n')
      await peer.expect(/^AUTH PLAIN$/)
      peer.send('+ \r\n')
      await peer.line()
      peer.send(Buffer.concat([Buffer.from('+OK in\r\n'), bytes]))
      got.resolve(await peer.bytes(bytes.length))
      peer.end()
    },
  })
  const client = await house.connect()
  await client.line()
  client.send(Buffer.concat([Buffer.from(LOGIN), bytes]))
  await client.line()
  t.equal(await client.line(), IN)
  t.strictSame(await client.bytes(bytes.length), bytes, 'D6: behind the OK in the same segment')
  t.strictSame(await got.promise, bytes)
})

t.test('C1–C4, B1: names that can’t be anybody’s, and acting for others, look like a wrong password', async (t) => {
  await using house = await openPop3(t, { dialogue: { maxRefusals: 100 } })
  const client = await house.connect()
  await client.line()
  const logins = [
    'USER bob*ann\r\nPASS x',
    'USER ann\t\r\nPASS x',
    'USER ann \r\nPASS x',
    'USER ann bob\r\nPASS x',
    'USER NOBODY\\ann\r\nPASS x',
    `USER ${'a'.repeat(300)}\r\nPASS x`,
    `AUTH PLAIN ${base64(`bob\0ann\0${PASSWORD}`)}`,
    `AUTH PLAIN ${base64(`bob@example.org\0ann@example.org\0${PASSWORD}`)}`,
    `AUTH PLAIN ${base64(`\0ａｎｎ@example.org\0${PASSWORD}`)}`,
    'USER nobody\r\nPASS wrong-password',
  ]
  for (const login of logins) {
    client.send(`${login}\r\n`)
    if (login.startsWith('USER')) t.equal(await client.line(), '+OK Go ahead.', 'USER says nothing about anybody')
    t.equal(await client.line(), '-ERR [AUTH] Authentication failed.', login.slice(0, 40))
  }
  t.equal(house.gate.attempts.length, logins.length, 'each was asked of the gate, so it costs what a guess costs')
  for (const attempt of house.gate.attempts.slice(0, -1)) t.equal(attempt.credential.authcid, '', 'as nobody')
  t.equal(house.gate.attempts.at(-1)?.credential.authcid, 'nobody@example.org')
  t.equal(house.upstream.connections, 0)
})

t.test('A12: what makes no sense is an error and no guess; the session lives', async (t) => {
  for (const [talk, why] of [
    [['AUTH PLAIN', '*'], 'cancelled'],
    [['AUTH LOGIN', '*'], 'cancelled at the user'],
    [['AUTH LOGIN', base64('ann'), '*'], 'cancelled at the password'],
    [['AUTH PLAIN', '!!!!'], 'not base64'],
    [['AUTH PLAIN !!!!'], 'not base64 at once'],
    [['AUTH PLAIN ='], 'an empty initial response'],
    [['AUTH PLAIN', ''], 'an empty line'],
    [[`AUTH PLAIN ${base64(`\0ann\0${PASSWORD}\0`)}`], 'a NUL more'],
    [[`AUTH PLAIN ${base64(`\0ann\0a\r\nb`)}`], 'a line end in the password (C3)'],
    [['AUTH CRAM-MD5'], 'B13: no challenge mechanisms'],
    [[`AUTH XOAUTH2 ${base64('user=ann\x01auth=Bearer t\x01\x01')}`], 'C6: no name beside a token'],
    [['AUTH GSSAPI AAAA'], 'an unknown mechanism'],
    [['AUTH  PLAIN'], 'two blanks'],
    [['APOP ann c4c9334bac560ecc979e58001b3e22fb'], 'B13: no APOP'],
    [['XCLIENT ADDR=10.0.0.1'], 'A13: an address that a client claims'],
    [['USER'], 'USER alone'],
    [['USER '], 'USER and a blank'],
    [['USER \xe4nn'], 'A7: a user that is not UTF-8'],
    [['USER a\rb'], 'A7: a bare CR in the user'],
    [['PASS x'], 'PASS without USER'],
    [['CAPA x'], 'an argument for CAPA'],
    [['QUIT now'], 'an argument for QUIT'],
    [['STLS'], 'no TLS to be had'],
    [[''], 'an empty line'],
    [[' STAT'], 'a blank in front'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openPop3(t)
      const client = await house.connect()
      await client.line()
      for (const [i, line] of talk.entries()) {
        client.send(`${line}\r\n`)
        if (i < talk.length - 1) t.match(await client.line(), /^\+ /)
      }
      t.match(await client.line(), /^-ERR [^[]/, 'without a code: nothing was wrong with a password')
      t.equal(house.gate.attempts.length, 0, 'the gate was not asked')
      client.send(LOGIN)
      await client.line()
      t.equal(await client.line(), IN, 'and the next login is fine')
    })
  }
  await t.test('PASS with a bare CR', async (t) => {
    await using house = await openPop3(t)
    const client = await house.connect()
    await client.line()
    client.send('USER ann\r\nPASS a\rb\r\n')
    await client.line()
    t.match(await client.line(), /^-ERR Line ends/)
    t.equal(house.gate.attempts.length, 0)
  })
})

t.test('USER is forgotten at any command but PASS, and when its PASS is over (RFC 1939 §7)', async (t) => {
  for (const between of ['CAPA', 'NOOP', 'XYZZY', 'AUTH', 'PASS wrong-password']) {
    await t.test(between, async (t) => {
      await using house = await openPop3(t)
      const client = await house.connect()
      await client.line()
      client.send(`USER ann\r\n${between}\r\nPASS ${PASSWORD}\r\nQUIT\r\n`)
      const lines = (await client.rest()).split('\r\n')
      t.equal(lines.at(-3), '-ERR PASS comes behind USER.')
      t.notOk(house.gate.secrets.includes(PASSWORD))
    })
  }
})

t.test('A6, A7, A10: what ends a connection at once, with one reply', async (t) => {
  for (const [line, want, why] of [
    ['CAPA\0\r\n', /^-ERR NUL[^\r]*\r\n$/, 'A7: NUL in a line'],
    ['\0\r\n', /^-ERR NUL[^\r]*\r\n$/, 'A7: NUL alone'],
    [`USER ann\0\r\nPASS ${PASSWORD}\r\n`, /^-ERR NUL[^\r]*\r\n$/, 'A7: NUL behind a name'],
    ['USER ann\r\nPASS x\0y\r\n', /^\+OK [^\r]*\r\n-ERR NUL[^\r]*\r\n$/, 'A7: NUL in a password'],
    ['AUTH PLAIN\r\nA\0==\r\n', /^\+ \r\n-ERR NUL[^\r]*\r\n$/, 'A7: NUL in a response'],
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^-ERR This is a POP3 server\.\r\n$/, 'A10: HTTP'],
    [`POST / HTTP/1.1\r\n\r\n${LOGIN}`, /^-ERR This is a POP3 server\.\r\n$/, 'A10: a login in a body'],
    ['Host: x\r\n', /^-ERR This is a POP3 server\.\r\n$/, 'A10: a header'],
    [`${'x'.repeat(20_000)}\r\n`, /^-ERR Line too long\.\r\n$/, 'A6: an endless line'],
    [`USER ann\r\nPASS ${'x'.repeat(9_000)}\r\n`, /^\+OK [^\r]*\r\n-ERR Line too long\.\r\n$/, 'A6: a long password'],
    [`AUTH PLAIN\r\n${'A'.repeat(20_000)}\r\n`, /^\+ \r\n-ERR Line too long\.\r\n$/, 'A6: an endless response'],
    ['NOOP\r\n'.repeat(15_000), /^(-ERR Please log in first\.\r\n)+-ERR Too much .*\r\n$/, 'A6: more than the budget'],
    [
      'X\r\nY\r\nZ\r\nCAPA\r\n',
      /^(-ERR Unknown command\.\r\n){2}-ERR Unknown command\. Too many errors\.\r\n$/,
      'A10: three unknown commands',
    ],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openPop3(t)
      const client = await house.connect()
      await client.line()
      client.send(line)
      t.match(await client.rest(), want)
      await house.served()
      t.equal(house.gate.attempts.length, 0)
    })
  }
})

t.test('a SASL response of almost 12 KiB fits', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send(`AUTH PLAIN ${base64(`\0ann\0${'p'.repeat(9_000)}`)}\r\n`)
  t.match(await client.line(), /^-ERR \[AUTH\] /)
  t.equal(house.gate.secrets[0]?.length, 9_000)
})

t.test('five refused logins end the connection, without a reply that nobody asked for', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send('USER ann\r\nPASS wrong-password\r\n'.repeat(7))
  const replies = (await client.rest()).split('\r\n').map((line) => line.split(' ').slice(0, 2).join(' '))
  t.strictSame(replies, [...Array.from({ length: 5 }, () => ['+OK Go', '-ERR [AUTH]']).flat(), ''])
  await house.served()
  t.equal(house.gate.attempts.length, 5)
})

t.test('each failure in its words, with the portal where it helps (M4)', async (t) => {
  await using house = await openPop3(t, {
    dialogue: { portalUrl: 'https://mail.example.org/app-passwords', maxRefusals: 100 },
  })
  const client = await house.connect()
  await client.line()
  for (const [reason, want] of [
    ['app-password-deleted', /^-ERR \[AUTH\] .*deleted\. See https:\/\/mail\.example\.org\/app-passwords$/],
    ['not-on-this-protocol', /^-ERR \[AUTH\] .* for POP3\. See https:/],
    ['throttled', /^-ERR \[SYS\/TEMP\] /],
    ['too-many-sessions', /^-ERR \[IN-USE\] /],
    ['store-unavailable', /^-ERR \[SYS\/TEMP\] /],
    ['keeper-unavailable', /^-ERR \[SYS\/TEMP\] /],
    ['busy', /^-ERR \[SYS\/TEMP\] /],
  ] as const) {
    house.gate.decide = () => {
      throw new LoginFailure(reason, 'for the log only')
    }
    client.send('USER ann\r\nPASS x\r\n')
    await client.line()
    t.match(await client.line(), want, reason)
    const event = reason === 'throttled' ? 'login_throttled' : 'login_refused'
    t.match(await house.logs.wait(event, (line) => line.reason === reason), { detail: 'for the log only' })
  }
})

t.test('A11: one deadline, which activity does not extend', async (t) => {
  await using house = await openPop3(t, { loginMs: 150 })
  const client = await house.connect()
  await client.line()
  const drip = setInterval(() => client.send('C'), 20)
  t.teardown(() => clearInterval(drip))
  const start = performance.now()
  t.equal(await client.rest(), '-ERR No login in time.\r\n')
  t.ok(performance.now() - start < 20_000)
  await house.served()
})

t.test('invariant 7: a session that is ended is cut on both sides', async (t) => {
  await using house = await openPop3(t)
  const client = await house.connect()
  await client.line()
  client.send(`${LOGIN}STAT\r\n`)
  await client.linesUntil(/STAT done/)
  t.match(house.sessions.list(), [{ protocol: 'pop3', logName: 'ann@example.org' }])
  house.sessions.end(house.gate.settled[0]?.id ?? '')
  await client.untilClosed()
  await house.upstream.finished()
  await house.served()
  t.match(house.gate.ends, [{ end: { reason: 'revoked' } }])
})
