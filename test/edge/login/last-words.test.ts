/**
 * Threat E2: who is turned away for want of room hears it in the protocol's own words, however far the connection has come, and
 * is not waited for. The real listener, loop and dialogues on sockets.
 */

import type { Test } from 'tap'
import t from 'tap'
import type { TlsMode } from '../../../src/contract/admission.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import { localTls } from '../net/sockets.ts'
import { openPop3 } from '../pop3/house.ts'
import { base64, openSmtpHouse } from '../smtp/house.ts'
import type { House, HouseOptions } from './house.ts'
import { openHouse, PASSWORD } from './house.ts'

const { authority, contexts } = await localTls()
const trust = { ca: authority.cert, servername: 'localhost' }

type Line = readonly [say: string, hear: RegExp]

interface Spoken {
  readonly open: (t: Test, options: HouseOptions) => Promise<House>
  readonly greeting: RegExp
  /** What has to be said first, again behind STARTTLS. */
  readonly hello: readonly Line[]
  readonly startTls: Line
  /** A SASL exchange that stops where the client's message is waited for. */
  readonly halfLogin: Line
  readonly login: Line
  readonly full: string
  readonly crowd: string
}

const FULL = 'The server is full, please try again later.'
const CROWD = 'Too many connections from your address, please try again later.'
const PLAIN = base64(`\0ann@example.org\0${PASSWORD}`)

const PROTOCOLS: Readonly<Record<'imap' | 'pop3' | 'smtp', Spoken>> = {
  imap: {
    open: openHouse,
    greeting: /^\* OK /,
    hello: [],
    startTls: ['a STARTTLS', /^a OK /],
    halfLogin: ['b AUTHENTICATE PLAIN', /^\+ /],
    login: [`c AUTHENTICATE PLAIN ${PLAIN}`, /^c OK /],
    full: `* BYE [UNAVAILABLE] ${FULL}\r\n`,
    crowd: `* BYE [UNAVAILABLE] ${CROWD}\r\n`,
  },
  pop3: {
    open: openPop3,
    greeting: /^\+OK /,
    hello: [],
    startTls: ['STLS', /^\+OK /],
    halfLogin: ['AUTH PLAIN', /^\+ /],
    login: [`AUTH PLAIN ${PLAIN}`, /^\+OK /],
    full: `-ERR [SYS/TEMP] ${FULL}\r\n`,
    crowd: `-ERR [SYS/TEMP] ${CROWD}\r\n`,
  },
  smtp: {
    open: openSmtpHouse,
    greeting: /^220 /,
    hello: [['EHLO client.example.net', /^250 /]],
    startTls: ['STARTTLS', /^220 /],
    halfLogin: ['AUTH PLAIN', /^334/],
    login: [`AUTH PLAIN ${PLAIN}`, /^235 /],
    full: `421 4.3.2 ${FULL}\r\n`,
    crowd: `421 4.7.0 ${CROWD}\r\n`,
  },
}

/** How far a client has come. */
interface Stage {
  readonly what: string
  readonly tls: TlsMode
  readonly startsTls?: true
  readonly isInAuth?: true
}

const IN_CLEAR: Stage = { what: 'in clear', tls: 'none' }
const STAGES: readonly Stage[] = [
  IN_CLEAR,
  { what: 'before STARTTLS', tls: 'starttls' },
  { what: 'after STARTTLS, in AUTH', tls: 'starttls', startsTls: true, isInAuth: true },
  { what: 'with TLS from the start', tls: 'implicit' },
]

async function say(peer: ScriptedPeer, lines: readonly Line[]): Promise<void> {
  for (const [text, hear] of lines) {
    peer.send(`${text}\r\n`)
    await peer.linesUntil(hear)
  }
}

/** A client that has come so far, but for AUTH, and heard all that it was to hear. */
async function client(house: House, spoken: Spoken, stage: Stage): Promise<ScriptedPeer> {
  const peer = await house.connect(stage.tls === 'implicit' ? trust : undefined)
  await peer.expect(spoken.greeting)
  await say(peer, spoken.hello)
  if (stage.startsTls) {
    await say(peer, [spoken.startTls])
    await peer.startTls(trust)
    await say(peer, spoken.hello)
  }
  return peer
}

