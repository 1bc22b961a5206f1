/**
 * Prints docs/protocols.md: which RFCs the code claims to follow, how far, and where.
 *
 * The places come from the comments (`RFC 9051 §6.2.3`), the judgement from the table below. An RFC that is cited but not in the
 * table, or in the table but nowhere cited though it says so, is an error, so the page can't drift from the code.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

type Status = 'Yes' | 'Partial' | 'Reference'

/** RFC → title, how far we follow it, what is left out or why it is only referred to. */
const RFCS: Readonly<Record<number, readonly [title: string, status: Status, note: string]>> = {
  1870: ['SMTP SIZE', 'Partial', 'announced as the smallest of all upstreams'],
  1939: ['POP3', 'Partial', 'the AUTHORIZATION state, without APOP; afterwards every byte is the upstream’s'],
  2449: ['POP3 CAPA and response codes', 'Yes', 'before login; afterwards the upstream’s'],
  2595: ['STARTTLS for POP3', 'Yes', 'STLS, both directions'],
  2971: [
    'IMAP4 ID extension',
    'Yes',
    'before login towards clients; towards trusted upstreams with the client’s address',
  ],
  3030: ['SMTP CHUNKING', 'Reference', 'BDAT before a login ends the connection'],
  3206: ['POP3 response codes AUTH and SYS', 'Yes', 'both directions'],
  3207: ['SMTP STARTTLS', 'Yes', 'both directions; bytes behind the command end the connection'],
  3370: ['CMS algorithms', 'Reference', 'RSA signatures of profiles'],
  3461: ['SMTP DSN', 'Reference', 'xtext, for XCLIENT'],
  3463: ['Enhanced status codes', 'Yes', 'in every reply before the login'],
  3834: ['Automatic responses', 'Reference', 'our mail says that it is automatic'],
  4180: ['CSV files', 'Yes', '`user import`'],
  4226: ['HOTP', 'Reference', 'the length of seeds'],
  4291: ['IPv6 addressing', 'Reference', 'v4-mapped addresses are taken for what they are'],
  4422: ['SASL', 'Yes', 'PLAIN, LOGIN; no security layers, no challenge mechanisms'],
  4511: ['LDAP', 'Reference', 'results of a bind'],
  4513: ['LDAP authentication', 'Partial', 'simple bind over TLS; an empty password is never sent'],
  4616: ['SASL PLAIN', 'Yes', 'the authorization identity must be empty or the user’s own'],
  4648: ['Base64', 'Yes', 'canonical form only'],
  4954: ['SMTP AUTH', 'Yes', 'PLAIN and LOGIN, both directions; EHLO again after the login, upstream'],
  4959: ['IMAP SASL-IR', 'Yes', 'both directions'],
  5034: ['POP3 AUTH', 'Yes', 'PLAIN and LOGIN from clients; towards upstreams without an initial response'],
  5077: ['TLS session tickets', 'Yes', 'one key set for all processes of a server'],
  5321: ['SMTP', 'Partial', 'up to the login; afterwards every byte is the upstream’s'],
  5530: ['IMAP response codes', 'Yes', 'AUTHENTICATIONFAILED, UNAVAILABLE, PRIVACYREQUIRED, LIMIT, ALERT'],
  5652: ['CMS', 'Partial', 'SignedData around profiles for Apple devices'],
  5737: ['Addresses for documentation', 'Reference', '`check` names one where a client’s address is asked for'],
  5754: ['SHA-2 in CMS', 'Reference', 'ECDSA signatures of profiles'],
  5801: ['SASL GS2', 'Partial', 'the header of OAUTHBEARER'],
  5869: ['HKDF', 'Yes', 'one subkey for each purpose'],
  5890: ['IDNA definitions', 'Partial', 'domains are LDH or A-labels; U-labels are refused, not converted'],
  5952: ['IPv6 text', 'Yes', 'addresses have one spelling in logs and limits'],
  6066: ['TLS extensions', 'Yes', 'server name indication, both directions'],
  6125: ['Service identity in TLS', 'Yes', 'wildcards stand for one label'],
  6186: ['Locating mail services', 'Yes', '`sallyport dns` prints and checks the SRV records'],
  6238: ['TOTP', 'Yes', 'one step either way, each step once'],
  6265: ['HTTP cookies', 'Yes', '`__Host-` (6265bis) throughout'],
  6409: ['Message submission', 'Partial', 'nothing is taken before a login; all else is the upstream’s'],
  6750: ['OAuth 2.0 bearer tokens', 'Partial', 'token syntax only'],
  6797: ['HTTP Strict Transport Security', 'Yes', 'on every page that came over TLS'],
  6901: ['JSON Pointer', 'Yes', 'names the place of a fault in a request of the API'],
  7301: ['TLS ALPN', 'Yes', 'a client that says it speaks another protocol is refused'],
  7617: ['HTTP Basic', 'Yes', 'ActiveSync; one header, UTF-8 before Latin-1'],
  7628: ['SASL OAUTHBEARER', 'Partial', 'encoding and decoding; no method obtains tokens yet'],
  7888: ['IMAP LITERAL+ / LITERAL-', 'Yes', 'LITERAL- before login; afterwards the upstream’s'],
  8176: ['Authentication method references', 'Reference', 'amr values of a second step'],
  8259: ['JSON', 'Yes', 'as Node has it'],
  8265: ['PRECIS user names', 'Partial', 'names are ASCII; what would have to be mapped is refused'],
  8288: ['Web linking', 'Yes', 'next pages of the API’s lists'],
  8314: ['Cleartext considered obsolete', 'Yes', 'no credentials without TLS unless written; implicit TLS recommended'],
  8437: ['IMAP UNAUTHENTICATE', 'Reference', 'an upstream that offers it after login is never joined to a client'],
  8446: ['TLS 1.3', 'Yes', 'by OpenSSL'],
  8996: ['TLS 1.0 and 1.1 deprecated', 'Yes', 'not offered by default'],
  9051: ['IMAP4rev2', 'Partial', 'the not authenticated state; afterwards every byte is the upstream’s'],
  9106: ['Argon2', 'Yes', 'argon2id, by the argon2 package'],
  9110: [
    'HTTP semantics',
    'Partial',
    'hop-by-hop headers end at each side; what waits for leave gets it after the credentials',
  ],
  9112: ['HTTP/1.1', 'Yes', 'by node:http’s strict parser; ambiguities that it lets pass are refused'],
  9113: ['HTTP/2', 'Reference', 'check tells a server that speaks nothing else'],
  9207: ['OAuth issuer identification', 'Yes', 'checked in the response of a provider'],
  9457: ['Problem details for HTTP APIs', 'Yes', 'faults of the admin API'],
}

