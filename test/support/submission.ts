/**
 * Dovecot's own submission service, unprivileged like the rest of it. It keeps no queue: what it takes goes to a relay, which
 * is a few lines here and puts each message into that Dovecot's mailboxes by LMTP.
 */

import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import type { Dovecot } from './dovecot.ts'
import { freePort } from './ports.ts'

export interface SubmissionPorts {
  /** STARTTLS. */
  readonly submission: number
  /** TLS from the first byte. */
  readonly submissions: number
}

export interface Submission extends AsyncDisposable {
  readonly ports: SubmissionPorts
  /** Lines for the Dovecot's configuration. */
  readonly extra: string
  /** Where messages go: to be said before the first one is sent. */
  deliverTo(dovecot: Dovecot): void
}

/** Starts the relay and says how a Dovecot is to use it. */
export async function prepareSubmission(): Promise<Submission> {
  let dovecot: Dovecot | null = null
  const relay = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const message = Buffer.concat(chunks)
        const to = session.envelope.rcptTo.map(({ address }) => dovecot?.deliver(address, message))
        Promise.all(to).then(() => done(), done)
      })
    },
  })
  const listening = Promise.withResolvers<void>()
  relay.on('error', listening.reject)
  const server = relay.listen(0, '127.0.0.1', () => listening.resolve())
  await listening.promise
  const ports = { submission: await freePort(), submissions: await freePort() }
  const { port } = server.address() as AddressInfo
  const listener = (name: string, at: number, more = ''): string =>
    `  inet_listener ${name} {\n    address = 127.0.0.1\n    port = ${at}\n${more}  }\n`
  return {
    ports,
    extra: `protocols = imap pop3 lmtp submission
hostname = localhost
submission_relay_host = 127.0.0.1
submission_relay_port = ${port}
service submission-login {
  service_count = 0
${listener('submission', ports.submission)}${listener('submissions', ports.submissions, '    ssl = yes\n')}}
`,
    deliverTo(to) {
      dovecot = to
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((closed) => relay.close(closed))
    },
  }
}
