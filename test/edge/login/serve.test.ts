import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Grant } from '../../../src/contract/admission.ts'
import { LoginFailure } from '../../../src/contract/failure.ts'
import { createImap } from '../../../src/edge/imap/index.ts'
import type { LoginDialogue, Protocol } from '../../../src/edge/login/protocol.ts'
import { asLoginFailure } from '../../../src/edge/login/serve.ts'
import { DialError } from '../../../src/edge/net/dial.ts'
import { WireError } from '../../../src/edge/net/wire.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import { quickest } from '../../support/quickest.ts'
import type { House } from './house.ts'
import { friendlyUpstream, openHouse, PASSWORD } from './house.ts'

const LOGIN = `a LOGIN ann "${PASSWORD}"\r\n`

async function talkTo(house: House): Promise<ScriptedPeer> {
  const client = await house.connect()
  await client.line()
  return client
}

/** A script that says nothing, and two promises: somebody has come, and has gone. */
function silentUpstream() {
  const came = Promise.withResolvers<ScriptedPeer>()
  const went = Promise.withResolvers<void>()
  return {
    came: came.promise,
    went: went.promise,
    script: (peer: ScriptedPeer) => {
      // Our side closes in good order as well once the other has.
      peer.socket.once('end', () => peer.end()).once('close', () => went.resolve())
      came.resolve(peer)
    },
  }
}

t.test('invariant 7: in the registry from the grant until both sockets are closed', async (t) => {
  const upstream = silentUpstream()
  await using house = await openHouse(t, { upstream: upstream.script })
  house.gate.granted = () => t.equal(house.sessions.size, 0, 'not before the grant')
  const client = await talkTo(house)
  client.send(LOGIN)
  const peer = await upstream.came
  t.match(house.sessions.list(), [{ logName: 'ann@example.org', protocol: 'imap', settled: false }], 'while dialling')
  peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
  const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
  t.equal(house.sessions.size, 1, 'while logging in upstream')
  peer.send(`${tag} OK [CAPABILITY IMAP4rev1] in\r\n`)
  await client.line()
  t.match(house.sessions.list(), [{ settled: true }], 'while spliced')
  client.end()
  await house.served()
  t.equal(house.sessions.size, 0)
  t.strictSame(house.gate.outcomes, ['accepted'])
  t.match(house.gate.ends, [{ end: { reason: 'client-closed', netInBytes: 0, netOutBytes: 0 } }])
})

t.test('invariant 4: a login that is decided after its time was up is refused, not forgotten', async (t) => {
  const upstream = silentUpstream()
  await using house = await openHouse(t, { upstream: upstream.script })
  const client = await talkTo(house)
  client.send(LOGIN)
  const peer = await upstream.came
  house.listener.expireLogins()
  peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
  const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
  peer.send(`${tag} OK [CAPABILITY IMAP4rev1] in\r\n`)
  t.match(await client.line(), /^a NO \[UNAVAILABLE\] /)
  t.match(await client.line(), /^\* BYE /)
  await Promise.all([client.untilClosed(), upstream.went, house.served()])
  t.strictSame(house.gate.outcomes, ['failed'])
  t.strictSame(house.gate.ends, [])
  t.strictSame(house.logs.of('login_accepted'), [])
})

