import t from 'tap'
import type { UpstreamIdentity } from '../../../src/contract/admission.ts'
import { createCa } from '../../support/certificates.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import type { HouseOptions, Script } from '../login/house.ts'
import { MASTER_SECRET, PASSWORD } from '../login/house.ts'
import { BEARER, BY_TOKEN, byPassword } from '../login/identities.ts'
import { base64, CAPA, echo, openPop3 } from './house.ts'

const PLAIN = base64(`ann@example.org\0master\0${MASTER_SECRET}`)
const READY = '+OK ready\r\n'
const LOGIN = `USER ann\r\nPASS ${PASSWORD}\r\n`
const TEMPORARY = '-ERR [SYS/TEMP] The mail service is temporarily unavailable, please try again later.'

/** Logs in once through a house with this upstream. Resolves with the client's answer and what the log says of it. */
async function logIn(t: Parameters<typeof openPop3>[0], options: HouseOptions) {
  await using house = await openPop3(t, options)
  const client = await house.connect()
  await client.line()
  client.send(LOGIN)
  await client.line()
  const answer = await client.line()
  const failed = house.logs.of('upstream_failed').at(-1)
  let after: string | null = null
  if (answer.startsWith('+OK')) {
    client.send('STAT\r\nQUIT\r\n')
    after = await client.rest()
  } else {
    client.send('CAPA\r\n')
    t.match(await client.line(), /^\+OK /, 'client 11: the connection stays open')
    if (house.upstream.connections > 0) await house.upstream.finished()
  }
  return {
    answer,
    after,
    detail: String(failed?.detail ?? ''),
    reason: failed?.reason,
    outcomes: house.gate.outcomes,
    text: house.logs.text,
  }
}

/** Answers CAPA with these capabilities. */
async function tellCapabilities(peer: ScriptedPeer, lines: string): Promise<void> {
  await peer.expect(/^CAPA$/)
  peer.send(`+OK\r\n${lines}.\r\n`)
}

/** Up to the message that holds our credential. */
async function askForPlain(peer: ScriptedPeer, capabilities: string = CAPA): Promise<string> {
  peer.send(READY)
  await tellCapabilities(peer, capabilities)
  await peer.expect(/^AUTH PLAIN$/)
  peer.send('+ \r\n')
  return peer.line()
}

t.test('each way in that an upstream may offer', async (t) => {
  for (const [why, identity, script] of [
    [
      'PLAIN, when it is asked for',
      byPassword('ann@example.org'),
      async (peer) => {
        t.equal(await askForPlain(peer), PLAIN)
        peer.send('+OK in\r\n')
      },
    ],
    [
      'PLAIN, capabilities in lower case, a continuation without its blank',
      byPassword(''),
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'sasl login plain\r\n')
        await peer.expect(/^AUTH PLAIN$/)
        peer.send('+\r\n')
        t.equal(await peer.line(), base64(`\0master\0${MASTER_SECRET}`))
        peer.send('+OK\r\n')
      },
    ],
    [
      'USER and PASS, where there is no SASL PLAIN',
      byPassword('', `blank and pässwörd ${MASTER_SECRET}`),
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'USER\r\nSASL CRAM-MD5\r\n')
        await peer.expect(/^USER master$/)
        peer.send('+OK\r\n')
        const secret = Buffer.from(`blank and pässwörd ${MASTER_SECRET}`).toString('latin1')
        t.equal(await peer.line(), `PASS ${secret}`)
        peer.send('+OK in\r\n')
      },
    ],
    [
      'USER and PASS, where CAPA is not known (RFC 1939 and no more)',
      byPassword('master'),
      async (peer) => {
        peer.send(READY)
        await peer.expect(/^CAPA$/)
        peer.send('-ERR what?\r\n')
        await peer.expect(/^USER master$/)
        peer.send('+OK\r\n')
        await peer.expect(new RegExp(`^PASS ${MASTER_SECRET}$`))
        peer.send('+OK in\r\n')
      },
    ],
    [
      'XOAUTH2',
      BY_TOKEN,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'SASL PLAIN XOAUTH2\r\n')
        await peer.expect(/^AUTH XOAUTH2$/)
        peer.send('+ \r\n')
        t.equal(await peer.line(), base64(`user=ann@example.org\x01auth=Bearer ${MASTER_SECRET}\x01\x01`))
        peer.send('+OK in\r\n')
      },
    ],
    [
      'OAUTHBEARER',
      BY_TOKEN,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'SASL XOAUTH2 OAUTHBEARER\r\n')
        await peer.expect(/^AUTH OAUTHBEARER$/)
        peer.send('+ \r\n')
        const message = Buffer.from(await peer.line(), 'base64').toString()
        t.match(message, BEARER)
        peer.send('+OK in\r\n')
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
      t.equal(answer, '+OK Logged in.')
      t.equal(after, '+OK STAT done\r\n+OK QUIT done\r\n')
      t.strictSame(outcomes, ['accepted'])
    })
  }
})

