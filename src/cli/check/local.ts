/**
 * What is on this machine: certificates, own listeners, the keeper with its store, keys and Redis.
 */

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { BlockList, isIP } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import type { Config, MailListenerConfig } from '../../config.ts'
import type { ServiceAnswer } from '../../contract/services.ts'
import { CertificateError, publishedNames, readPair } from '../../supervisor/certificates.ts'
import { readGreeting } from './imap.ts'
import { readGreeting as readPop3Greeting } from './pop3.ts'
import type { Finding, Report } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { IsUser } from './scanner.ts'
import { showScanner } from './scanner.ts'
import { askCapabilities as askSmtp, readGreeting as readSmtpGreeting } from './smtp.ts'
import type { Target } from './socket.ts'
import { codeOf, connectTcp, day } from './socket.ts'
import { Talk } from './talk.ts'

const DAY_MS = 86_400_000
const WARN_DAYS = 30

/** The certificates shown to clients: do they pair with their keys, how long will they last, and are they for our names? */
export async function checkCertificates(report: Report, config: Config): Promise<void> {
  const leaves: X509Certificate[] = []
  for (const files of config.tls.certificates) {
    const hop = `certificate ${files.certFile}`
    try {
      const { cert, expiresAt } = await readPair(files)
      const leaf = new X509Certificate(cert)
      leaves.push(leaf)
      report.add(hop, 'read', judgeCertificate(leaf, expiresAt))
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      const advice =
        'certFile must hold the certificate with its chain, keyFile its private key without a pass phrase; both are renewed at once.'
      report.add(hop, 'read', bad(error.message, advice))
    }
  }
  const names = publishedNames(config)
  if (leaves.length > 0 && names.length > 0) report.add('certificates', 'names', judgeNames(leaves, names))
}

function judgeCertificate({ subjectAltName }: X509Certificate, until: Date): Finding {
  const days = Math.floor((until.getTime() - Date.now()) / DAY_MS)
  const names = subjectAltName?.replaceAll('DNS:', '') ?? 'no name'
  if (days < 0) return bad(`ran out on ${day(until)}`, 'Renew it: clients refuse it.')
  return good(
    `for ${names}, valid until ${day(until)}`,
    days < WARN_DAYS ? `It runs out in ${days} days: renew it.` : null,
  )
}

/** Clients that meet another name leave, the ones that set themselves up without a word. */
function judgeNames(leaves: readonly X509Certificate[], names: readonly string[]): Finding {
  const covers = (leaf: X509Certificate, name: string) => (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name))
  const missing = names.filter((name) => !leaves.some((leaf) => covers(leaf, name) !== undefined))
  if (missing.length === 0) return good(names.join(', '))
  return good(
    `none is good for ${missing.join(', ')}`,
    'Clients are told to go there and will refuse what they find: get a certificate for these names as well.',
  )
}

/** What the keeper says of itself. */
export function judgeHealth(report: Report, health: ServiceAnswer<'health'>, running: boolean, config: Config): void {
  const where = 'sqlite' in config.store ? config.store.sqlite : 'PostgreSQL'
  const opened = running ? `the running server (pid ${health.pid}) has it open` : 'opened; no server is running'
  report.add(
    'store',
    'open',
    health.store === 'up'
      ? good(`${where}: ${opened}`)
      : bad(`${where} does not answer`, 'Look at the log of the server; is the disk full?'),
  )
  report.add('keys', 'fit the store', good(config.keys.file))
  if (health.redis === 'up') report.add('redis', 'ping', good('answers'))
  if (health.redis === 'down')
    report.add(
      'redis',
      'ping',
      bad(
        'does not answer',
        'Is it running, and are url and password right? Without it each node counts and remembers for itself.',
      ),
    )
}