/** Room for one, by a clock of its own. */
function oneSeat() {
  const clock = { now: 0 }
  return { clock, room: createRoom({ connections: 1, perAddress: 1000 }, () => clock.now) }
}

for (const [name, spoken] of Object.entries(PROTOCOLS)) {
  t.test(`E2: ${name}: one that does not log in makes room, and hears why`, async (t) => {
    for (const stage of STAGES) {
      const { clock, room } = oneSeat()
      await using house = await spoken.open(t, { tls: stage.tls, contexts, room })
      const peer = await client(house, spoken, stage)
      if (stage.isInAuth) await say(peer, [spoken.halfLogin])
      clock.now = 5000
      const newcomer = await client(house, spoken, stage)
      t.equal(await peer.rest(), spoken.full, stage.what)
      await house.served()
      t.match(house.logs.of('connection_closed').at(-1), { error_code: 'ERR_WIRE_DISMISSED' })
      if (stage.tls !== 'starttls' || stage.startsTls) await say(newcomer, [spoken.login])
      t.notOk(newcomer.closed, 'who came in its place is in')
    }
  })

  t.test(`E2: ${name}: at the door`, async (t) => {
    for (const tls of ['none', 'starttls', 'implicit'] as const) {
      for (const limits of [
        { connections: 1, perAddress: 1000 },
        { connections: 1000, perAddress: 1 },
      ]) {
        await using house = await spoken.open(t, { tls, contexts, room: createRoom(limits) })
        await client(house, spoken, { what: '', tls })
        // Not as TLS, so that a word said where a handshake is expected would be seen.
        const turned = await house.connect()
        const words = limits.connections === 1 ? spoken.full : spoken.crowd
        t.equal(await turned.rest(), tls === 'implicit' ? '' : words, `${tls} ${JSON.stringify(limits)}`)
        t.equal(house.listener.connections, 1)
      }
    }
  })

  t.test(`E2: ${name}: nothing is said into a handshake`, async (t) => {
    for (const tls of ['starttls', 'implicit'] as const) {
      const { clock, room } = oneSeat()
      await using house = await spoken.open(t, { tls, contexts, room })
      const peer = await house.connect()
      if (tls === 'starttls') {
        await peer.expect(spoken.greeting)
        await say(peer, [...spoken.hello, spoken.startTls])
      }
      // The first half of a ClientHello's header.
      peer.send('\x16\x03\x01')
      while (house.listener.connections === 0) await new Promise((resolve) => setImmediate(resolve))
      clock.now = 5000
      const newcomer = await house.connect(tls === 'implicit' ? trust : undefined)
      await newcomer.expect(spoken.greeting)
      t.equal(await peer.rest(), '', tls)
      while (house.listener.connections > 1) await new Promise((resolve) => setImmediate(resolve))
    }
  })

  t.test(`E2: ${name}: a login under way has its five seconds; what comes of it later leads nowhere`, async (t) => {
    for (const halfCloses of [false, true]) {
      const { clock, room } = oneSeat()
      await using house = await spoken.open(t, { room })
      const asked = Promise.withResolvers<void>()
      const verdict = Promise.withResolvers<void>()
      house.gate.decide = () => {
        asked.resolve()
        return verdict.promise
      }
      const peer = await client(house, spoken, IN_CLEAR)
      const text = `${spoken.login[0]}\r\n${halfCloses ? 'x NOOP\r\n' : ''}`
      if (halfCloses) peer.end(text)
      else peer.send(text)
      await asked.promise
      clock.now = 4999
      t.equal(await (await house.connect()).rest(), spoken.full, 'no newcomer disturbs it')
      t.notOk(peer.closed)
      clock.now = 5000
      await (await house.connect()).expect(spoken.greeting)
      t.equal(await peer.rest(), spoken.full, halfCloses ? 'one that has half closed' : 'the answer to its login')
      verdict.resolve()
      await house.served()
      t.strictSame(house.gate.outcomes, ['client-gone'], 'invariant 4')
      t.equal(house.upstream.connections, 0)
    }
  })
}
