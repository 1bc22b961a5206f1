import t from 'tap'
import { LoginFailure } from '../../../src/contract/failure.ts'
import { AFTER_LOGIN, friendlyUpstream, openHouse, PASSWORD } from '../login/house.ts'

const plain = (text: string) => Buffer.from(text, 'utf8').toString('base64')
const GOOD = plain(`\0ann@example.org\0${PASSWORD}`)
const OK = (tag: string) => new RegExp(`^${tag} OK \\[CAPABILITY ${AFTER_LOGIN}\\] Logged in\\.$`)
const BEFORE = 'IMAP4rev1 LITERAL- SASL-IR ID AUTH=PLAIN AUTH=LOGIN'

t.test('client 5: the greeting and CAPABILITY say what is true of the proxy', async (t) => {
  await using house = await openHouse(t)
  const client = await house.connect()
  t.match(await client.line(), `* OK [CAPABILITY ${BEFORE}]`)
  client.send('a CAPABILITY\r\n')
  t.equal(await client.line(), `* CAPABILITY ${BEFORE}`)
  t.match(await client.line(), /^a OK /)
  client.send('b noop\r\nc LoGoUt\r\n')
  t.match(await client.line(), /^b OK /)
  t.match(await client.line(), /^\* BYE /)
  t.match(await client.line(), /^c OK /)
  t.equal(await client.rest(), '', 'and it closes')
  await house.served()
  t.equal(house.upstream.connections, 0, 'nobody dialled')
})

t.test('every way to log in that clients use (client 1, 2, 4, 8)', async (t) => {
  const literal = Buffer.from('ann@example.org')
  for (const [talk, mechanism, why] of [
    [[`a1 LOGIN ann@example.org "${PASSWORD}"\r\n`], 'LOGIN', 'atom and quoted'],
    [[`a1 login "ann@example.org" "${PASSWORD}"\r\n`], 'LOGIN', 'lower case, both quoted'],
    [[`a1 LOGIN ANN@Example.ORG "${PASSWORD}"\r\n`], 'LOGIN', 'the name in any case'],
    [[`a1 LOGIN ann "${PASSWORD}"\r\n`], 'LOGIN', 'a bare name in the first domain'],
    [[`a1 LOGIN "CORP\\\\ann" "${PASSWORD}"\r\n`], 'LOGIN', 'a Windows name'],
    [
      [`a1 LOGIN {${literal.length}}\r\n`, `${literal} {19}\r\n`, `${PASSWORD}\r\n`],
      'LOGIN',
      'two synchronising literals (fdm)',
    ],
    [
      [`a1 LOGIN {${literal.length}+}\r\n${literal} {19+}\r\n${PASSWORD}\r\n`],
      'LOGIN',
      'two non-synchronising literals',
    ],
    [[`a1 LOGIN ann {19}\r\n`, `${PASSWORD}\r\n`], 'LOGIN', 'atom and literal'],
    [[`a1 AUTHENTICATE PLAIN ${GOOD}\r\n`], 'PLAIN', 'initial response'],
    [[`a1 authenticate plain ${GOOD}\r\n`], 'PLAIN', 'in lower case'],
    [['a1 authenticate PLAIN\r\n', `${GOOD}\r\n`], 'PLAIN', 'two steps (Thunderbird)'],
    [
      [`a1 AUTHENTICATE PLAIN ${plain(`ann@example.org\0ann@example.org\0${PASSWORD}`)}\r\n`],
      'PLAIN',
      'authzid equal to the user (mutt)',
    ],
    [
      [`a1 AUTHENTICATE PLAIN ${plain(`ann\0ann@EXAMPLE.org\0${PASSWORD}`)}\r\n`],
      'PLAIN',
      'authzid equal in its canonical form',
    ],
    [
      ['a1 AUTHENTICATE LOGIN\r\n', `${plain('ann@example.org')}\r\n`, `${plain(PASSWORD)}\r\n`],
      'LOGIN',
      'LOGIN, prompts',
    ],
    [
      [`a1 AUTHENTICATE LOGIN ${plain('ann@example.org')}\r\n`, `${plain(PASSWORD)}\r\n`],
      'LOGIN',
      'LOGIN, user inline',
    ],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t)
      const client = await house.connect()
      await client.line()
      for (const [i, piece] of talk.entries()) {
        client.send(piece)
        if (i < talk.length - 1) t.match(await client.line(), /^\+ /, 'asked for more')
      }
      t.match(await client.line(), OK('a1'))
      client.send('a2 IDLE\r\n')
      t.equal(await client.line(), 'a2 OK IDLE done', 'and now the upstream answers')
      const [attempt] = house.gate.attempts
      t.match(attempt, {
        protocol: 'imap',
        mechanism,
        agent: null,
        credential: { authcid: 'ann@example.org', authzid: '' },
      })
      t.strictSame(house.gate.secrets, [PASSWORD])
      t.strictSame(house.gate.outcomes, ['accepted'])
      const line = await house.logs.wait('login_accepted')
      t.match(line, {
        user: 'ann@example.org',
        app_password: 'p1',
        app_password_name: 'phone',
        mechanism,
        upstream: 'main',
        result: 'accepted',
        session: house.gate.settled[0]?.id,
      })
    })
  }
})