t.test(
  'invariants 4 and 8: ended at any moment, nothing survives and the client hears no wrong password',
  async (t) => {
    const gone = /^a NO \[UNAVAILABLE\] /
    await t.test('before the grant has been read', async (t) => {
      await using house = await openHouse(t)
      house.gate.granted = (grant) => house.sessions.end(grant.id)
      const client = await talkTo(house)
      client.send(LOGIN)
      t.match(await client.line(), gone)
      t.equal(house.upstream.connections, 0, 'nobody dials any more')
      t.strictSame(house.gate.outcomes, ['failed'])
    })
    await t.test('while dialling', async (t) => {
      const upstream = silentUpstream()
      await using house = await openHouse(t, { upstream: upstream.script })
      const client = await talkTo(house)
      client.send(LOGIN)
      await upstream.came
      house.sessions.endAll('revoked')
      t.match(await client.line(), gone)
      await upstream.went
      t.strictSame(house.gate.outcomes, ['failed'])
      t.equal(house.sessions.size, 0)
      t.equal(house.logs.of('upstream_failed').length, 0, 'the upstream did nothing wrong')
      client.send('b NOOP\r\n')
      t.match(await client.line(), /^b OK /, 'and may try again')
    })
    await t.test('in the middle of the upstream’s login', async (t) => {
      const upstream = silentUpstream()
      await using house = await openHouse(t, { upstream: upstream.script })
      const client = await talkTo(house)
      client.send(LOGIN)
      const peer = await upstream.came
      peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
      await peer.expect(/AUTHENTICATE/)
      for (const { grantId } of house.sessions.list()) house.sessions.end(grantId)
      t.match(await client.line(), gone)
      await upstream.went
      t.strictSame(house.gate.outcomes, ['failed'])
    })
    await t.test('when spliced: both legs are cut', async (t) => {
      for (const [reason, why] of [
        ['revoked', 'by the keeper'],
        ['drained', 'by the edge itself'],
      ] as const) {
        await t.test(why, async (t) => {
          const left = Promise.withResolvers<void>()
          await using house = await openHouse(t, {
            upstream: async (peer) => {
              await friendlyUpstream()(peer, 1)
              left.resolve()
            },
          })
          const client = await talkTo(house)
          client.send(LOGIN)
          await client.line()
          const start = performance.now()
          house.sessions.endAll(reason)
          t.equal(await client.rest(), '', 'without a word: after the login we do not speak')
          await left.promise
          await house.served()
          t.ok(performance.now() - start < 10_000, 'at once: nothing else would end it')
          t.match(house.gate.ends, [{ end: { reason } }])
          t.match(await house.logs.wait('session_ended'), { reason })
        })
      }
    })
  },
)

t.test('a client that vanishes', async (t) => {
  await t.test('while its verdict is pending: settled as client-gone, nobody dials', async (t) => {
    await using house = await openHouse(t)
    const asked = Promise.withResolvers<void>()
    const verdict = Promise.withResolvers<void>()
    house.gate.decide = () => {
      asked.resolve()
      return verdict.promise
    }
    const client = await talkTo(house)
    client.send(LOGIN)
    await asked.promise
    client.reset()
    await new Promise((resolve) => setTimeout(resolve, 30))
    verdict.resolve()
    await house.served()
    t.strictSame(house.gate.outcomes, ['client-gone'])
    t.equal(house.upstream.connections, 0)
  })
  await t.test('while we dial: the upstream is left, settled as client-gone', async (t) => {
    const upstream = silentUpstream()
    await using house = await openHouse(t, { upstream: upstream.script })
    const client = await talkTo(house)
    client.send(LOGIN)
    await upstream.came
    client.reset()
    await upstream.went
    await house.served()
    t.strictSame(house.gate.outcomes, ['client-gone'])
    t.equal(house.logs.of('upstream_failed').length, 0, 'the upstream did nothing wrong')
    t.match(house.logs.of('connection_closed'), [{ result: 'client-gone', user: 'ann@example.org' }])
  })
  await t.test('when it gets its OK: the accepted grant ends all the same', async (t) => {
    const failing = (options: Parameters<typeof createImap>[0]): Protocol => {
      const imap = createImap(options)
      return {
        ...imap,
        async greet(wire, peer) {
          const dialogue = await imap.greet(wire, peer)
          return {
            next: () => dialogue.next(),
            reject: (why) => dialogue.reject(why),
            accept: () => Promise.reject(new WireError('ERR_WIRE_RESET', 'gone')),
          }
        },
      }
    }
    await using house = await openHouse(t, { protocol: failing })
    const client = await talkTo(house)
    client.send(LOGIN)
    t.equal(await client.rest(), '')
    await house.served()
    t.match(house.gate.ends, [{ end: { reason: 'client-closed', netInBytes: 0, netOutBytes: 0 } }])
    const start = performance.now()
    await house.upstream.finished()
    t.ok(performance.now() - start < 20_000, 'and the upstream is left at once')
  })
})

