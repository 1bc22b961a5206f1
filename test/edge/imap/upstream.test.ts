import t from 'tap'
import type { UpstreamIdentity } from '../../../src/contract/admission.ts'
import { Secret } from '../../../src/secret.ts'
import { createCa } from '../../support/certificates.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import type { HouseOptions, Script } from '../login/house.ts'
import { AFTER_LOGIN, echo, MASTER_SECRET, openHouse, PASSWORD } from '../login/house.ts'
import { BEARER, BY_TOKEN, byPassword } from '../login/identities.ts'

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')
const PLAIN = base64(`ann@example.org\0master\0${MASTER_SECRET}`)
const READY = '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n'
const CAPS = `[CAPABILITY ${AFTER_LOGIN}]`
const LOGIN = `a LOGIN ann "${PASSWORD}"\r\n`

/** Logs in once through a house with this upstream. Resolves with the client's answer and what the log says of it. */
async function logIn(t: Parameters<typeof openHouse>[0], options: HouseOptions) {
  await using house = await openHouse(t, options)
  const client = await house.connect()
  await client.line()
  client.send(LOGIN)
  const answer = await client.line()
  const failed = house.logs.of('upstream_failed').at(-1)
  const detail = String(failed?.detail ?? '')
  let after: string | null = null
  if (answer.includes(' OK ')) {
    client.send('b IDLE\r\nc LOGOUT\r\n')
    after = await client.rest()
  } else {
    client.send('b NOOP\r\n')
    t.match(await client.line(), /^b OK /, 'client 11: the connection stays open')
    const upstream = house.upstream
    if (upstream.connections > 0) await upstream.finished()
  }
  return { answer, after, detail, reason: failed?.reason, outcomes: house.gate.outcomes, text: house.logs.text }
}

/** The rest of a script whose last line must be the end of the connection: the edge hangs up on it. */
async function hungUp(peer: ScriptedPeer): Promise<void> {
  await peer.untilClosed()
}

t.test('each way in that an upstream may offer', async (t) => {
  const ok = (tag: string | undefined) => `${tag} OK ${CAPS} in\r\n`
  for (const [why, identity, script] of [
    [
      'PLAIN with an initial response',
      byPassword('ann@example.org'),
      async (peer) => {
        peer.send(READY)
        const [, tag, message] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN (\S+)$/)
        t.equal(message, PLAIN)
        peer.send(ok(tag))
      },
    ],
    [
      'PLAIN in two steps',
      byPassword('ann@example.org'),
      async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n')
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN$/)
        peer.send('+ \r\n')
        t.equal(await peer.line(), PLAIN)
        peer.send(ok(tag))
      },
    ],
    [
      'PLAIN, capabilities only when asked',
      byPassword(''),
      async (peer) => {
        peer.send('* OK ready\r\n')
        const [, first] = await peer.expect(/^(\S+) CAPABILITY$/)
        peer.send(`* CAPABILITY IMAP4rev1 auth=plain sasl-ir\r\n${first} OK done\r\n`)
        const [, tag, message] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN (\S+)$/)
        t.equal(message, base64(`\0master\0${MASTER_SECRET}`))
        t.not(tag, first, 'D4: each command has a tag of its own')
        peer.send(ok(tag))
      },
    ],
    [
      'LOGIN, quoted',
      byPassword('', `q"u\\ote${MASTER_SECRET}`),
      async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1] ready\r\n')
        const [, tag, rest] = await peer.expect(/^(\S+) LOGIN (.*)$/)
        t.equal(rest, `"master" "q\\"u\\\\ote${MASTER_SECRET}"`)
        peer.send(ok(tag))
      },
    ],
    [
      'LOGIN, what can’t be quoted as a synchronising literal (C3)',
      byPassword('', `pässwörd${MASTER_SECRET}`),
      async (peer) => {
        const octets = Buffer.from(`pässwörd${MASTER_SECRET}`)
        peer.send('* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n')
        const [, tag, size] = await peer.expect(/^(\S+) LOGIN "master" \{(\d+)\}$/)
        t.equal(Number(size), octets.length)
        peer.send('+ go on\r\n')
        t.strictSame(await peer.bytes(octets.length + 2), Buffer.concat([octets, Buffer.from('\r\n')]))
        peer.send(ok(tag))
      },
    ],
    [
      'XOAUTH2',
      BY_TOKEN,
      async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] ready\r\n')
        const [, tag, message] = await peer.expect(/^(\S+) AUTHENTICATE XOAUTH2 (\S+)$/)
        t.equal(message, base64(`user=ann@example.org\x01auth=Bearer ${MASTER_SECRET}\x01\x01`))
        peer.send(ok(tag))
      },
    ],
    [
      'OAUTHBEARER, in two steps',
      BY_TOKEN,
      async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER] ready\r\n')
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE OAUTHBEARER$/)
        peer.send('+ \r\n')
        const message = Buffer.from(await peer.line(), 'base64').toString()
        t.match(message, BEARER)
        peer.send(ok(tag))
      },
    ],
    [
      'prose on the way is overheard',
      byPassword(''),
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN/)
        peer.send(`* OK [ALERT] the server room is warm\r\n* NO hm\r\n* 7 EXISTS\r\n${ok(tag)}`)
      },
    ],
  ] as const satisfies [string, UpstreamIdentity, Script][]) {
    await t.test(why, async (t) => {
      const { answer, after, outcomes } = await logIn(t, {
        target: { identity },
        upstream: async (peer) => {
          await script(peer)
          await echo(peer)
        },
      })
      t.equal(answer, `a OK ${CAPS} Logged in.`)
      t.equal(after, 'b OK IDLE done\r\nc OK LOGOUT done\r\n')
      t.strictSame(outcomes, ['accepted'])
    })
  }
})

