/**
 * SMTP submission up to the login: greeting, EHLO, STARTTLS; and what may be offered after the login.
 */

import { keywordsOf, parametersOf, parseReplyLine } from '../../edge/smtp/parse.ts'
import { keptTrust } from '../../edge/smtp/upstream.ts'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import type { StartTlsCommand } from './start-tls.ts'
import type { Talk } from './talk.ts'
import { firstLine, notThisProtocol, orFailure } from './talk.ts'

/** The last command of a check. */
export const GOODBYE = 'QUIT'

/**
 * As whom the login comes: what a server offers depends on whose connection it takes this for, so it is told of a client that
 * is not this machine. An address for examples (RFC 5737) is nobody's, and on no list.
 */
export const EXAMPLE_CLIENT = '192.0.2.1'

const NO_SMTP = 'Is this the submission port of that server?'
const MAX_REPLY_LINES = 100
const MAX_SHOWN_CHARS = 400

interface Reply {
  readonly code: number
  readonly texts: readonly string[]
  /** Its last line, to be shown. */
  readonly shown: string
}

/** One whole reply, of which the first line has been read; null when it is none (RFC 5321 §4.2.1). */
async function readReply(talk: Talk, first: string): Promise<Reply | null> {
  const texts: string[] = []
  for (let line = first; texts.length < MAX_REPLY_LINES; ) {
    const parsed = parseReplyLine(line)
    if (parsed === null) return null
    texts.push(parsed.text)
    if (parsed.isLast) return { code: parsed.code, texts, shown: plain(line).slice(0, 200) }
    const next = await orFailure(talk.line(), { timeout: 'The reply has no last line: look at the server’s log.' })
    if (next === null) throw new StepFailure('the server closed the connection in the middle of a reply', NO_SMTP)
    line = next
  }
  throw new StepFailure('the server’s reply does not end', NO_SMTP)
}

/** The first reply of the server. */
export async function readGreeting(talk: Talk, target: Target): Promise<{ finding: Finding; value: string }> {
  const first = await firstLine(talk, target, 465)
  const reply = await readReply(talk, first)
  if (reply?.code === 220) return { finding: good(reply.shown), value: reply.shown }
  if (reply !== null)
    throw new StepFailure(
      reply.shown,
      'The server sends us away: too many connections from this address, a block list, or it is shutting down. Its log says why.',
    )
  throw notThisProtocol(first, 'SMTP', NO_SMTP, PORTS)
}

const PORTS = 'SMTP submission: 465 with tls: implicit, 587 with tls: starttls'

/** What the server announces (RFC 5321 §4.1.1.1), in upper case: a keyword with its parameters is one entry. */
export async function askCapabilities(talk: Talk): Promise<readonly string[]> {
  talk.send('EHLO localhost')
  const first = await orFailure(talk.line(), { timeout: NO_SMTP })
  if (first === null) throw new StepFailure('the server closed the connection when greeted by EHLO', NO_SMTP)
  const reply = await readReply(talk, first)
  if (reply?.code === 250) return keywordsOf(reply.texts).map((line) => line.toUpperCase())
  throw new StepFailure(
    `the server answers EHLO with: ${plain(first).slice(0, 200)}`,
    'A server without EHLO knows no AUTH, so nobody can log in. Is this its submission port, or does it send this address away?',
  )
}

export const START_TLS: StartTlsCommand = {
  name: 'STARTTLS',
  line: 'STARTTLS',
  isAccepted: (answer) => parseReplyLine(answer)?.code === 220,
  rfc: 'RFC 3207 §4.2',
  howToOffer: 'Postfix: smtpd_tls_cert_file, smtpd_tls_security_level = may or encrypt',
  implicitPort: 465,
}

/** What we can log in with. @param method the configured identity method */
export function judgeCapabilities(keywords: readonly string[], method: string): Finding {
  const shown = shownOf(keywords)
  const mechanisms = parametersOf(keywords, 'AUTH')
  if (mechanisms === null) {
    return bad(
      shown,
      'AUTH is not offered, so nobody can log in. Is this the submission port (465 or 587), and is AUTH turned on there (Postfix: smtpd_sasl_auth_enable = yes)? In clear text it should not be offered; use tls: implicit or starttls.',
    )
  }
  if (mechanisms.includes('PLAIN')) return good(shown)
  if (method === 'authzid') {
    return bad(
      shown,
      'AUTH PLAIN is missing, which method: authzid needs (Dovecot: auth_mechanisms = plain), or choose method: master-user.',
    )
  }
  if (mechanisms.includes('LOGIN')) return good(shown)
  return bad(
    shown,
    'Neither AUTH PLAIN nor AUTH LOGIN is offered: the server takes no passwords here (Postfix: smtpd_sasl_security_options, smtpd_sasl_mechanism_filter; Dovecot: auth_mechanisms).',
  )
}

/**
 * What is offered after the login and must not be (invariant 14), and what is missing.
 *
 * @param trusted whether the server was told of a client by XCLIENT
 */
export function judgeAfterLogin(keywords: readonly string[], trusted: boolean): Finding {
  const shown = shownOf(keywords)
  const kept = keptTrust(keywords)
  if (kept.length === 0) return good(shown)
  return bad(
    shown,
    [
      `${kept.map(({ keyword }) => keyword).join(' and ')} can still be said after the login, so a client could become anybody (XCLIENT LOGIN=…) or claim any origin, and sallyport joins nobody to this server.`,
      ...kept.map(({ keyword, setting }) =>
        keyword === 'XCLIENT' && trusted
          ? `Let ${setting} hold this machine’s address and nothing wider: it holds ${EXAMPLE_CLIENT}, as whom we came, too.`
          : `Take this machine’s address out of ${setting}${keyword === 'XCLIENT' ? ', or set trusted: true, so that it gives that up by naming each client’s address' : ''}.`,
      ),
      'On Postfix: in main.cf, or with -o at this port’s service in master.cf; then postfix reload.',
    ].join(' '),
  )
}

/**
 * What a server believes of this machine before the login, where that is worth a word; null where it is not.
 *
 * @param trusted whether it is to be told the client's address
 */
export function judgeTrust(keywords: readonly string[], trusted: boolean): Finding | null {
  const wide = keptTrust(keywords).filter(({ keyword }) => keyword === 'XFORWARD' || !trusted)
  if (wide.length > 0) {
    return good(
      `${wide.map(({ keyword }) => keyword).join(' and ')} offered to this machine`,
      `If that is so after the login as well, sallyport joins nobody to this server: check with --user, and see ${wide.map(({ setting }) => setting).join(' and ')} (Postfix).`,
    )
  }
  if (!trusted || parametersOf(keywords, 'XCLIENT') !== null) return null
  return good(
    'XCLIENT is not offered',
    'The server can’t be told the client’s address (trusted: true), and logs and judges this machine’s: put this machine’s address into smtpd_authorized_xclient_hosts (Postfix), use proxyProtocol, or leave trusted out.',
  )
}

function shownOf(keywords: readonly string[]): string {
  return keywords
    .map((line) => plain(line))
    .join(', ')
    .slice(0, MAX_SHOWN_CHARS)
}