/** Connects to the ports of the running server, from this machine. */
export async function checkListeners(
  report: Report,
  config: Config,
  running: boolean,
  timeoutMs: number,
  isUser: IsUser,
): Promise<void> {
  for (const listener of config.listeners) {
    if (!('tls' in listener)) continue
    const hop = `listener ${listener.name}`
    await showScanner(report, hop, listener, isUser)
    if (!running) report.add(hop, 'connect', good('not tried: no server is running'))
    else if (listener.port === 0) report.add(hop, 'connect', good('not tried: port 0 is chosen at the start'))
    else await checkListener(report, hop, listener, timeoutMs)
  }
}

async function checkListener(
  report: Report,
  hop: string,
  listener: MailListenerConfig,
  timeoutMs: number,
): Promise<void> {
  const host =
    listener.bind === null || listener.bind === '0.0.0.0' || listener.bind === '::' ? '127.0.0.1' : listener.bind
  const proxied = listener.proxyProtocol !== null && isIn(listener.proxyProtocol.from, host)
  if (listener.scanner !== null && !isIn(listener.scanner.allowedNetworks, host)) {
    report.add(hop, 'connect', good('not tried: this machine is not in allowedNetworks'))
    return
  }
  const target: Target = {
    host,
    port: listener.port,
    tls: listener.tls,
    ca: null,
    serverName: null,
    proxyProtocol: proxied ? 'v2' : null,
  }
  const socket = await report.run(hop, 'connect', () => connectTcp(host, target, timeoutMs))
  if (socket === null) return
  let talk = new Talk(socket, AbortSignal.timeout(timeoutMs))
  try {
    if (listener.tls === 'implicit') {
      const secure = await report.run(hop, 'tls', () => ownHandshake(socket, timeoutMs))
      if (secure === null) return
      talk = new Talk(secure, AbortSignal.timeout(timeoutMs))
    }
    const read = GREETINGS[listener.protocol]
    if ((await report.run(hop, 'greeting', () => read(talk, target))) === null) return
    if (listener.protocol === 'smtp') await report.run(hop, 'EHLO', () => announced(talk))
  } finally {
    talk.socket.destroy()
    socket.destroy()
  }
}

const GREETINGS = { imap: readGreeting, pop3: readPop3Greeting, smtp: readSmtpGreeting } as const

/** What SMTP clients are told before they log in, which they go by afterwards (RFC 4954 §4). */
async function announced(talk: Talk): Promise<{ finding: Finding; value: readonly string[] }> {
  const keywords = await askSmtp(talk)
  const own = /^(?:AUTH|STARTTLS)\b/
  const isSilent = keywords.every((keyword) => own.test(keyword))
  const advice = isSilent
    ? 'Nothing of the mail servers behind is announced: none of them has answered yet, or they have nothing in common. Mail goes through; clients encode what is not plain ASCII, and are told no size limit.'
    : null
  return { finding: good(keywords.join(', ').slice(0, 400), advice), value: keywords }
}

/** Whether a connection from this machine to itself comes from one of these networks: from `host`, where it goes. */
function isIn(networks: readonly string[], host: string): boolean {
  const family = host.includes(':') ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  for (const block of networks) {
    const [address = '', prefix] = block.split('/')
    const blockFamily = address.includes(':') ? 'ipv6' : 'ipv4'
    list.addSubnet(address, prefix === undefined ? (blockFamily === 'ipv4' ? 32 : 128) : Number(prefix), blockFamily)
  }
  return list.check(host, family)
}

/** Which certificate it is has a step of its own; here the handshake is all that counts. */
async function ownHandshake(socket: Socket, timeoutMs: number): Promise<{ finding: Finding; value: Socket }> {
  const secure = tlsConnect({ socket, rejectUnauthorized: false })
  try {
    await once(secure, 'secureConnect', { signal: AbortSignal.timeout(timeoutMs) })
    const { valid_to: validTo } = secure.getPeerCertificate()
    secure.on('error', () => undefined) // told by whoever reads
    const finding = good(`${secure.getProtocol() ?? 'TLS'}, certificate valid until ${day(new Date(validTo))}`)
    return { finding, value: secure }
  } catch (error) {
    secure.destroy()
    throw new StepFailure(`the TLS handshake failed (${codeOf(error)})`, 'Look at the log of the server.')
  }
}
