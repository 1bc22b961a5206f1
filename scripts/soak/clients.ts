/**
 * The clients of the soak: IMAP, POP3 and SMTP spoken by hand through the gate, each in the least that a real one does.
 */

import type { ScriptedPeer } from '../../test/support/peer.ts'
import { scriptedClient } from '../../test/support/peer.ts'
import type { Sallyport } from '../../test/support/sallyport.ts'

export const PROTOCOLS = ['imap', 'pop3', 'smtp'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface Account {
  readonly address: string
  readonly password: string
}

const ANSWER_MS = 30_000

/** A logged-in session. @throws when the login is refused; the message is the server's line */
export async function logIn(gate: Sallyport, protocol: Protocol, account: Account): Promise<ScriptedPeer> {
  const { imaps, pop3s, smtps } = gate.ports
  const port = { imap: imaps, pop3: pop3s, smtp: smtps }[protocol]
  const peer = await scriptedClient(port, { tls: gate.tls, timeoutMs: ANSWER_MS })
  try {
    await LOGIN[protocol](peer, account)
    return peer
  } catch (error) {
    peer.socket.destroy()
    throw error
  }
}

const LOGIN = {
  async imap(peer, { address, password }) {
    await peer.expect(/^\* OK /)
    peer.send(`1 LOGIN ${address} "${password}"\r\n`)
    ok((await peer.linesUntil(/^1 /)).at(-1), /^1 OK/)
  },
  async pop3(peer, { address, password }) {
    await peer.expect(/^\+OK/)
    peer.send(`USER ${address}\r\n`)
    ok(await peer.line(), /^\+OK/)
    peer.send(`PASS ${password}\r\n`)
    ok(await peer.line(), /^\+OK/)
  },
  async smtp(peer, { address, password }) {
    await peer.expect(/^220 /)
    peer.send('EHLO soak.invalid\r\n')
    await peer.linesUntil(/^250 /)
    peer.send(`AUTH PLAIN ${Buffer.from(`\0${address}\0${password}`).toString('base64')}\r\n`)
    ok((await peer.linesUntil(/^\d{3} /)).at(-1), /^235/)
  },
} satisfies Record<Protocol, (peer: ScriptedPeer, account: Account) => Promise<void>>

function ok(line: string | undefined, wanted: RegExp): void {
  if (!wanted.test(line ?? '')) throw new Error(`answered: ${line ?? 'nothing'}`)
}

/** Keeps a standing session from being idle. */
export async function noop(peer: ScriptedPeer, protocol: Protocol): Promise<void> {
  peer.send(protocol === 'imap' ? 'n NOOP\r\n' : 'NOOP\r\n')
  if (protocol === 'imap') ok((await peer.linesUntil(/^n /)).at(-1), /^n OK/)
  else ok(await peer.line(), protocol === 'pop3' ? /^\+OK/ : /^250/)
}

/** What a session does before it leaves: reads or sends mail, and keeps the mailbox small. */
export async function useMail(peer: ScriptedPeer, protocol: Protocol, from: string, to: string): Promise<void> {
  await USE[protocol](peer, from, to)
  peer.socket.end()
}

const KEEP_MESSAGES = 20

const USE = {
  async imap(peer) {
    const command = async (tag: string, text: string): Promise<string[]> => {
      peer.send(`${tag} ${text}\r\n`)
      const lines = await peer.linesUntil(new RegExp(`^${tag} `))
      // What another session has taken away meanwhile is no fault (RFC 5530).
      ok(lines.at(-1), new RegExp(`^${tag} (OK|NO \\[EXPUNGEISSUED\\])`))
      return lines
    }
    const lines = await command('a', 'SELECT INBOX')
    const count = Number(/^\* (\d+) EXISTS/m.exec(lines.join('\n'))?.[1] ?? 0)
    if (count > 0) await command('b', `FETCH ${count} (FLAGS BODY.PEEK[])`)
    if (count > KEEP_MESSAGES) {
      await command('c', 'STORE 1 +FLAGS.SILENT (\\Deleted)')
      await command('d', 'EXPUNGE')
    }
    await command('z', 'LOGOUT')
  },
  async pop3(peer) {
    peer.send('STAT\r\n')
    const count = Number((await peer.expect(/^\+OK (\d+)/))[1])
    if (count > 0) {
      peer.send(`RETR ${count}\r\n`)
      // Whatever another session has taken away meanwhile is no fault.
      if (/^\+OK/.test(await peer.line())) await peer.linesUntil(/^\.$/)
    }
    peer.send('QUIT\r\n')
    ok(await peer.line(), /^(\+OK|-ERR .*deleted)/)
  },
  async smtp(peer, from, to) {
    const step = async (text: string, wanted: RegExp): Promise<void> => {
      peer.send(`${text}\r\n`)
      ok((await peer.linesUntil(/^\d{3} /)).at(-1), wanted)
    }
    await step(`MAIL FROM:<${from}>`, /^250/)
    await step(`RCPT TO:<${to}>`, /^250/)
    await step('DATA', /^354/)
    const body = 'A line of a message of the soak, as long as most.\r\n'.repeat(200)
    await step(`From: <${from}>\r\nTo: <${to}>\r\nSubject: soak\r\n\r\n${body}.`, /^250/)
    await step('QUIT', /^221/)
  },
} satisfies Record<Protocol, (peer: ScriptedPeer, from: string, to: string) => Promise<void>>