t.test('the delay of a refusal', async (t) => {
  const slow = (house: House, delayMs: number) => {
    house.gate.decide = () => {
      throw new LoginFailure('bad-credentials', 'wrong', { delayMs })
    }
  }
  await t.test('is served before the answer', async (t) => {
    await using house = await openHouse(t)
    slow(house, 120)
    const client = await talkTo(house)
    const start = performance.now()
    client.send(`${LOGIN}b NOOP\r\n`)
    t.match(await client.line(), /^a NO \[AUTHENTICATIONFAILED\] /)
    t.ok(performance.now() - start >= 115, 'not before')
    t.match(await client.line(), /^b OK /)
  })
  await t.test('is in the grant where the upstream judges, whose time is part of it', async (t) => {
    let upstreamMs = 0
    await using house = await openHouse(t, {
      upstream: async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
        const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE/)
        await new Promise((resolve) => setTimeout(resolve, upstreamMs))
        peer.send(`${tag} NO [AUTHENTICATIONFAILED] no\r\n`)
        await peer.untilClosed()
      },
    })
    house.gate.verifiedBy = 'upstream'
    house.gate.refusedAfterMs = 1000
    for (upstreamMs of [0, 800]) {
      const tookMs = await quickest(1700, async () => {
        const client = await talkTo(house)
        const from = performance.now()
        client.send(LOGIN)
        t.match(await client.line(), /^a NO \[AUTHENTICATIONFAILED\] /)
        return performance.now() - from
      })
      t.ok(tookMs >= 995 && tookMs < 1700, `invariant 6: an upstream that takes ${upstreamMs} ms: ${tookMs} ms`)
    }
    t.strictSame(new Set(house.gate.outcomes), new Set(['upstream-refused']))
  })

  await t.test('is not held by a client that has gone', async (t) => {
    await using house = await openHouse(t)
    slow(house, 60_000)
    const client = await talkTo(house)
    client.send(LOGIN)
    await house.logs.wait('login_refused')
    const start = performance.now()
    client.reset()
    await house.served()
    t.ok(performance.now() - start < 20_000, 'not held for a minute')
  })
  await t.test('B3: a client that only stops talking does not get its answer early', async (t) => {
    await using house = await openHouse(t)
    slow(house, 60_000)
    const client = await talkTo(house)
    client.send(LOGIN)
    await house.logs.wait('login_refused')
    client.end()
    t.equal(await client.rest(), '', 'no answer at all')
  })
})

t.test('a client that says all at once and stops talking is served', async (t) => {
  await using house = await openHouse(t)
  const client = await talkTo(house)
  client.end(`${LOGIN}b SELECT INBOX\r\nc LOGOUT\r\n`)
  const lines = (await client.rest()).split('\r\n')
  t.match(lines[0], /^a OK /)
  t.strictSame(lines.slice(1), ['b OK SELECT done', 'c OK LOGOUT done', ''])
})

