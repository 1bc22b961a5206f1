/**
 * The configuration of a private, unprivileged Dovecot 2.3 on loopback (pure: text from values).
 */

export interface DovecotPorts {
  /** Clear text, STARTTLS offered. */
  readonly imap: number
  readonly imaps: number
  /** Clear text and STARTTLS behind a PROXY header. */
  readonly imapProxy: number
  /** TLS behind a PROXY header. */
  readonly imapsProxy: number
  readonly pop3: number
  readonly pop3s: number
  readonly lmtp: number
}

export interface DovecotSettings {
  readonly directory: string
  readonly user: string
  readonly group: string | null
  readonly ports: DovecotPorts
  /** What separates user and master user in a login name. */
  readonly masterSeparator: string
  /** Networks that may tell a client's address by ID (x-originating-ip) and by PROXY header. */
  readonly trustedNetworks: readonly string[]
  /** What a refused login waits for, in seconds. */
  readonly failureDelaySeconds: number
  readonly requireTls: boolean
  /** Extra lines at the end, as they are. */
  readonly extra: string
}

/**
 * dovecot.conf. The log holds every name and every secret that any client ever presented (`auth_debug_passwords`): what is
 * not in it, Dovecot has never been told.
 */
export function dovecotConf(settings: DovecotSettings): string {
  const { directory, ports, user, group } = settings
  const listener = (name: string, port: number, more = ''): string =>
    `  inet_listener ${name} {\n    address = 127.0.0.1\n    port = ${port}\n${more}  }\n`
  return `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/dovecot.log
log_timestamp = "%Y-%m-%d %H:%M:%S "
default_internal_user = ${user}
${group === null ? '' : `default_internal_group = ${group}\n`}default_login_user = ${user}
first_valid_uid = 1
protocols = imap pop3 lmtp
listen = 127.0.0.1
shutdown_clients = yes

auth_debug = yes
auth_debug_passwords = yes
auth_verbose = yes
auth_verbose_passwords = plain
auth_failure_delay = ${settings.failureDelaySeconds} secs
auth_master_user_separator = ${settings.masterSeparator}
auth_mechanisms = plain login
auth_username_chars =
disable_plaintext_auth = ${settings.requireTls ? 'yes' : 'no'}
login_trusted_networks = ${settings.trustedNetworks.join(' ')}
haproxy_trusted_networks = 127.0.0.0/8
login_log_format_elements = user=<%u> method=%m rip=%r rport=%{rport} lip=%l lport=%a mpid=%e %c session=<%{session}>
mail_max_userip_connections = 200
imap_id_log = *

ssl = yes
ssl_cert = <${directory}/cert.pem
ssl_key = <${directory}/key.pem
ssl_dh =
ssl_min_protocol = TLSv1.2

passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${directory}/master.passwd
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${directory}/users.passwd
}
userdb {
  driver = passwd-file
  args = username_format=%u ${directory}/users.passwd
  default_fields = home=${directory}/mail/%u
}

mail_location = maildir:${directory}/mail/%u/Maildir
mailbox_list_index = yes
mail_plugins = quota zlib
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    special_use = \\Drafts
    auto = subscribe
  }
  mailbox Sent {
    special_use = \\Sent
    auto = subscribe
  }
  mailbox Trash {
    special_use = \\Trash
    auto = subscribe
  }
}
plugin {
  quota = count:User quota
  quota_rule = *:storage=2G
  quota_vsizes = yes
}
protocol imap {
  mail_plugins = quota zlib imap_zlib imap_quota
}

service anvil {
  chroot =
  # One wrong password would slow down everybody who comes from the same address, and here that is everybody.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  chroot =
  service_count = 0
  process_min_avail = 1
${listener('imap', ports.imap)}${listener('imaps', ports.imaps, '    ssl = yes\n')}${listener('imap_proxy', ports.imapProxy, '    haproxy = yes\n')}${listener('imaps_proxy', ports.imapsProxy, '    haproxy = yes\n    ssl = yes\n')}}
service imap {
  service_count = 50
  process_min_avail = 1
  process_limit = 200
}
service pop3-login {
  chroot =
  service_count = 0
${listener('pop3', ports.pop3)}${listener('pop3s', ports.pop3s, '    ssl = yes\n')}}
service lmtp {
${listener('lmtp', ports.lmtp)}}
service stats {
  chroot =
}
service submission-login {
  chroot =
}
${settings.extra}
`
}

/** A passwd-file: name, clear password, nothing else. Passwords must hold no colon. */
export function passwdFile(users: Readonly<Record<string, string>>): string {
  let text = ''
  for (const [name, password] of Object.entries(users)) {
    if (/[:\r\n]/.test(`${name}${password}`)) throw new Error(`a passwd-file cannot hold ${name}'s password`)
    text += `${name}:{PLAIN}${password}::::::\n`
  }
  return text
}
