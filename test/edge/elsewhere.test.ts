/**
 * Upstreams that send us, or the client, somewhere else (threats D10): referrals, redirects, forwarding addresses. Whatever an
 * upstream says, nobody connects to where it says, and no client is told.
 */

import { createServer } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import type { ScriptedPeer } from '../support/peer.ts'
import { openHouse as openEas } from './eas/house.ts'
import type { HouseOptions, Script } from './login/house.ts'
import { echo, openHouse, PASSWORD } from './login/house.ts'
import { listen } from './net/sockets.ts'
import { CAPA, POP3 } from './pop3/house.ts'
import { base64, knownSmtp, NAME } from './smtp/house.ts'

/** Where nobody must go. */
async function trap(t: Test): Promise<{ readonly at: string; readonly calls: () => number }> {
  let calls = 0
  const server = createServer((socket) => {
    calls += 1
    socket.destroy()
  })
  const port = await listen(server)
  t.teardown(() => server.close())
  return { at: `127.0.0.1:${port}`, calls: () => calls }
}

const imap: readonly (readonly [string, (at: string) => Script, RegExp])[] = [
  [
    'a greeting that refers (RFC 2221 §4.3)',
    (at) => (peer) => peer.send(`* BYE [REFERRAL imap://${at}/] moved\r\n`),
    /^a NO \[UNAVAILABLE\] /,
  ],
  [
    'a login that is referred (RFC 2221 §4.1)',
    (at) => afterImapLogin((tag) => `${tag} NO [REFERRAL imap://ann@${at}/] try there\r\n`),
    /^a NO \[UNAVAILABLE\] /,
  ],
  [
    'a login that is taken and referred (RFC 2221 §4.2)',
    (at) => afterImapLogin((tag) => `${tag} OK [REFERRAL imap://ann@${at}/] in, but better there\r\n`),
    /^a OK \[CAPABILITY [^\]]*\] Logged in\.$/,
  ],
]

function afterImapLogin(answer: (tag: string) => string): Script {
  return async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS AUTH=PLAIN] ready\r\n')
    const [, tag = ''] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN \S+$/)
    peer.send(answer(tag))
    // A server that took the login and did not tell its capabilities is asked for them.
    const next = await peer.line().catch(() => null)
    if (next !== null) peer.send(`* CAPABILITY IMAP4rev1 IDLE\r\n${next.split(' ')[0]} OK done\r\n`)
    await echo(peer)
  }
}

const pop3: typeof imap = [
  [
    'a greeting that refers',
    (at) => (peer) => peer.send(`-ERR [REFERRAL pop://${at}] moved\r\n`),
    /^-ERR \[SYS\/TEMP\] /,
  ],
  [
    'a login that is referred',
    (at) => async (peer) => {
      peer.send('+OK ready\r\n')
      await peer.expect(/^CAPA$/)
      peer.send(`+OK\r\n${CAPA}.\r\n`)
      await peer.expect(/^AUTH PLAIN$/)
      peer.send('+ \r\n')
      await peer.line()
      peer.send(`-ERR [REFERRAL pop://${at}] moved\r\n`)
    },
    /^-ERR \[SYS\/TEMP\] /,
  ],
]

const smtp: typeof imap = [
  ...[
    ['551 (RFC 5321 §3.4)', (at: string) => `551 5.1.6 User not local; please try <ann@${at}>`],
    ['251', (at: string) => `251 2.1.5 User not local; will forward to <ann@${at}>`],
    ['556', (at: string) => `556 5.1.10 ${at}`],
  ].flatMap(([code, words]) => {
    const say = words as (at: string) => string
    return [
      [
        `a greeting of ${code}`,
        (at: string): Script =>
          (peer) =>
            peer.send(`${say(at)}\r\n`),
        /^454 4\.7\.0 /,
      ] as const,
      [`a login that is answered with ${code}`, (at: string) => afterAuth(`${say(at)}\r\n`), /^454 4\.7\.0 /] as const,
    ]
  }),
]

function afterAuth(answer: string): Script {
  return async (peer: ScriptedPeer) => {
    peer.send('220 ready\r\n')
    await peer.expect(new RegExp(`^EHLO ${NAME}$`))
    peer.send('250-upstream\r\n250 AUTH PLAIN\r\n')
    await peer.expect(/^AUTH PLAIN \S+$/)
    peer.send(answer)
  }
}

const LOGINS = {
  imap: `a LOGIN ann@example.org "${PASSWORD}"\r\n`,
  pop3: `USER ann@example.org\r\nPASS ${PASSWORD}\r\n`,
  smtp: `EHLO x\r\nAUTH PLAIN ${base64(`\0ann@example.org\0${PASSWORD}`)}\r\n`,
} as const
const VERDICT = { imap: /^a /, pop3: /^(?:-ERR|\+OK Logged)/, smtp: /^[45]|^235/ } as const

for (const [protocol, options, cases] of [
  ['imap', (): HouseOptions => ({}), imap],
  ['pop3', (): HouseOptions => POP3, pop3],
  ['smtp', knownSmtp, smtp],
] as const) {
  for (const [why, script, wanted] of cases) {
    await t.test(`D10: ${protocol}: ${why}`, async (t) => {
      const { at, calls } = await trap(t)
      await using house = await openHouse(t, { ...options(), upstream: script(at) })
      const client = await house.connect()
      client.send(LOGINS[protocol])
      const lines = await client.linesUntil(VERDICT[protocol])
      t.match(lines.at(-1), wanted)
      t.notOk(lines.join('\n').includes(at), 'the client is not told')
      t.equal(house.upstream.connections, 1)
      client.end()
      await house.served()
      t.equal(calls(), 0, 'nobody went there')
    })
  }
}

await t.test('D10: ActiveSync: redirects, other services, other places', async (t) => {
  for (const [why, status, headers, wanted] of [
    ['301', 301, { location: 'http://AT/' }, 503],
    ['302', 302, { location: 'http://AT/Microsoft-Server-ActiveSync' }, 503],
    ['303', 303, { location: '//AT/' }, 503],
    ['305, use that proxy', 305, { location: 'http://AT' }, 503],
    ['307', 307, { location: 'http://AT/Microsoft-Server-ActiveSync' }, 503],
    ['308', 308, { location: 'http://AT/Microsoft-Server-ActiveSync' }, 503],
    ['451, the mailbox is there', 451, { 'x-ms-location': 'http://AT/Microsoft-Server-ActiveSync' }, 451],
    ['the same beside an answer', 200, { 'x-ms-location': 'http://AT/Microsoft-Server-ActiveSync' }, 200],
    ['another service for this origin (RFC 7838)', 200, { 'alt-svc': 'h2="AT"; ma=86400' }, 200],
    ['a page that moves on', 200, { refresh: '0; url=http://AT/' }, 200],
    ['a created thing', 201, { location: 'http://AT/' }, 201],
  ] as const) {
    await t.test(why, async (t) => {
      const { at, calls } = await trap(t)
      const written = Object.entries(headers).map(([name, value]) => [name, value.replace('AT', at)])
      const house = await openEas(t, {
        upstream: (_, response) => void response.writeHead(status, Object.fromEntries(written)).end('there'),
      })
      const answer = await house.send()
      t.equal(answer.status, wanted)
      t.notOk(JSON.stringify(answer.headers).includes(at), 'the phone is not told')
      t.equal(house.seen.length, 1)
      await house.quiet()
      t.equal(calls(), 0, 'nobody went there')
    })
  }
})
