/**
 * Mails to users, through the submission server of the upstream that the sender's own mailbox is at.
 *
 * We log in there as the sender, just as a session of its would: so the mail server knows who sends, and nothing is relayed
 * for us that is not relayed for a user. The library speaks SMTP; it is loaded when there is a first mail.
 */

import type { Socket } from 'node:net'
import { connect, isIPv6 } from 'node:net'
import type { Config } from '../../config.ts'
import type { UpstreamIdentity } from '../../contract/admission.ts'
import type { StoredSecrets } from '../../records/secrets.ts'
import type { Store } from '../../records/store/store.ts'
import { identityFor } from '../upstream/identity.ts'
import type { Route } from '../upstream/routes.ts'
import { routeFor } from '../upstream/routes.ts'

/** It could not be handed in: what failed, for operators. */
export class MailError extends Error {
  constructor(message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'MailError'
  }
}

export interface Mail {
  /** Canonical address. */
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mailer {
  /** Whether a sender is configured. */
  readonly isConfigured: boolean
  /** Handed in once this resolves. @throws MailError */
  send(mail: Mail): Promise<void>
}

const CONNECT_MS = 10_000
const ANSWER_MS = 30_000

export function createMailer(options: {
  readonly config: () => Config
  readonly store: Store
  readonly secrets: StoredSecrets
}): Mailer {
  const { config, store, secrets } = options

  async function throughHost(route: Route, host: Route['hosts'][number], identity: UpstreamIdentity, mail: object) {
    const { createTransport } = await import('nodemailer')
    const secure = route.tls === 'implicit'
    const connection = route.proxyProtocol === null ? null : await proxied(host, route.proxyProtocol)
    const transport = createTransport({
      host: host.host,
      port: host.port,
      secure,
      requireTLS: route.tls === 'starttls',
      ignoreTLS: route.tls === 'none',
      connectionTimeout: CONNECT_MS,
      greetingTimeout: CONNECT_MS,
      socketTimeout: ANSWER_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
      tls: {
        minVersion: 'TLSv1.2',
        ...(route.ca === null ? {} : { ca: route.ca }),
        ...(route.serverName === null ? {} : { servername: route.serverName }),
      },
      ...(connection && { connection }),
      auth: { type: 'custom', method: 'OURS', user: identity.authcid, pass: '-' },
      customAuth: {
        OURS: async ({ sendCommand, resolve, reject }) => {
          const { status, response } = await sendCommand(authCommand(identity))
          if (status >= 200 && status < 300) resolve()
          else reject(new Error(response))
        },
      },
    })
    try {
      await transport.sendMail(mail)
    } finally {
      transport.close()
    }
  }

  return {
    get isConfigured() {
      return config().mail !== null
    },

    async send({ to, subject, text }) {
      const { mail: settings } = config()
      if (settings === null) throw new MailError('no sender is configured (mail.from)')
      const { from, name } = settings
      const routed = routeFor(config(), from, 'smtp')
      if (!routed.ok) throw new MailError(`mails can't be sent from ${from}: ${routed.why}`)
      const { route } = routed
      const message = {
        from: { name, address: from },
        to: { name: '', address: to },
        subject,
        text,
        // RFC 3834 §5: nobody's holiday notice is wanted in return.
        headers: { 'Auto-Submitted': 'auto-generated' },
      }
      let last: unknown = null
      for (const host of route.hosts) {
        try {
          const sender = await store.userByAddress(from)
          const identity = await identityFor(route, { id: sender?.id ?? '', address: from }, secrets)
          return await throughHost(route, host, identity, message)
        } catch (error) {
          last = error
        }
      }
      const why = last instanceof Error ? last.message : String(last)
      throw new MailError(`a mail could not be handed in at upstream "${route.name}": ${why}`, { cause: last })
    },
  }
}

/** RFC 4616 (PLAIN with an authorization identity), or XOAUTH2. */
function authCommand(identity: UpstreamIdentity): string {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')
  if (identity.kind === 'oauth') {
    const { authcid, accessToken } = identity
    return `AUTH XOAUTH2 ${base64(`user=${authcid}\x01auth=Bearer ${accessToken.reveal()}\x01\x01`)}`
  }
  const { authzid, authcid, secret } = identity
  return `AUTH PLAIN ${base64(`${authzid}\0${authcid}\0${secret.reveal()}`)}`
}

/** PROXY protocol §2.2: signature, version 2 and LOCAL, no address: the connection is our own. */
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')

async function proxied(host: Route['hosts'][number], version: 'v1' | 'v2'): Promise<Socket> {
  const socket = connect({ host: host.host, port: host.port, timeout: CONNECT_MS })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error('no connection in time')))
  })
  socket.setTimeout(0)
  // §2.1: version 1 has no LOCAL, and not every server takes UNKNOWN; so we say what is true.
  const { localAddress, remoteAddress, localPort, remotePort } = socket
  const family = isIPv6(localAddress ?? '') ? 'TCP6' : 'TCP4'
  const line = `PROXY ${family} ${localAddress} ${remoteAddress} ${localPort} ${remotePort}\r\n`
  socket.write(version === 'v1' ? line : LOCAL)
  return socket
}
