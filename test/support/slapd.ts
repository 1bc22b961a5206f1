/**
 * A private OpenLDAP on loopback with a few people in it, over ldap: (StartTLS offered) and ldaps:.
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa } from './certificates.ts'
import { freePort, waitForPort } from './ports.ts'
import { Program } from './program.ts'
import { program } from './services.ts'

export interface SlapdPerson {
  readonly uid: string
  readonly mail: string
  readonly password: string
}

export interface Slapd extends AsyncDisposable {
  readonly url: string
  readonly ldapsUrl: string
  readonly baseDn: string
  readonly adminDn: string
  readonly adminPassword: string
  /** PEM of the CA. */
  readonly ca: string
  /** Text of its log, statistics level: binds and searches. */
  log(): string
  stop(): Promise<void>
}

const BASE = 'dc=a,dc=test'

export async function startSlapd(people: readonly SlapdPerson[]): Promise<Slapd> {
  const directory = mkdtempSync(join(tmpdir(), 'sp-slapd-'))
  mkdirSync(join(directory, 'db'))
  const ca = await createCa()
  const leaf = await ca.issue()
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  const adminPassword = 'the-search-account'
  const conf = file(
    'slapd.conf',
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${directory}/pid
loglevel stats
TLSCACertificateFile ${file('ca.pem', ca.cert)}
TLSCertificateFile ${file('cert.pem', leaf.cert)}
TLSCertificateKeyFile ${file('key.pem', leaf.key)}
database mdb
suffix "${BASE}"
rootdn "cn=admin,${BASE}"
rootpw ${adminPassword}
directory ${directory}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=admin,${BASE}" read by anonymous none by * read
`,
  )
  const entries = people.map(
    ({ uid, mail, password }) => `dn: uid=${uid},${BASE}
objectClass: inetOrgPerson
uid: ${uid}
cn: ${uid}
sn: ${uid}
mail: ${mail}
userPassword: ${password}
`,
  )
  const ldif = file(
    'people.ldif',
    [`dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: a\no: a\n`, ...entries].join('\n'),
  )
  const slapd = program('slapd')
  execFileSync(slapd, ['-T', 'add', '-f', conf, '-l', ldif], { stdio: 'pipe' })

  const [port, tlsPort] = [await freePort(), await freePort()]
  const urls = [`ldap://127.0.0.1:${port}`, `ldaps://127.0.0.1:${tlsPort}`]
  const server = new Program(slapd, ['-d', 'stats', '-f', conf, '-h', urls.join(' ')])
  await waitForPort(port, { signal: server.ended })

  async function stop(): Promise<void> {
    await server.stop('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    url: `ldap://localhost:${port}`,
    ldapsUrl: `ldaps://localhost:${tlsPort}`,
    baseDn: BASE,
    adminDn: `cn=admin,${BASE}`,
    adminPassword,
    ca: ca.cert,
    log: () => server.output,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
