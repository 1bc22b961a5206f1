import t from 'tap'
import type { UpstreamIdentity } from '../../../src/contract/admission.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { openSmtp } from '../../../src/edge/smtp/index.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'
import { createCa } from '../../support/certificates.ts'
import { captureLog } from '../../support/logs.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import { scriptedServer } from '../../support/peer.ts'
import type { HouseOptions, Script } from '../login/house.ts'
import { MASTER_SECRET, openHouse } from '../login/house.ts'
import { BEARER, BY_TOKEN, byPassword } from '../login/identities.ts'
import { base64, echo, GOOD, hello, KEYWORDS, NAME, openSmtpHouse, reply, takeLogin, UPSTREAM_PLAIN } from './house.ts'

const IN = '235 2.7.0 Authentication successful'
const LATER = '454 4.7.0 The mail service is temporarily unavailable, please try again later.'
const HELLO = new RegExp(`^EHLO ${NAME.replaceAll('.', '\\.')}$`)

/** Greeting and the answer to the first EHLO. */
async function greet(peer: ScriptedPeer, keywords: readonly string[]): Promise<void> {
  peer.send('220 up\r\n')
  await peer.expect(HELLO)
  peer.send(reply(250, ['up', ...keywords]))
}

async function last(peer: ScriptedPeer, keywords: readonly string[] = KEYWORDS): Promise<void> {
  await peer.expect(HELLO)
  peer.send(reply(250, ['up', ...keywords]))
}

/** Logs in once through a house with this upstream. Resolves with the client's answer and what the log says of it. */
async function logIn(t: Parameters<typeof openSmtpHouse>[0], options: HouseOptions) {
  await using house = await openSmtpHouse(t, options)
  const client = await house.connect()
  await hello(client)
  client.send(`AUTH PLAIN ${GOOD}\r\n`)
  const answer = await client.line()
  const failed = house.logs.of('upstream_failed').at(-1)
  client.send('NOOP\r\n')
  t.match(await client.line(), /^250 /, 'client 11: the connection stays open')
  if (answer !== IN && house.upstream.connections > 0) await house.upstream.finished()
  const detail = String(failed?.detail ?? '')
  return { answer, detail, reason: failed?.reason, outcomes: house.gate.outcomes, text: house.logs.text }
}

t.test('each way in that an upstream may offer', async (t) => {
  const long = `${MASTER_SECRET}${'x'.repeat(600)}`
  for (const [why, identity, script] of [
    [
      'PLAIN with an initial response, a greeting of several lines',
      byPassword('ann@example.org'),
      async (peer) => {
        peer.send('220-up\r\n220-hello\r\n220 there\r\n')
        await last(peer, ['AUTH LOGIN PLAIN'])
        await peer.expect(new RegExp(`^AUTH PLAIN ${UPSTREAM_PLAIN}$`))
        peer.send('235 in\r\n')
      },
    ],
    [
      'PLAIN in two steps when it is long (RFC 4954 §4)',
      byPassword('', long),
      async (peer) => {
        await greet(peer, ['auth=plain'])
        await peer.expect(/^AUTH PLAIN$/)
        peer.send('334 \r\n')
        t.equal(await peer.line(), base64(`\0master\0${long}`))
        peer.send('235-in\r\n235 indeed\r\n')
      },
    ],
    [
      'LOGIN',
      byPassword('master'),
      async (peer) => {
        await greet(peer, ['AUTH LOGIN CRAM-MD5'])
        await peer.expect(/^AUTH LOGIN$/)
        peer.send('334 VXNlcm5hbWU6\r\n')
        t.equal(await peer.line(), base64('master'))
        peer.send('334 UGFzc3dvcmQ6\r\n')
        t.equal(await peer.line(), base64(MASTER_SECRET))
        peer.send('235 in\r\n')
      },
    ],
    [
      'XOAUTH2',
      BY_TOKEN,
      async (peer) => {
        await greet(peer, ['AUTH PLAIN XOAUTH2'])
        const [, message] = await peer.expect(/^AUTH XOAUTH2 (\S+)$/)
        t.equal(message, base64(`user=ann@example.org\x01auth=Bearer ${MASTER_SECRET}\x01\x01`))
        peer.send('235 in\r\n')
      },
    ],
    [
      'OAUTHBEARER',
      BY_TOKEN,
      async (peer) => {
        await greet(peer, ['AUTH OAUTHBEARER XOAUTH2'])
        const [, message = ''] = await peer.expect(/^AUTH OAUTHBEARER (\S+)$/)
        t.match(Buffer.from(message, 'base64').toString(), BEARER)
        peer.send('235 in\r\n')
      },
    ],
  ] as const satisfies [string, UpstreamIdentity, Script][]) {
    await t.test(why, async (t) => {
      const { answer, outcomes } = await logIn(t, {
        target: { identity },
        upstream: async (peer) => {
          await script(peer)
          await last(peer)
          await echo(peer)
        },
      })
      t.equal(answer, IN)
      t.strictSame(outcomes, ['accepted'])
    })
  }
})

