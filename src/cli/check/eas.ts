/**
 * One ActiveSync server: is it reached, does it speak HTTP/1.1, is it ActiveSync at all, does it take what we log in with?
 *
 * Asked is OPTIONS (MS-ASHTTP §2.2.3), which changes nothing: first without credentials, then, for a user, with ours. The words are
 * about what a phone would meet; what a gate would pass on and what it would turn into a 503 is in `edge/eas/answer.ts`.
 */

import type { Socket } from 'node:net'
import type { UpstreamIdentity } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import { authorization } from '../../edge/eas/credentials.ts'
import { ACTIVE_SYNC_PATH } from '../../edge/eas/request.ts'
import { headerValues } from '../../edge/http/headers.ts'
import { httpPlace } from '../../keeper/upstream/routes.ts'
import { Secret } from '../../secret.ts'
import { plain } from '../output.ts'
import type { HttpAnswer } from './http.ts'
import { ask, HTTP2_ADVICE, TLS_ADVICE } from './http.ts'
import type { CheckIdentity } from './login.ts'
import type { Finding, Report } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { Target, TargetWords } from './socket.ts'
import { connectTcp, resolveHost, shakeHands } from './socket.ts'

export interface EasCheck {
  /** Name in the configuration. */
  readonly name: string
  readonly eas: { readonly url: string; readonly ca: string | null; readonly serverName: string | null }
  readonly proxyProtocol: 'v1' | 'v2' | null
  /** How we log in there, and the key of the configuration that says so: `upstreams.main.identity`, or `….eas.identity`. */
  readonly configured: { readonly method: string; readonly key: string }
  /** null: stop before the login. */
  readonly identity: CheckIdentity | null
  readonly timeoutMs: number
}

const WORDS: TargetWords = {
  noTls: 'It is a port without TLS: write the one with TLS into eas.url (443), or http:// where nobody can listen in.',
  tlsPort: 'Is this the port for HTTPS (443)?',
  minTls: 'nginx: ssl_protocols TLSv1.2 TLSv1.3',
  setting: (host) => `eas.url: https://${host}`,
}

/** Tries the server of an `eas` section. */
export async function checkEas(report: Report, check: EasCheck): Promise<void> {
  const { name, eas, proxyProtocol, identity, timeoutMs } = check
  const { hosts, tls, http } = httpPlace(eas.url)
  const [place] = hosts
  if (place === undefined) return
  const { ca, serverName } = eas
  const target: Target = { ...place, tls, ca, serverName, proxyProtocol, words: WORDS }
  const path = `${http.path}${ACTIVE_SYNC_PATH}`
  const hop = `upstream ${name}, eas ${place.host}:${place.port}${http.path}`

  const address = await report.run(hop, 'dns', () => resolveHost(place.host))
  if (address === null) return
  const socket = await report.run(hop, 'connect', () => connectTcp(address, target, timeoutMs))
  if (socket === null) return
  let stream: Socket = socket
  let open: HttpAnswer | null
  try {
    if (tls === 'implicit') {
      const secure = await report.run(hop, 'tls', () => shakeHands(socket, target, timeoutMs))
      if (secure === null) return
      stream = secure
    }
    open = await report.run(hop, 'OPTIONS', async () => {
      const value = await ask(stream, { host: http.host, path, authorization: null }, timeoutMs)
      return { finding: judgeOpen(value), value }
    })
  } finally {
    stream.destroy()
    socket.destroy()
  }
  if (open === null) return
  if (identity === null) {
    if (open.status === 200) report.add(hop, 'ActiveSync', judgeVersions(open))
    return
  }
  const welcome = await report.run(hop, 'login', async () => {
    const startedAt = performance.now()
    const { value: raw } = await connectTcp(address, target, timeoutMs)
    let used: Socket = raw
    try {
      if (tls === 'implicit') used = (await shakeHands(raw, target, timeoutMs)).value
      const asked = { host: http.host, path, authorization: credentials(identity, name) }
      const value = await ask(used, asked, timeoutMs)
      const ms = Math.round(performance.now() - startedAt)
      return { finding: judgeLogin(value, `as ${plain(identity.authcid)}`, check, ms), value }
    } finally {
      used.destroy()
      raw.destroy()
    }
  })
  if (welcome !== null) report.add(hop, 'ActiveSync', judgeVersions(welcome))
}