t.test('prompts are exact (client 12)', async (t) => {
  await using house = await openHouse(t)
  const client = await house.connect()
  await client.line()
  client.send('a AUTHENTICATE LOGIN\r\n')
  t.equal(await client.line(), '+ VXNlcm5hbWU6')
  client.send(`${plain('ann')}\r\n`)
  t.equal(await client.line(), '+ UGFzc3dvcmQ6')
  client.send('*\r\nb AUTHENTICATE PLAIN\r\n')
  t.match(await client.line(), /^a BAD /, 'cancelled')
  t.equal(await client.line(), '+ ', 'an empty challenge has its blank')
})

t.test('client 11, invariant 4: a wrong password is a tagged NO and the connection stays open', async (t) => {
  await using house = await openHouse(t)
  const client = await house.connect()
  await client.line()
  client.send('a LOGIN ann wrong-password\r\n')
  t.equal(await client.line(), 'a NO [AUTHENTICATIONFAILED] Authentication failed.')
  client.send('b CAPABILITY\r\n')
  t.equal(await client.line(), `* CAPABILITY ${BEFORE}`, 'imapfilter asks again after a refusal')
  t.match(await client.line(), /^b OK /)
  client.send(`c AUTHENTICATE PLAIN ${GOOD}\r\n`)
  t.match(await client.line(), OK('c'))
  t.equal(house.gate.attempts.length, 2)
  t.equal(house.upstream.connections, 1, 'nobody dials for a wrong password')
  const line = await house.logs.wait('login_refused')
  t.match(line, { reason: 'bad-credentials', result: 'refused', user: 'hash@example.org' })
  t.notOk(line.session, 'no grant, no session')
})