t.test('capabilities after the login are the upstream’s (client 4)', async (t) => {
  for (const [why, afterLogin] of [
    ['in the OK', (tag: string) => `${tag} OK ${CAPS} in\r\n`],
    ['untagged before it', (tag: string) => `* CAPABILITY ${AFTER_LOGIN}\r\n${tag} OK in\r\n`],
    [
      'with what is over',
      (tag: string) =>
        `${tag} OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS LOGINDISABLED AUTH=PLAIN AUTH=X ${AFTER_LOGIN.slice(10)}] in\r\n`,
    ],
  ] as const) {
    await t.test(why, async (t) => {
      const { answer } = await logIn(t, {
        upstream: async (peer) => {
          peer.send(READY)
          const [, tag = ''] = await peer.expect(/^(\S+) AUTHENTICATE/)
          peer.send(afterLogin(tag))
          await echo(peer)
        },
      })
      t.equal(answer, `a OK ${CAPS} Logged in.`)
    })
  }
  await t.test('asked for, when the upstream says nothing; what it sends meanwhile is the client’s (D6)', async (t) => {
    const behind = '* OK [ALERT] quota\r\n* 3 EXISTS\r\n* 1 F'
    const { answer, after } = await logIn(t, {
      upstream: async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
        peer.send(`${tag} OK in\r\n${behind}`)
        const [, second] = await peer.expect(/^(\S+) CAPABILITY$/)
        peer.send(`ETCH x\r\n* CAPABILITY ${AFTER_LOGIN}\r\n* 4 RECENT\r\n${second} OK done\r\n* 5 EXISTS\r\n`)
        await echo(peer)
      },
    })
    t.equal(answer, `a OK ${CAPS} Logged in.`)
    t.equal(after, `${behind}ETCH x\r\n* 4 RECENT\r\n* 5 EXISTS\r\nb OK IDLE done\r\nc OK LOGOUT done\r\n`)
  })
})

t.test('D6: bytes behind the OK in the same segment reach the client, whole and once', async (t) => {
  const noise = Buffer.from(Array.from({ length: 30_000 }, (_, i) => i % 251))
  await using house = await openHouse(t, {
    upstream: async (peer) => {
      peer.send(READY)
      const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
      peer.send(Buffer.concat([Buffer.from(`${tag} OK ${CAPS} in\r\n`), noise]))
      await peer.expect(/never/).catch(() => undefined)
    },
  })
  const client = await house.connect()
  await client.line()
  client.send(LOGIN)
  await client.line()
  t.strictSame(await client.bytes(noise.length), noise)
  client.end()
  await house.served()
  t.match(house.gate.ends[0]?.end, { reason: 'client-closed', netOutBytes: noise.length, netInBytes: 0 })
})