t.test('how sessions end, and what is noted of it', async (t) => {
  await t.test('D9: the upstream hangs up: the client is closed at once', async (t) => {
    await using house = await openHouse(t, {
      upstream: async (peer) => {
        peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n')
        const [, tag] = await peer.expect(/^(\S+) AUTH/)
        peer.send(`${tag} OK [CAPABILITY IMAP4rev1] in\r\n`)
        await peer.expect(/^b NOOP$/)
        peer.end('* BYE bye\r\n')
      },
    })
    const client = await talkTo(house)
    client.send(`${LOGIN}b NOOP\r\n`)
    await client.line()
    t.equal(await client.rest(), '* BYE bye\r\n')
    client.end()
    await house.served()
    t.match(house.gate.ends, [{ end: { reason: 'upstream-closed', netInBytes: 8, netOutBytes: 11 } }])
    const line = await house.logs.wait('session_ended')
    t.match(line, {
      session: house.gate.settled[0]?.id,
      protocol: 'imap',
      user: 'ann@example.org',
      app_password: 'p1',
      app_password_name: 'phone',
      mechanism: 'LOGIN',
      reason: 'upstream-closed',
      net_in_bytes: 8,
      net_out_bytes: 11,
      upstream: 'main',
    })
    t.type(line.duration_ms, 'number')
    const text = await house.metrics.registry.metrics()
    t.match(text, 'sallyport_logins_total{protocol="imap",result="accepted",reason=""} 1')
    t.match(text, 'sallyport_bytes_total{protocol="imap",direction="in"} 8')
    t.match(text, 'sallyport_bytes_total{protocol="imap",direction="out"} 11')
    t.match(text, 'sallyport_sessions{protocol="imap"} 0')
    t.match(text, 'sallyport_session_duration_seconds_count{protocol="imap"} 1')
    t.match(text, 'sallyport_login_duration_seconds_count{protocol="imap"} 1')
    t.match(text, 'sallyport_upstream_login_duration_seconds_count{upstream="main"} 1')
  })
  await t.test('idle', async (t) => {
    await using house = await openHouse(t, { idleMs: 100 })
    const client = await talkTo(house)
    client.send(LOGIN)
    await client.line()
    t.equal(await client.rest(), '')
    await house.served()
    t.match(house.gate.ends, [{ end: { reason: 'idle' } }])
  })
})

t.test('D8: an upstream that is not there is no wrong password', async (t) => {
  await using house = await openHouse(t, { target: { hosts: [{ host: '127.0.0.1', port: 1 }] } })
  const client = await talkTo(house)
  client.send(LOGIN)
  t.match(await client.line(), /^a NO \[UNAVAILABLE\] /)
  t.strictSame(house.gate.outcomes, ['failed'])
  t.match(await house.logs.wait('upstream_failed'), {
    reason: 'upstream-unreachable',
    error_code: 'ERR_DIAL_REFUSED',
    upstream: 'main',
  })
  t.match(await house.logs.wait('login_refused'), {
    result: 'failed',
    reason: 'upstream-unreachable',
    user: 'ann@example.org',
  })
  t.match(
    await house.metrics.registry.metrics(),
    'sallyport_upstream_failures_total{upstream="main",reason="upstream-unreachable"} 1',
  )
})

t.test(
  'an upstream that is gone right behind its OK: the client, not yet told, hears of a temporary failure',
  async (t) => {
    const withGone = (options: Parameters<typeof createImap>[0]): Protocol => {
      const imap = createImap(options)
      return {
        ...imap,
        async login(...all) {
          const { capabilities } = await imap.login(...all)
          return {
            capabilities,
            release() {
              throw new WireError('ERR_WIRE_RESET', 'gone')
            },
          }
        },
      }
    }
    await using house = await openHouse(t, { protocol: withGone })
    const client = await talkTo(house)
    client.send(LOGIN)
    t.match(await client.line(), /^a NO \[UNAVAILABLE\] /)
    t.strictSame(house.gate.outcomes, ['failed'])
    await house.upstream.finished()
  },
)

