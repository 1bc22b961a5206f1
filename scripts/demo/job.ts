/**
 * The job itself, step by step: what an administrator does, what an old mail client sees, and what the mail server behind has
 * been told.
 */

import type { ImapFlow } from 'imapflow'
import type { Dovecot } from '../../test/support/dovecot.ts'
import type { IssuedPassword, Sallyport } from '../../test/support/sallyport.ts'
import { arrives, imapClient, readLast, send, subjectsIn } from './clients.ts'
import type { Upstream } from './servers.ts'
import { must, say, step } from './steps.ts'

/** The end of an open session after its app password is deleted (M2). */
const END_MS = 1000

const SENT = 'The page that the scanner sent'

export async function doTheJob(gate: Sallyport, upstream: Upstream, user: string): Promise<void> {
  say('\nAn administrator:')
  await step(`sallyport user add ${user}`, () => gate.addUser(user))
  const issued = await step('sallyport app-password create --name "old phone"', () =>
    gate.createAppPassword(user, 'old phone'),
  )
  if (issued === null) return
  say(`      its password, shown this once: ${issued.password}`)

  say('\nAn old mail client:')
  const imap = imapClient(gate, user, issued.password)
  imap.on('error', () => {})
  const gone = new Promise<void>((done) => imap.once('close', done))
  await readAndWrite(gate, upstream, user, issued, imap)
  const { own } = upstream
  if (own !== null) {
    const password = own.dovecot.users[user] ?? ''
    await step('the mailbox\u2019s own password is refused', () => isRefused(gate, user, password))
    await askTheLog(own.dovecot, user, issued)
  }

  say('\nThe phone is lost:')
  await step('sallyport app-password delete', async (note) => {
    const startedAt = performance.now()
    const { sessionsEnded } = await gate.json<{ sessionsEnded: number }>(['app-password', 'delete', issued.id, '--yes'])
    must(sessionsEnded >= 1, `it ended ${sessionsEnded} sessions`)
    note(`ended ${sessionsEnded} open session${sessionsEnded === 1 ? '' : 's'}`)
    await Promise.race([
      gone,
      new Promise((_, fail) => setTimeout(fail, END_MS, new Error('the session is still open'))),
    ])
    note(`the client was cut off; all of it took ${Math.round(performance.now() - startedAt)} ms`)
  })
  await step('the app password is refused from now on', () => isRefused(gate, user, issued.password))
}

/** One app password, three protocols. */
async function readAndWrite(
  gate: Sallyport,
  { sections, own }: Upstream,
  user: string,
  { password }: IssuedPassword,
  imap: ImapFlow,
): Promise<void> {
  await step('logs in over IMAPS with the app password', () => imap.connect())
  await step('lists its inbox', async (note) => {
    const subjects = await subjectsIn(imap)
    for (const subject of subjects) note(subject)
    must(own === null || subjects.length === own.messages, `${subjects.length} messages instead of ${own?.messages}`)
  })
  if ('smtp' in sections) {
    // Its own each time: with a server that is there already, the last one may be of yesterday.
    const subject = `${SENT} at ${new Date().toISOString().slice(11, 19)}`
    const answer = await step('sends a message over SMTPS with the same app password', async (note) => {
      const response = await send(gate, user, password, subject)
      note(response)
      return response
    })
    if (answer !== null) await step('finds it in its inbox', () => arrives(imap, subject))
  }
  if ('pop3' in sections) {
    await step('reads a message over POP3S, likewise', async (note) => {
      const subject = await readLast(gate, user, password)
      note(subject)
      must(own === null || subject.startsWith(SENT), 'it is not the last one')
    })
  }
}

async function askTheLog(dovecot: Dovecot, user: string, issued: IssuedPassword): Promise<void> {
  say('\nThe mail server\u2019s own log:')
  await step(`knows ${dovecot.master.user}, who logged in for ${user}`, async (note) => {
    const [line] = await dovecot.waitForLog(new RegExp(`Master user logging in as ${user}`))
    must(dovecot.log().includes(`${user}*${dovecot.master.user}`), 'the master user is not in it')
    note(line)
    const logins = dovecot.log().matchAll(new RegExp(`(\\w+)-login: Info: Login: user=<${user}>`, 'g'))
    note(`by ${[...new Set([...logins].map(([, service]) => service))].join(', ')}`)
  })
  await step('has never seen the app password', async () => {
    const log = dovecot.log()
    must(log.length > 1000, 'there is hardly any log')
    for (const form of [issued.password, issued.letters, Buffer.from(issued.letters).toString('base64')]) {
      must(!log.includes(form), 'it is in there')
    }
  })
}

async function isRefused(gate: Sallyport, user: string, pass: string): Promise<void> {
  const imap = imapClient(gate, user, pass)
  imap.on('error', () => {})
  const entered = await imap.connect().then(
    () => true,
    (error: { readonly authenticationFailed?: boolean }) => {
      must(error.authenticationFailed === true, `it failed in another way: ${String(error)}`)
      return false
    },
  )
  imap.close()
  must(!entered, 'it was let in')
}
