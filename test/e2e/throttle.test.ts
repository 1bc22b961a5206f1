/**
 * Guessing at a running server, over three protocols at once, with a real Dovecot behind (threats B2, B3, B4; M4, M5).
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import { connectTls, loggedIn, quoted, saslPlain } from '../support/imap.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { madeUpPassword, plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
/** As they are by default. */
const DELAYS_S = [2, 4, 8, 15]
/** How long the guessing is watched. */
const WATCHED_MS = 16_000
/** Verdicts that guesses made one after the other get in that time: after 2, 6 and 14 seconds. */
const SERIAL = 3
/** Nothing of a lane's delays, the shortest of which is 2 s. */
const NORMAL_MS = 1500
const PORTAL = 'https://mail.example.org'

// The guessing alone is watched for so long, and the machine may be busy.
t.setTimeout(300_000)

type Verdict = 'wrong' | 'later' | 'closed'

interface Way {
  readonly name: string
  connect(gate: Sallyport): Promise<ScriptedPeer>
  /** The line that refuses. */
  guess(peer: ScriptedPeer, user: string, secret: string): Promise<string>
}

const IMAP: Way = {
  name: 'IMAP',
  connect: connectTls,
  async guess(peer, user, secret) {
    peer.send(`a LOGIN ${user} ${quoted(secret)}\r\n`)
    return (await peer.expect(/^a .*$/, 20_000))[0]
  },
}
const POP3: Way = {
  name: 'POP3',
  async connect(gate) {
    const peer = await scriptedClient(gate.ports.pop3s, { tls: gate.tls })
    await peer.expect(/^\+OK/)
    return peer
  },
  async guess(peer, user, secret) {
    peer.send(`AUTH PLAIN ${saslPlain('', user, secret)}\r\n`)
    return (await peer.expect(/^-ERR .*$/, 20_000))[0]
  },
}
const SMTP: Way = {
  name: 'SMTP',
  async connect(gate) {
    const peer = await scriptedClient(gate.ports.smtps, { tls: gate.tls })
    await peer.expect(/^220 /)
    peer.send('EHLO test\r\n')
    await peer.linesUntil(/^250 /)
    return peer
  },
  async guess(peer, user, secret) {
    peer.send(`AUTH PLAIN ${saslPlain('', user, secret)}\r\n`)
    return (await peer.expect(/^[45]\d\d .*$/, 20_000))[0]
  },
}
const WAYS = [IMAP, POP3, SMTP]

function verdictOf(line: string): Verdict {
  if (/\[AUTHENTICATIONFAILED\]|^-ERR \[AUTH\]|^535 /.test(line)) return 'wrong'
  if (/\[LIMIT\]|\[SYS\/TEMP\]|^454 /.test(line)) return 'later'
  throw new Error(`what is this: ${line}`)
}

t.test('a server with the delays of the defaults', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword() } })
  await using gate = await startSallyport({
    upstreams: {
      main: upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {}, smtp: { port: await freePort() } }),
    },
    workers: 2,
    settings: {
      throttle: { delays: DELAYS_S.map((s) => `${s}s`) },
      portal: { url: PORTAL, languages: ['nl', 'en'] },
    },
  })
  await gate.addUser(ANN)
  await t.test('forty at once, and the phone', (t) => fortyAtOnce(t, gate))
  await t.test('helpful refusals', (t) => helpful(t, gate))
  t.same(gate.lines('bug'), [])
})

