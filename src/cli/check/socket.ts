/**
 * The steps below the protocols: name, TCP, TLS. Plain net and tls, so that the step which fails can be named exactly.
 */

import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { isIP, connect as netConnect } from 'node:net'
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls'
import { checkServerIdentity, connect as tlsConnect } from 'node:tls'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { good, StepFailure } from './report.ts'

/** Where an upstream's protocol is, as the configuration says. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly tls: 'implicit' | 'starttls' | 'none'
  /** PEM; null: the public authorities. */
  readonly ca: string | null
  /** null: the host's own name. */
  readonly serverName: string | null
  readonly proxyProtocol: 'v1' | 'v2' | null
  /** How to speak of ports and names; left out: as for mail. */
  readonly words?: TargetWords
}

/** What differs between protocols in the advice about TLS. */
export interface TargetWords {
  /** The port is there and speaks no TLS. */
  readonly noTls: string
  /** 'Is this …?' */
  readonly tlsPort: string
  /** Where a server is told to speak TLS 1.2. */
  readonly minTls: string
  /** How the configuration names a host. */
  readonly setting: (host: string) => string
}

const MAIL_TLS_PORTS = '993 for IMAP, 995 for POP3, 465 for SMTP'
const MAIL_WORDS: TargetWords = {
  noTls: `It is probably the port for STARTTLS: set tls: starttls, or use the port with implicit TLS (${MAIL_TLS_PORTS}).`,
  tlsPort: `Is this the port for TLS (${MAIL_TLS_PORTS})?`,
  minTls: 'Dovecot: ssl_min_protocol = TLSv1.2; Postfix: smtpd_tls_protocols = >=TLSv1.2',
  setting: (host) => `host: ${host}`,
}

const DAY_MS = 86_400_000
const WARN_DAYS = 30

/** The addresses of a host. */
export async function resolveHost(host: string): Promise<{ finding: Finding; value: string }> {
  if (isIP(host) !== 0) return { finding: good('an address, nothing to look up'), value: host }
  try {
    const found = await lookup(host, { all: true })
    const [first] = found
    if (first === undefined) throw new StepFailure('no address', DNS_ADVICE)
    return { finding: good(found.map(({ address }: LookupAddress) => address).join(', ')), value: first.address }
  } catch (error) {
    if (error instanceof StepFailure) throw error
    const code = codeOf(error)
    throw new StepFailure(
      code === 'ENOTFOUND' ? `${host} has no address` : `the name server did not answer (${code})`,
      DNS_ADVICE,
    )
  }
}

const DNS_ADVICE = 'Is the name spelled right (host)? Does this machine ask the right name server (/etc/resolv.conf)?'

/** A TCP connection, with the PROXY header of a connection of our own written (LOCAL, UNKNOWN) when the target wants one. */
export async function connectTcp(
  address: string,
  target: Target,
  timeoutMs: number,
): Promise<{ finding: Finding; value: Socket }> {
  const startedAt = performance.now()
  const socket = netConnect({ host: address, port: target.port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    socket.destroy()
    throw connectFailure(error, `${target.host}:${target.port}`, timeoutMs)
  }
  socket.on('error', () => undefined) // told by whoever reads or shakes hands
  const header = proxyHeader(target.proxyProtocol)
  if (header !== null) socket.write(header)
  const note = header === null ? '' : `, PROXY ${target.proxyProtocol} header sent`
  return { finding: good(`${Math.round(performance.now() - startedAt)} ms${note}`), value: socket }
}

/** haproxy.org, PROXY protocol §2.1 and §2.2: a connection that is nobody's but the proxy's own. */
function proxyHeader(version: 'v1' | 'v2' | null): Buffer | null {
  if (version === null) return null
  if (version === 'v1') return Buffer.from('PROXY UNKNOWN\r\n')
  return Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20, 0x00, 0x00, 0x00])
}

function connectFailure(error: unknown, where: string, timeoutMs: number): StepFailure {
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return new StepFailure(
        `${where} refuses the connection`,
        'Nothing listens on that port: is the port right, and is the server running? A firewall may also refuse.',
      )
    case 'ABORT_ERR':
    case 'ETIMEDOUT':
      return new StepFailure(
        `no answer from ${where} within ${timeoutMs / 1000} s`,
        'A firewall on the way drops the packets, or the address is wrong.',
      )
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return new StepFailure(
        `${where} can't be reached from here`,
        'There is no route to that network: look at this machine’s routes and firewall.',
      )
    default:
      return new StepFailure(
        `the connection to ${where} failed (${codeOf(error)})`,
        'Look at the network between this machine and the server.',
      )
  }
}

/** A server that speaks TLS answers a ClientHello at once; one that doesn't may wait for its end of line for ever. */
const TLS_DOUBT_MS = 3_000

/** Whether a port that said nothing in clear text speaks TLS, by a connection of its own. An alert is TLS, too. */
export async function speaksTls(address: string, target: Target): Promise<boolean> {
  let socket: Socket | null = null
  try {
    socket = (await connectTcp(address, target, TLS_DOUBT_MS)).value
    const secure = tlsConnect({ socket, rejectUnauthorized: false })
    await once(secure, 'secureConnect', { signal: AbortSignal.timeout(TLS_DOUBT_MS) })
    return true
  } catch (error) {
    return /ALERT|UNSUPPORTED_PROTOCOL/.test(codeOf(error))
  } finally {
    socket?.destroy()
  }
}

