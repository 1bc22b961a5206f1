import t from 'tap'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import { createCa } from '../../support/certificates.ts'
import { AFTER_LOGIN, openHouse, PASSWORD } from '../login/house.ts'

const plain = (text: string) => Buffer.from(text, 'utf8').toString('base64')
const CLEAR = 'IMAP4rev1 LITERAL- SASL-IR ID STARTTLS LOGINDISABLED'
const SECURE = 'IMAP4rev1 LITERAL- SASL-IR ID AUTH=PLAIN AUTH=LOGIN'
const LOGIN = `a LOGIN ann "${PASSWORD}"\r\n`

const ca = await createCa()
const pair = await ca.issue()
const contexts = new TlsContexts({ pairs: [{ ...pair, certFile: 'cert.pem', keyFile: 'key.pem' }] })
const trust = { ca: ca.cert, servername: 'localhost' }

t.test('STARTTLS, then a login (client 5)', async (t) => {
  await using house = await openHouse(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  t.match(await client.line(), `* OK [CAPABILITY ${CLEAR}]`)
  client.send('a CAPABILITY\r\n')
  t.equal(await client.line(), `* CAPABILITY ${CLEAR}`)
  await client.line()
  client.send('b STARTTLS\r\n')
  t.match(await client.line(), /^b OK /)
  await client.startTls(trust)
  client.send('c CAPABILITY\r\n')
  t.equal(await client.line(), `* CAPABILITY ${SECURE}`, 'renewed')
  await client.line()
  client.send(`d STARTTLS\r\n${LOGIN}e IDLE\r\n`)
  t.match(await client.line(), /^d BAD /, 'no TLS inside TLS')
  t.equal(await client.line(), `a OK [CAPABILITY ${AFTER_LOGIN}] Logged in.`)
  t.equal(await client.line(), 'e OK IDLE done')
  t.match(house.gate.attempts[0]?.peer.tls?.version, /^TLSv1\.[23]$/)
  t.match(await house.logs.wait('login_accepted'), { tls_version: /^TLSv1/ })
})

t.test('implicit TLS', async (t) => {
  await using house = await openHouse(t, { tls: 'implicit', contexts })
  const client = await house.connect(trust)
  t.match(await client.line(), `* OK [CAPABILITY ${SECURE}]`)
  client.send(`b STARTTLS\r\n${LOGIN}`)
  t.match(await client.line(), /^b BAD /)
  t.match(await client.line(), /^a OK /)
  t.ok(house.gate.attempts[0]?.peer.tls)
})

t.test('A4: what was said in the clear is forgotten', async (t) => {
  await using house = await openHouse(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await client.line()
  client.send('i ID ("name" "somebody else")\r\n')
  await client.linesUntil(/^i /)
  client.send('b STARTTLS\r\n')
  await client.line()
  await client.startTls(trust)
  client.send(LOGIN)
  await client.line()
  t.equal(house.gate.attempts[0]?.agent, null)
})

t.test('A1, invariant 3: bytes behind STARTTLS end the connection', async (t) => {
  for (const [injected, why] of [
    ['c LOGIN eve x\r\n', 'a whole command'],
    ['c LOG', 'half a command'],
    ['\r\n', 'an empty line'],
    ['\x16', 'one byte, even one of TLS'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await client.line()
      client.send(`b STARTTLS\r\n${injected}`)
      t.equal(await client.rest(), '* BYE Nothing may follow STARTTLS.\r\n')
      await house.served()
      t.equal(house.gate.attempts.length, 0)
    })
  }
  await t.test('in another segment, before the handshake', async (t) => {
    await using house = await openHouse(t, { tls: 'starttls', contexts })
    const client = await house.connect()
    await client.line()
    client.send('b STARTTLS\r\n')
    t.match(await client.line(), /^b OK /)
    client.send('c LOGIN eve x\r\n')
    t.notMatch(await client.rest().catch(() => ''), /c OK|c NO|c BAD/, 'it is no command any more')
    await house.served()
    t.equal(house.gate.attempts.length, 0)
  })
})

t.test('A2: no secret without TLS: not asked for, not checked, not logged', async (t) => {
  const blob = plain(`\0ann\0${PASSWORD}`)
  for (const [line, why] of [
    [LOGIN, 'LOGIN'],
    ['a LOGIN ann {19}\r\n', 'LOGIN with a literal: no +'],
    ['a LOGIN {3}\r\n', 'LOGIN with the user as a literal: no +'],
    [`a LOGIN ann {19+}\r\n${PASSWORD}\r\n`, 'LOGIN with an unasked literal: read away'],
    [`a LOGIN {3+}\r\nann {19+}\r\n${PASSWORD}\r\n`, 'LOGIN with two of them'],
    [`a AUTHENTICATE PLAIN ${blob}\r\n`, 'PLAIN with an initial response'],
    ['a AUTHENTICATE PLAIN\r\n', 'PLAIN: no +'],
    ['a authenticate LOGIN\r\n', 'LOGIN: no +'],
    ['a AUTHENTICATE XOAUTH2 dXNlcg==\r\n', 'any mechanism'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openHouse(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await client.line()
      client.send(`${line}y NOOP\r\n`)
      t.match(await client.line(), /^a NO \[PRIVACYREQUIRED\] /)
      t.match(await client.line(), /^y OK /, 'nothing of it was taken for a command')
      t.equal(house.gate.attempts.length, 0)
      t.notOk(house.logs.text.includes(PASSWORD))
      t.notOk(house.logs.text.includes(blob))
      t.match(await house.logs.wait('login_refused'), { reason: 'tls-required', mechanism: /^(LOGIN|AUTHENTICATE)$/ })
      t.match(
        await house.metrics.registry.metrics(),
        'sallyport_logins_total{protocol="imap",result="refused",reason="tls-required"} 1',
      )
      client.send('b STARTTLS\r\n')
      t.match(await client.line(), /^b OK /)
      await client.startTls(trust)
      client.send(LOGIN)
      t.match(await client.line(), /^a OK /, 'and with TLS it goes on')
    })
  }
})

t.test('a listener without TLS, by explicit choice', async (t) => {
  await using house = await openHouse(t, { tls: 'none' })
  const client = await house.connect()
  await client.line()
  client.send('b STARTTLS\r\n')
  t.match(await client.line(), /^b BAD /)
})

t.test('garbage instead of a handshake ends the connection, and is no alarm', async (t) => {
  await using house = await openHouse(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await client.line()
  client.send('b STARTTLS\r\n')
  await client.line()
  client.send('GET / HTTP/1.1\r\n\r\n')
  await client.rest().catch(() => '')
  await house.served()
  t.match(await house.logs.wait('connection_closed'), { level: 'debug', error_code: 'ERR_WIRE_TLS' })
})