async function fortyAtOnce(t: Test, gate: Sallyport): Promise<void> {
  const phone = await gate.createAppPassword(ANN, 'phone')
  const fresh = await gate.createAppPassword(ANN, 'a device that was never here')
  using _ = await loggedIn(gate, ANN, phone.password)

  const end = performance.now() + WATCHED_MS
  const verdicts: Record<Verdict, number> = { wrong: 0, later: 0, closed: 0 }
  async function guesser(way: Way): Promise<void> {
    while (performance.now() < end) {
      using peer = await way.connect(gate)
      try {
        while (performance.now() < end) {
          const verdict = verdictOf(await way.guess(peer, ANN, madeUpPassword()))
          if (performance.now() < end) verdicts[verdict] += 1
        }
      } catch (error) {
        if (!peer.socket.destroyed && !peer.socket.readableEnded) throw error
        verdicts.closed += 1 // five refusals end a connection
      }
    }
  }
  const guessers = Array.from({ length: 40 }, (_, i) => guesser(WAYS[i % WAYS.length] ?? IMAP))

  const took: number[] = []
  while (performance.now() < end - 1000) {
    const start = performance.now()
    using peer = await loggedIn(gate, ANN, phone.password)
    took.push(performance.now() - start)
    peer.socket.destroy()
    await delay(100)
  }
  const start = performance.now()
  using device = await loggedIn(gate, ANN, fresh.password)
  const first = performance.now() - start
  device.socket.destroy()
  await Promise.all(guessers)

  const median = took.toSorted((a, b) => a - b)[took.length >> 1] ?? Number.NaN
  t.comment(
    `${verdicts.wrong} verdicts, ${verdicts.later} told to wait; the phone: ${took.length} logins, median ${Math.round(median)} ms, worst ${Math.round(Math.max(...took))} ms; a new device: ${Math.round(first)} ms`,
  )
  t.ok(verdicts.wrong >= 1, 'somebody is told')
  t.ok(verdicts.wrong <= SERIAL, `threat B3: ${verdicts.wrong} verdicts, ${SERIAL} one after the other`)
  t.ok(verdicts.later >= 39, 'the others are told to wait, and nothing else')
  t.ok(median < NORMAL_MS, `threat B4: the phone logs in at its usual speed (${Math.round(median)} ms)`)
  t.ok(first < NORMAL_MS * 2, `threat B4: a right app password is never refused (${Math.round(first)} ms)`)
  t.match(await gate.metrics(), /sallyport_throttled_total\{lane="(user|address|user-address)"\} [1-9]/)

  const lanes = await gate.json<{ lane: string; user: string | null; failures: number }[]>(['throttle', 'list'])
  t.match(
    lanes.find(({ lane }) => lane === 'user'),
    { user: ANN },
  )
  const { cleared } = await gate.json<{ cleared: number }>([
    'throttle',
    'clear',
    '--user',
    ANN,
    '--address',
    '127.0.0.1',
  ])
  t.equal(cleared, 3)
  for (const way of WAYS) {
    using peer = await way.connect(gate)
    const begun = performance.now()
    t.equal(verdictOf(await way.guess(peer, ANN, madeUpPassword())), 'wrong', `threat B2: cleared, ${way.name}`)
    t.ok(performance.now() - begun > 1900, 'and waits for the first delay again')
    await gate.json(['throttle', 'clear'])
  }
}

async function helpful(t: Test, gate: Sallyport): Promise<void> {
  const old = await gate.createAppPassword(ANN, 'old phone')
  const mailOnly = await gate.createAppPassword(ANN, 'scanner', ['--protocols', 'eas'])
  await gate.json(['app-password', 'delete', old.id, '--yes'])
  for (const way of WAYS) {
    using peer = await way.connect(gate)
    const deleted = await way.guess(peer, ANN, old.password)
    t.match(deleted, /Dit app-wachtwoord is verwijderd\. Zie https:\/\/mail\.example\.org$/, `M4, ${way.name}`)
    t.match(deleted, /^(a NO \[ALERT\]|-ERR \[AUTH\]|535 5\.7\.8) /)
    t.notMatch(deleted, /old phone/)
    t.match(
      await way.guess(peer, ANN, mailOnly.password),
      new RegExp(`mag niet worden gebruikt voor ${way.name}\\. Zie `),
      `M4, ${way.name}`,
    )
    const wrong = await way.guess(peer, ANN, madeUpPassword())
    await gate.json(['throttle', 'clear'])
    const unknown = await way.guess(peer, 'nobody@example.org', madeUpPassword())
    await gate.json(['throttle', 'clear'])
    t.match(wrong, /Aanmelden mislukt\.$/, 'R39: the language of the house')
    t.equal(unknown, wrong, 'threat B1')
  }
}
