/**
 * One suite for every protocol (design: what has several implementations has one contract): good, bad, again; bytes behind the
 * login and before TLS; an upstream that dies, stalls, floods, lies, answers early; a session that is ended.
 */

import type { Test } from 'tap'
import t from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import { TlsContexts } from '../../src/edge/net/tls.ts'
import type { House, HouseOptions } from '../edge/login/house.ts'
import { MASTER_SECRET, PASSWORD } from '../edge/login/house.ts'
import { createCa } from '../support/certificates.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import type { Language } from './protocols.ts'
import { LANGUAGES } from './protocols.ts'

const ca = await createCa()
const contexts = new TlsContexts({ pairs: [{ ...(await ca.issue()), certFile: 'cert.pem', keyFile: 'key.pem' }] })
const trust = { ca: ca.cert, servername: 'localhost' }

const STALL_MS = 150

for (const language of LANGUAGES) {
  t.test(language.name, async (t) => {
    await t.test('good, and then the upstream answers', (t) => good(t, language))
    await t.test('client 11, invariant 4: bad, bad, good on one connection', (t) => again(t, language))
    await t.test('invariant 2, A9: what stands behind the login', (t) => behind(t, language))
    await t.test('invariant 3, A1: what is injected before TLS', (t) => injected(t, language))
    await t.test('invariants 1 and 11, D: an upstream that misbehaves is temporary', (t) => misbehaving(t, language))
    await t.test('D1, D4: no secret for a greeting that lies, nor for one that is early', (t) => lying(t, language))
    await t.test('D9, invariant 7: the upstream dies later, the session is ended', (t) => ended(t, language))
    await t.test('B9, M4: a wrong protocol is said in its words, after the same delay', (t) => scope(t, language))
  })
}

/** A client that may log in now. */
async function arrive(house: House, { hello }: Language): Promise<ScriptedPeer> {
  const client = await house.connect()
  await hello(client)
  return client
}

/** The line that decides, behind those that only lead there. */
async function verdict(client: ScriptedPeer, { between }: Language): Promise<string> {
  for (;;) {
    const line = await client.line()
    if (!between.test(line)) return line
  }
}

async function good(t: Test, language: Language): Promise<void> {
  const seen: string[] = []
  await using house = await language.open(t, { upstream: language.friendly(seen) })
  const client = await arrive(house, language)
  t.equal(house.upstream.connections, 0, 'nobody dials before')
  client.send(language.login(PASSWORD))
  t.match(await verdict(client, language), language.accepted)
  const [line, answer] = language.command(1)
  client.send(`${line}\r\n`)
  t.equal(await client.line(), answer)
  t.strictSame(seen, [line], 'invariant 1: nothing of the login reached the upstream')
  t.strictSame(house.gate.outcomes, ['accepted'])
}

async function again(t: Test, language: Language): Promise<void> {
  await using house = await language.open(t, { upstream: language.friendly() })
  const client = await arrive(house, language)
  for (const [password, answer] of [
    ['nonsense', language.wrong],
    ['nonsense', language.wrong],
    [PASSWORD, language.accepted],
  ] as const) {
    client.send(language.login(password))
    t.match(await verdict(client, language), answer)
  }
  t.equal(house.gate.attempts.length, 3)
  t.equal(house.upstream.connections, 1)
}

async function behind(t: Test, language: Language): Promise<void> {
  const seen: string[] = []
  await using house = await language.open(t, { upstream: language.friendly(seen) })
  const client = await arrive(house, language)
  const commands = Array.from({ length: 40 }, (_, n) => language.command(n))
  const bytes = `${language.login(PASSWORD)}${commands.map(([line]) => `${line}\r\n`).join('')}`
  for (let at = 0; at < bytes.length; at += 97) client.send(bytes.slice(at, at + 97))
  t.match(await verdict(client, language), language.accepted)
  for (const [, answer] of commands) t.equal(await client.line(), answer)
  t.strictSame(
    seen,
    commands.map(([line]) => line),
    'all of them, in order, once',
  )
}

async function injected(t: Test, language: Language): Promise<void> {
  for (const behind of [language.login(PASSWORD), 'x', '\r\n']) {
    await using house = await language.open(t, { tls: 'starttls', contexts })
    const client = await arrive(house, language)
    client.send(`${language.startTls}${behind}`)
    t.match(await client.line(), language.injected, JSON.stringify(behind))
    t.equal(await client.rest(), '', 'and closed')
    await house.served()
    t.equal(house.gate.attempts.length, 0)
  }
  await using house = await language.open(t, { tls: 'starttls', contexts, upstream: language.friendly() })
  const client = await arrive(house, language)
  client.send(language.login(PASSWORD))
  await client.line()
  t.equal(house.gate.attempts.length, 0, 'A2: no login without it')
  if (client.buffered !== '') await client.line()
  client.send(language.startTls)
  // A refused login may have had two lines.
  await client.linesUntil(language.startTlsAnswer)
  await client.startTls(trust)
  if (language.name === 'SMTP') {
    client.send('EHLO again\r\n')
    await client.linesUntil(/^250 /)
  }
  client.send(language.login(PASSWORD))
  t.match(await verdict(client, language), language.accepted, 'with it, it is one')
}

