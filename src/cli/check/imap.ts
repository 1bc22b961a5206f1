/**
 * IMAP up to the login: greeting, capabilities, STARTTLS. A few lines of talk over a plain socket.
 */

import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import type { StartTlsCommand } from './start-tls.ts'
import type { Talk } from './talk.ts'
import { firstLine, notThisProtocol, orFailure } from './talk.ts'

/** The last command of a check. */
export const GOODBYE = 'check9 LOGOUT'

const NO_IMAP = 'Is this the IMAP port of that server?'

/** The first line of the server. */
export async function readGreeting(talk: Talk, target: Target): Promise<{ finding: Finding; value: string }> {
  const line = await firstLine(talk, target, 993)
  const shown = plain(line).slice(0, 200)
  if (/^\* OK\b/i.test(line)) return { finding: good(shown), value: line }
  if (/^\* PREAUTH\b/i.test(line))
    throw new StepFailure(
      shown,
      'The server takes this connection for logged in already: no login can follow. Take this machine’s address out of what it logs in by itself.',
    )
  if (/^\* BYE\b/i.test(line))
    throw new StepFailure(
      shown,
      'The server sends us away: too many connections from this address, or it is shutting down. Its log says why.',
    )
  throw notThisProtocol(line, 'IMAP', NO_IMAP, 'IMAP: 993 with tls: implicit, 143 with tls: starttls')
}

/** What the server announces (RFC 9051 §6.1.1), in upper case. */
export async function askCapabilities(talk: Talk): Promise<readonly string[]> {
  talk.send('check1 CAPABILITY')
  let capabilities: readonly string[] | null = null
  for (;;) {
    const line = await orFailure(talk.line(), { timeout: NO_IMAP })
    if (line === null)
      throw new StepFailure('the server closed the connection when asked for its capabilities', NO_IMAP)
    const listed = /^\* CAPABILITY (.*)$/i.exec(line)
    if (listed) capabilities = (listed[1] ?? '').trim().toUpperCase().split(/ +/)
    else if (/^check1 OK\b/i.test(line)) {
      if (capabilities !== null) return capabilities
      throw new StepFailure(
        'the server lists no capabilities',
        'It breaks the protocol (RFC 9051 §6.1.1); sallyport can do nothing about that.',
      )
    } else if (!line.startsWith('* '))
      throw new StepFailure(`instead of its capabilities the server says: ${plain(line).slice(0, 200)}`, NO_IMAP)
  }
}

export const START_TLS: StartTlsCommand = {
  name: 'STARTTLS',
  line: 'check2 STARTTLS',
  isAccepted: (answer) => /^check2 OK\b/i.test(answer),
  rfc: 'RFC 9051 §6.2.1',
  howToOffer: 'Dovecot: ssl = yes',
  implicitPort: 993,
}

/** What we can log in with. `method` is the configured identity method. */
export function judgeCapabilities(capabilities: readonly string[], method: string): Finding {
  const shown = capabilities
    .map((capability) => plain(capability))
    .join(' ')
    .slice(0, 400)
  const plainSasl = capabilities.includes('AUTH=PLAIN')
  const login = !capabilities.includes('LOGINDISABLED')
  if (method === 'authzid' && !plainSasl) {
    return bad(
      shown,
      'AUTH=PLAIN is missing, which method: authzid needs (Dovecot: auth_mechanisms = plain), or choose method: master-user.',
    )
  }
  if (!plainSasl && !login) {
    return bad(
      shown,
      'Neither AUTH=PLAIN nor LOGIN is offered: the server takes no passwords here. In clear text it should not; use tls: implicit or starttls.',
    )
  }
  if (!plainSasl)
    return good(
      shown,
      'AUTH=PLAIN is missing: LOGIN is used, which some servers do not take for long or odd passwords.',
    )
  if (!capabilities.includes('SASL-IR')) return good(shown, 'SASL-IR is missing: each login takes one round trip more.')
  return good(shown)
}
