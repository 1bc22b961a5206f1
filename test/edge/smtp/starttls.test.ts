import t from 'tap'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import { createCa } from '../../support/certificates.ts'
import { PASSWORD } from '../login/house.ts'
import { base64, ehlo, GOOD, hello, NAME, openSmtpHouse } from './house.ts'

const ca = await createCa()
const pair = await ca.issue()
const contexts = new TlsContexts({ pairs: [{ ...pair, certFile: 'cert.pem', keyFile: 'key.pem' }] })
const trust = { ca: ca.cert, servername: 'localhost' }
const IN = '235 2.7.0 Authentication successful'

t.test('STARTTLS, then everything starts over with EHLO (swaks, Net::SMTP)', async (t) => {
  await using house = await openSmtpHouse(t, { tls: 'starttls', contexts, known: ['SIZE 7'] })
  const client = await house.connect()
  t.strictSame(await hello(client), [`250-${NAME}`, '250-SIZE 7', '250 STARTTLS'], 'no AUTH before TLS')
  client.send('starttls\r\n')
  t.equal(await client.line(), '220 2.0.0 Ready to start TLS')
  await client.startTls(trust)
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  t.match(await client.line(), /^503 /, 'A4: the EHLO in the clear is forgotten')
  t.strictSame(await ehlo(client, 'second.example.net'), [`250-${NAME}`, '250-SIZE 7', '250 AUTH PLAIN LOGIN'])
  client.send(`STARTTLS\r\nAUTH PLAIN ${GOOD}\r\nMAIL\r\n`)
  t.match(await client.line(), /^503 5\.5\.1 TLS is active/, 'no TLS inside TLS')
  t.equal(await client.line(), IN)
  t.equal(await client.line(), '250 MAIL')
  t.match(house.gate.attempts, [{ agent: 'second.example.net', peer: { tls: { version: /^TLSv1\.[23]$/ } } }])
})

t.test('implicit TLS', async (t) => {
  await using house = await openSmtpHouse(t, { tls: 'implicit', contexts })
  const client = await house.connect(trust)
  t.strictSame(await hello(client), [`250-${NAME}`, '250 AUTH PLAIN LOGIN'])
  client.send(`STARTTLS\r\nAUTH PLAIN ${GOOD}\r\n`)
  t.match(await client.line(), /^503 /)
  t.equal(await client.line(), IN)
  t.ok(house.gate.attempts[0]?.peer.tls)
})

t.test('A1, invariant 3: bytes behind STARTTLS end the connection', async (t) => {
  for (const [injected, why] of [
    ['RSET\r\n', 'a whole command'],
    ['EHLO evil\r\nAUTH PLAIN\r\n', 'two'],
    ['RS', 'half a command'],
    ['\r\n', 'an empty line'],
    ['\x16', 'one byte, even one of TLS'],
  ] as const) {
    await t.test(why, async (t) => {
      await using house = await openSmtpHouse(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await hello(client)
      client.send(`STARTTLS\r\n${injected}`)
      t.equal(await client.rest(), '421 4.7.0 Nothing may follow STARTTLS.\r\n')
      await house.served()
      t.equal(house.gate.attempts.length, 0)
    })
  }
  await t.test('in another segment, before the handshake', async (t) => {
    await using house = await openSmtpHouse(t, { tls: 'starttls', contexts })
    const client = await house.connect()
    await hello(client)
    client.send('STARTTLS\r\n')
    t.match(await client.line(), /^220 /)
    client.send('RSET\r\n')
    t.notMatch(await client.rest().catch(() => ''), /250/, 'it is no command any more')
    await house.served()
  })
})

t.test('A2: no secret without TLS: not asked for, not checked, not logged', async (t) => {
  for (const [line, mechanism] of [
    [`AUTH PLAIN ${GOOD}`, 'PLAIN'],
    ['AUTH PLAIN', 'PLAIN'],
    ['auth login', 'LOGIN'],
    [`AUTH LOGIN ${base64('ann')}`, 'LOGIN'],
    ['AUTH XOAUTH2 dXNlcg==', 'XOAUTH2'],
    ['AUTH !', 'AUTH'],
  ] as const) {
    await t.test(line.slice(0, 12), async (t) => {
      await using house = await openSmtpHouse(t, { tls: 'starttls', contexts })
      const client = await house.connect()
      await hello(client)
      client.send(`${line}\r\nMAIL FROM:<a@example.org>\r\nNOOP\r\n`)
      t.equal(await client.line(), '538 5.7.11 Please switch on SSL/TLS or STARTTLS in your mail program.')
      t.match(await client.line(), /^530 5\.7\.0 .*STARTTLS/)
      t.match(await client.line(), /^250 /, 'and the connection stays open')
      t.equal(house.gate.attempts.length, 0)
      t.match(await house.logs.wait('login_refused'), { protocol: 'smtp', reason: 'tls-required', mechanism })
      t.notOk(house.logs.text.includes(GOOD) || house.logs.text.includes(PASSWORD))
      client.send('STARTTLS\r\n')
      t.match(await client.line(), /^220 /)
      await client.startTls(trust)
      await ehlo(client)
      client.send(`AUTH PLAIN ${GOOD}\r\n`)
      t.equal(await client.line(), IN, 'and with TLS it goes on')
    })
  }
})

t.test('STARTTLS takes no argument, and needs certificates', async (t) => {
  await using house = await openSmtpHouse(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await hello(client)
  client.send('STARTTLS now\r\n')
  t.match(await client.line(), /^501 /)
  await using clear = await openSmtpHouse(t, { tls: 'none' })
  const other = await clear.connect()
  t.strictSame(await hello(other), [`250-${NAME}`, '250 AUTH PLAIN LOGIN'], 'by explicit choice')
  other.send('STARTTLS\r\n')
  t.match(await other.line(), /^502 /)
})

t.test('garbage instead of a handshake ends the connection, and is no alarm', async (t) => {
  await using house = await openSmtpHouse(t, { tls: 'starttls', contexts })
  const client = await house.connect()
  await hello(client)
  client.send('STARTTLS\r\n')
  await client.line()
  client.send('GET / HTTP/1.1\r\n\r\n')
  await client.rest().catch(() => '')
  await house.served()
  t.match(await house.logs.wait('connection_closed'), { level: 'debug', error_code: 'ERR_WIRE_TLS' })
})