t.test('D6: bytes behind the OK in the same segment reach the client, whole and once', async (t) => {
  const noise = Buffer.from(Array.from({ length: 30_000 }, (_, i) => i % 251))
  await using house = await openPop3(t, {
    upstream: async (peer) => {
      await askForPlain(peer)
      peer.send(Buffer.concat([Buffer.from('+OK in\r\n'), noise]))
      await peer.expect(/never/).catch(() => undefined)
    },
  })
  const client = await house.connect()
  await client.line()
  client.send(LOGIN)
  await client.line()
  await client.line()
  t.strictSame(await client.bytes(noise.length), noise)
  client.end()
  await house.served()
  t.match(house.gate.ends[0]?.end, { reason: 'client-closed', netOutBytes: noise.length, netInBytes: 0 })
})

t.test('XCLIENT tells a trusted upstream whose connection this is', async (t) => {
  for (const [why, trusted, greeting, offer, wanted] of [
    ['trusted, offered in CAPA', true, READY, 'XCLIENT\r\n', true],
    ['trusted, offered in the greeting (Dovecot)', true, '+OK [XCLIENT] ready\r\n', '', true],
    ['not trusted', false, '+OK [XCLIENT] ready\r\n', 'XCLIENT\r\n', false],
    ['trusted, but it knows no XCLIENT', true, READY, '', false],
  ] as const) {
    await t.test(why, async (t) => {
      const said: string[] = []
      await using house = await openPop3(t, {
        target: { trusted },
        upstream: async (peer) => {
          peer.send(greeting)
          await tellCapabilities(peer, `SASL PLAIN\r\n${offer}`)
          let line = await peer.line()
          if (line.startsWith('XCLIENT')) {
            said.push(line)
            peer.send('+OK Updated\r\n')
            line = await peer.line()
          }
          t.equal(line, 'AUTH PLAIN')
          peer.send('+ \r\n')
          await peer.line()
          peer.send('+OK in\r\n')
          if (offer !== '' || greeting !== READY) await tellCapabilities(peer, 'TOP\r\n')
          await echo(peer)
        },
      })
      const client = await house.connect()
      await client.line()
      client.send(`XCLIENT ADDR=10.9.8.7\r\n${LOGIN}STAT\r\n`)
      t.match(await client.line(), /^-ERR /)
      await client.line()
      t.equal(await client.line(), '+OK Logged in.')
      t.equal(await client.line(), '+OK STAT done')
      const { peer } = house.gate.attempts[0] ?? { peer: null }
      t.strictSame(
        said,
        wanted ? [`XCLIENT ADDR=127.0.0.1 PORT=${peer?.port} SESSION=${house.gate.settled[0]?.id} TTL=4`] : [],
        'A13: in the socket’s words, not the client’s',
      )
    })
  }
})