t.test('STARTTLS upstream: EHLO again, and only what comes then counts (D5)', async (t) => {
  const ca = await createCa()
  const pair = await ca.issue()
  const stranger = await (await createCa()).issue()
  const target = { tls: 'starttls', ca: ca.cert, serverName: 'localhost' } as const
  await t.test('in', async (t) => {
    const { answer } = await logIn(t, {
      target,
      upstream: async (peer) => {
        await greet(peer, ['AUTH LOGIN', 'XCLIENT ADDR'])
        await peer.expect(/^STARTTLS$/)
        peer.send('220 go\r\n')
        await peer.startTlsServer(pair)
        await last(peer, ['AUTH PLAIN'])
        await peer.expect(/^AUTH PLAIN /)
        peer.send('235 in\r\n')
        await last(peer)
        await echo(peer)
      },
    })
    t.equal(answer, IN)
  })
  for (const [why, script, reason] of [
    ['refused', async (peer) => void peer.send('454 no\r\n'), 'upstream-unreachable'],
    ['unknown', async (peer) => void peer.send('500 what\r\n'), 'upstream-protocol'],
    [
      'injected (invariant 3)',
      async (peer) => void peer.send('220 go\r\n250-up\r\n250 AUTH PLAIN\r\n'),
      'upstream-protocol',
    ],
    [
      'another certificate',
      async (peer) => {
        peer.send('220 go\r\n')
        // It never comes about.
        void peer.startTlsServer(stranger)
      },
      'upstream-protocol',
    ],
  ] as const satisfies [string, Script, string][]) {
    await t.test(why, async (t) => {
      let isAsked = false
      const failed = await logIn(t, {
        target,
        upstream: async (peer) => {
          await greet(peer, ['AUTH PLAIN'])
          await peer.expect(/^STARTTLS$/)
          await script(peer)
          await peer.expect(/AUTH/).then(
            () => {
              isAsked = true
            },
            () => undefined,
          )
        },
      })
      t.equal(failed.answer, LATER)
      t.equal(failed.reason, reason)
      t.notOk(isAsked, 'A3, D5: no secret in the clear')
    })
  }
})

