/**
 * Mail clients that know nothing of sallyport: imapflow, nodemailer, and for POP3 a few lines of talk.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import { scriptedClient } from '../../test/support/peer.ts'
import type { Sallyport } from '../../test/support/sallyport.ts'
import { must } from './steps.ts'

/** Finding a message that was just sent. */
const ARRIVAL_MS = 10_000

/** A client trusts the certificate that was made for the demo, and no other. */
export function trust(gate: Sallyport): { readonly ca: Buffer; readonly servername: string } {
  return { ca: readFileSync(join(gate.directory, 'data/self-made-certificate.pem')), servername: 'localhost' }
}

export function imapClient(gate: Sallyport, user: string, pass: string): ImapFlow {
  return new ImapFlow({
    host: '127.0.0.1',
    port: gate.ports.imaps,
    secure: true,
    auth: { user, pass },
    tls: trust(gate),
    logger: false,
  })
}

/** The subjects in the inbox, oldest first. */
export async function subjectsIn(imap: ImapFlow): Promise<readonly string[]> {
  const lock = await imap.getMailboxLock('INBOX')
  try {
    // Says what has arrived in a mailbox that is open already.
    await imap.noop()
    const found = await imap.fetchAll('1:*', { envelope: true })
    return found.map(({ envelope }) => envelope?.subject ?? '(no subject)')
  } finally {
    lock.release()
  }
}

/** Waits for a message. @throws when it does not arrive */
export async function arrives(imap: ImapFlow, subject: string): Promise<void> {
  const until = performance.now() + ARRIVAL_MS
  while (!(await subjectsIn(imap)).includes(subject)) {
    must(performance.now() < until, `it has not arrived within ${ARRIVAL_MS / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Sends a message over SMTPS. Answers the server's last word. */
export async function send(gate: Sallyport, user: string, pass: string, subject: string): Promise<string> {
  const smtp = createTransport({
    host: '127.0.0.1',
    port: gate.ports.smtps,
    secure: true,
    auth: { user, pass },
    tls: trust(gate),
  })
  try {
    const text = 'Sent with the same app password.\n'
    const { response } = await smtp.sendMail({ from: user, to: user, subject, text })
    return response
  } finally {
    smtp.close()
  }
}

/** Reads the last message over POP3S. Answers its subject. */
export async function readLast(gate: Sallyport, user: string, pass: string): Promise<string> {
  using pop3 = await scriptedClient(gate.ports.pop3s, { tls: trust(gate) })
  const say = async (command: string): Promise<string> => {
    pop3.send(`${command}\r\n`)
    const line = await pop3.line()
    must(line.startsWith('+OK'), `${command.split(' ')[0]} was answered ${line}`)
    return line
  }
  await pop3.line()
  await say(`USER ${user}`)
  await say(`PASS ${pass}`)
  const [, count = '0'] = (await say('STAT')).split(' ')
  must(Number(count) > 0, 'there is no message')
  await say(`RETR ${count}`)
  const lines = await pop3.linesUntil(/^\.$/)
  await say('QUIT')
  const subject = lines.find((line) => line.startsWith('Subject: '))
  return subject?.slice('Subject: '.length) ?? '(no subject)'
}