/** @throws StepFailure for what HTTP has no word for */
function credentials({ authcid, authzid, secret }: CheckIdentity, upstream: string): Secret {
  const identity: UpstreamIdentity = { kind: 'password', authcid, authzid, secret: new Secret(secret) }
  try {
    return authorization(identity)
  } catch (error) {
    if (!(error instanceof LoginFailure)) throw error
    throw new StepFailure(
      error.message,
      `Give ActiveSync an identity of its own, ${OWN_SECRET(upstream)}, or master-user where the server knows such names over HTTP.`,
    )
  }
}

/** What is said to somebody without credentials: a challenge that we can answer, or already what ActiveSync says. */
function judgeOpen(answer: HttpAnswer): Finding {
  const { status, headers, shown } = answer
  if (status === 401) {
    const schemes = headerValues(headers, 'www-authenticate').map((value) => value.split(' ', 1)[0]?.toLowerCase())
    if (schemes.includes('basic')) return good(`${shown}, asks for a password (Basic)`)
    const offered = schemes.length === 0 ? 'names no scheme' : `offers ${plain(schemes.join(', '))} and not Basic`
    return bad(
      `${shown}, ${offered}`,
      'Turn Basic authentication on for ActiveSync there (Exchange: Set-ActiveSyncVirtualDirectory -BasicAuthEnabled $true): it is how passwords are sent upstream.',
    )
  }
  if (status === 200 && !isActiveSync(answer)) return NOT_ACTIVE_SYNC(shown)
  if (status === 200) return good(`${shown}, without asking for a password`)
  return bad(shown, adviceFor(answer) ?? UNKNOWN_ADVICE)
}

/** What is said to us as a user. */
function judgeLogin(
  answer: HttpAnswer,
  asWhom: string,
  { name, configured }: Pick<EasCheck, 'name' | 'configured'>,
  ms: number,
): Finding {
  const { status, shown } = answer
  if (status === 200) return isActiveSync(answer) ? good(`${asWhom}, ${ms} ms`) : NOT_ACTIVE_SYNC(`${asWhom}: ${shown}`)
  const detail = `${asWhom}: ${shown}`
  if (status === 401) {
    const advice = REFUSED[configured.method] ?? (() => 'The server refused our name or password.')
    return bad(detail, advice(name, configured.key))
  }
  if (status === 403) {
    return bad(
      detail,
      'The password is right, or was not looked at: this user may not use ActiveSync (Exchange: Set-CASMailbox -ActiveSyncEnabled $true; SOGo: the module is off for this user), or the server lets only listed addresses in.',
    )
  }
  return bad(detail, adviceFor(answer) ?? UNKNOWN_ADVICE)
}

/** The setting that leaves an upstream's other protocols as they are. */
const OWN_SECRET = (upstream: string) => `upstreams.${upstream}.eas.identity: { method: stored-secret }`

const REFUSED: Readonly<Record<string, (upstream: string, key: string) => string>> = {
  'master-user': (upstream, key) =>
    `Either the master user’s password is wrong (the file that ${key}.passwordFile names), or the server does not know such names over HTTP. SOGo asks its own user source (SQL, LDAP) and not Dovecot, so USER*MASTER is nobody there: set ${OWN_SECRET(upstream)} and give each user the server’s password, sallyport secret set --user … --upstream ${upstream}`,
  'stored-secret': (upstream) =>
    `The password stored for this user is not (or no longer) the one the server knows: sallyport secret set --user … --upstream ${upstream}. Does the server want another name than the address (DOMAIN\\user)?`,
}

