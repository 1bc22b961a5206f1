/**
 * What a test needs besides Node: is it here?
 *
 * A missing program skips the test with a reason; with SALLYPORT_REQUIRE_SERVICES=1 it fails it, so that a machine that is
 * meant to have everything cannot quietly test half.
 */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

/** How one sees that a service is installed, and where it comes from. */
interface Service {
  /** What one starts. */
  readonly program: string
  /** Further programs that it is not whole without. */
  readonly parts?: readonly string[]
  /** The Debian packages that hold them. */
  readonly packages: readonly string[]
}

export const SERVICES = {
  dovecot: {
    program: 'dovecot',
    parts: ['imap-login', 'pop3-login', 'submission-login', 'lmtp'],
    packages: ['dovecot-core', 'dovecot-imapd', 'dovecot-pop3d', 'dovecot-submissiond', 'dovecot-lmtpd'],
  },
  postfix: { program: 'postfix', packages: ['postfix'] },
  swaks: { program: 'swaks', packages: ['swaks', 'libnet-ssleay-perl'] },
  mutt: { program: 'mutt', packages: ['mutt'] },
  msmtp: { program: 'msmtp', packages: ['msmtp'] },
  'git send-email': {
    program: 'git-send-email',
    packages: ['git', 'git-email', 'libio-socket-ssl-perl', 'libauthen-sasl-perl', 'libmailtools-perl'],
  },
  redis: { program: 'redis-server', packages: ['redis-server'] },
  fetchmail: { program: 'fetchmail', packages: ['fetchmail'] },
  mpop: { program: 'mpop', packages: ['mpop'] },
  mbsync: { program: 'mbsync', packages: ['isync'] },
  curl: { program: 'curl', packages: ['curl'] },
  openssl: { program: 'openssl', packages: ['openssl'] },
  python3: { program: 'python3', packages: ['python3'] },
  slapd: { program: 'slapd', packages: ['slapd', 'ldap-utils'] },
  chromium: { program: 'chromium', packages: ['chromium', 'fonts-dejavu-core'] },
  sogo: { program: 'sogod', packages: ['sogo', 'sogo-activesync', 'memcached'] },
  postgresql: { program: 'pg_ctlcluster', packages: ['postgresql'] },
  nginx: { program: 'nginx', packages: ['nginx'] },
} as const satisfies Record<string, Service>
export type ServiceProgram = keyof typeof SERVICES

/** Where servers live, which an ordinary user's PATH often leaves out. */
const EXTRA_DIRECTORIES = [
  '/usr/sbin',
  '/usr/local/sbin',
  '/sbin',
  '/usr/lib/git-core',
  '/usr/lib/dovecot',
  '/usr/libexec/dovecot',
  '/opt/homebrew/sbin',
]

/** The path of a program, or null when it is not installed. */
export function findProgram(name: string): string | null {
  for (const directory of [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_DIRECTORIES]) {
    if (directory === '') continue
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  return null
}

export function hasService(name: ServiceProgram): boolean {
  const { program, parts = [] }: Service = SERVICES[name]
  return [program, ...parts].every((each) => findProgram(each) !== null)
}

/**
 * Whether a test can go on: `if (!requireService(t, 'dovecot')) return`. What is missing is said as a skip, or as a failure
 * under SALLYPORT_REQUIRE_SERVICES=1.
 */
export function requireService(t: Test, ...names: readonly ServiceProgram[]): boolean {
  const missing = names.filter((name) => !hasService(name))
  if (missing.length === 0) return true
  const packages = missing.flatMap((name) => SERVICES[name].packages).join(' ')
  const reason = `${missing.join(', ')} not installed (apt-get install ${packages})`
  if (process.env.SALLYPORT_REQUIRE_SERVICES === '1') t.fail(reason)
  else t.pass(reason, { skip: reason })
  return false
}

/** The path of an installed program. @throws when it is missing: ask `requireService` first. */
export function program(name: ServiceProgram): string {
  const path = findProgram(SERVICES[name].program)
  if (path === null) throw new Error(`${SERVICES[name].program} is not installed`)
  return path
}