const ROOT = resolve(import.meta.dirname, '..')
const PAGE = join(ROOT, 'docs/protocols.md')

interface Citation {
  readonly sections: Set<string>
  readonly files: Set<string>
}

function citations(): Map<number, Citation> {
  const found = new Map<number, Citation>()
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  for (const file of files.sort()) {
    const text = readFileSync(join(ROOT, 'src', file), 'utf8')
    for (const match of text.matchAll(/RFC (\d{3,5})(?: (§[0-9]+(?:\.[0-9]+)*))?/g)) {
      const rfc = Number(match[1])
      const citation = found.get(rfc) ?? { sections: new Set(), files: new Set() }
      if (match[2]) citation.sections.add(match[2])
      citation.files.add(file)
      found.set(rfc, citation)
    }
  }
  return found
}

/** The page, or what keeps it from being true. */
export function protocolsPage(): { readonly text: string; readonly problems: readonly string[] } {
  const cited = citations()
  const problems: string[] = []
  for (const [rfc, { files }] of cited) {
    if (!(rfc in RFCS))
      problems.push(`RFC ${rfc} is cited in ${[...files].join(', ')} and missing in scripts/rfc-index.ts`)
  }
  for (const rfc of Object.keys(RFCS)) {
    if (!cited.has(Number(rfc))) problems.push(`RFC ${rfc} is in scripts/rfc-index.ts and cited nowhere in src/`)
  }
  const rows = Object.entries(RFCS).map(([rfc, [title, status, note]]) => {
    const { sections, files } = cited.get(Number(rfc)) ?? { sections: new Set<string>(), files: new Set<string>() }
    const order = [...sections].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    return `| [${rfc}](https://www.rfc-editor.org/rfc/rfc${rfc}) | ${title} | ${status} | ${note} | ${order.join(', ')} | ${[...files].map((file) => `\`${file}\``).join(' ')} |`
  })
  const text = [
    '# Protocols',
    '',
    'What the code says it follows, how far, and where it says so (files under `src/`). Printed by `node scripts/rfc-index.ts`; a test fails when the page and the code differ.',
    '',
    '| RFC | Title | Followed | Note | Sections cited | Where |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
    '',
    'Also: "The PROXY protocol, versions 1 & 2" (HAProxy), both directions.',
    '',
  ].join('\n')
  return { text, problems }
}

if (import.meta.main) {
  const { text, problems } = protocolsPage()
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exit(1)
  writeFileSync(PAGE, text)
  console.log(`wrote ${PAGE}`)
}