const UNKNOWN_ADVICE = 'Look at the server’s log at this moment. A phone would be told to come back later.'
const NO_PLACE =
  'ActiveSync is not at this address: eas.url names the server, and a path in front where there is one (sogod without its nginx: http://127.0.0.1:20000/SOGo). Is it installed and turned on there (SOGo: the package sogo-activesync, and its location in nginx)?'

const NOT_ACTIVE_SYNC = (shown: string): Finding =>
  bad(`${shown}, without a word of ActiveSync (no MS-ASProtocolVersions)`, `That is a web site. ${NO_PLACE}`)

/** What a status means before and after the login alike; null: nothing that is known. */
function adviceFor({ status, headers, body }: HttpAnswer): string | null {
  if (/(?:unknown|missing) ALPN protocol/i.test(body)) return HTTP2_ADVICE
  if (/plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL/i.test(body)) return TLS_ADVICE
  const [location] = headerValues(headers, status === 451 ? 'x-ms-location' : 'location')
  if (status >= 300 && status < 400) {
    const to = location === undefined ? '' : plain(location).slice(0, 200)
    return `It sends us ${to === '' ? 'elsewhere' : `to ${to}`}. A phone can’t follow that: if it is ActiveSync’s real address, set eas.url to it; if it is a page to sign in at, let ${ACTIVE_SYNC_PATH} past that page, from this machine’s address.`
  }
  switch (status) {
    case 400:
      return 'The server can’t make sense of the request: is the port in eas.url that of its web server, and does it serve this host name?'
    case 403:
      return 'It lets only listed addresses in, or ActiveSync is off: allow this machine’s address there, and look at its log.'
    case 404:
    case 410:
      return NO_PLACE
    case 405:
    case 501:
      return `It does not know OPTIONS here, so it is no ActiveSync server. ${NO_PLACE}`
    case 421:
      return 'It does not serve this name: write the name that it knows into eas.url.'
    case 451:
      return `This mailbox is on another server${location === undefined ? '' : ` (${plain(location).slice(0, 200)})`}: make it an upstream, and route the user to it.`
    case 456:
      return 'The server has blocked this account: unblock it there.'
    case 457:
      return 'The password of this account has run out on the server: set another there, then sallyport secret set.'
    case 500:
    case 502:
    case 503:
    case 504:
      return 'The server, or what stands behind it (sogod, php-fpm), is down or too busy: look at its log.'
    default:
      return null
  }
}

function isActiveSync({ headers }: HttpAnswer): boolean {
  return headerValues(headers, 'ms-asprotocolversions').length > 0
}

/** What the server speaks. Asked once it has said that it is ActiveSync. */
function judgeVersions({ headers }: HttpAnswer): Finding {
  const listOf = (name: string): string[] =>
    headerValues(headers, name)
      .flatMap((value) => value.split(','))
      .map((each) => plain(each.trim()))
      .filter((each) => each !== '')
  const versions = listOf('ms-asprotocolversions')
  const commands = listOf('ms-asprotocolcommands')
  const [server] = listOf('ms-server-activesync')
  const detail = [`versions ${versions.join(' ')}`, server === undefined ? [] : `server ${server}`]
    .flat()
    .join(', ')
    .slice(0, 400)
  if (!versions.some((version) => Number(version) >= 14)) {
    return good(
      detail,
      'Nothing newer than 12.1 is offered: phones of today ask for 14.0 or more, and some refuse less.',
    )
  }
  const missing = ['FolderSync', 'Sync', 'Ping'].filter((command) => !commands.includes(command))
  return missing.length === 0
    ? good(detail)
    : good(
        detail,
        `${missing.join(', ')} not among the commands: phones can’t do without. Look at the server’s settings.`,
      )
}
