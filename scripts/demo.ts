/**
 * `npm run demo`: the main job, done before your eyes.
 *
 * Starts a real Dovecot with a sample mailbox and sallyport in front of it, both unprivileged on loopback with directories of
 * their own, makes a user and an app password by the command line, and logs in as a mail client would. Every step is checked;
 * one that fails is said and makes the exit status 1. Everything that was started is stopped, everything made is removed.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ImapFlow } from 'imapflow'
import type { Dovecot } from '../test/support/dovecot.ts'
import { startDovecot } from '../test/support/dovecot.ts'
import type { Sallyport } from '../test/support/sallyport.ts'
import { startSallyport } from '../test/support/sallyport.ts'
import { plainPassword } from '../test/support/secrets.ts'
import { ensureServices } from './services.ts'

const HELP = `Usage: npm run demo [-- options]

Puts sallyport in front of a real Dovecot on this machine, does its main job once and stays up until Ctrl-C.

  --once                      end when the job is done: exit status 0, or 1 when a step failed
  --upstream imaps://HOST[:PORT] | imap://HOST[:PORT]
                              use this IMAP server instead of starting a Dovecot (imap:// means STARTTLS)
    --ca FILE                   trust this authority (PEM) for it
    --user ADDRESS              a mailbox there
    --master USER               an account that may log in as ADDRESS*USER
    --master-password-file FILE its password (mode 0600)
  --help
`

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    upstream: { type: 'string' },
    ca: { type: 'string' },
    user: { type: 'string', default: 'demo@example.org' },
    master: { type: 'string', default: 'sallyport' },
    'master-password-file': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const USER = options.user
/** The end of an open session after its app password is deleted (M2). */
const END_MS = 1000

const MAIL = [
  ['Welcome to the demo', 'This mailbox is on a real Dovecot. It has never seen the password you came in with.'],
  ['The scanner on the second floor', 'It still can not do two-step verification. It has an app password now.'],
  ['Lunch?', 'At noon, the usual place.'],
] as const

let failed = 0

function say(line = ''): void {
  console.log(line)
}