t.test('invariants 1 and 2, A9: bytes behind the login reach the upstream first, in order, in every cut', async (t) => {
  const login = `a LOGIN ann "${PASSWORD}"\r\n`
  const behind = 'b SELECT INBOX\r\nc FETCH 1 FLAGS\r\nd NOOP\r\n'
  const all = login + behind
  const cuts = [0, 1, login.length - 1, login.length, login.length + 1, login.length + 5, all.length]
  for (const cut of cuts) {
    await t.test(`cut at ${cut}`, async (t) => {
      const seen: string[] = []
      const verdict = Promise.withResolvers<void>()
      await using house = await openHouse(t, {
        upstream: async (peer, n) => {
          t.notOk(peer.buffered, 'invariant 1: nothing of the client is here before the login')
          await friendlyUpstream(seen)(peer, n)
        },
      })
      const { decide } = house.gate
      house.gate.decide = async (attempt, secret) => {
        await verdict.promise
        return decide(attempt, secret)
      }
      const client = await house.connect()
      await client.line()
      client.send(all.slice(0, cut))
      await new Promise((resolve) => setImmediate(resolve))
      client.send(all.slice(cut))
      await new Promise((resolve) => setTimeout(resolve, 5))
      t.equal(client.buffered, '', 'nothing is answered before the verdict')
      verdict.resolve()
      t.match(await client.line(), OK('a'))
      t.equal(await client.line(), 'b OK SELECT done')
      t.equal(await client.line(), 'c OK FETCH done')
      t.equal(await client.line(), 'd OK NOOP done')
      t.strictSame(seen, ['b SELECT INBOX', 'c FETCH 1 FLAGS', 'd NOOP'])
    })
  }
  await t.test('byte by byte (A8)', async (t) => {
    const seen: string[] = []
    await using house = await openHouse(t, { upstream: friendlyUpstream(seen) })
    const client = await house.connect()
    await client.line()
    for (const byte of all) {
      client.send(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.match(await client.line(), OK('a'))
    for (const tag of ['b', 'c', 'd']) t.match(await client.line(), new RegExp(`^${tag} OK `))
    t.strictSame(seen, ['b SELECT INBOX', 'c FETCH 1 FLAGS', 'd NOOP'])
  })
})

t.test('A9: on failure, commands behind the login meet a client that is not logged in', async (t) => {
  await using house = await openHouse(t)
  const client = await house.connect()
  await client.line()
  client.send(
    `a LOGIN ann wrong-password\r\nb SELECT INBOX\r\nc FETCH 1 FLAGS\r\nd ENABLE QRESYNC\r\ne NOOP\r\nf LOGIN ann "${PASSWORD}"\r\ng IDLE\r\n`,
  )
  t.match(await client.line(), /^a NO \[AUTHENTICATIONFAILED\] /)
  for (const tag of ['b', 'c', 'd']) t.match(await client.line(), new RegExp(`^${tag} BAD `))
  t.match(await client.line(), /^e OK /)
  t.match(await client.line(), OK('f'))
  t.equal(await client.line(), 'g OK IDLE done')
})

t.test('COMPRESS as the first command after login passes untouched, and so does what is no text at all', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const got = Promise.withResolvers<Buffer>()
  await using house = await openHouse(t, {
    upstream: async (peer) => {
      peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
      const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
      peer.send(`${tag} OK [CAPABILITY ${AFTER_LOGIN}] in\r\n`)
      await peer.expect(/COMPRESS DEFLATE/)
      peer.send(bytes)
      got.resolve(await peer.bytes(bytes.length))
      peer.end()
    },
  })
  const client = await house.connect()
  await client.line()
  client.send(Buffer.concat([Buffer.from(`a LOGIN ann "${PASSWORD}"\r\nb COMPRESS DEFLATE\r\n`), bytes]))
  t.match(await client.line(), OK('a'))
  t.strictSame(await client.bytes(bytes.length), bytes)
  t.strictSame(await got.promise, bytes)
})

t.test('ID before login (RFC 2971, client 6)', async (t) => {
  for (const [id, agent, why] of [
    [
      '("name" "Thunderbird" "version" "153.0" "vendor" "Mozilla" "os" "Linux")',
      'Thunderbird 153.0 Linux',
      'who it is',
    ],
    ['NIL', null, 'nobody'],
    ['()', null, 'an empty list'],
    ['("name" NIL "version" "1")', '1', 'no name'],
    ['("name" "x\t\x1b[31m\x7f")', 'x\\u{9}\\u{1b}[31m\\u{7f}', 'controls are made printable (J1)'],
    [`("name" "${'n'.repeat(300)}")`, `${'n'.repeat(127)}…`, 'cut at 128'],
    ['("x-originating-ip" "10.1.2.3" "name" "evil")', 'evil', 'A13: an address that it claims is not believed'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t)
      const client = await house.connect()
      await client.line()
      client.send(`i ID ${id}\r\na LOGIN ann "${PASSWORD}"\r\nj ID NIL\r\n`)
      t.equal(await client.line(), '* ID ("name" "sallyport")')
      t.match(await client.line(), /^i OK /)
      t.match(await client.line(), OK('a'))
      t.equal(await client.line(), 'j OK ID done', 'ID after login goes through')
      const [attempt] = house.gate.attempts
      t.equal(attempt?.agent ?? null, agent)
      t.equal(attempt?.peer.ip, '127.0.0.1', 'the address is the socket’s')
    })
  }
  await t.test('with literals', async (t) => {
    await using house = await openHouse(t)
    const client = await house.connect()
    await client.line()
    client.send('i ID ("name" {4+}\r\nmutt "version" {3}\r\n')
    t.match(await client.line(), /^\+ /)
    client.send('2.2)\r\n')
    t.match(await client.line(), /^\* ID /)
    t.match(await client.line(), /^i OK /)
    client.send('a LOGIN ann x\r\n')
    await client.line()
    t.equal(house.gate.attempts[0]?.agent, 'mutt 2.2')
  })
})