t.test('ID tells a trusted upstream whose connection this is', async (t) => {
  for (const [why, trusted, offered, wanted] of [
    ['trusted', true, true, true],
    ['not trusted', false, true, false],
    ['trusted, but it knows no ID', true, false, false],
  ] as const) {
    await t.test(why, async (t) => {
      let id: string | null = null
      await using house = await openHouse(t, {
        target: { trusted },
        upstream: async (peer) => {
          peer.send(`* OK [CAPABILITY IMAP4rev1 SASL-IR ${offered ? 'ID ' : ''}AUTH=PLAIN] ready\r\n`)
          let [, tag, name, rest] = await peer.expect(/^(\S+) (\S+) (.*)$/)
          if (name === 'ID') {
            id = rest ?? ''
            peer.send(`* ID ("name" "Dovecot")\r\n${tag} OK\r\n`)
            ;[, tag, name] = await peer.expect(/^(\S+) (\S+) /)
          }
          t.equal(name, 'AUTHENTICATE')
          peer.send(`${tag} OK ${CAPS} in\r\n`)
          await echo(peer)
        },
      })
      const client = await house.connect()
      await client.line()
      client.send(`i ID ("x-originating-ip" "10.9.8.7" "x-session-id" "forged")\r\n${LOGIN}`)
      await client.linesUntil(/^a OK /)
      const { peer } = house.gate.attempts[0] ?? { peer: null }
      const grantId = house.gate.settled[0]?.id
      t.equal(
        id,
        wanted
          ? `("x-session-id" "${grantId}" "x-originating-ip" "127.0.0.1" "x-originating-port" "${peer?.port}" "x-connected-ip" "127.0.0.1" "x-connected-port" "${house.port}" "x-proxy-ttl" "4")`
          : null,
        'A13: in the socket’s words, not the client’s',
      )
    })
  }
})

t.test('invariant 11, D7: what an upstream refuses never reads as a wrong password, nor in its words', async (t) => {
  for (const [answer, reason, outcome] of [
    ['NO [AUTHENTICATIONFAILED] Wrong, wrong!', 'upstream-refused', 'upstream-refused'],
    ['NO [AUTHORIZATIONFAILED] Not as ann', 'upstream-refused', 'upstream-refused'],
    ['NO [EXPIRED] Old', 'upstream-refused', 'upstream-refused'],
    ['NO Login failed', 'upstream-refused', 'upstream-refused'],
    ['NO [UNAVAILABLE] Later', 'upstream-unreachable', 'failed'],
    ['NO [LIMIT] Too many', 'upstream-unreachable', 'failed'],
    ['NO [INUSE] Locked', 'upstream-unreachable', 'failed'],
    ['NO [PRIVACYREQUIRED] TLS', 'upstream-protocol', 'failed'],
    ['BAD What?', 'upstream-protocol', 'failed'],
  ] as const) {
    await t.test(answer, async (t) => {
      const upstream: Script = async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
        peer.send(`${tag} ${answer} \x41 ${MASTER_SECRET} ${PLAIN}\r\n`)
        await hungUp(peer)
      }
      const result = await logIn(t, { upstream })
      t.equal(result.answer, 'a NO [UNAVAILABLE] The mail service is temporarily unavailable, please try again later.')
      t.equal(result.reason, reason)
      t.strictSame(result.outcomes, [outcome])
      t.match(result.detail, answer.slice(0, 12), 'the upstream’s words are in the log')
      t.notOk(result.text.includes(MASTER_SECRET), 'invariant 5: but not the secret that it echoed')
      t.notOk(result.text.includes(PLAIN), 'invariant 5: in no form')
    })
  }
})