/** Shakes hands on a connected socket and judges the certificate step by step. The socket is destroyed when it fails. */
export async function shakeHands(
  socket: Socket,
  target: Target,
  timeoutMs: number,
): Promise<{ finding: Finding; value: TLSSocket }> {
  const name = target.serverName ?? target.host
  const secure = tlsConnect({
    socket,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(target.ca === null ? {} : { ca: target.ca }),
    // Judged below, to be able to say what is wrong. Nothing is sent over this connection that is worth anything.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  })
  try {
    await once(secure, 'secureConnect', { signal: AbortSignal.timeout(timeoutMs) })
    secure.on('error', () => undefined) // told by whoever reads
    return { finding: judge(secure, name, target), value: secure }
  } catch (error) {
    secure.destroy()
    socket.destroy()
    throw error instanceof StepFailure ? error : handshakeFailure(error, target)
  }
}

function handshakeFailure(error: unknown, { port, tls, words = MAIL_WORDS }: Target): StepFailure {
  const code = codeOf(error)
  switch (code) {
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return new StepFailure(`port ${port} does not speak TLS from the first byte`, words.noTls)
    case 'ABORT_ERR':
      return new StepFailure(
        'the TLS handshake got no answer',
        tls === 'implicit'
          ? `${words.tlsPort} Or does the server wait for a PROXY header (proxyProtocol)?`
          : 'The server hangs after STARTTLS: look at its log.',
      )
    case 'ECONNRESET':
    case 'EPIPE':
      return new StepFailure(
        'the server closed the connection during the TLS handshake',
        `${words.tlsPort} Does the server want a PROXY header (proxyProtocol), or let only listed addresses in?`,
      )
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
    case 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION':
      return new StepFailure('the server speaks no TLS 1.2 or newer', `Let the server speak TLS 1.2 (${words.minTls}).`)
    default:
      return new StepFailure(
        `the TLS handshake failed (${code})`,
        'Look at the server’s log; its certificate or key may be broken.',
      )
  }
}

function judge(secure: TLSSocket, name: string, target: Target): Finding {
  const certificate: DetailedPeerCertificate = secure.getPeerCertificate(true)
  const names = namesOf(certificate)
  const problem = String(secure.authorizationError ?? '')
  const expires = new Date(certificate.valid_to)
  const issuer = plain(String(certificate.issuer?.CN ?? certificate.issuer?.O ?? 'an unknown authority'))
  if (problem === 'CERT_HAS_EXPIRED' || expires.getTime() < Date.now()) {
    throw new StepFailure(
      `the certificate ran out on ${day(expires)}`,
      'Renew the certificate on the server, and reload it there.',
    )
  }
  if (problem === 'CERT_NOT_YET_VALID') {
    throw new StepFailure(
      `the certificate is valid from ${day(new Date(certificate.valid_from))} only`,
      'Is the clock of this machine right?',
    )
  }
  // With the name in doubt Node reports that and nothing else, so the chain is judged first by its own codes.
  if (problem !== '' && problem !== 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const own =
      target.ca === null
        ? 'name the authority’s certificate with caFile'
        : 'caFile does not hold the authority that issued it (and all above it)'
    const selfMade = problem === 'DEPTH_ZERO_SELF_SIGNED_CERT' || problem === 'SELF_SIGNED_CERT_IN_CHAIN'
    throw new StepFailure(
      selfMade
        ? 'the certificate is signed by nobody this machine trusts (self-made)'
        : `the certificate, issued by ${issuer}, leads to no authority that is trusted (${problem})`,
      target.ca === null
        ? `If it is of an authority of your own, ${own}; else the server does not send the certificates in between.`
        : `${own.charAt(0).toUpperCase()}${own.slice(1)}.`,
    )
  }
  const mismatch = checkServerIdentity(name, certificate as PeerCertificate)
  if (mismatch) {
    const { setting } = target.words ?? MAIL_WORDS
    throw new StepFailure(
      `the certificate is for ${names.length === 0 ? 'no name at all' : names.join(', ')}, not for ${name}`,
      `Connect by a name that is on it${names[0] === undefined ? '' : ` (${setting(names[0])})`}, or tell which name to expect with serverName; or give the server a certificate for ${name}.`,
    )
  }
  const days = Math.floor((expires.getTime() - Date.now()) / DAY_MS)
  const left = `certificate for ${names.slice(0, 3).join(', ')} by ${issuer}, valid until ${day(expires)}`
  return good(
    `${secure.getProtocol() ?? 'TLS'}, ${left}`,
    days < WARN_DAYS ? `The certificate runs out in ${days} days: renew it.` : null,
  )
}

function namesOf(certificate: DetailedPeerCertificate): string[] {
  const alternative =
    certificate.subjectaltname?.split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, '')) ?? []
  const common = [certificate.subject?.CN].flat().filter((name) => name !== undefined)
  return (alternative.length > 0 ? alternative : common).map((name) => plain(name))
}

export function day(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'an unknown day' : date.toISOString().slice(0, 10)
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error
    ? String(error.code)
    : error.name === 'TimeoutError' || error.name === 'AbortError'
      ? 'ABORT_ERR'
      : error.message
}
