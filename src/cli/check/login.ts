/**
 * The login as a user, by a whole IMAP client (imapflow) over a connection of our own making: same address, same PROXY
 * header, same certificate rules as the gate's own.
 */

import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connect as tlsConnect } from 'node:tls'
import { ImapFlow } from 'imapflow'
import type { ServiceAnswer } from '../../contract/services.ts'
import { plain } from '../output.ts'
import type { Finding } from './report.ts'
import { bad, good } from './report.ts'
import type { Target } from './socket.ts'
import { codeOf, connectTcp } from './socket.ts'

export type CheckIdentity = ServiceAnswer<'check.identity'>

export interface LoginResult {
  readonly finding: Finding
  /** What the server announces after the login; null when there was none. */
  readonly capabilities: readonly string[] | null
}

/** Logs in, reads the capabilities, logs out. */
export async function tryLogin(
  address: string,
  target: Target,
  identity: CheckIdentity,
  method: string,
  timeoutMs: number,
): Promise<LoginResult> {
  const { value: socket } = await connectTcp(address, target, timeoutMs)
  const secured = (raw: Socket, onSecure: () => void): TLSSocket => {
    const name = target.serverName ?? target.host
    return tlsConnect(
      {
        socket: raw,
        minVersion: 'TLSv1.2',
        ...(isIP(name) === 0 ? { servername: name } : { host: name }),
        ...(target.ca === null ? {} : { ca: target.ca }),
      },
      onSecure,
    )
  }
  const client = new ImapFlow({
    host: target.host,
    port: target.port,
    secure: target.tls === 'implicit',
    doSTARTTLS: target.tls === 'starttls',
    auth: {
      user: identity.authcid,
      pass: identity.secret,
      ...(identity.authzid === '' ? {} : { authzid: identity.authzid, loginMethod: 'AUTH=PLAIN' }),
    },
    clientInfo: { name: 'sallyport check' },
    logger: false,
    disableAutoIdle: true,
    disableAutoEnable: true,
    disableCompression: true,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs * 2,
    transport: {
      connect({ secure }, onConnect) {
        if (secure) return secured(socket, onConnect)
        setImmediate(onConnect)
        return socket
      },
      upgrade: (raw, _options, onSecure) => secured(raw as Socket, onSecure),
    },
  })
  // The promise of connect() tells everything; without a listener the event would end the process.
  client.on('error', () => undefined)
  const startedAt = performance.now()
  try {
    await client.connect()
    const capabilities = [...client.capabilities.keys()].map((name) => name.toUpperCase())
    const ms = Math.round(performance.now() - startedAt)
    await client.logout().catch(() => undefined)
    return { finding: good(`as ${asWhom(identity)}, ${ms} ms`), capabilities }
  } catch (error) {
    return { finding: judge(error, identity, method), capabilities: null }
  } finally {
    client.close()
    socket.destroy()
  }
}

export function asWhom({ authcid, authzid }: CheckIdentity): string {
  return plain(authzid === '' ? authcid : `${authcid} for ${authzid}`)
}

function judge(error: unknown, identity: CheckIdentity, method: string): Finding {
  const { authenticationFailed, serverResponseCode, response, responseText } = error as {
    readonly authenticationFailed?: boolean
    readonly serverResponseCode?: string
    readonly response?: unknown
    readonly responseText?: string
  }
  const said = plain(String(typeof response === 'string' ? response : (responseText ?? ''))).slice(0, 200)
  if (authenticationFailed !== true) {
    return bad(
      `the login as ${asWhom(identity)} did not get an answer (${plain(codeOf(error)).slice(0, 120)})`,
      'Look at the server’s log at this moment.',
    )
  }
  const detail = `refused as ${asWhom(identity)}: ${said}`
  if (serverResponseCode === 'UNAVAILABLE' || serverResponseCode === 'LIMIT' || serverResponseCode === 'INUSE') {
    return bad(
      detail,
      'The server can’t do it now, which says nothing of the password: look at its log, and at its limits per user and address.',
    )
  }
  if (serverResponseCode === 'PRIVACYREQUIRED')
    return bad(detail, 'The server wants TLS: set tls: implicit or tls: starttls.')
  return bad(detail, REFUSED_ADVICE[method] ?? 'The server refused our name or password.')
}

export const REFUSED_ADVICE: Readonly<Record<string, string>> = {
  'master-user':
    'Either the master user’s password is wrong (the file that passwordFile names, against the server’s master passdb), or the server does not know that user as a master, splits names by another separator (Dovecot: auth_master_user_separator), or has no such mailbox. Try there: doveadm auth login USER*MASTER',
  authzid:
    'Either that user’s password is wrong (the file that passwordFile names), or the server does not let it act for others (Dovecot: passdb with master = yes), or has no such mailbox.',
  'stored-secret':
    'The password stored for this user is not (or no longer) the one the server knows: sallyport secret set --user … --upstream …',
}

/** What a session needs after the login, and what must not be there (design: nothing may make it somebody else's). */
export function judgeAfterLogin(capabilities: readonly string[], trusted: boolean): Finding {
  const shown = capabilities
    .map((name) => plain(name))
    .join(' ')
    .slice(0, 600)
  if (capabilities.includes('UNAUTHENTICATE')) {
    return bad(
      shown,
      'UNAUTHENTICATE is offered (RFC 8437): a client could log in as somebody else on our trusted connection, so sallyport refuses such a server. Turn it off there (Dovecot: imap_capability without UNAUTHENTICATE).',
    )
  }
  if (trusted && !capabilities.includes('ID')) {
    return good(
      shown,
      'ID is missing, so the server can’t be told the client’s address (trusted: true): use proxyProtocol, or leave trusted out.',
    )
  }
  const missing = WANTED.filter((name) => !capabilities.includes(name))
  if (missing.length > 0)
    return good(
      shown,
      `${missing.join(' and ')} missing: clients ask again and again instead of being told of new mail.`,
    )
  return good(shown)
}

/** What old clients are slow without. */
const WANTED = ['IDLE'] as const