t.test('with verifiedBy upstream its refusal is a wrong password, and nothing else is', async (t) => {
  for (const [answer, want, outcome] of [
    ['NO [AUTHENTICATIONFAILED] x', 'a NO [AUTHENTICATIONFAILED] Authentication failed.', 'upstream-refused'],
    ['NO x', 'a NO [AUTHENTICATIONFAILED] Authentication failed.', 'upstream-refused'],
    ['NO [UNAVAILABLE] x', /^a NO \[UNAVAILABLE\] /, 'failed'],
    ['NO [LIMIT] x', /^a NO \[UNAVAILABLE\] /, 'failed'],
    ['BAD x', /^a NO \[UNAVAILABLE\] /, 'failed'],
  ] as const) {
    await t.test(answer, async (t) => {
      await using house = await openHouse(t, {
        upstream: async (peer) => {
          peer.send(READY)
          const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
          peer.send(`${tag} ${answer}\r\n`)
          await hungUp(peer)
        },
      })
      house.gate.verifiedBy = 'upstream'
      const client = await house.connect()
      await client.line()
      client.send(LOGIN)
      t.match(await client.line(), want)
      t.strictSame(house.gate.outcomes, [outcome])
      const line = await house.logs.wait('login_refused')
      t.equal(line.user, 'ann@example.org', 'under the name that the keeper returned')
    })
  }
})

t.test('hostile and broken upstreams: a temporary failure, closed, and no secret told (D1–D5)', async (t) => {
  const flood = async (peer: ScriptedPeer, text: string) => {
    for (let i = 0; i < 400 && !peer.closed; i++) {
      peer.send(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for (const [why, detail, script, options] of [
    ['D1: PREAUTH', /PREAUTH/, (peer) => peer.send('* PREAUTH welcome\r\n')],
    ['D1: BYE', /BYE/, (peer) => peer.send('* BYE not today\r\n')],
    ['D1: NO', /greeted with/, (peer) => peer.send('* NO\r\n')],
    ['D1: garbage', /instead of the greeting/, (peer) => peer.send('\x16\x03\x01garbage\r\n')],
    ['D1: HTTP', /instead of the greeting/, (peer) => peer.send('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['D1: SMTP', /instead of the greeting/, (peer) => peer.send('220 mx ESMTP\r\n')],
    ['D1: a literal in the greeting', /instead of the greeting/, (peer) => peer.send('* OK {5}\r\nabcde hi\r\n')],
    ['D1: a continuation as greeting', /greeted with/, (peer) => peer.send('+ go on\r\n')],
    ['D1: a tagged greeting', /greeted with/, (peer) => peer.send('a OK hi\r\n')],
    ['D1: NUL in the greeting', /instead of the greeting/, (peer) => peer.send('* OK a\0b\r\n')],
    ['D1: it hangs up at once', /closed the connection/, (peer) => peer.end()],
    ['D1: it resets at once', /./, (peer) => peer.reset()],
    ['D2: an endless line', /longer than/, (peer) => flood(peer, 'x'.repeat(1000))],
    [
      'D2: endless untagged lines before the answer',
      /100 lines/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        await flood(peer, '* OK still here\r\n'.repeat(10))
      },
    ],
    [
      'D2: more bytes than the budget in few lines',
      /./,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        await flood(peer, `* OK ${'x'.repeat(8000)}\r\n`)
      },
    ],
    ['D3: silence', /time/, () => undefined, { dialMs: 150 }],
    [
      'D3: dripping',
      /time/,
      async (peer) => {
        for (let i = 0; i < 200 && !peer.closed; i++) {
          peer.send('* OK x'.charAt(i % 6))
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      },
      { dialMs: 150 },
    ],
    [
      'D4: an answer before the command',
      /before it was asked|which nobody asked/,
      (peer) => {
        peer.send(`${READY}S000000000000 OK ${CAPS} you are in\r\n`)
      },
    ],
    [
      'D4: an untagged line right behind the greeting',
      /before it was asked/,
      (peer) => peer.send(`${READY}* OK hm\r\n`),
    ],
    [
      'D4: a tag that is not ours',
      /which nobody asked/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        peer.send('S000000000000 OK done\r\n')
      },
    ],
    [
      'D4: a continuation instead of an answer',
      /asked on/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        peer.send('+ \r\n')
      },
    ],
    [
      'no capabilities at all',
      /did not list/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        const [, tag] = await peer.expect(/^(\S+) /)
        peer.send(`${tag} OK done\r\n`)
      },
    ],
    [
      'CAPABILITY refused',
      /answered .* to CAPABILITY/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        const [, tag] = await peer.expect(/^(\S+) /)
        peer.send(`${tag} BAD what\r\n`)
      },
    ],
    [
      'a list that is no list',
      /instead of CAPABILITY/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        peer.send('* CAPABILITY "AUTH=PLAIN"\r\n')
      },
    ],
    [
      'LOGINDISABLED and nothing else',
      /takes no password/,
      (peer) => peer.send('* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n'),
    ],
    [
      'LOGIN only, where somebody has to act for the user',
      /AUTH=PLAIN/,
      (peer) => peer.send('* OK [CAPABILITY IMAP4rev1] hi\r\n'),
    ],
    [
      'BYE on the way',
      /BYE/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        peer.send('* BYE shutting down\r\n')
      },
    ],
    [
      'PREAUTH on the way',
      /PREAUTH/,
      async (peer) => {
        peer.send('* OK hi\r\n')
        await peer.line()
        peer.send('* PREAUTH ann\r\n')
      },
    ],
  ] as const satisfies [string, RegExp, Script, HouseOptions?][]) {
    await t.test(why, async (t) => {
      let heard = ''
      const result = await logIn(t, {
        ...options,
        upstream: async (peer) => {
          await script(peer)
          await hungUp(peer)
          heard = peer.buffered
        },
      })
      t.match(result.answer, /^a NO \[UNAVAILABLE\] /)
      t.match(result.reason, /^upstream-(protocol|unreachable)$/)
      t.match(result.detail, detail)
      t.strictSame(result.outcomes, ['failed'], 'D8: never counted as a guess')
      t.notMatch(heard, /AUTHENTICATE|LOGIN/, 'nothing secret was said')
    })
  }
})