t.test('C1–C4: names that can’t be anybody’s, and acting for others, look like a wrong password', async (t) => {
  await using house = await openHouse(t, { dialogue: { maxRefusals: 100 } })
  const client = await house.connect()
  await client.line()
  const logins = [
    'LOGIN bob*ann x',
    'LOGIN "ann\t" x',
    'LOGIN "ann " x',
    'LOGIN "" x',
    'LOGIN NOBODY\\ann x',
    `LOGIN "${'a'.repeat(300)}" x`,
    `AUTHENTICATE PLAIN ${plain(`bob\0ann\0${PASSWORD}`)}`,
    `AUTHENTICATE PLAIN ${plain(`bob@example.org\0ann@example.org\0${PASSWORD}`)}`,
    `AUTHENTICATE PLAIN ${plain(`bob*ann\0ann\0${PASSWORD}`)}`,
    `AUTHENTICATE PLAIN ${plain(`\0ａｎｎ@example.org\0${PASSWORD}`)}`,
    `AUTHENTICATE PLAIN ${plain(`\0ann\u200b@example.org\0${PASSWORD}`)}`,
    'LOGIN ann ""',
    'LOGIN nobody wrong-password',
  ]
  for (const [i, login] of logins.entries()) {
    client.send(`t${i} ${login}\r\n`)
    t.equal(await client.line(), `t${i} NO [AUTHENTICATIONFAILED] Authentication failed.`, login.slice(0, 40))
  }
  t.equal(
    house.gate.attempts.length,
    logins.length,
    'each was asked of the gate: charged and delayed like a wrong password',
  )
  for (const attempt of house.gate.attempts.slice(0, -2)) t.equal(attempt.credential.authcid, '', 'as nobody')
  t.equal(house.gate.attempts.at(-1)?.credential.authcid, 'nobody@example.org')
  t.equal(house.upstream.connections, 0)
})

t.test('A12: odd SASL is an error and no guess; the session lives', async (t) => {
  for (const [talk, why] of [
    [['AUTHENTICATE PLAIN', '*'], 'cancelled'],
    [['AUTHENTICATE LOGIN', '*'], 'cancelled at the user'],
    [['AUTHENTICATE LOGIN', plain('ann'), '*'], 'cancelled at the password'],
    [['AUTHENTICATE PLAIN', '!!!!'], 'not base64'],
    [['AUTHENTICATE PLAIN !!!!'], 'not base64 at once'],
    [['AUTHENTICATE PLAIN AGFubgBw*'], 'half base64'],
    [['AUTHENTICATE PLAIN ='], 'an empty initial response'],
    [['AUTHENTICATE PLAIN', ''], 'an empty line'],
    [['AUTHENTICATE PLAIN '], 'a blank and nothing'],
    [[`AUTHENTICATE PLAIN ${plain(`\0ann\0${PASSWORD}\0`)}`], 'a NUL more'],
    [[`AUTHENTICATE PLAIN ${plain(`ann\0${PASSWORD}`)}`], 'a NUL less'],
    [[`AUTHENTICATE PLAIN ${plain(`\0ann\0a\r\nb`)}`], 'a line end in the password (C3)'],
    [['LOGIN {3+}\r\n\xe4nn pw'], 'a user that is not UTF-8 (A7)'],
    [['AUTHENTICATE GSSAPI'], 'an unknown mechanism'],
    [['AUTHENTICATE CRAM-MD5 AAAA'], 'B13: no challenge mechanisms'],
    [[`AUTHENTICATE XOAUTH2 ${plain('user=ann\x01auth=Bearer t\x01\x01')}`], 'C6: no name beside a token'],
    [[`AUTHENTICATE OAUTHBEARER ${plain('n,a=ann,\x01auth=Bearer t\x01\x01')}`], 'C6: nor in front of one'],
    [['AUTHENTICATE'], 'no mechanism'],
    [['AUTHENTICATE "PLAIN"'], 'a quoted mechanism'],
    [['LOGIN ann'], 'half a LOGIN'],
    [['LOGIN'], 'LOGIN alone'],
    [['LOGIN ann pw more'], 'three arguments'],
    [['LOGIN "a\rb" pw'], 'A7: bare CR'],
    [['LOGIN ann {}'], 'A5: an empty marker'],
    [['LOGIN ann {-1}'], 'A5: a negative one'],
    [['LOGIN ann {4G}'], 'A5: a unit'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t)
      const client = await house.connect()
      await client.line()
      for (const [i, line] of talk.entries()) {
        client.send(`${i === 0 ? 'x ' : ''}${line}\r\n`)
        if (i < talk.length - 1) t.match(await client.line(), /^\+ /)
      }
      t.match(await client.line(), /^x BAD /)
      t.equal(house.gate.attempts.length, 0, 'the gate was not asked')
      client.send(`a AUTHENTICATE PLAIN ${GOOD}\r\n`)
      t.match(await client.line(), OK('a'), 'and the next login is fine')
    })
  }
})

