/**
 * `npm run demo`: the main job, done before your eyes.
 *
 * Starts a real Dovecot with a sample mailbox and sallyport in front of it, both unprivileged on loopback with directories of
 * their own, makes a user and an app password by the command line, and reads and sends mail as a mail client would. Every step
 * is checked; one that fails is said and makes the exit status 1. Everything that was started is stopped, everything made is
 * removed.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Sallyport } from '../test/support/sallyport.ts'
import { startSallyport } from '../test/support/sallyport.ts'
import { doTheJob } from './demo/job.ts'
import { openPortal } from './demo/portal.ts'
import type { Upstream } from './demo/servers.ts'
import { givenServer, startOwn } from './demo/servers.ts'
import { failures, say } from './demo/steps.ts'

const HELP = `Usage: npm run demo [-- options]

Puts sallyport in front of a real Dovecot on this machine, does its main job once and stays up until Ctrl-C.

  --once                      end when the job is done: exit status 0, or 1 when a step failed
  --upstream imaps://HOST[:PORT] | imap://HOST[:PORT]
                              use this IMAP server instead of starting a Dovecot (imap:// means STARTTLS)
    --upstream pop3s://… | pop3://…   its POP3 as well; without it that part of the job is left out
    --upstream smtps://… | smtp://…   its submission as well: a message is sent from ADDRESS to ADDRESS
    --ca FILE                   trust this authority (PEM) for it
    --user ADDRESS              a mailbox there
    --master USER               an account that may log in as ADDRESS*USER
    --master-password-file FILE its password (mode 0600)
  --help
`

const { values: options } = parseArgs({
  options: {
    once: { type: 'boolean', default: false },
    upstream: { type: 'string', multiple: true },
    ca: { type: 'string' },
    user: { type: 'string', default: 'demo@example.org' },
    master: { type: 'string', default: 'sallyport' },
    'master-password-file': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const USER = options.user

/** Where clients connect to, by protocol: name, ports with TLS from the first byte and with STARTTLS. */
function doors({ ports }: Sallyport, { sections }: Upstream) {
  const all = [
    ['imap', 'IMAP', ports.imaps, ports.imap],
    ['pop3', 'POP3', ports.pop3s, ports.pop3],
    ['smtp', 'SMTP', ports.smtps, ports.smtp],
  ] as const
  return all.filter(([protocol]) => protocol in sections)
}

async function showSettings(gate: Sallyport, upstream: Upstream, invitation: string | null): Promise<void> {
  const issued = await gate.createAppPassword(USER, 'for you to try')
  const lines = doors(gate, upstream).map(
    ([, name, secure, starttls]) => `    ${name.padEnd(11)} port ${secure}, SSL/TLS    or port ${starttls}, STARTTLS`,
  )
  say(`
Try the portal in a browser of yours, until Ctrl-C: set up two-step sign-in with this link, which works once
    ${invitation ?? 'none: see above'}
    (the certificate is self-made: your browser warns of it; a passkey or an authenticator app will do)

Or try it with a mail client of yours:
    server      127.0.0.1 (or localhost)
${lines.join('\n')}
    user name   ${USER}, for all of them
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
  await using upstream =
    options.upstream === undefined
      ? await startOwn(USER)
      : givenServer(options.upstream, options['master-password-file'], options.ca)
  if (upstream === null) return 1
  if (upstream.own) say(`  Dovecot       127.0.0.1:${upstream.own.dovecot.ports.imaps}, mailbox ${USER}`)

  const directory = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
  using _removed = { [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) }
  const passwordFile = join(directory, 'master-password')
  writeFileSync(passwordFile, upstream.masterPassword, { mode: 0o600 })

  await using gate = await startSallyport({
    domains: [USER.slice(USER.indexOf('@') + 1)],
    selfMadeCertificate: true,
    launchesCommands: true,
    portal: {},
    upstreams: {
      main: {
        ...upstream.sections,
        trusted: upstream.own !== null,
        identity: { method: 'master-user', user: options.master, passwordFile, separator: '*' },
      },
    },
  })
  const listening = doors(gate, upstream).map(([, name, secure]) => `:${secure} (${name}S)`)
  say(`  sallyport     127.0.0.1 ${listening.join(', ')}; STARTTLS on ports of their own`)

  const interrupted = Symbol('interrupted')
  const work = doTheJob(gate, upstream, USER).then(async () => {
    const invitation = await openPortal(gate, USER)
    if (!options.once) await showSettings(gate, upstream, invitation)
  })
  if ((await Promise.race([work, stopped.then(() => interrupted)])) === interrupted) return 130
  const failed = failures()
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
