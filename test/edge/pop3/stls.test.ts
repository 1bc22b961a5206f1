import t from 'tap'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import { createCa } from '../../support/certificates.ts'
import { PASSWORD } from '../login/house.ts'
import { base64, openPop3 } from './house.ts'

const LOGIN = `USER ann\r\nPASS ${PASSWORD}\r\n`
const CLEAR = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'STLS', '.']
const SECURE = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE', 'USER', 'SASL PLAIN LOGIN', '.']
const WORDS = '-ERR Please switch on SSL/TLS or STARTTLS in your mail program.'

const ca = await createCa()
const pair = await ca.issue()
const contexts = new TlsContexts({ pairs: [{ ...pair, certFile: 'cert.pem', keyFile: 'key.pem' }] })
const trust = { ca: ca.cert, servername: 'localhost' }

t.test('STLS, then a login (RFC 2595 §4, client 5)', async (t) => {
  await using house = await openPop3(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await client.line()
  client.send('CAPA\r\n')
  await client.line()
  t.strictSame(await client.linesUntil(/^\.$/), CLEAR)
  client.send('stls\r\n')
  t.match(await client.line(), /^\+OK /)
  await client.startTls(trust)
  client.send('CAPA\r\n')
  await client.line()
  t.strictSame(await client.linesUntil(/^\.$/), SECURE, 'renewed')
  client.send(`STLS\r\n${LOGIN}STAT\r\n`)
  t.match(await client.line(), /^-ERR /, 'no TLS inside TLS')
  await client.line()
  t.equal(await client.line(), '+OK Logged in.')
  t.equal(await client.line(), '+OK STAT done')
  t.match(house.gate.attempts[0]?.peer.tls?.version, /^TLSv1\.[23]$/)
})

t.test('implicit TLS', async (t) => {
  await using house = await openPop3(t, { tls: 'implicit', contexts })
  const client = await house.connect(trust)
  await client.line()
  client.send(LOGIN)
  await client.line()
  t.equal(await client.line(), '+OK Logged in.')
  t.ok(house.gate.attempts[0]?.peer.tls)
})

t.test('A4: what was said in the clear is forgotten', async (t) => {
  await using house = await openPop3(t, { tls: 'starttls', contexts, dialogue: { needsTls: false } })
  const client = await house.connect()
  await client.line()
  client.send('USER eve\r\n')
  t.match(await client.line(), /^\+OK /)
  client.send('STLS\r\n')
  await client.line()
  await client.startTls(trust)
  client.send(`PASS ${PASSWORD}\r\n`)
  t.equal(await client.line(), '-ERR PASS comes behind USER.')
  t.equal(house.gate.attempts.length, 0)
})

t.test('A1, invariant 3: bytes behind STLS end the connection', async (t) => {
  for (const [injected, why] of [
    ['USER eve\r\n', 'a whole command'],
    ['USER e', 'half a command'],
    ['\r\n', 'an empty line'],
    ['\x16', 'one byte, even one of TLS'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openPop3(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await client.line()
      client.send(`STLS\r\n${injected}`)
      t.equal(await client.rest(), '-ERR Nothing may follow STLS.\r\n')
      await house.served()
      t.equal(house.gate.attempts.length, 0)
    })
  }
  await t.test('in another segment, before the handshake', async (t) => {
    await using house = await openPop3(t, { tls: 'starttls', contexts })
    const client = await house.connect()
    await client.line()
    client.send('STLS\r\n')
    t.match(await client.line(), /^\+OK /)
    client.send(LOGIN)
    t.notMatch(await client.rest().catch(() => ''), /\+OK|-ERR/, 'it is no command any more')
    await house.served()
    t.equal(house.gate.attempts.length, 0)
  })
})

t.test('A2: no secret without TLS: not asked for, not checked, not logged', async (t) => {
  const blob = base64(`\0ann\0${PASSWORD}`)
  for (const [line, replies, why] of [
    [LOGIN, 2, 'USER and PASS in one write: a reply to each'],
    ['USER ann\r\n', 1, 'USER'],
    [`AUTH PLAIN ${blob}\r\n`, 1, 'PLAIN with an initial response'],
    ['AUTH PLAIN\r\n', 1, 'PLAIN: no +'],
    ['auth LOGIN\r\n', 1, 'LOGIN: no +'],
    ['AUTH XOAUTH2 dXNlcg==\r\n', 1, 'any mechanism'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openPop3(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await client.line()
      client.send(`${line}NOOP\r\n`)
      for (let i = 0; i < replies; i++) t.equal(await client.line(), WORDS)
      t.equal(await client.line(), '-ERR Please log in first.', 'nothing of it was taken for a command')
      t.equal(house.gate.attempts.length, 0)
      t.notOk(house.logs.text.includes(PASSWORD))
      t.notOk(house.logs.text.includes(blob))
      t.match(await house.logs.wait('login_refused'), { reason: 'tls-required', mechanism: /^(USER|AUTH)$/ })
      t.match(
        await house.metrics.registry.metrics(),
        'sallyport_logins_total{protocol="pop3",result="refused",reason="tls-required"} 1',
      )
      client.send('STLS\r\n')
      t.match(await client.line(), /^\+OK /)
      await client.startTls(trust)
      client.send(LOGIN)
      await client.line()
      t.equal(await client.line(), '+OK Logged in.', 'and with TLS it goes on')
    })
  }
  await t.test('asking for the mechanisms is refused, and is no login', async (t) => {
    await using house = await openPop3(t, { tls: 'starttls', contexts })
    const client = await house.connect()
    await client.line()
    client.send('AUTH\r\n')
    t.equal(await client.line(), WORDS)
    t.equal(house.logs.of('login_refused').length, 0)
  })
})

t.test('garbage instead of a handshake ends the connection, and is no alarm', async (t) => {
  await using house = await openPop3(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await client.line()
  client.send('STLS\r\n')
  await client.line()
  client.send('GET / HTTP/1.1\r\n\r\n')
  await client.rest().catch(() => '')
  await house.served()
  t.match(await house.logs.wait('connection_closed'), { level: 'debug', error_code: 'ERR_WIRE_TLS' })
})