/** What an upstream does when it has the secret and owes a verdict. */
const DEEDS: readonly (readonly [string, (peer: ScriptedPeer, language: Language) => void])[] = [
  ['dies', (peer) => peer.end()],
  ['resets', (peer) => peer.reset()],
  ['stalls', () => undefined],
  ['drips', (peer) => void drip(peer)],
  ['floods', (peer, { flood }) => peer.send(flood.repeat(50_000))],
  ['sends a line without end', (peer) => peer.send('x'.repeat(200_000))],
  ['sends garbage', (peer) => peer.send('\0\xff\x80 what?\r\n')],
]

async function drip(peer: ScriptedPeer): Promise<void> {
  while (!peer.closed) {
    peer.send('x')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function misbehaving(t: Test, language: Language): Promise<void> {
  for (const [why, deed] of DEEDS) {
    const friendly = language.friendly()
    await using house = await language.open(t, {
      dialMs: why === 'stalls' || why === 'drips' ? STALL_MS : 5000,
      upstream: async (peer, n) => {
        if (n > 1) return friendly(peer, n)
        await language.untilVerdict(peer)
        deed(peer, language)
        await peer.rest().catch(() => undefined)
      },
    })
    const client = await arrive(house, language)
    const [line] = language.command(1)
    client.send(language.login(PASSWORD))
    t.match(await verdict(client, language), language.later, why)
    t.strictSame(house.gate.outcomes, ['failed'], `${why}: settled`)
    await house.upstream.finished()
    if (why !== 'stalls' && why !== 'drips') {
      client.send(`${language.login(PASSWORD)}${line}\r\n`)
      t.match(await verdict(client, language), language.accepted, `${why}: the next try goes well`)
    }
  }
}

async function lying(t: Test, language: Language): Promise<void> {
  const cases: readonly (readonly [string, string])[] = [
    ...language.lies.map((lie) => [JSON.stringify(lie), lie] as const),
    ['early', `${language.greeting}${language.early}`],
    ['early, and twice', `${language.greeting}${language.early}${language.early}`],
    ['two greetings', `${language.greeting}${language.greeting}`],
  ]
  for (const [why, said] of cases) {
    let heard = ''
    const options: HouseOptions = {
      dialMs: 5000,
      upstream: async (peer) => {
        peer.send(said)
        heard = await peer.rest().catch(() => '')
      },
    }
    await using house = await language.open(t, options)
    const client = await arrive(house, language)
    client.send(language.login(PASSWORD))
    t.match(await verdict(client, language), language.later, why)
    await house.upstream.finished()
    const forms = [MASTER_SECRET, Buffer.from(`ann@example.org\0master\0${MASTER_SECRET}`).toString('base64')]
    for (const form of forms) t.notOk(heard.includes(form), `${why}: it was not told our secret`)
  }
}

async function ended(t: Test, language: Language): Promise<void> {
  const friendly = language.friendly()
  let upstream: ScriptedPeer | null = null
  await using house = await language.open(t, {
    upstream: (peer, n) => {
      upstream = peer
      return friendly(peer, n)
    },
  })
  const enter = async (): Promise<ScriptedPeer> => {
    const client = await arrive(house, language)
    client.send(language.login(PASSWORD))
    t.match(await verdict(client, language), language.accepted)
    return client
  }
  const first = await enter()
  ;(upstream as ScriptedPeer | null)?.reset()
  await first.untilClosed()
  const second = await enter()
  house.sessions.endAll('revoked')
  await second.untilClosed()
  await house.served(2)
  t.match(
    house.gate.ends.map(({ end }) => end.reason),
    [/^(error|upstream-closed)$/, 'revoked'],
  )
}

async function scope(t: Test, language: Language): Promise<void> {
  const delayMs = 120
  await using house = await language.open(t, {})
  house.gate.decide = (_, secret) => {
    const reason = secret === PASSWORD ? 'not-on-this-protocol' : 'bad-credentials'
    throw new LoginFailure(reason, 'no', { delayMs })
  }
  const client = await arrive(house, language)
  const took: number[] = []
  for (const [password, text] of [
    [PASSWORD, new RegExp(`may not be used for ${language.name}\\b`)],
    ['nonsense', language.wrong],
  ] as const) {
    const startedAt = performance.now()
    client.send(language.login(password))
    t.match(await verdict(client, language), text)
    took.push(performance.now() - startedAt)
  }
  t.ok(
    took.every((ms) => ms >= delayMs - 5),
    `both waited: ${took.map(Math.round)} ms`,
  )
}
