/**
 * What the one suite for all protocols has to know of each: how a client and an upstream say the same thing in its words.
 */

import type { Test } from 'tap'
import * as imap from '../edge/login/house.ts'
import { openPop3, friendlyUpstream as pop3Friendly } from '../edge/pop3/house.ts'
import { friendlySmtp, openSmtpHouse } from '../edge/smtp/house.ts'
import type { ScriptedPeer } from '../support/peer.ts'

export interface Language {
  readonly name: 'IMAP' | 'POP3' | 'SMTP'
  open(t: Test, options: imap.HouseOptions): Promise<imap.House>
  /** From the greeting to the point where one may log in. */
  hello(client: ScriptedPeer): Promise<void>
  /** One login, the password as it is typed. */
  login(password: string): string
  /** The last line of the answer to a login: it went well, the password is wrong, try again later. */
  readonly accepted: RegExp
  readonly wrong: RegExp
  readonly later: RegExp
  /** Lines that may come in the middle of a login's answer. */
  readonly between: RegExp
  /** A command of somebody who is logged in, and what `friendly` answers to it; n makes it its own. */
  command(n: number): readonly [line: string, answer: string]
  readonly startTls: string
  readonly startTlsAnswer: RegExp
  /** What the server says when something follows `startTls` in clear. */
  readonly injected: RegExp

  /** An upstream that takes anybody and answers commands; `seen` gets all lines after the login. */
  friendly(seen?: string[]): imap.Script
  /** Its greeting, with which it may say what it can do. */
  readonly greeting: string
  /** A greeting that no client may go on from, in this protocol's words. */
  readonly lies: readonly string[]
  /** An upstream up to the moment when it has our secret and owes an answer. */
  untilVerdict(peer: ScriptedPeer): Promise<void>
  /** A line that may be repeated without an end, before and instead of an answer. */
  readonly flood: string
  /** What it would say if we were in; said too early it means nothing. */
  readonly early: string
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

const IMAP: Language = {
  name: 'IMAP',
  open: (t, options) => imap.openHouse(t, options),
  hello: async (client) => void (await client.expect(/^\* OK /)),
  login: (password) => `a LOGIN ann "${password}"\r\n`,
  accepted: /^a OK /,
  wrong: /^a NO \[AUTHENTICATIONFAILED\] /,
  later: /^a NO \[UNAVAILABLE\] /,
  between: /^\* /,
  command: (n) => [`n${n} NOOP`, `n${n} OK NOOP done`],
  startTls: 'b STARTTLS\r\n',
  startTlsAnswer: /^b OK /,
  injected: /^\* BYE /,
  friendly: (seen) => imap.friendlyUpstream(seen),
  greeting: '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] up\r\n',
  lies: ['* PREAUTH welcome\r\n', '* BYE no\r\n', '+OK up\r\n', '220 up\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  async untilVerdict(peer) {
    peer.send(IMAP.greeting)
    await peer.expect(/^\S+ AUTHENTICATE PLAIN \S+$/)
  },
  flood: '* 1 EXISTS\r\n',
  early: 'a OK in\r\n',
}

const POP3: Language = {
  name: 'POP3',
  open: (t, options) => openPop3(t, options),
  hello: async (client) => void (await client.expect(/^\+OK /)),
  login: (password) => `USER ann\r\nPASS ${password}\r\n`,
  accepted: /^\+OK Logged in\.$/,
  wrong: /^-ERR \[AUTH\] /,
  later: /^-ERR \[SYS\/TEMP\] /,
  between: /^\+OK Go ahead\.$/,
  command: (n) => [`RETR${n} 1`, `+OK RETR${n} done`],
  startTls: 'STLS\r\n',
  startTlsAnswer: /^\+OK /,
  injected: /^-ERR /,
  friendly: (seen) => pop3Friendly(seen),
  greeting: '+OK up\r\n',
  lies: ['-ERR full\r\n', '* OK up\r\n', '220 up\r\n', '+OKAY\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  async untilVerdict(peer) {
    peer.send(POP3.greeting)
    await peer.expect(/^CAPA$/)
    peer.send('+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n')
    await peer.expect(/^AUTH PLAIN$/)
    peer.send('+ \r\n')
    await peer.line()
  },
  flood: '+ more\r\n',
  early: '+OK in\r\n',
}

const SMTP: Language = {
  name: 'SMTP',
  open: (t, options) => openSmtpHouse(t, options),
  async hello(client) {
    await client.expect(/^220 /)
    client.send('EHLO client.example.net\r\n')
    await client.linesUntil(/^250 /)
  },
  login: (password) => `AUTH PLAIN ${base64(`\0ann\0${password}`)}\r\n`,
  accepted: /^235 /,
  wrong: /^535 5\.7\.8 /,
  later: /^454 4\.7\.0 /,
  between: /^334 /,
  command: (n) => [`NOOP ${n}`, `250 NOOP ${n}`],
  startTls: 'STARTTLS\r\n',
  startTlsAnswer: /^220 /,
  injected: /^421 /,
  friendly: (seen) => friendlySmtp(seen),
  greeting: '220 up\r\n',
  lies: ['554 no\r\n', '421 later\r\n', '* OK up\r\n', '+OK up\r\n', '250 up\r\n', 'HTTP/1.1 200 OK\r\n\r\n'],
  async untilVerdict(peer) {
    peer.send(SMTP.greeting)
    await peer.expect(/^EHLO /)
    peer.send('250-up\r\n250 AUTH PLAIN\r\n')
    await peer.expect(/^AUTH PLAIN \S+$/)
  },
  flood: '235-in\r\n',
  early: '235 in\r\n',
}

export const LANGUAGES: readonly Language[] = [IMAP, POP3, SMTP]