/** Runs one step, says how it went and what it noted. The rest goes on, so that one sees all that works. */
async function step<T>(what: string, work: (note: (line: string) => void) => Promise<T>): Promise<T | null> {
  const notes: string[] = []
  try {
    const value = await work((line) => notes.push(line))
    say(`  \u2713 ${what}`)
    for (const note of notes) say(`      ${note}`)
    return value
  } catch (error) {
    failed += 1
    say(`  \u2717 ${what}`)
    say(`      ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise)
}

/** What sallyport is put in front of. */
interface Upstream {
  readonly imap: Readonly<Record<string, unknown>>
  readonly masterPassword: string
  /** null: somebody else's server, whose log and passwords we don't know. */
  readonly dovecot: Dovecot | null
}

async function ownDovecot(): Promise<Upstream | null> {
  const { missing } = await ensureServices(['dovecot'], say)
  if (missing.length > 0) {
    say('Without a Dovecot the demo can use a server of yours: npm run demo -- --upstream imaps://HOST … (see --help)')
    return null
  }
  const dovecot = await startDovecot({ users: { [USER]: plainPassword() } })
  for (const [subject, text] of MAIL) {
    await dovecot.deliver(
      USER,
      `From: Ann <ann@example.org>\r\nTo: <${USER}>\r\nSubject: ${subject}\r\n\r\n${text}\r\n`,
    )
  }
  const imap = { host: '127.0.0.1', port: dovecot.ports.imaps, tls: 'implicit', caFile: dovecot.caFile }
  return { imap, masterPassword: dovecot.master.password, dovecot }
}

function givenUpstream(address: string): Upstream {
  const url = new URL(address)
  const tls = { 'imaps:': 'implicit', 'imap:': 'starttls' }[url.protocol]
  const passwordFile = options['master-password-file']
  if (tls === undefined || passwordFile === undefined) {
    throw new Error('--upstream takes imaps://HOST[:PORT] or imap://HOST[:PORT], and needs --master-password-file')
  }
  const port = Number(url.port || (tls === 'implicit' ? 993 : 143))
  const imap = { host: url.hostname, port, tls, ...(options.ca !== undefined && { caFile: resolve(options.ca) }) }
  return { imap, masterPassword: readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, ''), dovecot: null }
}

/** A mail client that knows nothing of us. */
function client(gate: Sallyport, user: string, pass: string): ImapFlow {
  const ca = readFileSync(join(gate.directory, 'data/self-made-certificate.pem'))
  return new ImapFlow({
    host: '127.0.0.1',
    port: gate.ports.imaps,
    secure: true,
    auth: { user, pass },
    tls: { ca, servername: 'localhost' },
    logger: false,
  })
}

async function isRefused(gate: Sallyport, pass: string): Promise<void> {
  const imap = client(gate, USER, pass)
  imap.on('error', () => {})
  const entered = await imap.connect().then(
    () => true,
    (error: { readonly authenticationFailed?: boolean }) => {
      must(error.authenticationFailed === true, `it failed in another way: ${String(error)}`)
      return false
    },
  )
  imap.close()
  must(!entered, 'it was let in')
}

async function doTheJob(gate: Sallyport, { dovecot }: Upstream): Promise<void> {
  say('\nAn administrator:')
  await step(`sallyport user add ${USER}`, () => gate.addUser(USER))
  const issued = await step('sallyport app-password create --name "old phone"', () =>
    gate.createAppPassword(USER, 'old phone'),
  )
  if (issued === null) return
  say(`      its password, shown this once: ${issued.password}`)

  say('\nAn old mail client:')
  const imap = client(gate, USER, issued.password)
  imap.on('error', () => {})
  const gone = new Promise<void>((done) => imap.once('close', done))
  await step('logs in over IMAPS with the app password', () => imap.connect())
  await step('lists its inbox', async (note) => {
    using _ = await lock(imap)
    const found = await imap.fetchAll('1:*', { envelope: true })
    for (const { envelope } of found) note(envelope?.subject ?? '(no subject)')
    must(dovecot === null || found.length === MAIL.length, `${found.length} messages instead of ${MAIL.length}`)
  })
  if (dovecot !== null) {
    const own = dovecot.users[USER] ?? ''
    await step('the mailbox\u2019s own password is refused', () => isRefused(gate, own))

    say('\nThe mail server\u2019s own log:')
    await step(`knows ${dovecot.master.user}, who logged in for ${USER}`, async (note) => {
      const [line] = await dovecot.waitForLog(new RegExp(`Master user logging in as ${USER}`))
      must(dovecot.log().includes(`${USER}*${dovecot.master.user}`), 'the master user is not in it')
      note(line)
    })
    await step('has never seen the app password', async () => {
      const log = dovecot.log()
      must(log.length > 1000, 'there is hardly any log')
      for (const form of [issued.password, issued.letters, Buffer.from(issued.letters).toString('base64')]) {
        must(!log.includes(form), 'it is in there')
      }
    })
  }

  say('\nThe phone is lost:')
  await step('sallyport app-password delete', async (note) => {
    const startedAt = performance.now()
    const { sessionsEnded } = await gate.json<{ sessionsEnded: number }>(['app-password', 'delete', issued.id, '--yes'])
    must(sessionsEnded >= 1, `it ended ${sessionsEnded} sessions`)
    note(`ended ${sessionsEnded} open session${sessionsEnded === 1 ? '' : 's'}`)
    await Promise.race([
      gone,
      new Promise((_, fail) => setTimeout(fail, END_MS, new Error('the session is still open'))),
    ])
    note(`the client was cut off; all of it took ${Math.round(performance.now() - startedAt)} ms`)
  })
  await step('the app password is refused from now on', () => isRefused(gate, issued.password))
}

async function lock(imap: ImapFlow): Promise<Disposable> {
  const held = await imap.getMailboxLock('INBOX')
  return { [Symbol.dispose]: () => held.release() }
}

async function showSettings(gate: Sallyport): Promise<void> {
  const issued = await gate.createAppPassword(USER, 'for you to try')
  say(`
Try it with a mail client of yours, until Ctrl-C:
    server      127.0.0.1 (or localhost)
    IMAP        port ${gate.ports.imaps}, SSL/TLS    or port ${gate.ports.imap}, STARTTLS
    user name   ${USER}
    password    ${issued.password}
    certificate self-made: your program will ask whether to trust it
For example:
    curl --insecure --user '${USER}:${issued.letters}' 'imaps://127.0.0.1:${gate.ports.imaps}/INBOX;MAILINDEX=1'
    scripts/sallyport --config ${gate.configFile} session list
    curl http://127.0.0.1:${gate.ports.http}/metrics
`)
}

async function main(): Promise<number> {
  if (options.help) {
    say(HELP)
    return 0
  }
  const stopped = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, done)
  })
  say('sallyport demo: app passwords for old mail clients, in front of a mail server that never sees them\n')
  const upstream = options.upstream === undefined ? await ownDovecot() : givenUpstream(options.upstream)
  if (upstream === null) return 1
  await using _stopped = { [Symbol.asyncDispose]: async () => await upstream.dovecot?.[Symbol.asyncDispose]() }
  if (upstream.dovecot) say(`  Dovecot       127.0.0.1:${upstream.dovecot.ports.imaps}, mailbox ${USER}`)

  const directory = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
  using _removed = { [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
  const passwordFile = join(directory, 'master-password')
  writeFileSync(passwordFile, upstream.masterPassword, { mode: 0o600 })

  await using gate = await startSallyport({
    domains: [USER.slice(USER.indexOf('@') + 1)],
    selfMadeCertificate: true,
    upstreams: {
      main: {
        imap: upstream.imap,
        trusted: upstream.dovecot !== null,
        identity: { method: 'master-user', user: options.master, passwordFile, separator: '*' },
      },
    },
  })
  say(`  sallyport     127.0.0.1:${gate.ports.imaps} (IMAPS), :${gate.ports.imap} (IMAP with STARTTLS)`)

  const interrupted = Symbol('interrupted')
  const work = doTheJob(gate, upstream).then(async () => {
    if (!options.once) await showSettings(gate)
  })
  if ((await Promise.race([work, stopped.then(() => interrupted)])) === interrupted) return 130
  say(
    failed === 0
      ? '\nThe job is done.'
      : `\n${failed} step${failed === 1 ? '' : 's'} failed. The gate\u2019s log:\n${gate.log()}`,
  )
  if (!options.once) {
    await stopped
    say('\nStopping.')
  }
  return failed === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  // Nothing to show beyond what it says: a server that does not start, an option that makes no sense.
  say(`\n  \u2717 ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
