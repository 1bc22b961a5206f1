/**
 * Dovecot's login proxy: `proxy=y` from a passwd-file, login processes in their high-performance mode.
 *
 * Dovecot 2.3 writes TLS in pieces of 1 KB. One wrong password slows down everybody who comes from that address
 * (the auth penalty), which is switched off here. A cold one needs seconds for its first login.
 */

import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, waitForPort } from '../../../test/support/ports.ts'
import { ordinaryAccount, Program, run } from '../../../test/support/program.ts'
import { findProgram } from '../../../test/support/services.ts'
import { commandLine } from '../process-tree.ts'
import type { Setting, SmtpPorts, Subject } from './subject.ts'
import { PASSWORD, peerAccounts, Unavailable } from './subject.ts'

export async function startDovecotProxy(setting: Setting): Promise<Subject> {
  const binary = findProgram('dovecot')
  if (binary === null) throw new Unavailable('not installed (apt-get install dovecot-imapd)')
  const version = /^[\d.]+/.exec((await run(binary, ['--version'])).output)?.[0] ?? '?'
  const account = ordinaryAccount()
  const { directory, workers } = setting
  const own = (path: string): void => {
    if (account.uid !== undefined) chownSync(path, account.uid, account.gid ?? account.uid)
  }
  const put = (name: string, text: string): string => {
    const path = join(directory, name)
    writeFileSync(path, text, { mode: 0o600 })
    own(path)
    return path
  }
  own(directory)
  chmodSync(directory, 0o711)
  for (const name of ['run', 'state']) {
    mkdirSync(join(directory, name))
    own(join(directory, name))
  }
  const [plainPort, tlsPort] = [await freePort(), await freePort()]
  const smtpPorts =
    setting.smtpUpstreamPort === null || findProgram('submission-login') === null
      ? null
      : { plain: await freePort(), tls: await freePort() }
  put('cert.pem', setting.tls.cert)
  put('key.pem', setting.tls.key)
  const accounts = peerAccounts()
  for (const [service, port] of [
    ['imap', setting.upstreamPort],
    ['submission', setting.smtpUpstreamPort],
  ] as const) {
    const extra = `proxy=y host=127.0.0.1 port=${port} proxy_timeout=10`
    put(`users.${service}`, accounts.map(([user]) => `${user}:{PLAIN}${PASSWORD}::::::${extra}\n`).join(''))
  }
  const clients = 2 * setting.sessions + 256
  const conf = put(
    'dovecot.conf',
    `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/dovecot.log
default_internal_user = ${account.user}
${account.group === null ? '' : `default_internal_group = ${account.group}`}
default_login_user = ${account.user}
default_client_limit = ${2 * clients}
default_vsz_limit = 1G
first_valid_uid = 1
protocols = imap${smtpPorts === null ? '' : ' submission'}
listen = 127.0.0.1
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
login_log_format_elements = user=<%u>
ssl = yes
ssl_cert = <${directory}/cert.pem
ssl_key = <${directory}/key.pem
ssl_dh =
ssl_min_protocol = TLSv1.2
mail_max_userip_connections = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${directory}/users.%s
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = ${workers}
  process_limit = ${workers}
  client_limit = ${clients}
  inet_listener imap {
    address = 127.0.0.1
    port = ${plainPort}
  }
  inet_listener imaps {
    address = 127.0.0.1
    port = ${tlsPort}
    ssl = yes
  }
}
${smtpPorts === null ? '' : submissionLogin(smtpPorts, workers, clients)}`,
  )
  const program = new Program(binary, ['-F', '-c', conf], { account, group: true })
  try {
    await waitForPort(tlsPort, { signal: program.ended })
  } catch (error) {
    await program.stop('SIGKILL')
    throw error
  }
  return {
    name: 'dovecot',
    workers,
    version,
    plainPort,
    tlsPort,
    smtpPorts,
    pid: program.child.pid ?? 0,
    helperPid: null,
    accounts,
    freshAccounts: null,
    roleOf: (pid) => (commandLine(pid).split(' ')[0] ?? '').replace(/^dovecot\//, ''),
    verifications: null,
    // The whole group at once: by SIGTERM the master would wait for sessions that are still open.
    [Symbol.asyncDispose]: async () => void (await program.stop('SIGKILL')),
  }
}

/** Its submission service as a proxy. The relay it would have without one is never asked. */
function submissionLogin({ plain, tls }: SmtpPorts, workers: number, clients: number): string {
  return `hostname = localhost
submission_relay_host = 127.0.0.1
service submission-login {
  chroot =
  service_count = 0
  process_min_avail = ${workers}
  process_limit = ${workers}
  client_limit = ${clients}
  inet_listener submission {
    address = 127.0.0.1
    port = ${plain}
  }
  inet_listener submissions {
    address = 127.0.0.1
    port = ${tls}
    ssl = yes
  }
}
`
}
