/**
 * The least that a client of each mail protocol says, line by line: to be greeted, to be in, and to see that the session lives.
 */

import { saslPlain } from './imap.ts'
import type { ScriptedPeer } from './peer.ts'
import { scriptedClient } from './peer.ts'
import type { Sallyport } from './sallyport.ts'

export const MAIL_PROTOCOLS = ['imap', 'pop3', 'smtp'] as const
export type MailProtocol = (typeof MAIL_PROTOCOLS)[number]

/** How a connection is protected: from the first byte, not yet, or by STARTTLS that has been done. */
export type Protection = 'implicit' | 'clear' | 'starttls'

interface Talk {
  readonly port: (gate: Sallyport, isImplicit: boolean) => number
  readonly greeting: RegExp
  /** What STARTTLS takes. */
  readonly startTls: readonly (readonly [command: string, lastLine: RegExp])[]
  /** Commands after the greeting (again after STARTTLS) up to the login, and the last line of each answer. */
  readonly login: (user: string, password: string) => readonly (readonly [command: string, lastLine: RegExp])[]
  readonly noop: readonly [command: string, lastLine: RegExp]
  /** A login that waits for its SASL response. */
  readonly halfLogin: readonly [command: string, lastLine: RegExp]
}

const EHLO = ['EHLO client.example.org', /^250 /] as const

export const TALK: Readonly<Record<MailProtocol, Talk>> = {
  imap: {
    port: ({ ports }, isImplicit) => (isImplicit ? ports.imaps : ports.imap),
    greeting: /^\* OK /,
    startTls: [['s STARTTLS', /^s OK /]],
    login: (user, password) => [[`in AUTHENTICATE PLAIN ${saslPlain('', user, password)}`, /^in OK /]],
    noop: ['n NOOP', /^n OK /],
    halfLogin: ['h AUTHENTICATE PLAIN', /^\+ /],
  },
  pop3: {
    port: ({ ports }, isImplicit) => (isImplicit ? ports.pop3s : ports.pop3),
    greeting: /^\+OK /,
    startTls: [['STLS', /^\+OK/]],
    login: (user, password) => [[`AUTH PLAIN ${saslPlain('', user, password)}`, /^\+OK/]],
    noop: ['NOOP', /^\+OK/],
    halfLogin: ['AUTH PLAIN', /^\+ /],
  },
  smtp: {
    port: ({ ports }, isImplicit) => (isImplicit ? ports.smtps : ports.smtp),
    greeting: /^220 /,
    startTls: [EHLO, ['STARTTLS', /^220 /]],
    login: (user, password) => [EHLO, [`AUTH PLAIN ${saslPlain('', user, password)}`, /^235 /]],
    noop: ['NOOP', /^250 /],
    halfLogin: ['AUTH PLAIN', /^334 /],
  },
}

/** Sends a command and reads its answer, up to the line that must come. @throws when the connection ends before */
export async function say(peer: ScriptedPeer, [command, lastLine]: readonly [string, RegExp]): Promise<void> {
  peer.send(`${command}\r\n`)
  await peer.linesUntil(lastLine)
}

/** A connection whose greeting has been read and, for 'starttls', whose handshake is over. */
export async function greeted(
  gate: Sallyport,
  protocol: MailProtocol,
  protection: Protection = 'implicit',
): Promise<ScriptedPeer> {
  const { port, greeting, startTls } = TALK[protocol]
  const isImplicit = protection === 'implicit'
  const peer = await scriptedClient(port(gate, isImplicit), isImplicit ? { tls: gate.tls } : {})
  await peer.expect(greeting)
  if (protection !== 'starttls') return peer
  for (const step of startTls) await say(peer, step)
  await peer.startTls(gate.tls)
  return peer
}

/** A session, by TLS from the first byte. */
export async function enter(
  gate: Sallyport,
  protocol: MailProtocol,
  user: string,
  password: string,
): Promise<ScriptedPeer> {
  const peer = await greeted(gate, protocol)
  for (const step of TALK[protocol].login(user, password)) await say(peer, step)
  return peer
}

/** Whether a session passes bytes both ways. */
export async function lives(peer: ScriptedPeer, protocol: MailProtocol): Promise<boolean> {
  if (peer.closed) return false
  return say(peer, TALK[protocol].noop).then(
    () => true,
    () => false,
  )
}
