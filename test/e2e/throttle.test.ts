/**
 * Guessing at a running server, over three protocols at once, with a real Dovecot behind (threats B2, B3, B4; M4, M5).
 */

import { readFileSync, writeFileSync } from 'node:fs'
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
/** A guess is answered after the longest delay, and the machine may be busy. */
const ANSWER_MS = 60_000
/** Nothing of a lane's delays, the shortest of which is 2 s and the others 4 to 15. */
const NORMAL_MS = 1500
const PORTAL = 'https://mail.example.org'

// The guessing alone is watched for so long, and the machine may be busy.
t.setTimeout(300_000)

type Verdict = 'wrong' | 'later'

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
    return (await peer.expect(/^a .*$/, ANSWER_MS))[0]
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
    return (await peer.expect(/^-ERR .*$/, ANSWER_MS))[0]
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
    return (await peer.expect(/^[45]\d\d .*$/, ANSWER_MS))[0]
  },
}
const WAYS = [IMAP, POP3, SMTP]

function verdictOf(line: string): Verdict {
  if (/\[AUTHENTICATIONFAILED\]|^-ERR \[AUTH\]|^535 /.test(line)) return 'wrong'
  if (/\[LIMIT\]|\[SYS\/TEMP\]|^454 /.test(line)) return 'later'
  throw new Error(`what is this: ${line}`)
}

/** How many verdicts guesses made one after the other get in that time: after 2, 6, 14, 29 seconds, and so on. */
function verdictsInLine(seconds: number): number {
  let count = 0
  for (let at = DELAYS_S[0] ?? 0; at <= seconds; at += DELAYS_S[Math.min(count, DELAYS_S.length - 1)] ?? 0) count += 1
  return count
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
  // Texts are not about time: from here on nobody waits.
  const settings = JSON.parse(readFileSync(gate.configFile, 'utf8')) as object
  writeFileSync(gate.configFile, JSON.stringify({ ...settings, throttle: { delays: ['1ms'] } }))
  process.kill(gate.pid, 'SIGHUP')
  await gate.waitForLog('config_reloaded')
  await t.test('helpful refusals', (t) => helpful(t, gate))
  t.same(gate.lines('bug'), [])
})

async function fortyAtOnce(t: Test, gate: Sallyport): Promise<void> {
  const phone = await gate.createAppPassword(ANN, 'phone')
  const fresh = await gate.createAppPassword(ANN, 'a device that was never here')
  const calmAt = performance.now()
  using _ = await loggedIn(gate, ANN, phone.password)
  // As slow as the machine is now, and somewhat slower with forty who guess.
  const normalMs = NORMAL_MS + 3 * (performance.now() - calmAt)

  const begun = performance.now()
  const verdicts: Record<Verdict, number> = { wrong: 0, later: 0 }
  async function guesser(way: Way): Promise<void> {
    using peer = await way.connect(gate)
    verdicts[verdictOf(await way.guess(peer, ANN, madeUpPassword()))] += 1
  }
  let guessing = true
  const guessers = Promise.all(Array.from({ length: 40 }, (_, i) => guesser(WAYS[i % WAYS.length] ?? IMAP))).finally(
    () => {
      guessing = false
    },
  )
  const took: number[] = []
  async function login(password: string): Promise<number> {
    const start = performance.now()
    using peer = await loggedIn(gate, ANN, password)
    peer.socket.destroy()
    return performance.now() - start
  }
  const [first] = await Promise.all([
    login(fresh.password),
    guessers,
    (async () => {
      while (guessing) {
        took.push(await login(phone.password))
        await delay(100)
      }
    })(),
  ])
  const seconds = (performance.now() - begun) / 1000

  const median = took.toSorted((a, b) => a - b)[took.length >> 1] ?? Number.NaN
  t.comment(
    `${verdicts.wrong} verdicts, ${verdicts.later} told to wait; in ${seconds.toFixed(1)} s; the phone: ${took.length} logins, median ${Math.round(median)} ms, worst ${Math.round(Math.max(...took))} ms; a new device: ${Math.round(first)} ms`,
  )
  t.ok(verdicts.wrong >= 1, 'somebody is told')
  const serial = verdictsInLine(seconds)
  t.ok(verdicts.wrong <= serial, `threat B3: ${verdicts.wrong} verdicts, ${serial} one after the other`)
  t.equal(verdicts.later, 40 - verdicts.wrong, 'the others are told to wait, and nothing else')
  t.ok(median < normalMs, `threat B4: the phone logs in at its usual speed (${Math.round(median)} ms)`)
  t.ok(first < normalMs * 2, `threat B4: a right app password is never refused (${Math.round(first)} ms)`)
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
