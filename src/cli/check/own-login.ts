/**
 * The login as a user over POP3 or SMTP, by the code that does it for clients: there is no better client at hand, and what it
 * finds wrong a session would be refused for as well.
 */

import type { Peer, UpstreamTarget } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import { createDialer, DialError } from '../../edge/net/dial.ts'
import type { Wire } from '../../edge/net/wire.ts'
import { WireError } from '../../edge/net/wire.ts'
import { loginUpstream as loginPop3 } from '../../edge/pop3/upstream.ts'
import { tryUpstream as trySmtp } from '../../edge/smtp/upstream.ts'
import { Secret } from '../../secret.ts'
import { plain } from '../output.ts'
import type { CheckIdentity } from './login.ts'
import { asWhom, REFUSED_ADVICE } from './login.ts'
import type { Finding } from './report.ts'
import { bad, good } from './report.ts'
import { EXAMPLE_CLIENT } from './smtp.ts'
import type { Target } from './socket.ts'

/** How a protocol logs in for a check, and leaves. */
export interface OwnLogin {
  /** On whose behalf, for a PROXY header and for whoever is told by other means. */
  readonly client: Peer
  /** Answers what is offered after the login; null: nothing more than the login is to be known. */
  run(wire: Wire, target: UpstreamTarget, client: Peer): Promise<readonly string[] | null>
}

const OURSELVES: Peer = { ip: '127.0.0.1', port: 1, localIp: '127.0.0.1', localPort: 1, tls: null }

export const POP3: OwnLogin = {
  client: OURSELVES,
  async run(wire, target, client) {
    // Not as an upstream that trusts us: it would log our own address as the client's.
    await loginPop3(wire, { ...target, trusted: false }, client, 'check')
    await wire.end('QUIT\r\n')
    return null
  },
}

export const SMTP: OwnLogin = {
  client: { ...OURSELVES, ip: EXAMPLE_CLIENT },
  async run(wire, target, client) {
    const keywords = await trySmtp(wire, target, { name: 'localhost', client, sessionId: 'check' })
    await wire.end()
    return keywords
  },
}

/**
 * Logs in and leaves.
 *
 * @param name the upstream's, in the configuration
 * @param method the configured identity method
 * @param trusted whether the upstream may be told the client's address
 */
export async function tryOwnLogin(
  { client, run }: OwnLogin,
  name: string,
  target: Target,
  identity: CheckIdentity,
  { method, trusted, timeoutMs }: { readonly method: string; readonly trusted: boolean; readonly timeoutMs: number },
): Promise<{ readonly finding: Finding; readonly value: readonly string[] | null }> {
  const { host, port, tls, ca, serverName, proxyProtocol } = target
  const { kind, authcid, authzid } = identity
  const upstream: UpstreamTarget = {
    name,
    hosts: [{ host, port }],
    tls,
    ca,
    serverName,
    proxyProtocol,
    identity: { kind, authcid, authzid, secret: new Secret(identity.secret) },
    trusted,
  }
  const startedAt = performance.now()
  try {
    const dialer = createDialer({ deadlineMs: timeoutMs })
    using wire = await dialer.dial(upstream, client, new AbortController().signal)
    const value = await run(wire, upstream, client)
    return { finding: good(`as ${asWhom(identity)}, ${Math.round(performance.now() - startedAt)} ms`), value }
  } catch (error) {
    if (!(error instanceof LoginFailure || error instanceof WireError || error instanceof DialError)) throw error
    const isRefusal = error instanceof LoginFailure && error.reason === 'upstream-refused'
    const advice = isRefusal ? REFUSED_ADVICE[method] : undefined
    const detail = `as ${asWhom(identity)}: ${plain(error.message)}`
    return { finding: bad(detail, advice ?? 'Look at the server’s log at this moment.'), value: null }
  }
}
