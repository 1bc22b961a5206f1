/**
 * The step from clear text to TLS in a check, whatever the protocol calls it.
 */

import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { StepFailure } from './report.ts'
import type { Target } from './socket.ts'
import type { Talk } from './talk.ts'
import { orFailure } from './talk.ts'

export interface StartTlsCommand {
  /** 'STARTTLS', 'STLS': among the capabilities, and in words. */
  readonly name: string
  /** What is sent. */
  readonly line: string
  /** Whether the answer says to go on. */
  readonly isAccepted: (answer: string) => boolean
  /** What forbids bytes behind the answer: 'RFC 3207 §4.2'. */
  readonly rfc: string
  /** The server's settings that make it offer this, for the advice. */
  readonly howToOffer: string
  readonly implicitPort: number
}

/**
 * Sends the command and shakes hands.
 *
 * @throws StepFailure when the server does not offer it, does not go along, or says more than its answer
 */
export async function goToTls(
  talk: Talk,
  target: Target,
  { name, line, isAccepted, rfc, howToOffer, implicitPort }: StartTlsCommand,
  capabilities: readonly string[],
  timeoutMs: number,
): Promise<Finding> {
  // SMTP may name parameters behind a keyword.
  if (!capabilities.some((capability) => capability.split(' ', 1)[0]?.toUpperCase() === name)) {
    throw new StepFailure(
      `${name} is not offered`,
      `Give the server a certificate and turn TLS on (${howToOffer}), or use its port with implicit TLS (tls: implicit, ${implicitPort}).`,
    )
  }
  talk.send(line)
  const answer = await orFailure(talk.line(), { timeout: `The server hangs after ${name}: look at its log.` })
  if (answer === null || !isAccepted(answer)) {
    throw new StepFailure(
      answer === null ? `the server closed the connection at ${name}` : plain(answer).slice(0, 200),
      `The server offers ${name} and does not do it: look at its log, and at its certificate.`,
    )
  }
  if (talk.pending !== '')
    throw new StepFailure(
      `the server sent something behind ${name}, in clear`,
      `Somebody on the way may be tampering; sallyport never goes on from here (${rfc}).`,
    )
  return talk.startTls(target, timeoutMs)
}
