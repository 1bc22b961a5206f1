/**
 * `npm run soak`: the whole product under mixed load for an hour, watched from outside.
 *
 * A real Dovecot and a real Postfix behind, two edges; a hundred sessions that stay, others that log in, fetch or send and
 * leave, guesses at passwords, and app passwords that are made, used on three protocols and deleted: their sessions must end
 * within a second (M2). Every ten seconds each process's memory, descriptors and CPU time are read. It ends by itself.
 */

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectServices } from '../src/contract/services-channel.ts'
import { startDovecot } from '../test/support/dovecot.ts'
import type { ScriptedPeer } from '../test/support/peer.ts'
import { freePort } from '../test/support/ports.ts'
import { saslListener, startPostfix } from '../test/support/postfix.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../test/support/sallyport.ts'
import { plainPassword } from '../test/support/secrets.ts'
import { ensureServices } from './services.ts'
import type { Account, Protocol } from './soak/clients.ts'
import { logIn, noop, PROTOCOLS, useMail } from './soak/clients.ts'
import { HELP, soakOptions } from './soak/options.ts'
import { reportText, Tally, verdict } from './soak/report.ts'
import type { ProcessSample } from './soak/sampling.ts'
import { courses, sampleServer } from './soak/sampling.ts'

const USERS = 10
const SAMPLE_MS = 10_000
/** A standing session says something this often: Postfix hangs up on who is silent for five minutes. */
const NOOP_MS = 60_000
/** About how long one stands before another takes its place. */
const STAND_MS = 10 * 60_000
/** M2: from the command to the last closed connection. */
const END_MS = 1000
/** A client's socket may hear of the end a little later than the one who counts. */
const MARGIN_MS = 500

const options = soakOptions(process.argv.slice(2))
if (options === null) {
  process.stdout.write(HELP)
  process.exit(0)
}
const { minutes, sessions, rate, revokeEveryMs, out } = options
const { missing } = await ensureServices(['dovecot', 'postfix'])
if (missing.length > 0) process.exit(69)

const addresses = Array.from({ length: USERS }, (_, i) => `user${i}@example.org`)
const saslPort = await freePort()
await using dovecot = await startDovecot({
  users: Object.fromEntries(addresses.map((address) => [address, plainPassword()])),
  extra: saslListener(saslPort),
})
await using postfix = await startPostfix(dovecot, saslPort)
await using gate = await startSallyport({
  upstreams: {
    main: upstreamOf(dovecot, masterPasswordFile(dovecot), {
      pop3: {},
      smtp: { port: postfix.ports.submissions, caFile: postfix.caFile },
    }),
  },
  settings: {
    log: { level: 'info' },
    limits: { perUser: 1000, perAddress: 2000 },
    throttle: { trustedNetworks: ['127.0.0.0/8'] },
  },
})
const services = await connectServices(join(gate.directory, 'data/run'), 'cli:soak')

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
const startedAt = performance.now()
const endsAt = startedAt + minutes * 60_000
const running = (): boolean => !stop.signal.aborted && performance.now() < endsAt
/** Never beyond the end. */
const pause = (ms: number): Promise<void> =>
  sleep(Math.max(0, Math.min(ms, endsAt - performance.now())), undefined, { signal: stop.signal }).catch(
    () => undefined,
  )

const tallies = new Map<string, Tally>()
const failures = new Map<string, number>()
const samples: ProcessSample[] = []

function fail(what: string, error: unknown): void {
  const text = `${what}: ${(error instanceof Error ? error.message : String(error)).replace(/\d+/g, '#').slice(0, 160)}`
  failures.set(text, (failures.get(text) ?? 0) + 1)
}

/** Does it, and counts it by name with the time it took, or as a failure. null: it failed. */
async function counted<T>(what: string, work: () => Promise<T>): Promise<T | null> {
  const from = performance.now()
  try {
    const value = await work()
    const tally = tallies.get(what) ?? new Tally()
    tallies.set(what, tally)
    tally.add(performance.now() - from)
    return value
  } catch (error) {
    fail(what, error)
    return null
  }
}

const any = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T

async function issue(address: string, name: string): Promise<Account & { readonly id: string }> {
  const { id, password } = await services.call('app-password.create', { user: address, name })
  return { id, address, password }
}

const accounts: Account[] = []
for (const address of addresses) {
  await services.call('user.add', { address })
  accounts.push(await issue(address, 'laptop'))
}