t.test('upstreams that break when they have the secret', async (t) => {
  for (const [why, detail, rest] of [
    ['dies', /closed the connection|broke/, (peer) => peer.end()],
    ['resets', /./, (peer) => peer.reset()],
    ['says BYE', /BYE/, (peer) => peer.send('* BYE no\r\n')],
    ['asks on', /asked on/, (peer) => peer.send('+ more\r\n')],
    ['answers for somebody else', /which nobody asked/, (peer) => peer.send('x OK in\r\n')],
    [
      'offers UNAUTHENTICATE afterwards: never spliced (invariant 14)',
      /UNAUTHENTICATE/,
      (peer, tag) => peer.send(`${tag} OK [CAPABILITY IMAP4rev1 unauthenticate] in\r\n`),
    ],
    [
      'offers UNAUTHENTICATE in an untagged list (invariant 14)',
      /UNAUTHENTICATE/,
      (peer, tag) => peer.send(`* CAPABILITY IMAP4rev1 UNAUTHENTICATE\r\n${tag} OK in\r\n`),
    ],
    [
      'refuses to say what it can',
      /to CAPABILITY after/,
      async (peer, tag) => {
        peer.send(`${tag} OK in\r\n`)
        const [, second] = await peer.expect(/^(\S+) CAPABILITY$/)
        peer.send(`${second} NO\r\n`)
      },
    ],
    [
      'floods instead of saying what it can',
      /100 lines/,
      async (peer, tag) => {
        peer.send(`${tag} OK in\r\n`)
        await peer.line()
        peer.send('* OK x\r\n'.repeat(200))
      },
    ],
  ] as const satisfies [string, RegExp, (peer: ScriptedPeer, tag: string) => Promise<void> | void][]) {
    await t.test(why, async (t) => {
      const result = await logIn(t, {
        upstream: async (peer) => {
          peer.send(READY)
          const [, tag = ''] = await peer.expect(/^(\S+) AUTHENTICATE/)
          await rest(peer, tag)
          await hungUp(peer)
        },
      })
      t.match(result.answer, /^a NO \[UNAVAILABLE\] /)
      t.match(result.detail, detail)
      t.strictSame(result.outcomes, ['failed'])
    })
  }
})

t.test('OAuth: the error challenge is answered, and the verdict that follows counts', async (t) => {
  for (const [mechanism, giveUp] of [
    ['XOAUTH2', ''],
    ['OAUTHBEARER', 'AQ=='],
  ] as const) {
    await t.test(mechanism, async (t) => {
      const result = await logIn(t, {
        target: { identity: BY_TOKEN },
        upstream: async (peer) => {
          peer.send(`* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=${mechanism}] hi\r\n`)
          const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE \S+ \S+$/)
          peer.send(`+ ${base64('{"status":"400"}')}\r\n`)
          t.equal(await peer.line(), giveUp)
          peer.send(`${tag} NO [AUTHENTICATIONFAILED] token expired\r\n`)
          await hungUp(peer)
        },
      })
      t.equal(result.reason, 'upstream-refused')
      t.match(result.answer, /^a NO \[UNAVAILABLE\] /)
    })
  }
})