t.test('D: whatever else an upstream does is temporary, and its words stay here', async (t) => {
  const afterAuth =
    (text: string): Script =>
    async (peer) => {
      await greet(peer, ['AUTH PLAIN'])
      await peer.expect(/^AUTH/)
      peer.send(text)
      await peer.untilClosed()
    }
  const afterLogin =
    (text: string): Script =>
    async (peer) => {
      await greet(peer, ['AUTH PLAIN'])
      await peer.expect(/^AUTH/)
      peer.send('235 in\r\n')
      await peer.expect(HELLO)
      peer.send(text)
      await peer.untilClosed()
    }
  const say =
    (text: string): Script =>
    async (peer) => {
      peer.send(text)
      await peer.untilClosed()
    }
  for (const [why, upstream, reason] of [
    ['D1 a greeting that says no', say('554 go away\r\n'), 'upstream-protocol'],
    ['D1 not now', say('421 busy\r\n'), 'upstream-unreachable'],
    ['D1 another protocol', say('* OK IMAP4rev1\r\n'), 'upstream-protocol'],
    ['D1 HTTP', say('HTTP/1.1 400 Bad Request\r\n\r\n'), 'upstream-protocol'],
    ['D1 mixed codes', say('220-up\r\n221 bye\r\n'), 'upstream-protocol'],
    ['D2 an endless greeting', say('220-up\r\n'.repeat(200)), 'upstream-protocol'],
    ['D2 an endless line', say(`220 ${'x'.repeat(80_000)}`), 'upstream-protocol'],
    ['D3 silence', say(''), 'upstream-unreachable'],
    ['D4 an answer before the question', say('220 up\r\n250 AUTH PLAIN\r\n'), 'upstream-protocol'],
    [
      'D4 the verdict before the login',
      async (peer) => {
        peer.send('220 up\r\n')
        await peer.expect(HELLO)
        peer.send('250-up\r\n250 AUTH PLAIN\r\n235 in\r\n')
        await peer.untilClosed()
      },
      'upstream-protocol',
    ],
    ['D4 more than the last answer', afterLogin('250 up\r\n250 and more\r\n'), 'upstream-protocol'],
    ['D8 gone', async (peer) => peer.end('220 up\r\n'), 'upstream-unreachable'],
    [
      'no EHLO',
      async (peer) => {
        peer.send('220 up\r\n')
        await peer.line()
        peer.send('502 what\r\n')
        await peer.untilClosed()
      },
      'upstream-protocol',
    ],
    [
      'no AUTH',
      async (peer) => {
        await greet(peer, ['DSN'])
        await peer.untilClosed()
      },
      'upstream-protocol',
    ],
    [
      'only LOGIN, though we act for another',
      async (peer) => {
        await greet(peer, ['AUTH LOGIN'])
        await peer.untilClosed()
      },
      'upstream-protocol',
    ],
    ['454', afterAuth('454 4.7.0 later\r\n'), 'upstream-unreachable'],
    ['421', afterAuth('421 bye\r\n'), 'upstream-unreachable'],
    ['432', afterAuth('432 4.7.12 transition\r\n'), 'upstream-unreachable'],
    ['538', afterAuth('538 5.7.11 TLS\r\n'), 'upstream-protocol'],
    ['it asks on', afterAuth('334 \r\n'), 'upstream-protocol'],
    ['250 is no 235', afterAuth('250 in\r\n'), 'upstream-protocol'],
    ['535 (D7)', afterAuth('535 5.7.8 wrong password\r\n'), 'upstream-refused'],
    ['554 5.7.8', afterAuth('554 5.7.8 wrong password\r\n'), 'upstream-refused'],
    ['an error after the login', afterLogin('500 no\r\n'), 'upstream-protocol'],
    ['invariant 14: XCLIENT', afterLogin('250-up\r\n250 XCLIENT NAME LOGIN\r\n'), 'upstream-protocol'],
    ['invariant 14: XFORWARD', afterLogin('250-up\r\n250-xforward NAME\r\n250 DSN\r\n'), 'upstream-protocol'],
  ] as const satisfies [string, Script, string][]) {
    await t.test(why, async (t) => {
      const failed = await logIn(t, { upstream, dialMs: why.startsWith('D3') ? 200 : 5000 })
      t.equal(failed.answer, LATER, 'invariant 11')
      t.equal(failed.reason, reason, failed.detail)
      t.strictSame(failed.outcomes, [reason === 'upstream-refused' ? 'upstream-refused' : 'failed'])
      if (why.includes('XCLIENT')) t.match(failed.detail, 'smtpd_authorized_xclient_hosts')
      if (why.includes('XFORWARD')) t.match(failed.detail, 'smtpd_authorized_xforward_hosts')
    })
  }
  await t.test('our secret, echoed', async (t) => {
    const failed = await logIn(t, { upstream: afterAuth(`554 you said ${UPSTREAM_PLAIN} (${MASTER_SECRET})\r\n`) })
    t.match(failed.detail, /you said \[secret\] \(\[secret\]\)/)
    t.notOk(failed.text.includes(UPSTREAM_PLAIN))
  })
  await t.test('a 535 for the client’s own password is a wrong password', async (t) => {
    await using house = await openSmtpHouse(t, { upstream: afterAuth('535 5.7.8 no such user ann\r\n') })
    house.gate.verifiedBy = 'upstream'
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${GOOD}\r\n`)
    t.equal(await client.line(), '535 5.7.8 Authentication failed.')
  })
  await t.test('D9: dies in mid-session', async (t) => {
    await using house = await openSmtpHouse(t, {
      upstream: async (peer) => {
        await takeLogin(peer)
        await peer.expect(/^MAIL/)
        peer.end('250 ok\r\n')
      },
    })
    const client = await house.connect()
    await hello(client)
    client.send(`AUTH PLAIN ${GOOD}\r\nMAIL FROM:<>\r\n`)
    t.equal(await client.rest(), `${IN}\r\n250 ok\r\n`)
  })
})

t.test('XCLIENT tells a trusted upstream whose connection this is, as far as it wants to know', async (t) => {
  const xclient = async (trusted: boolean, offered: string | null, after: readonly string[] = KEYWORDS) => {
    let said: string | null = null
    const result = await logIn(t, {
      target: { trusted },
      upstream: async (peer) => {
        await greet(peer, ['AUTH PLAIN', ...(offered === null ? [] : [offered])])
        let line = await peer.line()
        if (line.startsWith('XCLIENT')) {
          said = line
          peer.send('220 up again\r\n')
          await last(peer, ['AUTH PLAIN'])
          line = await peer.line()
        }
        t.match(line, /^AUTH PLAIN /)
        peer.send('235 in\r\n')
        await last(peer, after)
        await echo(peer)
      },
    })
    return { said: said as string | null, ...result }
  }
  const all = await xclient(true, 'XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT SESSION')
  t.equal(all.answer, IN)
  t.match(
    all.said,
    /^XCLIENT NAME=\[UNAVAILABLE\] ADDR=127\.0\.0\.1 PORT=\d+ DESTADDR=127\.0\.0\.1 DESTPORT=\d+ PROTO=ESMTP SESSION=[0-9a-f-]+$/,
  )
  t.notMatch(all.said, /client\.example\.net/, 'F4: nothing that the client said')
  t.match((await xclient(true, 'XCLIENT ADDR')).said, /^XCLIENT ADDR=127\.0\.0\.1$/)
  t.equal((await xclient(true, null)).said, null)
  const untrusted = await xclient(false, 'XCLIENT ADDR')
  t.equal(untrusted.said, null)
  t.equal(untrusted.answer, IN, 'it is what comes after the login that counts')
  const still = await xclient(true, 'XCLIENT ADDR', ['XCLIENT ADDR'])
  t.equal(still.answer, LATER)
})

t.test('F4: an IPv6 client', async (t) => {
  let said = ''
  await using upstream = await scriptedServer(async (peer) => {
    await greet(peer, ['AUTH PLAIN', 'XCLIENT ADDR PORT'])
    said = await peer.line()
    peer.send('220 up\r\n')
    await last(peer, ['AUTH PLAIN'])
    await peer.expect(/^AUTH/)
    peer.send('235 in\r\n')
    await last(peer)
    await peer.untilClosed()
  })
  const dialer = createDialer()
  const smtp = openSmtp({ dialer, log: captureLog().log, metrics: createMetrics(), name: NAME })
  const target = {
    name: 'main',
    hosts: [{ host: '127.0.0.1', port: upstream.port }],
    tls: 'none',
    ca: null,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'a', authzid: '', secret: new Secret(MASTER_SECRET) },
    trusted: true,
  } as const
  const client = { ip: '2001:db8::7', port: 4711, localIp: '2001:db8::1', localPort: 465, tls: null }
  const protocol = smtp.protocol({
    nameRules: { domains: [], allow: '', separators: [], windowsDomains: {} },
    portalUrl: null,
    language: 'en',
    startTls: null,
    needsTls: true,
    listener: 'test',
    log: captureLog().log,
    metrics: createMetrics(),
  })
  const wire = await dialer.dial(target, client, new AbortController().signal)
  const session = await protocol.login(wire, target, client, 'id')
  t.equal(said, 'XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711')
  t.strictSame(session.capabilities, KEYWORDS)
  session.release().socket.destroy()
})

t.test('client 13: upstreams are asked at start, without a login', async (t) => {
  const ca = await createCa()
  const pair = await ca.issue()
  const lines: string[] = []
  const asked = async (peer: ScriptedPeer, keywords: readonly string[]): Promise<void> => {
    await greet(peer, keywords)
    lines.push(await peer.line())
    peer.end('221 bye\r\n')
  }
  await using small = await scriptedServer((peer) => asked(peer, ['SIZE 5', '8BITMIME', 'AUTH PLAIN']))
  await using large = await scriptedServer(async (peer) => {
    await greet(peer, ['STARTTLS'])
    await peer.expect(/^STARTTLS$/)
    peer.send('220 go\r\n')
    await peer.startTlsServer(pair)
    await last(peer, ['8bitmime', 'SIZE 9', 'DSN'])
    lines.push(await peer.line())
    peer.end('221 bye\r\n')
  })
  await using odd = await scriptedServer((peer) => peer.send('* OK hm\r\n'))
  const at = (name: string, port: number, tls: 'none' | 'starttls' = 'none') => ({
    name,
    hosts: [{ host: '127.0.0.1', port }],
    tls,
    ca: ca.cert,
    serverName: 'localhost',
    proxyProtocol: null,
  })
  const logs = captureLog()
  const smtp = openSmtp({
    dialer: createDialer({ deadlineMs: 2000 }),
    log: logs.log,
    metrics: createMetrics(),
    name: NAME,
  })
  const both = [at('small', small.port), at('large', large.port, 'starttls')]
  await smtp.expect([...both, at('odd', odd.port), at('away', 1)])
  t.strictSame(smtp.offers.common(), ['SIZE 5', '8BITMIME'], 'of those that could be asked')
  t.strictSame(lines.sort(), ['QUIT', 'QUIT'])
  t.strictSame(smtp.offers.unknown().toSorted(), ['away 127.0.0.1:1', `odd 127.0.0.1:${odd.port}`])
  t.match(logs.of('upstream_failed'), [{ level: 'info' }, { level: 'info' }])
  const before = small.connections
  await smtp.expect(both)
  t.equal(small.connections, before, 'what is known is not asked again')
  smtp.stop()
  t.equal(logs.log.bugs, 0)
})

t.test(
  'client 13: of an upstream with several hosts, what each that answers keeps, and what a login teaches of one',
  async (t) => {
    const says = (lists: (readonly string[])[]) => async (peer: ScriptedPeer, n: number) => {
      await greet(peer, [...(lists[n - 1] ?? lists.at(-1) ?? []), 'AUTH PLAIN'])
      if ((await peer.line()) === 'QUIT') return peer.end('221 bye\r\n')
      peer.send('235 in\r\n')
      await last(peer, lists[n - 1] ?? lists.at(-1) ?? [])
      await echo(peer)
    }
    await using one = await scriptedServer(
      says([
        ['SIZE 9000', '8BITMIME', 'DSN'],
        ['SIZE 5000', '8BITMIME', 'DSN'],
      ]),
    )
    await using two = await scriptedServer(says([['8BITMIME', 'SIZE 7000', 'CHUNKING']]))
    const hosts = [one.port, two.port, 1].map((port) => ({ host: '127.0.0.1', port }))
    const target = {
      name: 'main',
      hosts,
      tls: 'none',
      ca: null,
      serverName: null,
      proxyProtocol: null,
    } as const
    const dialer = createDialer({ deadlineMs: 5000 })
    const smtp = openSmtp({ dialer, log: captureLog().log, metrics: createMetrics(), name: NAME })
    t.teardown(() => smtp.stop())
    await smtp.expect([target])
    t.strictSame(
      smtp.offers.common(),
      ['SIZE 7000', '8BITMIME', 'AUTH PLAIN'],
      'the smaller SIZE, and only what both keep',
    )
    t.strictSame(smtp.offers.unknown(), ['main 127.0.0.1:1'], 'the one that is away is asked again')
    await using house = await openHouse(t, {
      target,
      protocol: (dialogue) => smtp.protocol(dialogue),
      upstream: () => undefined,
      deps: { dialer },
    })
    const client = await house.connect()
    t.strictSame((await hello(client)).slice(1), ['250-SIZE 7000', '250-8BITMIME', '250 AUTH PLAIN LOGIN'])
    client.send(`AUTH PLAIN ${GOOD}\r\n`)
    t.equal(await client.line(), IN)
    t.strictSame(smtp.offers.common(), ['SIZE 5000', '8BITMIME'], 'the first host changed; the second is not forgotten')
    const next = await house.connect()
    t.strictSame((await hello(next)).slice(1), ['250-SIZE 5000', '250-8BITMIME', '250 AUTH PLAIN LOGIN'])
  },
)