t.test('a bug ends its connection, is logged and counted, and settles what was granted', async (t) => {
  await t.test('in the gate', async (t) => {
    await using house = await openHouse(t, { expectBugs: 1 })
    house.gate.decide = () => {
      throw new TypeError('x is not a function')
    }
    const client = await talkTo(house)
    client.send(LOGIN)
    t.equal(await client.rest(), '')
    await house.served()
    t.match(await house.metrics.registry.metrics(), 'sallyport_bugs_total 1')
    t.strictSame(house.gate.outcomes, [])
  })
  await t.test('in the upstream’s login', async (t) => {
    await using house = await openHouse(t, {
      expectBugs: 1,
      protocol: (options) => ({ ...createImap(options), login: () => Promise.reject(new TypeError('oops')) }),
    })
    const client = await talkTo(house)
    client.send(LOGIN)
    t.equal(await client.rest(), '')
    await house.served()
    t.strictSame(house.gate.outcomes, ['failed'])
    t.equal(house.sessions.size, 0)
    await house.upstream.finished()
  })
})

t.test('what a lower error means is said in one place', async (t) => {
  const reason = (error: unknown, by: 'us' | 'upstream' = 'us') =>
    asLoginFailure(error, { verifiedBy: by })?.reason ?? null
  for (const [error, want, why] of [
    [new LoginFailure('throttled', 'x'), 'throttled', 'a failure is itself'],
    [new LoginFailure('upstream-refused', 'x'), 'upstream-refused', 'our credential'],
    [new DialError('ERR_DIAL_TLS', 'x'), 'upstream-unreachable', 'no connection'],
    [new WireError('ERR_WIRE_DEADLINE', 'x'), 'upstream-unreachable', 'too slow'],
    [new WireError('ERR_WIRE_RESET', 'x'), 'upstream-unreachable', 'broke'],
    [new WireError('ERR_WIRE_BUDGET', 'x'), 'upstream-protocol', 'too much'],
    [new WireError('ERR_WIRE_INJECTED', 'x'), 'upstream-protocol', 'injected'],
    [new WireError('ERR_WIRE_TLS', 'x'), 'upstream-protocol', 'no TLS'],
    [new TypeError('x'), null, 'a bug'],
    ['x', null, 'anything else'],
  ] as const) {
    t.equal(reason(error), want, why)
  }
  t.equal(
    reason(new LoginFailure('upstream-refused', 'x'), 'upstream'),
    'bad-credentials',
    'the client’s own credential',
  )
  t.equal(reason(new LoginFailure('upstream-unreachable', 'x'), 'upstream'), 'upstream-unreachable')
})

t.test('after the login its objects are garbage', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const refs: { readonly what: string; readonly ref: WeakRef<object> }[] = []
  const note = (what: string, object: object) => refs.push({ what, ref: new WeakRef(object) })
  const watched = (options: Parameters<typeof createImap>[0]): Protocol => {
    const imap = createImap(options)
    return {
      name: imap.name,
      lastWords: imap.lastWords,
      async greet(wire, peer) {
        const dialogue: LoginDialogue = await imap.greet(wire, peer)
        note('dialogue', dialogue)
        return dialogue
      },
      async login(wire, target, client, id) {
        note('upstream wire', wire)
        note('target', target)
        const session = await imap.login(wire, target, client, id)
        note('upstream session', session)
        return session
      },
    }
  }
  await using house = await openHouse(t, { protocol: watched })
  // The gate must not be what holds on to them.
  const { gate } = house
  gate.admit = async (attempt) => {
    note('attempt', attempt)
    const grant: Grant = {
      id: 'g',
      userId: 'u',
      logName: 'ann@example.org',
      appPassword: null,
      verifiedBy: 'us',
      upstream: { ...gate.target },
    }
    note('grant', grant)
    return grant
  }
  const client = await talkTo(house)
  client.send(LOGIN)
  await client.line()
  for (let i = 0; i < 20 && refs.some(({ ref }) => ref.deref()); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    collect()
  }
  t.strictSame(
    refs.filter(({ ref }) => ref.deref()).map(({ what }) => what),
    [],
  )
  t.equal(refs.length, 6)
  client.send('b NOOP\r\n')
  t.equal(await client.line(), 'b OK NOOP done', 'and the session lives')
})