t.test('literals (A5)', async (t) => {
  for (const [line, want, isOver, why] of [
    ['x LOGIN {8193}', /^x BAD \[TOOBIG\] /, false, 'too large: refused before +'],
    ['x LOGIN {4294967296}', /^x BAD \[TOOBIG\] /, false, '2^32'],
    ['x LOGIN {18446744073709551617}', /^x BAD \[TOOBIG\] /, false, '2^64 + 1'],
    [`x LOGIN {${'9'.repeat(100)}}`, /^x BAD \[TOOBIG\] /, false, 'a hundred digits'],
    ['x ID {8193}', /^x BAD \[TOOBIG\] /, false, 'in ID as well'],
    ['x NOOP {3}', /^x BAD /, false, 'where none is taken: never asked for'],
    ['x FETCH {3}', /^x BAD /, false, 'in a later command'],
    ['x XYZZY {3}', /^x BAD /, false, 'in an unknown command'],
    ['x AUTHENTICATE {5}', /^x BAD /, false, 'as a mechanism'],
    ['( {3}', /^\* BAD /, false, 'in a line that is no command'],
    ['x NOOP {3+}\r\nabc', /^x BAD /, false, 'unasked where none is taken: read away'],
    ['x APPEND INBOX {6+}\r\nb NOOP {0+}\r\n', /^x BAD /, false, 'unasked, one after the other'],
    ['( {7+}\r\nb NOOP\n', /^\* BAD /, false, 'unasked in a line that is no command: still no commands'],
    ['x LOGIN {4097+}', /^\* BYE \[TOOBIG\] /, true, 'unasked and too large: closed, not scanned'],
    ['x XYZZY {4097+}', /^\* BYE \[TOOBIG\] /, true, 'the same in an unknown command'],
    ['x LOGIN {18446744073709551617+}', /^\* BYE \[TOOBIG\] /, true, 'unasked and beyond 2^64'],
    ['x LOGIN ann {3+}\r\na\0b', /^x BAD NUL/, true, 'NUL in a literal (A7)'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t)
      const client = await house.connect()
      await client.line()
      // If any of what follows a marker were read as a command, its answer would come before the one to y.
      client.send(`${line}\r\n${isOver ? 'y NOOP\r\n' : ''}`)
      t.match(await client.line(), want)
      if (isOver) t.match(await client.rest(), /^(\* BYE [^\r]+\r\n)?$/, 'and closed')
      else {
        client.send('y NOOP\r\n')
        t.match(await client.line(), /^y OK /)
      }
      t.equal(house.gate.attempts.length, 0)
    })
  }
})

