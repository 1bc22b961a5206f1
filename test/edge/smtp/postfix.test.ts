/**
 * Our side of the upstream login against a real Postfix with Dovecot's SASL: each transport, what becomes of a message, and
 * what an upstream that trusts our address would let a client do.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { UpstreamTarget } from '../../../src/contract/admission.ts'
import type { Dovecot } from '../../support/dovecot.ts'
import { SAMPLE_USER, startDovecot } from '../../support/dovecot.ts'
import { scriptedClient } from '../../support/peer.ts'
import { freePort } from '../../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../../support/postfix.ts'
import { MASTER_SECRET, PASSWORD } from '../login/house.ts'
import { byAuthzid, byMasterUser } from '../login/identities.ts'
import { base64, ehlo, GOOD, hello, openSmtpHouse } from './house.ts'

const IN = '235 2.7.0 Authentication successful'

t.setTimeout(240_000)

t.test('real Postfix', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const at = (port: number): Partial<UpstreamTarget> => ({
    hosts: [{ host: '127.0.0.1', port }],
    ca: postfix.ca,
    serverName: 'localhost',
    identity: byAuthzid(dovecot),
  })

  for (const [transport, target] of [
    ['implicit TLS', { tls: 'implicit', ...at(postfix.ports.submissions) }],
    ['STARTTLS', { tls: 'starttls', ...at(postfix.ports.submission) }],
  ] as const satisfies [string, Partial<UpstreamTarget>][]) {
    await t.test(`${transport}: a message sent is a message delivered, byte for byte (client 15)`, async (t) => {
      await using house = await openSmtpHouse(t, { target })
      const client = await house.connect()
      await hello(client)
      const body = `..dots\r\n.. and more\r\n8-bit: \xe9\xff\r\n${'x'.repeat(900)}\r\n`
      client.send(`AUTH PLAIN ${GOOD}\r\nMAIL FROM:<${SAMPLE_USER}>\r\nRCPT TO:<${SAMPLE_USER}>\r\nDATA\r\n`)
      t.equal(await client.line(), IN)
      t.match(await client.line(), /^250 2\.1\.0 Ok/)
      t.match(await client.line(), /^250 2\.1\.5 Ok/)
      t.match(await client.line(), /^354 /)
      client.send(`Subject: ${transport}\r\n\r\n${body}.\r\nQUIT\r\n`)
      t.match(await client.line(), /^250 2\.0\.0 Ok: queued/)
      t.match(await client.line(), /^221 /)
      const text = await delivered(dovecot, transport)
      t.equal(text.slice(text.indexOf('\n\n') + 2), body.replace(/^\./gm, '').replaceAll('\r\n', '\n'))
      t.notOk(dovecot.log().includes(PASSWORD), 'the app password never went upstream')
    })
  }

  await t.test('a wrong credential of ours is no wrong password (D7, invariant 11)', async (t) => {
    const target = {
      tls: 'implicit',
      ...at(postfix.ports.submissions),
      identity: byAuthzid(dovecot, MASTER_SECRET),
    } as const
    await using house = await openSmtpHouse(t, { target })
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${GOOD}\r\n`)
    t.match(await client.line(), /^454 4\.7\.0 /)
    t.match(await house.logs.wait('upstream_failed'), { reason: 'upstream-refused', detail: /535 5\.7\.8/ })
  })

  await t.test(
    'after the splice everything is the upstream’s word: DSN, BDAT, refusals of two lines, 421',
    async (t) => {
      for (const proxyProtocol of ['v1', 'v2'] as const) {
        const target = { tls: 'starttls', ...at(postfix.ports.proxied), proxyProtocol } as const
        await using house = await openSmtpHouse(t, { target })
        using client = await scriptedClient(house.port, { localAddress: `127.0.0.${proxyProtocol === 'v1' ? 3 : 4}` })
        await hello(client)
        client.send(`AUTH PLAIN ${GOOD}\r\n`)
        t.equal(await client.line(), IN)
        client.send(`MAIL FROM:<${SAMPLE_USER}> RET=HDRS ENVID=x1\r\nRCPT TO:<${SAMPLE_USER}> NOTIFY=NEVER\r\n`)
        t.match(await client.line(), /^250 2\.1\.0 /)
        t.match(await client.line(), /^250 2\.1\.5 /, 'DSN (RFC 3461)')
        const chunks = [`Subject: chunks ${proxyProtocol}\r\n\r\n\r\n.\r\n`, 'QUIT\r\n.\r\n']
        client.send(chunks.map((chunk, n) => `BDAT ${chunk.length}${n === 1 ? ' LAST' : ''}\r\n${chunk}`).join(''))
        t.match(await client.line(), /^250 2\.0\.0 Ok: \d+ bytes/)
        t.match(await client.line(), /^250 2\.0\.0 Ok: \d+ bytes queued/, 'BDAT (RFC 3030)')
        const text = await delivered(dovecot, `chunks ${proxyProtocol}`)
        t.ok(text.endsWith('\n\n\n.\nQUIT\n.\n'), 'a dot alone ends no chunk')
        client.send('RCPT TO:<bob@example.org>\r\n')
        t.match([await client.line(), await client.line()], [/^503-5\.5\.1 /, /^503 5\.5\.1 Ask-the-postmaster\.$/])
        client.send('WHAT\r\n'.repeat(25))
        const last = (await client.rest()).trimEnd().split('\r\n').slice(-2)
        t.match(last, [/^421-4\.7\.0 .*too many errors/, /^421 4\.7\.0 /], 'and it ends the connection as it likes')
        const address = proxyProtocol === 'v1' ? '127.0.0.3' : '127.0.0.4'
        t.ok(await postfix.waitForLog(new RegExp(`disconnect from .*\\[${address.replaceAll('.', '\\.')}\\]`)), address)
        await house.served()
        t.match(house.gate.ends, [{ end: { reason: 'upstream-closed' } }])
      }
    },
  )

  await t.test('F1: every odd end of data is content: one message goes out, however it is cut', async (t) => {
    await using house = await openSmtpHouse(t, { target: { tls: 'implicit', ...at(postfix.ports.submissions) } })
    for (const end of ['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r\n.\r', '\r.\r\n', '\r\r\n.\r\r\n', '\n\0.\r\n']) {
      const client = await house.connect()
      await hello(client)
      client.send(`AUTH PLAIN ${GOOD}\r\n`)
      t.equal(await client.line(), IN)
      client.send(`MAIL FROM:<${SAMPLE_USER}>\r\nRCPT TO:<${SAMPLE_USER}>\r\nDATA\r\n`)
      await client.linesUntil(/^354 /)
      // What Postfix itself takes for an end is its own affair: here only that we neither end, add nor drop anything.
      client.send(`a: b\r\n\r\nx${end}y\r\n.\r\n`)
      t.match(await client.line(), /^(250|5\d\d) /, JSON.stringify(end))
      client.send('QUIT\r\n')
      await client.rest()
    }
  })

  for (const [method, own] of [
    ['authzid', byAuthzid(dovecot)],
    ['master-user', byMasterUser(dovecot)],
  ] as const) {
    await t.test(`F5: whoever logs in through us sends as nobody else, identity ${method}`, async (t) => {
      const target = { tls: 'implicit', ...at(postfix.ports.submissions), identity: own } as const
      await using house = await openSmtpHouse(t, { target })
      const client = await house.connect()
      await hello(client)
      client.send(`AUTH PLAIN ${GOOD}\r\n`)
      t.equal(await client.line(), IN)
      const to = `RCPT TO:<${SAMPLE_USER}>\r\n`
      for (const [why, lines, wanted] of [
        ['somebody else', ['MAIL FROM:<ceo@example.org>\r\n', to], /^553 5\.7\.1 .*not owned by user ann@example\.org/],
        ['after RSET', [`MAIL FROM:<${SAMPLE_USER}>\r\n`, 'RSET\r\n', 'MAIL FROM:<ceo@example.org>\r\n', to], /^553 5/],
        ['with a route in front', [`MAIL FROM:<@relay.example:ceo@example.org>\r\n`, to], /^553 5/],
        ['another spelling', [`MAIL FROM:<"ceo"@example.org> BODY=8BITMIME\r\n`, to], /^553 5/],
        ['AUTH= of RFC 4954 §5', [`MAIL FROM:<ceo@example.org> AUTH=${SAMPLE_USER}\r\n`, to], /^553 5/],
        ['oneself, with AUTH= for another', [`MAIL FROM:<${SAMPLE_USER}> AUTH=ceo@example.org\r\n`, to], /^250 /],
        ['an address that one shares', ['MAIL FROM:<sales@example.org>\r\n', to], /^250 /],
        ['oneself', [`MAIL FROM:<${SAMPLE_USER}>\r\n`, to], /^250 /],
      ] as const) {
        client.send(['RSET\r\n', ...lines].join('')) // in one write, as a client with PIPELINING does
        const replies: string[] = []
        for (let i = 0; i <= lines.length; i++) replies.push(await client.line())
        t.match(replies.at(-1), wanted, why)
      }
      client.send('QUIT\r\n')
      await client.linesUntil(/^221 /)
      t.ok(
        await postfix.waitForLog(/sasl_method=PLAIN, sasl_username=ann@example\.org/),
        'the user of the account record',
      )
    })
  }

  await t.test('invariant 14: who may say XCLIENT becomes somebody else; behind us nobody may', async (t) => {
    const ceo = 'MAIL FROM:<ceo@example.org>\r\n'
    await t.test('directly: an authenticated client takes over another identity', async (t) => {
      using client = await scriptedClient(postfix.ports.trusting)
      await client.expect(/^220 /)
      t.ok((await ehlo(client)).some((line) => /XCLIENT/.test(line)))
      client.send('STARTTLS\r\n')
      await client.expect(/^220 /)
      await client.startTls({ ca: postfix.ca, servername: 'localhost' })
      await ehlo(client)
      client.send(`AUTH PLAIN ${base64(`\0${SAMPLE_USER}\0${dovecot.users[SAMPLE_USER]}`)}\r\n`)
      await client.expect(/^235 /)
      t.ok((await ehlo(client)).some((line) => /XCLIENT/.test(line)))
      client.send(`${ceo}RCPT TO:<${SAMPLE_USER}>\r\n`)
      const before = [await client.line(), await client.line()]
      t.match(before[1], /^553 5\.7\.1 /, 'not as ann')
      client.send('RSET\r\nXCLIENT LOGIN=ceo@example.org\r\n')
      await client.expect(/^250 /)
      await client.expect(/^220 /)
      await ehlo(client)
      client.send(`${ceo}RCPT TO:<${SAMPLE_USER}>\r\n`)
      await client.expect(/^250 /)
      t.match(await client.line(), /^250 /, 'as anybody')
    })
    await t.test('directly: LOGIN before AUTH takes the place of the login that proves it (decision 7)', async (t) => {
      using client = await scriptedClient(postfix.ports.xclient)
      await client.expect(/^220 /)
      await ehlo(client)
      client.send('STARTTLS\r\n')
      await client.expect(/^220 /)
      await client.startTls({ ca: postfix.ca, servername: 'localhost' })
      await ehlo(client)
      client.send('XCLIENT ADDR=192.0.2.7 LOGIN=ceo@example.org\r\n')
      await client.expect(/^220 /)
      await ehlo(client)
      client.send(`AUTH PLAIN ${base64(`\0${SAMPLE_USER}\0${dovecot.users[SAMPLE_USER]}`)}\r\n`)
      t.match(await client.line(), /^503 5\.5\.1 .*already authenticated/)
      client.send(`${ceo}RCPT TO:<${SAMPLE_USER}>\r\n`)
      await client.expect(/^250 /)
      t.match(await client.line(), /^250 /, 'nobody has proved anything')
    })
    await t.test('through us, XCLIENT gives itself up by naming the client', async (t) => {
      await using house = await openSmtpHouse(t, {
        target: { tls: 'starttls', ...at(postfix.ports.xclient), trusted: true },
      })
      using client = await scriptedClient(house.port, { localAddress: '127.0.0.2' })
      await hello(client)
      client.send(`AUTH PLAIN ${GOOD}\r\nXCLIENT LOGIN=ceo@example.org\r\n`)
      t.equal(await client.line(), IN)
      t.match(await client.line(), /^550 5\.7\.0 .*insufficient authorization/)
      client.send(`MAIL FROM:<${SAMPLE_USER}>\r\nRCPT TO:<${SAMPLE_USER}>\r\nRSET\r\n`)
      await client.linesUntil(/^250 2\.1\.0 /)
      await client.linesUntil(/^250 2\.1\.5 /)
      await client.linesUntil(/^250 2\.0\.0 /)
      client.send(`AUTH PLAIN ${GOOD}\r\n${ceo}RCPT TO:<${SAMPLE_USER}>\r\nQUIT\r\n`)
      t.match(await client.line(), /^503 5\.5\.1 .*already authenticated/, 'F3: a second AUTH changes nobody')
      await client.linesUntil(/^250 /)
      t.match(await client.line(), /^553 5\.7\.1 .*not owned by user ann@example\.org/)
      await client.rest()
      t.ok(
        await postfix.waitForLog(/client=unknown\[127\.0\.0\.2\], sasl_method=PLAIN, sasl_username=ann@example\.org/),
        'the client’s address, no name of ours, and the user of the account record',
      )
      using near = await scriptedClient(house.port)
      await hello(near)
      near.send(`AUTH PLAIN ${GOOD}\r\n`)
      t.match(await near.line(), /^454 4\.7\.0 /, 'a client at an address that is trusted itself')
      t.match(await house.logs.wait('upstream_failed'), {
        detail: /take the client’s own address, 127\.0\.0\.1, out of smtpd_authorized_xclient_hosts/,
      })
    })
    for (const trusted of [false, true]) {
      await t.test(`through us, ${trusted ? '' : 'not '}trusted: never joined`, async (t) => {
        await using house = await openSmtpHouse(t, {
          target: { tls: 'starttls', ...at(postfix.ports.trusting), trusted },
        })
        const client = await house.connect()
        await hello(client)
        client.send(`AUTH PLAIN ${GOOD}\r\nXCLIENT LOGIN=ceo@example.org\r\n`)
        t.match(await client.line(), /^454 4\.7\.0 /)
        t.match(await client.line(), /^500 /)
        t.match(await house.logs.wait('upstream_failed'), {
          reason: 'upstream-protocol',
          detail: /XCLIENT.*smtpd_authorized_xclient_hosts|XFORWARD.*smtpd_authorized_xforward_hosts/,
        })
      })
    }
  })
})

/** Waits for the message with this subject, as it lies in the mailbox. */
async function delivered(dovecot: Dovecot, subject: string): Promise<string> {
  const inbox = join(dovecot.directory, 'mail', SAMPLE_USER, 'Maildir/new')
  const until = Date.now() + 15_000
  while (Date.now() < until) {
    const files = existsSync(inbox) ? readdirSync(inbox) : []
    const found = files
      .map((name) => readFileSync(join(inbox, name), 'latin1'))
      .find((text) => text.includes(`Subject: ${subject}`))
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${subject}: not delivered`)
}
