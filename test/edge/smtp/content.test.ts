import t from 'tap'
import { PASSWORD } from '../login/house.ts'
import { GOOD, hello, openSmtpHouse, takeLogin } from './house.ts'

const IN = '235 2.7.0 Authentication successful'

t.test('F1, F2: every odd end of data arrives as it was sent, as content of exactly one message', async (t) => {
  const odd = [
    '\n.\n',
    '\n.\r\n',
    '\r\n.\n',
    '\r.\r',
    '\r\n.\r',
    '\r.\r\n',
    '\n.\r',
    '\r.\n',
    '\r\r\n.\r\r\n',
    '\r\n\0.\r\n',
    '\r\n.\0\r\n',
  ]
  for (const end of odd) {
    await t.test(JSON.stringify(end), async (t) => {
      // A strict sink: nothing but CRLF.CRLF ends a message (RFC 5321 §4.1.1.4).
      const messages: string[] = []
      const commands: string[] = []
      await using house = await openSmtpHouse(t, {
        upstream: async (peer) => {
          await takeLogin(peer)
          for (;;) {
            const line = await peer.line().catch(() => null)
            if (line === null) break
            commands.push(line)
            if (line !== 'DATA') {
              peer.send('250 ok\r\n')
              continue
            }
            peer.send('354 go\r\n')
            let text = ''
            while (!text.endsWith('\r\n.\r\n')) text += (await peer.bytes(1)).toString('latin1')
            messages.push(text)
            peer.send('250 taken\r\n')
          }
        },
      })
      const client = await house.connect()
      await hello(client)
      const smuggled = `a: b\r\n\r\nfirst${end}MAIL FROM:<ceo@example.org>\r\nRCPT TO:<x@example.org>\r\nDATA\r\n\xff\r\n.\r\n`
      // All in one write, with the login in front: nothing is cut where it was not.
      client.send(`AUTH PLAIN ${GOOD}\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n${smuggled}`)
      t.equal(await client.line(), IN)
      for (const answer of ['250 ok', '250 ok', '354 go', '250 taken']) t.equal(await client.line(), answer)
      t.strictSame(messages, [smuggled])
      t.strictSame(commands, ['MAIL FROM:<ann@example.org>', 'RCPT TO:<b@example.org>', 'DATA'])
      t.notOk(house.logs.text.includes(PASSWORD))
    })
  }
})

t.test('client 15: 8 MB in one DATA, while both sides write', async (t) => {
  const body = Buffer.from(Array.from({ length: 8 * 1024 * 1024 }, (_, i) => (i * 7) % 256))
  let isWhole = false
  await using house = await openSmtpHouse(t, {
    upstream: async (peer) => {
      await takeLogin(peer)
      const first = await peer.bytes(1)
      peer.send('x'.repeat(100_000))
      const rest = await peer.bytes(body.length - 1, 30_000)
      isWhole = Buffer.concat([first, rest]).equals(body)
      peer.end('250 taken\r\n')
    },
  })
  const client = await house.connect()
  await hello(client)
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  client.send(body)
  const heard = await client.rest(30_000)
  t.equal(heard.length, IN.length + 2 + 100_000 + 11)
  t.match(heard.slice(-20), /^x+250 taken\r\n$/)
  t.ok(isWhole)
})
