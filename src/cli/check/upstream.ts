/**
 * One upstream host, from its name to the capabilities after the login, in each protocol that its upstream has.
 */

import type { UpstreamConfig } from '../../config.ts'
import { checkEas } from './eas.ts'
import * as imap from './imap.ts'
import type { CheckIdentity } from './login.ts'
import * as pop3 from './pop3.ts'
import type { Report } from './report.ts'
import { good } from './report.ts'
import * as smtp from './smtp.ts'
import type { Target } from './socket.ts'
import { connectTcp, resolveHost, shakeHands } from './socket.ts'
import { goToTls } from './start-tls.ts'
import { Talk } from './talk.ts'

/** One step may take this long: the gate itself gives a login ten seconds. */
export const STEP_MS = 10_000

/** Each has the same steps, and words of its own for them. */
const PROTOCOLS = { imap, pop3, smtp } as const
type MailProtocol = keyof typeof PROTOCOLS
const MAIL_PROTOCOLS = Object.keys(PROTOCOLS) as readonly MailProtocol[]
export type CheckedProtocol = MailProtocol | 'eas'
export const CHECKED_PROTOCOLS: readonly CheckedProtocol[] = [...MAIL_PROTOCOLS, 'eas']

export interface UpstreamCheck {
  /** Name in the configuration. */
  readonly name: string
  readonly upstream: UpstreamConfig
  /** How to log in as the user that was asked for, by protocol; null: stop before the login. */
  readonly identities: Readonly<Record<CheckedProtocol, CheckIdentity | null>>
  readonly timeoutMs: number
}

/** Tries every host of an upstream. */
export async function checkUpstream(report: Report, check: UpstreamCheck): Promise<void> {
  for (const protocol of MAIL_PROTOCOLS) {
    const section = check.upstream[protocol]
    if (section === null) continue
    for (const { host, port } of section.hosts) {
      const { tls, ca, serverName } = section
      const target: Target = { host, port, tls, ca, serverName, proxyProtocol: check.upstream.proxyProtocol }
      await checkHost(report, `upstream ${check.name}, ${protocol} ${host}:${port}`, protocol, target, check)
    }
  }
  const { name, upstream, identities, timeoutMs } = check
  const { eas, proxyProtocol } = upstream
  if (eas === null) return
  const configured = { method: (eas.identity ?? upstream.identity).method, key: identityKey(name, upstream, 'eas') }
  await checkEas(report, { name, eas, proxyProtocol, configured, identity: identities.eas, timeoutMs })
}

/** The key of the configuration that says how to log in for a protocol. */
export function identityKey(name: string, { eas }: UpstreamConfig, protocol: CheckedProtocol): string {
  return `upstreams.${name}.${protocol === 'eas' && eas?.identity ? 'eas.identity' : 'identity'}`
}

async function checkHost(
  report: Report,
  hop: string,
  protocol: MailProtocol,
  target: Target,
  { name, upstream, identities, timeoutMs }: UpstreamCheck,
): Promise<void> {
  const { method } = upstream.identity
  let offered: readonly string[] | null
  const { readGreeting, START_TLS, GOODBYE } = PROTOCOLS[protocol]
  const address = await report.run(hop, 'dns', () => resolveHost(target.host))
  if (address === null) return
  const socket = await report.run(hop, 'connect', () => connectTcp(address, target, timeoutMs))
  if (socket === null) return
  let talk = new Talk(socket, AbortSignal.timeout(timeoutMs))
  try {
    if (target.tls === 'implicit') {
      const secure = await report.run(hop, 'tls', () => shakeHands(socket, target, timeoutMs))
      if (secure === null) return
      talk = new Talk(secure, AbortSignal.timeout(timeoutMs))
    }
    if ((await report.run(hop, 'greeting', () => readGreeting(talk, target))) === null) return
    offered = await capabilitiesOf(report, hop, protocol, talk, method, target.tls === 'starttls')
    if (offered === null) return
    if (target.tls === 'starttls') {
      const first = offered
      const done = await report.run(hop, 'starttls', async () => ({
        finding: await goToTls(talk, target, START_TLS, first, timeoutMs),
        value: true,
      }))
      if (done === null) return
      // RFC 9051 §6.2.1, RFC 3207 §4.2: what was announced in clear is void.
      offered = await capabilitiesOf(report, hop, protocol, talk, method, false)
      if (offered === null) return
    }
    talk.send(GOODBYE)
  } finally {
    talk.socket.destroy()
    socket.destroy()
  }
  // Behind a PROXY header another address than ours counts.
  if (protocol === 'smtp' && upstream.proxyProtocol === null) {
    const finding = smtp.judgeTrust(offered, upstream.trusted)
    if (finding !== null) report.add(hop, 'trust', finding)
  }
  const identity = identities[protocol]
  if (identity === null) return
  if (protocol === 'imap') await checkLogin(report, hop, address, target, identity, upstream, timeoutMs)
  else {
    const { POP3, SMTP, tryOwnLogin } = await import('./own-login.ts')
    const how = { method, trusted: upstream.trusted, timeoutMs }
    const login = protocol === 'pop3' ? POP3 : SMTP
    const keywords = await report.run(hop, 'login', () => tryOwnLogin(login, name, target, identity, how))
    if (protocol === 'smtp' && keywords !== null)
      report.add(hop, 'capabilities after login', smtp.judgeAfterLogin(keywords, upstream.trusted))
  }
}

/** Asks for capabilities; judged only when a login would follow. */
async function capabilitiesOf(
  report: Report,
  hop: string,
  protocol: MailProtocol,
  talk: Talk,
  method: string,
  beforeTls: boolean,
): Promise<readonly string[] | null> {
  return report.run(hop, beforeTls ? 'capabilities in clear' : 'capabilities', async () => {
    const { askCapabilities, judgeCapabilities } = PROTOCOLS[protocol]
    const value = await askCapabilities(talk)
    return { finding: beforeTls ? good(value.join(' ').slice(0, 400)) : judgeCapabilities(value, method), value }
  })
}

async function checkLogin(
  report: Report,
  hop: string,
  address: string,
  target: Target,
  identity: CheckIdentity,
  upstream: UpstreamCheck['upstream'],
  timeoutMs: number,
): Promise<void> {
  // imapflow takes long to load, and most checks stop before this.
  const { judgeAfterLogin, tryLogin } = await import('./login.ts')
  const capabilities = await report.run(hop, 'login', async () => {
    const result = await tryLogin(address, target, identity, upstream.identity.method, timeoutMs)
    return { finding: result.finding, value: result.capabilities }
  })
  if (capabilities !== null)
    report.add(hop, 'capabilities after login', judgeAfterLogin(capabilities, upstream.trusted))
}
