/**
 * The house of `edge/login` with SMTP in it, and upstreams that speak it.
 */

import type { Test } from 'tap'
import { hostKey } from '../../../src/edge/login/offers.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { openSmtp } from '../../../src/edge/smtp/index.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { captureLog } from '../../support/logs.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import type { HouseOptions, Script } from '../login/house.ts'
import { MASTER_SECRET, openHouse, PASSWORD } from '../login/house.ts'

export const NAME = 'gate.example.org'
export const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')
/** The right PLAIN message of the client. */
export const GOOD = base64(`\0ann@example.org\0${PASSWORD}`)
/** What the gate says to the upstream. */
export const UPSTREAM_PLAIN = base64(`ann@example.org\0master\0${MASTER_SECRET}`)
export const KEYWORDS = ['PIPELINING', 'SIZE 1000000', '8BITMIME', 'ENHANCEDSTATUSCODES'] as const

/** `250-x` … `250 z`, with line ends. */
export function reply(code: number, lines: readonly string[]): string {
  return lines.map((line, i) => `${code}${i < lines.length - 1 ? '-' : ' '}${line}\r\n`).join('')
}

export async function openSmtpHouse(t: Test, options: HouseOptions & { known?: readonly string[] } = {}) {
  const smtp = openSmtp({ dialer: createDialer(), log: captureLog().log, metrics: createMetrics(), name: NAME })
  const { offers } = smtp
  const house = await openHouse(t, {
    upstream: friendlySmtp(),
    protocol: (dialogue) => smtp.protocol(dialogue),
    ...options,
  })
  const hosts = house.gate.target.hosts.map((endpoint) => hostKey('main', endpoint))
  offers.expect(hosts)
  for (const host of options.known ? hosts : []) offers.learn(host, options.known ?? [])
  return Object.assign(house, { offers })
}

/** A house whose upstream has told what it offers. */
export function knownSmtp(): HouseOptions {
  const smtp = openSmtp({ dialer: createDialer(), log: captureLog().log, metrics: createMetrics(), name: NAME })
  smtp.offers.expect(['another'])
  smtp.offers.learn('another', KEYWORDS)
  return { upstream: friendlySmtp(), protocol: (dialogue) => smtp.protocol(dialogue) }
}

/** An SMTP server that takes anybody and then answers each line with `250 line`. `seen` gets all lines after the login. */
export function friendlySmtp(seen: string[] = []): Script {
  return async (peer) => {
    await takeLogin(peer)
    await echo(peer, seen)
  }
}

/** From the greeting to the answer to the last EHLO. */
export async function takeLogin(peer: ScriptedPeer, keywords: readonly string[] = KEYWORDS): Promise<void> {
  peer.send('220 upstream ESMTP\r\n')
  await peer.expect(new RegExp(`^EHLO ${NAME}$`))
  peer.send(reply(250, ['upstream', 'AUTH PLAIN', ...keywords]))
  await peer.expect(/^AUTH PLAIN \S+$/)
  peer.send('235 2.7.0 in\r\n')
  await peer.expect(new RegExp(`^EHLO ${NAME}$`))
  peer.send(reply(250, ['upstream', ...keywords]))
}

export async function echo(peer: ScriptedPeer, seen: string[] = []): Promise<void> {
  while (!peer.closed || peer.buffered.includes('\n')) {
    const line = await peer.line().catch(() => null)
    if (line === null) break
    seen.push(line)
    peer.send(`250 ${line}\r\n`)
    if (line === 'QUIT') peer.end()
  }
  peer.end()
}

/** Reads the greeting, says EHLO, and answers its lines. */
export async function hello(client: ScriptedPeer): Promise<string[]> {
  await client.expect(new RegExp(`^220 ${NAME} ESMTP `))
  return ehlo(client)
}

export async function ehlo(client: ScriptedPeer, name = 'client.example.net'): Promise<string[]> {
  client.send(`EHLO ${name}\r\n`)
  return client.linesUntil(/^250 /)
}