/** One place of the hundred: always somebody's session, now and then another's. */
async function stand(protocol: Protocol): Promise<void> {
  while (running()) {
    const peer = await counted(`${protocol} login, to stay`, () => logIn(gate, protocol, any(accounts)))
    if (peer === null) {
      await pause(1000)
      continue
    }
    using _ = peer
    const until = performance.now() + STAND_MS * (0.5 + Math.random())
    while (running() && performance.now() < until) {
      await pause(NOOP_MS * (0.5 + Math.random()))
      if ((await counted(`${protocol} noop`, () => noop(peer, protocol))) === null) break
    }
  }
}

/** Logins that do something and leave. */
async function comeAndGo(): Promise<void> {
  while (running()) {
    await pause((-Math.log(1 - Math.random()) / rate) * 1000)
    if (!running()) return
    void visit()
  }
}

async function visit(): Promise<void> {
  const account = any(accounts)
  const protocol = any(PROTOCOLS)
  if (Math.random() < 0.05) {
    const wrong = { ...account, password: 'aaaa bbbb cccc dddd' }
    await counted('wrong password refused', () =>
      refused(protocol, wrong, /AUTHENTICATIONFAILED|LIMIT|\[AUTH\]|SYS\/TEMP|535|454/),
    )
    return
  }
  const peer = await counted(`${protocol} login`, () => logIn(gate, protocol, account))
  if (peer === null) return
  using _ = peer
  const what = protocol === 'smtp' ? 'smtp send' : `${protocol} fetch`
  await counted(what, () => useMail(peer, protocol, account.address, any(addresses)))
}

async function refused(protocol: Protocol, account: Account, wanted: RegExp): Promise<void> {
  try {
    using _ = await logIn(gate, protocol, account)
  } catch (error) {
    if (error instanceof Error && wanted.test(error.message)) return
    throw error
  }
  throw new Error('was let in')
}

/** Makes an app password, opens a session with it on each protocol, and takes it away again. */
async function revoke(): Promise<void> {
  while (running()) {
    await pause(revokeEveryMs * (0.5 + Math.random()))
    if (!running()) return
    const phone = await counted('app password made', () => issue(any(addresses), 'phone'))
    if (phone === null) continue
    const peers = (
      await Promise.all(
        PROTOCOLS.map((protocol) => counted(`${protocol} login, new`, () => logIn(gate, protocol, phone))),
      )
    ).filter((peer): peer is ScriptedPeer => peer !== null)
    await counted('revocation, to its answer', async () => {
      const { sessionsEnded, unanswered } = await services.call('app-password.delete', { id: phone.id })
      if (sessionsEnded !== peers.length || unanswered.length > 0) {
        throw new Error(`${sessionsEnded} of ${peers.length} sessions ended, no answer from: ${unanswered.join()}`)
      }
    })
    await Promise.all(
      peers.map((peer) => counted('session gone after that', () => peer.untilClosed(END_MS + MARGIN_MS))),
    )
    for (const peer of peers) peer.socket.destroy()
    await counted('deleted one refused', () => refused(any(PROTOCOLS), phone, /ALERT|\[AUTH\]|535/))
  }
}

async function watch(): Promise<void> {
  while (running()) {
    await pause(SAMPLE_MS)
    const taken = sampleServer(gate.pid, (performance.now() - startedAt) / 1000)
    samples.push(...taken)
    if (out !== null) appendFileSync(out, taken.map((sample) => `${JSON.stringify(sample)}\n`).join(''))
  }
}

console.log(`soak: ${minutes} minutes, ${sessions} sessions, ${rate} a second; the gate is process ${gate.pid}`)
// Half of them IMAP, as people have it; spread over the first minute, so that it is no stampede.
const standing = Array.from({ length: sessions }, async (_, i) => {
  await pause((60_000 * i) / sessions)
  return stand(i % 2 === 0 ? 'imap' : i % 4 === 1 ? 'pop3' : 'smtp')
})
await Promise.all([comeAndGo(), revoke(), watch(), ...standing])

const lines = gate.lines()
const complaints = lines
  .filter(({ event, level }) => event === 'bug' || event === 'worker_died' || level === 'error')
  .map((line) => JSON.stringify(line))
const result = {
  minutes: (performance.now() - startedAt) / 60_000,
  sessions,
  tallies,
  failures,
  courses: courses(samples),
  complaints,
}
services.close()
process.stdout.write(reportText(result))
process.exitCode = verdict(result).length === 0 ? 0 : 1