t.test('invariant 14: an upstream that takes XCLIENT after the login is never spliced', async (t) => {
  for (const [why, trusted, greeting, before] of [
    ['offered in CAPA', false, READY, 'XCLIENT\r\nSASL PLAIN\r\n'],
    ['offered in the greeting', false, '+OK [XCLIENT] ready\r\n', 'SASL PLAIN\r\n'],
    ['and used', true, READY, 'xclient ADDR PORT\r\nSASL PLAIN\r\n'],
  ] as const) {
    await t.test(why, async (t) => {
      const result = await logIn(t, {
        target: { trusted },
        upstream: async (peer) => {
          peer.send(greeting)
          await tellCapabilities(peer, before)
          if (trusted) {
            await peer.expect(/^XCLIENT /)
            peer.send('+OK\r\n')
          }
          await peer.expect(/^AUTH PLAIN$/)
          peer.send('+ \r\n')
          await peer.line()
          peer.send('+OK in\r\n')
          await tellCapabilities(peer, 'TOP\r\nXCLIENT\r\n')
          await peer.untilClosed()
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.equal(result.reason, 'upstream-protocol')
      t.match(result.detail, /XCLIENT after login.*switch that off/)
    })
  }
  await t.test('what stands behind the OK by then is the client’s (D6)', async (t) => {
    const { answer, after } = await logIn(t, {
      upstream: async (peer) => {
        peer.send('+OK [XCLIENT] ready\r\n')
        await tellCapabilities(peer, 'SASL PLAIN\r\n')
        await peer.expect(/^AUTH PLAIN$/)
        peer.send('+ \r\n')
        await peer.line()
        peer.send('+OK in\r\nbehind\r\nhal')
        await tellCapabilities(peer, 'TOP\r\n')
        await echo(peer)
      },
    })
    t.equal(answer, '+OK Logged in.')
    t.equal(after, 'behind\r\nhal+OK STAT done\r\n+OK QUIT done\r\n')
  })
})

t.test('invariant 11, D7: what an upstream refuses never reads as a wrong password, nor in its words', async (t) => {
  for (const [answer, capabilities, reason, outcome] of [
    ['-ERR [AUTH] Wrong, wrong!', CAPA, 'upstream-refused', 'upstream-refused'],
    ['-ERR [AUTH] Wrong, wrong!', 'SASL PLAIN\r\n', 'upstream-refused', 'upstream-refused'],
    ['-ERR Logon failure', 'SASL PLAIN\r\n', 'upstream-refused', 'upstream-refused'],
    ['-ERR Disk full', CAPA, 'upstream-protocol', 'failed'],
    ['-ERR [SYS/TEMP] Later', CAPA, 'upstream-unreachable', 'failed'],
    ['-ERR [IN-USE] Locked', CAPA, 'upstream-unreachable', 'failed'],
    ['-ERR [LOGIN-DELAY] Slowly', CAPA, 'upstream-unreachable', 'failed'],
    ['-ERR [SYS/PERM] Never', CAPA, 'upstream-protocol', 'failed'],
    ['-ERR [X-WHAT] Hm', 'SASL PLAIN\r\n', 'upstream-protocol', 'failed'],
  ] as const) {
    await t.test(`${answer} ${capabilities === CAPA ? '(says why, RFC 3206 §6)' : ''}`, async (t) => {
      const result = await logIn(t, {
        upstream: async (peer) => {
          await askForPlain(peer, capabilities)
          peer.send(`${answer} ${MASTER_SECRET} ${PLAIN}\r\n`)
          await peer.untilClosed()
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.equal(result.reason, reason)
      t.strictSame(result.outcomes, [outcome])
      t.match(result.detail, answer.slice(0, 12), 'the upstream’s words are in the log')
      t.notOk(result.text.includes(MASTER_SECRET), 'invariant 5: but not the secret that it echoed')
      t.notOk(result.text.includes(PLAIN), 'invariant 5: in no form')
    })
  }
  for (const [why, replies] of [
    ['to USER', ['-ERR no such']],
    ['to PASS', ['+OK', '-ERR no']],
  ] as const) {
    await t.test(`refused ${why}`, async (t) => {
      const result = await logIn(t, {
        target: { identity: byPassword('') },
        upstream: async (peer) => {
          peer.send(READY)
          await tellCapabilities(peer, 'USER\r\n')
          for (const reply of replies) {
            await peer.line()
            peer.send(`${reply}\r\n`)
          }
          await peer.untilClosed()
          t.equal(peer.buffered, '', 'and nothing more was said')
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.equal(result.reason, 'upstream-refused')
    })
  }
})

t.test('with verifiedBy upstream its refusal is a wrong password, and nothing else is', async (t) => {
  for (const [answer, want, outcome] of [
    ['-ERR [AUTH] x', '-ERR [AUTH] Authentication failed.', 'upstream-refused'],
    ['-ERR x', TEMPORARY, 'failed'],
    ['-ERR [SYS/TEMP] x', TEMPORARY, 'failed'],
    ['-ERR [IN-USE] x', TEMPORARY, 'failed'],
  ] as const) {
    await t.test(answer, async (t) => {
      await using house = await openPop3(t, {
        upstream: async (peer) => {
          await askForPlain(peer)
          peer.send(`${answer}\r\n`)
          await peer.untilClosed()
        },
      })
      house.gate.verifiedBy = 'upstream'
      const client = await house.connect()
      await client.line()
      client.send(LOGIN)
      await client.line()
      t.equal(await client.line(), want)
      t.strictSame(house.gate.outcomes, [outcome])
    })
  }
})

t.test('hostile and broken upstreams: a temporary failure, closed, and no secret told (D1–D4)', async (t) => {
  const flood = async (peer: ScriptedPeer, text: string) => {
    for (let i = 0; i < 400 && !peer.closed; i++) {
      peer.send(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  for (const [why, detail, script, options] of [
    ['D1: -ERR', /greeted with/, (peer) => peer.send('-ERR [SYS/TEMP] not today\r\n')],
    ['D1: a continuation', /greeted with/, (peer) => peer.send('+ go on\r\n')],
    ['D1: garbage', /instead of the greeting/, (peer) => peer.send('\x16\x03\x01garbage\r\n')],
    ['D1: HTTP', /instead of the greeting/, (peer) => peer.send('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['D1: IMAP', /instead of the greeting/, (peer) => peer.send('* OK IMAP4rev1\r\n')],
    ['D1: SMTP', /instead of the greeting/, (peer) => peer.send('220 mx ESMTP\r\n')],
    ['D1: NUL', /instead of the greeting/, (peer) => peer.send('+OK a\0b\r\n')],
    ['D1: it hangs up at once', /closed the connection/, (peer) => peer.end()],
    ['D1: it resets at once', /./, (peer) => peer.reset()],
    ['D2: an endless line', /longer than/, (peer) => flood(peer, 'x'.repeat(1000))],
    [
      'D2: endless capabilities',
      /100 lines/,
      async (peer) => {
        peer.send(READY)
        await peer.line()
        await flood(peer, `+OK\r\n${'TOP\r\n'.repeat(10)}`)
      },
    ],
    [
      'D2: more bytes than the budget in few lines',
      /./,
      async (peer) => {
        peer.send(READY)
        await peer.line()
        await flood(peer, `+OK\r\nX ${'x'.repeat(8000)}\r\n`)
      },
    ],
    ['D3: silence', /time/, () => undefined, { dialMs: 150 }],
    [
      'D3: dripping',
      /time/,
      async (peer) => {
        for (let i = 0; i < 200 && !peer.closed; i++) {
          peer.send('+OK xx'.charAt(i % 6))
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      },
      { dialMs: 150 },
    ],
    [
      'D4: an answer before the command',
      /before it was asked/,
      (peer) => peer.send(`${READY}+OK\r\nSASL PLAIN\r\n.\r\n`),
    ],
    [
      'D4: a verdict behind the capabilities',
      /before it was asked/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'SASL PLAIN\r\n.\r\n+ \r\n+OK in\r\n')
      },
    ],
    [
      'CAPA is answered with a continuation',
      /to CAPA/,
      async (peer) => {
        peer.send(READY)
        await peer.line()
        peer.send('+ \r\n')
      },
    ],
    [
      'a list that is no list',
      /in CAPA/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'SASL PLAIN\r\n\r\n')
      },
    ],
    [
      'it leaves in the middle of its list',
      /closed the connection/,
      async (peer) => {
        peer.send(READY)
        await peer.line()
        peer.end('+OK\r\nSASL PLAIN\r\n')
      },
    ],
    [
      'neither USER nor SASL',
      /takes no password/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'TOP\r\nSTLS\r\n')
      },
    ],
    [
      'an empty list',
      /takes no password/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, '')
      },
    ],
    [
      'USER only, where somebody has to act for the user',
      /SASL PLAIN/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, 'USER\r\n')
      },
    ],
    [
      'AUTH is refused before it had anything',
      /before it had our credential/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, CAPA)
        await peer.line()
        peer.send('-ERR [AUTH] no\r\n')
        peer.expect(/./).catch(() => undefined)
      },
    ],
    [
      'AUTH is granted before it had anything',
      /before it had our credential/,
      async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, CAPA)
        await peer.line()
        peer.send('+OK in\r\n')
      },
    ],
    [
      'XCLIENT is refused',
      /to XCLIENT/,
      async (peer) => {
        peer.send('+OK [XCLIENT] hi\r\n')
        await tellCapabilities(peer, CAPA)
        await peer.expect(/^XCLIENT /)
        peer.send('-ERR You are not trusted\r\n')
      },
      { target: { trusted: true } },
    ],
  ] as const satisfies [string, RegExp, Script, HouseOptions?][]) {
    await t.test(why, async (t) => {
      let heard = ''
      const result = await logIn(t, {
        ...options,
        upstream: async (peer) => {
          await script(peer)
          await peer.untilClosed()
          heard = peer.buffered
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.match(result.reason, /^upstream-(protocol|unreachable)$/)
      t.match(result.detail, detail)
      t.strictSame(result.outcomes, ['failed'], 'D8: never counted as a guess')
      t.notMatch(heard, /AUTH|USER|PASS/, 'nothing secret was said')
      t.notOk(heard.includes(PLAIN))
    })
  }
})

t.test('upstreams that break when they have the secret', async (t) => {
  for (const [why, detail, rest] of [
    ['dies', /closed the connection|broke/, (peer) => peer.end()],
    ['resets', /./, (peer) => peer.reset()],
    ['asks on', /answered .* to AUTH PLAIN/, (peer) => peer.send('+ more\r\n')],
    ['says something else', /instead of AUTH PLAIN/, (peer) => peer.send('* OK in\r\n')],
  ] as const satisfies [string, RegExp, Script][]) {
    await t.test(why, async (t) => {
      const result = await logIn(t, {
        upstream: async (peer) => {
          await askForPlain(peer)
          await rest(peer)
          await peer.untilClosed()
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.match(result.detail, detail)
      t.strictSame(result.outcomes, ['failed'])
    })
  }
  await t.test('stalls (D3)', async (t) => {
    const result = await logIn(t, {
      dialMs: 150,
      upstream: async (peer) => {
        await askForPlain(peer)
        await peer.untilClosed()
      },
    })
    t.equal(result.answer, TEMPORARY)
    t.strictSame(result.outcomes, ['failed'])
  })
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
          peer.send(READY)
          await tellCapabilities(peer, `SASL ${mechanism}\r\nAUTH-RESP-CODE\r\n`)
          await peer.line()
          peer.send('+ \r\n')
          await peer.line()
          peer.send(`+ ${base64('{"status":"400"}')}\r\n`)
          t.equal(await peer.line(), giveUp)
          peer.send('-ERR [AUTH] token expired\r\n')
          await peer.untilClosed()
        },
      })
      t.equal(result.reason, 'upstream-refused')
      t.equal(result.answer, TEMPORARY)
    })
  }
  await t.test('neither is offered', async (t) => {
    const result = await logIn(t, {
      target: { identity: BY_TOKEN },
      upstream: async (peer) => {
        peer.send(READY)
        await tellCapabilities(peer, CAPA)
        await peer.untilClosed()
      },
    })
    t.match(result.detail, /neither OAUTHBEARER nor XOAUTH2/)
  })
})

t.test('C3: what would break the upstream’s grammar is never sent', async (t) => {
  for (const [why, identity, capabilities] of [
    ['a line end in the name', byPassword('', 's3cret', 'ma\r\nster'), CAPA],
    ['NUL in the secret', byPassword('', 's3\0cret'), CAPA],
    ['\\x01 in the authzid', byPassword('a\x01b', 's3cret'), CAPA],
    ['a line end for PASS', byPassword('', 's3\ncret'), 'USER\r\n'],
    ['a blank for USER', byPassword('', 's3cret', 'master ann'), 'USER\r\n'],
    ['nothing for USER', byPassword('', 's3cret', ''), 'USER\r\n'],
    ['nothing for PASS', byPassword('', ''), 'USER\r\n'],
  ] as const) {
    await t.test(why, async (t) => {
      let heard = ''
      const result = await logIn(t, {
        target: { identity },
        upstream: async (peer) => {
          peer.send(READY)
          await tellCapabilities(peer, capabilities)
          await peer.untilClosed()
          heard = peer.buffered
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.equal(heard, '')
    })
  }
})

t.test('STLS upstream (D5, invariant 3)', async (t) => {
  const ca = await createCa()
  const pair = await ca.issue()
  const stranger = await (await createCa()).issue()
  const target = { tls: 'starttls', ca: ca.cert } as const

  await t.test('capabilities are asked for behind TLS only', async (t) => {
    const { answer } = await logIn(t, {
      target,
      upstream: async (peer) => {
        peer.send(READY)
        await peer.expect(/^STLS$/)
        peer.send('+OK go\r\n')
        await peer.startTlsServer(pair)
        await tellCapabilities(peer, CAPA)
        await peer.expect(/^AUTH PLAIN$/)
        peer.send('+ \r\n')
        t.equal(await peer.line(), PLAIN)
        peer.send('+OK in\r\n')
        await echo(peer)
      },
    })
    t.equal(answer, '+OK Logged in.')
  })

  for (const [why, detail, script] of [
    [
      'refused',
      /to STLS/,
      async (peer) => {
        peer.send(READY)
        await peer.expect(/^STLS$/)
        peer.send('-ERR unknown command\r\n')
      },
    ],
    [
      'invariant 3: capabilities injected before TLS',
      /waiting/,
      async (peer) => {
        peer.send(READY)
        await peer.expect(/^STLS$/)
        peer.send('+OK go\r\n+OK\r\nSASL PLAIN\r\n.\r\n')
      },
    ],
    [
      'invariant 3: an OK injected before STLS was sent',
      /before it was asked/,
      (peer) => peer.send(`${READY}+OK go\r\n`),
    ],
    [
      'A3: a certificate of somebody else',
      /TLS/,
      async (peer) => {
        peer.send(READY)
        await peer.expect(/^STLS$/)
        peer.send('+OK go\r\n')
        peer.startTlsServer(stranger).catch(() => undefined)
      },
    ],
    [
      'garbage instead of the handshake',
      /TLS/,
      async (peer) => {
        peer.send(READY)
        await peer.expect(/^STLS$/)
        peer.send('+OK go\r\n')
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
          await peer.untilClosed()
          heard = peer.buffered
        },
      })
      t.equal(result.answer, TEMPORARY)
      t.match(result.detail, detail)
      t.notMatch(heard, /AUTH|USER|PASS/, 'no secret left in the clear')
    })
  }
})

t.test('D9: an upstream that dies in mid-session ends the client’s connection', async (t) => {
  await using house = await openPop3(t, {
    upstream: async (peer) => {
      await askForPlain(peer)
      peer.send('+OK in\r\n')
      await peer.expect(/^RETR 1$/)
      peer.send('+OK\r\nhalf a mes')
      peer.end()
    },
  })
  const client = await house.connect()
  await client.line()
  client.send(`${LOGIN}RETR 1\r\n`)
  await client.line()
  await client.line()
  t.equal(await client.rest(), '+OK\r\nhalf a mes', 'what it had said arrives')
  await house.served()
  t.match(house.gate.ends, [{ end: { reason: 'upstream-closed' } }])
})
