/**
 * What the demo puts sallyport in front of: a real Dovecot of its own with a mailbox in it, or a server that it was told of.
 */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Dovecot } from '../../test/support/dovecot.ts'
import { startDovecot } from '../../test/support/dovecot.ts'
import { plainPassword } from '../../test/support/secrets.ts'
import { prepareSubmission } from '../../test/support/submission.ts'
import { ensureServices } from '../services.ts'
import { say } from './steps.ts'

/** What is in the mailbox at first. */
const MAIL = [
  ['Welcome to the demo', 'This mailbox is on a real Dovecot. It has never seen the password you came in with.'],
  ['The scanner on the second floor', 'It still can not do two-step verification. It has an app password now.'],
  ['Lunch?', 'At noon, the usual place.'],
] as const

/** What sallyport is put in front of. */
export interface Upstream extends AsyncDisposable {
  /** Sections of the configuration, by protocol; what is not there is left out of the job. */
  readonly sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly masterPassword: string
  /** null: somebody else's server, whose log and passwords we don't know. */
  readonly own: { readonly dovecot: Dovecot; readonly messages: number } | null
}

/** A Dovecot that speaks IMAP, POP3 and SMTP submission; null, and said why, when there is none to be had. */
export async function startOwn(user: string): Promise<Upstream | null> {
  const { missing } = await ensureServices(['dovecot'], say)
  if (missing.length > 0) {
    say('Without a Dovecot the demo can use a server of yours: npm run demo -- --upstream imaps://HOST … (see --help)')
    return null
  }
  await using stack = new AsyncDisposableStack()
  const submission = stack.use(await prepareSubmission())
  const dovecot = stack.use(await startDovecot({ users: { [user]: plainPassword() }, extra: submission.extra }))
  submission.deliverTo(dovecot)
  for (const [subject, text] of MAIL) {
    await dovecot.deliver(
      user,
      `From: Ann <ann@example.org>\r\nTo: <${user}>\r\nSubject: ${subject}\r\n\r\n${text}\r\n`,
    )
  }
  const at = (port: number) => ({ host: '127.0.0.1', port, tls: 'implicit', caFile: dovecot.caFile })
  const running = stack.move()
  return {
    sections: {
      imap: at(dovecot.ports.imaps),
      pop3: at(dovecot.ports.pop3s),
      smtp: at(submission.ports.submissions),
    },
    masterPassword: dovecot.master.password,
    own: { dovecot, messages: MAIL.length },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Protocol and transport of an address's scheme, and the port when it names none. */
const SCHEMES: Readonly<Record<string, readonly [protocol: string, tls: 'implicit' | 'starttls', port: number]>> = {
  'imaps:': ['imap', 'implicit', 993],
  'imap:': ['imap', 'starttls', 143],
  'pop3s:': ['pop3', 'implicit', 995],
  'pop3:': ['pop3', 'starttls', 110],
  'smtps:': ['smtp', 'implicit', 465],
  'smtp:': ['smtp', 'starttls', 587],
}

/**
 * A server that is there already.
 *
 * @param addresses one for each protocol, IMAP's among them
 * @throws when they make no sense
 */
export function givenServer(
  addresses: readonly string[],
  passwordFile: string | undefined,
  caFile: string | undefined,
): Upstream {
  const sections: Record<string, Readonly<Record<string, unknown>>> = {}
  for (const address of addresses) {
    const url = URL.parse(address)
    const scheme = SCHEMES[url?.protocol ?? '']
    if (!url || scheme === undefined || scheme[0] in sections) throw new Error(`${address}: ${WANTED}`)
    const [protocol, tls, port] = scheme
    sections[protocol] = {
      host: url.hostname,
      port: Number(url.port || port),
      tls,
      ...(caFile !== undefined && { caFile: resolve(caFile) }),
    }
  }
  if (!('imap' in sections) || passwordFile === undefined) throw new Error(WANTED)
  return {
    sections,
    masterPassword: readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, ''),
    own: null,
    async [Symbol.asyncDispose]() {
      // It was there before us.
    },
  }
}

const WANTED =
  '--upstream takes imaps://HOST[:PORT] or imap://HOST[:PORT], may be said again for pop3s://, pop3://, smtps:// or smtp://, and needs --master-password-file'
