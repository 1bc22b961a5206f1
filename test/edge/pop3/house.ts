/**
 * One edge around POP3, for tests: the house of `login/` with another protocol and a POP3 server as its upstream.
 */

import type { Test } from 'tap'
import { createPop3 } from '../../../src/edge/pop3/index.ts'
import type { ScriptedPeer } from '../../support/peer.ts'
import type { House, HouseOptions, Script } from '../login/house.ts'
import { openHouse } from '../login/house.ts'

export const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

/** What a Dovecot lists before the login. */
export const CAPA = 'CAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nUSER\r\nSASL PLAIN LOGIN\r\n'

/** A POP3 server that takes anybody and then says `+OK` to each line with its own words. `seen` gets all lines after the login. */
export function friendlyUpstream(seen: string[] = []): Script {
  return async (peer) => {
    peer.send('+OK upstream ready\r\n')
    await peer.expect(/^CAPA$/)
    peer.send(`+OK\r\n${CAPA}.\r\n`)
    await peer.expect(/^AUTH PLAIN$/)
    peer.send('+ \r\n')
    await peer.line()
    peer.send('+OK Logged in by upstream\r\n')
    await echo(peer, seen)
  }
}

/** Answers `NAME …` with `+OK NAME done` until the connection ends. */
export async function echo(peer: ScriptedPeer, seen: string[] = []): Promise<void> {
  while (!peer.closed || peer.buffered.includes('\n')) {
    const line = await peer.line().catch(() => null)
    if (line === null) break
    seen.push(line)
    const [name] = line.split(' ')
    peer.send(`+OK ${name} done\r\n`)
    if (name === 'QUIT') peer.end()
  }
  peer.end()
}

export const POP3: HouseOptions = { protocol: createPop3, upstream: friendlyUpstream() }

export function openPop3(t: Test, options: HouseOptions = {}): Promise<House> {
  return openHouse(t, { ...POP3, ...options })
}
