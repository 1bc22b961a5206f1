/**
 * A real Postfix of one's own: a private instance on free loopback ports, which takes submissions from who is known to a
 * Dovecot and delivers to that Dovecot by LMTP; gone when the test is.
 *
 * Postfix's master wants to be root and drops privileges itself, so a test asks `canRunPostfix` first.
 */

import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { createCa } from './certificates.ts'
import type { Dovecot } from './dovecot.ts'
import { scriptedClient } from './peer.ts'
import { freePort, waitForPort } from './ports.ts'
import { Program, run } from './program.ts'
import { findProgram, requireService } from './services.ts'

export interface PostfixPorts {
  /** STARTTLS. */
  readonly submission: number
  /** TLS from the first byte. */
  readonly submissions: number
  /** STARTTLS; believes XCLIENT and XFORWARD from anywhere on loopback. */
  readonly trusting: number
  /** STARTTLS; believes XCLIENT from 127.0.0.1 and no other address. */
  readonly xclient: number
  /** STARTTLS, behind a PROXY header; refusals have two lines. */
  readonly proxied: number
}

export interface Postfix extends AsyncDisposable {
  readonly ports: PostfixPorts
  /** PEM of the authority that its certificate comes from, and the same as a file. */
  readonly ca: string
  readonly caFile: string
  log(): string
  /** The first line of the log that matches: a daemon of its own writes it. @throws after a minute */
  waitForLog(pattern: RegExp): Promise<string>
}

/** Only costs time where a line never comes. */
const LOG_MS = 60_000

/** Lines for a Dovecot's configuration, so that Postfix can ask it who somebody is. */
export function saslListener(port: number): string {
  return `service auth {\n  inet_listener {\n    address = 127.0.0.1\n    port = ${port}\n  }\n}\n`
}

/** Whether there is a Postfix here and we may start it; says why not. */
export function canRunPostfix(t: Test): boolean {
  if (!requireService(t, 'postfix', 'dovecot')) return false
  if (process.getuid?.() === 0) return true
  const reason = 'Postfix starts as root only'
  t.pass(reason, { skip: reason })
  return false
}

/** @param saslPort where `dovecot` listens with `saslListener` */
export async function startPostfix(dovecot: Dovecot, saslPort: number): Promise<Postfix> {
  const directory = mkdtempSync(join(tmpdir(), 'sp-postfix-'))
  const ca = await createCa('Postfix under test')
  const pair = await ca.issue()
  const ports: PostfixPorts = {
    submission: await freePort(),
    submissions: await freePort(),
    trusting: await freePort(),
    xclient: await freePort(),
    proxied: await freePort(),
  }
  const put = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o644 })
    return join(directory, name)
  }
  chmodSync(directory, 0o755)
  mkdirSync(join(directory, 'conf'))
  mkdirSync(join(directory, 'queue'))
  mkdirSync(join(directory, 'data'))
  const { uid, gid } = await idOf('postfix')
  chownSync(join(directory, 'data'), uid, gid)
  const caFile = put('ca.pem', ca.cert)
  const logFile = join(directory, 'data', 'mail.log')
  // As config/dovecot.yaml has it (threats F5).
  put('senders', '/^sales@example\\.org$/  ann@example.org, bob@example.org\n/^(.*)$/  $1\n')
  put(
    'conf/main.cf',
    `compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
maillog_file = ${logFile}
maillog_file_prefixes = ${directory}
myhostname = mail.example.org
mydestination =
alias_maps =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:127.0.0.1:${dovecot.ports.lmtp}
message_size_limit = 20480000
smtpd_tls_cert_file = ${put('cert.pem', pair.cert)}
smtpd_tls_key_file = ${put('key.pem', pair.key)}
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:${saslPort}
smtpd_sender_login_maps = regexp:${directory}/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 20
`,
  )
  const trust = ['xclient', 'xforward'].map((what) => `  -o smtpd_authorized_${what}_hosts=127.0.0.0/8\n`).join('')
  put(
    'conf/master.cf',
    `127.0.0.1:${ports.submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
127.0.0.1:${ports.submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:${ports.trusting} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
${trust}127.0.0.1:${ports.xclient} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_authorized_xclient_hosts=127.0.0.1
127.0.0.1:${ports.proxied} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_reject_footer=Ask-the-postmaster.
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`,
  )
  const conf = join(directory, 'conf')
  const log = (): string => {
    try {
      return readFileSync(logFile, 'latin1')
    } catch {
      return ''
    }
  }
  // Makes the directories of the queue with their owners; what else it finds wrong does not matter here.
  await run(findProgram('postfix') ?? 'postfix', ['-c', conf, 'check'])
  const { output } = await run(findProgram('postconf') ?? 'postconf', ['-c', conf, '-h', 'daemon_directory'])
  const master = new Program(join(output.trim(), 'master'), ['-c', conf, '-d'])
  const postfix: Postfix = {
    ports,
    ca: ca.cert,
    caFile,
    log,
    async waitForLog(pattern) {
      const deadline = Date.now() + LOG_MS
      while (Date.now() < deadline) {
        const line = log()
          .split('\n')
          .find((each) => pattern.test(each))
        if (line !== undefined) return line
        await delay(20)
      }
      throw new Error(`Postfix did not log ${String(pattern)}:\n${log()}`)
    },
    async [Symbol.asyncDispose]() {
      // It ends its own children.
      await master.stop('SIGTERM')
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  try {
    for (const port of Object.values(ports)) await waitForPort(port, { signal: master.ended })
    // The first connection starts the processes, which can take seconds on a cold machine.
    using peer = await scriptedClient(ports.submission, { timeoutMs: 30_000 })
    await peer.expect(/^220 /)
    peer.send('QUIT\r\n')
    await peer.rest()
    return postfix
  } catch (error) {
    await delay(100)
    const why = `Postfix did not start: ${String(error)}\n${master.output}\n${log()}`
    await postfix[Symbol.asyncDispose]()
    throw new Error(why, { cause: error })
  }
}

async function idOf(user: string): Promise<{ uid: number; gid: number }> {
  const id = async (flag: string): Promise<number> => Number((await run('id', [flag, user])).output.trim())
  return { uid: await id('-u'), gid: await id('-g') }
}