t.test('A6, A7, A10, A14: what ends a connection at once', async (t) => {
  for (const [line, want, why] of [
    ['a NOOP\0\r\n', /^a BAD .*\r\n\* BYE .*\r\n$/, 'A7: NUL in a line'],
    ['\0\r\n', /^\* BAD .*\r\n\* BYE .*\r\n$/, 'A7: NUL alone'],
    ['a AUTHENTICATE PLAIN\r\nA\0==\r\n', /^\+ \r\n\* BAD .*\r\n\* BYE .*\r\n$/, 'A7: NUL in a response'],
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^\* BYE [^\r]*\r\n$/, 'A10: HTTP'],
    ['POST / HTTP/1.1\r\n\r\na LOGIN ann x\r\n', /^\* BYE [^\r]*\r\n$/, 'A10: a login in a body'],
    ['Host: x\r\n', /^\* BYE [^\r]*\r\n$/, 'A10: a header'],
    [`${'x'.repeat(20_000)}\r\n`, /^\* BYE Line too long\.\r\n$/, 'A6: an endless line'],
    [`a NOOP ${'('.repeat(9_000)}\r\n`, /^\* BYE Line too long\.\r\n$/, 'A6: a long line of anything but SASL'],
    [
      `a AUTHENTICATE PLAIN\r\n${'A'.repeat(20_000)}\r\n`,
      /^\+ \r\n\* BYE Line too long\.\r\n$/,
      'A6: an endless response',
    ],
    [
      `${'a NOOP\r\n'.repeat(10_000)}`,
      /^(a OK NOOP completed\.\r\n)+\* BYE Too much .*\r\n$/,
      'A6: more than the budget in small pieces',
    ],
    [
      'a X\r\nb X\r\nc X\r\nd NOOP\r\n',
      /^a BAD .*\r\nb BAD .*\r\nc BAD .*\r\n\* BYE Too many errors\.\r\n$/,
      'A10: three unknown commands',
    ],
    [
      'a+ X\r\n\r\n* OK\r\n',
      /^\* BAD .*\r\n\* BAD .*\r\n\* BAD .*\r\n\* BYE Too many errors\.\r\n$/,
      'A14: three bad tags',
    ],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t)
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
  await using house = await openHouse(t)
  const client = await house.connect()
  await client.line()
  client.send(`a AUTHENTICATE PLAIN ${plain(`\0ann\0${'p'.repeat(9_000)}`)}\r\n`)
  t.match(await client.line(), /^a NO /)
  t.equal(house.gate.secrets[0]?.length, 9_000)
})

t.test('five refused logins end the connection', async (t) => {
  await using house = await openHouse(t)
  const client = await house.connect()
  await client.line()
  client.send(Array.from({ length: 7 }, (_, i) => `t${i} LOGIN ann wrong-password\r\n`).join(''))
  const lines = (await client.rest()).split('\r\n')
  t.strictSame(
    lines.map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['t0 NO', 't1 NO', 't2 NO', 't3 NO', 't4 NO', '* BYE', ''],
  )
  await house.served()
  t.equal(house.gate.attempts.length, 5)
})

t.test('each failure in its words, with the portal where it helps', async (t) => {
  await using house = await openHouse(t, {
    dialogue: { portalUrl: 'https://mail.example.org/app-passwords', maxRefusals: 100 },
  })
  const client = await house.connect()
  await client.line()
  for (const [reason, want] of [
    ['app-password-deleted', /^a NO \[ALERT\] .*deleted\. See https:\/\/mail\.example\.org\/app-passwords$/],
    ['use-app-password', /^a NO \[ALERT\] .* See https:/],
    ['throttled', /^a NO \[LIMIT\] /],
    ['too-many-sessions', /^a NO \[LIMIT\] /],
    ['store-unavailable', /^a NO \[UNAVAILABLE\] /],
    ['keeper-unavailable', /^a NO \[UNAVAILABLE\] /],
    ['busy', /^a NO \[UNAVAILABLE\] /],
  ] as const) {
    house.gate.decide = () => {
      throw new LoginFailure(reason, 'for the log only')
    }
    client.send('a LOGIN ann x\r\n')
    t.match(await client.line(), want, reason)
    const event = reason === 'throttled' ? 'login_throttled' : 'login_refused'
    t.match(await house.logs.wait(event, (line) => line.reason === reason), { detail: 'for the log only' })
  }
})

t.test('A11: one deadline, which activity does not extend', async (t) => {
  await using house = await openHouse(t, { loginMs: 150 })
  const client = await house.connect()
  await client.line()
  const drip = setInterval(() => client.send('a'), 20)
  t.teardown(() => clearInterval(drip))
  const start = performance.now()
  t.match(await client.rest(), /^\* BYE No login in time\.\r\n$/)
  t.ok(performance.now() - start < 20_000)
  await house.served()
})
