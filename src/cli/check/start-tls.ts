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
  /** 'STARTTLS', 'STLS': for the words. */
  readonly name: string
  /** What is sent. */
  readonly line: string
  /** Whether the answer says to go on. */
  readonly isAccepted: (answer: string) => boolean
  /** What forbids bytes behind the answer: 'RFC 3207 §4.2'. */
  readonly rfc: string
}

/** Sends the command and shakes hands. @throws StepFailure when the server does not go along, or says more than its answer */
export async function goToTls(
  talk: Talk,
  target: Target,
  command: StartTlsCommand,
  timeoutMs: number,
): Promise<Finding> {
  const { name, line, isAccepted, rfc } = command
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