t.test('C3: what would break the upstream’s grammar is never sent', async (t) => {
  for (const [why, identity, greeting] of [
    ['a line end in the name', { authcid: 'ma\r\nster', authzid: '', secret: 's3cret' }, READY],
    ['NUL in the secret', { authcid: 'master', authzid: '', secret: 's3\0cret' }, READY],
    ['\\x01 in the authzid', { authcid: 'master', authzid: 'a\x01b', secret: 's3cret' }, READY],
    [
      'a line end in LOGIN',
      { authcid: 'master', authzid: '', secret: 's3\ncret' },
      '* OK [CAPABILITY IMAP4rev1] hi\r\n',
    ],
    ['an empty secret in LOGIN', { authcid: 'master', authzid: '', secret: '' }, '* OK [CAPABILITY IMAP4rev1] hi\r\n'],
  ] as const) {
    await t.test(why, async (t) => {
      let heard = ''
      const result = await logIn(t, {
        target: { identity: { kind: 'password', ...identity, secret: new Secret(identity.secret) } },
        upstream: async (peer) => {
          peer.send(greeting)
          await hungUp(peer)
          heard = peer.buffered
        },
      })
      t.match(result.answer, /^a NO \[UNAVAILABLE\] /)
      t.equal(heard, '')
    })
  }
})

t.test('STARTTLS upstream (D5, invariant 3)', async (t) => {
  const ca = await createCa()
  const pair = await ca.issue()
  const stranger = await (await createCa()).issue()
  const target = { tls: 'starttls', ca: ca.cert } as const

  await t.test('capabilities from before TLS are forgotten', async (t) => {
    const { answer } = await logIn(t, {
      target,
      upstream: async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR AUTH=X UNAUTHENTICATE] clear\r\n')
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} OK go\r\n`)
        await peer.startTlsServer(pair)
        const [, second] = await peer.expect(/^(\S+) CAPABILITY$/)
        peer.send(`* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n${second} OK done\r\n`)
        const [, third] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN$/)
        peer.send('+ \r\n')
        t.equal(await peer.line(), PLAIN)
        peer.send(`${third} OK ${CAPS} in\r\n`)
        await echo(peer)
      },
    })
    t.equal(answer, `a OK ${CAPS} Logged in.`)
  })

  for (const [why, detail, script] of [
    [
      'STARTTLS stripped from the list: it is asked for all the same',
      /to STARTTLS/,
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} BAD unknown command\r\n`)
      },
    ],
    [
      'STARTTLS refused',
      /to STARTTLS/,
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} NO\r\n`)
      },
    ],
    ['PREAUTH before STARTTLS', /PREAUTH/, (peer) => peer.send('* PREAUTH hi\r\n')],
    [
      'invariant 3: a response injected before TLS',
      /waiting/,
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n`)
      },
    ],
    [
      'invariant 3: a tagged OK injected before STARTTLS was sent',
      /before it was asked/,
      (peer) => peer.send(`${READY}S000000000000 OK go\r\n`),
    ],
    [
      'A3: a certificate of somebody else',
      /TLS/,
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} OK go\r\n`)
        peer.startTlsServer(stranger).catch(() => undefined)
      },
    ],
    [
      'garbage instead of the handshake',
      /TLS/,
      async (peer) => {
        peer.send(READY)
        const [, tag] = await peer.expect(/^(\S+) STARTTLS$/)
        peer.send(`${tag} OK go\r\n`)
        await new Promise((resolve) => setTimeout(resolve, 20))
        peer.send('no TLS today\r\n')
      },
    ],
  ] as const satisfies [string, RegExp, Script][]) {
    await t.test(why, async (t) => {
      let heard = ''
      const result = await logIn(t, {
        target,
        upstream: async (peer) => {
          await script(peer)
          await hungUp(peer)
          heard = peer.buffered
        },
      })
      t.match(result.answer, /^a NO \[UNAVAILABLE\] /)
      t.match(result.detail, detail)
      t.notMatch(heard, /AUTHENTICATE|LOGIN/, 'no secret left in the clear')
    })
  }
})
