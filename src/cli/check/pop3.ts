/**
 * POP3 up to the login: greeting, capabilities, STLS.
 */

import { parseCapabilities } from '../../edge/pop3/parse.ts'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { bad, good, StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import type { StartTlsCommand } from './start-tls.ts'
import type { Talk } from './talk.ts'
import { firstLine, notThisProtocol, orFailure } from './talk.ts'

/** The last command of a check. */
export const GOODBYE = 'QUIT'

const NO_POP3 = 'Is this the POP3 port of that server?'

/** The first line of the server. */
export async function readGreeting(talk: Talk, target: Target): Promise<{ finding: Finding; value: string }> {
  const line = await firstLine(talk, target, 995)
  const shown = plain(line).slice(0, 200)
  if (/^\+OK\b/.test(line)) return { finding: good(shown), value: line }
  if (/^-ERR\b/.test(line))
    throw new StepFailure(
      shown,
      'The server sends us away: too many connections from this address, or it is shutting down. Its log says why.',
    )
  throw notThisProtocol(line, 'POP3', NO_POP3, 'POP3: 995 with tls: implicit, 110 with tls: starttls')
}

/** What the server announces (RFC 2449 §5), in upper case: a capability with its parameters is one entry. */
export async function askCapabilities(talk: Talk): Promise<readonly string[]> {
  talk.send('CAPA')
  const first = await orFailure(talk.line(), { timeout: NO_POP3 })
  if (first === null) throw new StepFailure('the server closed the connection when asked for its capabilities', NO_POP3)
  // A server from before CAPA takes USER and PASS, which is all that is to be known.
  if (/^-ERR\b/.test(first)) return ['USER']
  const lines: string[] = []
  for (let line = first; line !== '.'; ) {
    const next = await orFailure(talk.line(), { timeout: 'The list has no end (a line with a dot): look at its log.' })
    if (next === null) throw new StepFailure('the server closed the connection in the middle of a list', NO_POP3)
    line = next
    if (line !== '.') lines.push(line)
  }
  const capabilities = parseCapabilities(lines)
  if (!/^\+OK\b/.test(first) || capabilities === null)
    throw new StepFailure(`instead of its capabilities the server says: ${plain(first).slice(0, 200)}`, NO_POP3)
  return [...capabilities].map((entry) => entry.flat().join(' '))
}

export const START_TLS: StartTlsCommand = {
  name: 'STLS',
  line: 'STLS',
  isAccepted: (answer) => /^\+OK\b/.test(answer),
  rfc: 'RFC 2595 §4',
  howToOffer: 'Dovecot: ssl = yes',
  implicitPort: 995,
}

/** What we can log in with. `method` is the configured identity method. */
export function judgeCapabilities(capabilities: readonly string[], method: string): Finding {
  const shown = capabilities
    .map((capability) => plain(capability))
    .join(', ')
    .slice(0, 400)
  const plainSasl = capabilities.some((line) => line.startsWith('SASL ') && line.split(' ').includes('PLAIN'))
  if (method === 'authzid' && !plainSasl) {
    return bad(
      shown,
      'SASL PLAIN is missing, which method: authzid needs (Dovecot: auth_mechanisms = plain), or choose method: master-user.',
    )
  }
  if (!plainSasl && !capabilities.includes('USER')) {
    return bad(
      shown,
      'Neither SASL PLAIN nor USER is offered: the server takes no passwords here. In clear text it should not; use tls: implicit or starttls.',
    )
  }
  if (!capabilities.includes('UIDL')) {
    return good(shown, 'UIDL is missing: clients that leave mail on the server fetch all of it again and again.')
  }
  return good(shown)
}
