/**
 * The login as a user over POP3, by the code that does it for clients: there is no other POP3 client at hand, and what it
 * refuses (XCLIENT after the login) a session would be refused for as well.
 */

import type { Peer } from '../../contract/admission.ts'
import { LoginFailure } from '../../contract/failure.ts'
import { createDialer, DialError } from '../../edge/net/dial.ts'
import { WireError } from '../../edge/net/wire.ts'
import { loginUpstream } from '../../edge/pop3/upstream.ts'
import { Secret } from '../../secret.ts'
import { plain } from '../output.ts'
import type { CheckIdentity } from './login.ts'
import { asWhom, REFUSED_ADVICE } from './login.ts'
import type { Finding } from './report.ts'
import { bad, good } from './report.ts'
import type { Target } from './socket.ts'

/** On whose behalf: this machine's own, for a PROXY header. */
const OURSELVES: Peer = { ip: '127.0.0.1', port: 1, localIp: '127.0.0.1', localPort: 1, tls: null }

/** Logs in and leaves. @param method the configured identity method */
export async function tryLogin(
  name: string,
  target: Target,
  identity: CheckIdentity,
  method: string,
  timeoutMs: number,
): Promise<Finding> {
  const { host, port, tls, ca, serverName, proxyProtocol } = target
  const { kind, authcid, authzid } = identity
  const upstream = {
    name,
    hosts: [{ host, port }],
    tls,
    ca,
    serverName,
    proxyProtocol,
    identity: { kind, authcid, authzid, secret: new Secret(identity.secret) },
    // It would log our own address as the client's.
    trusted: false,
  }
  const startedAt = performance.now()
  try {
    const dialer = createDialer({ deadlineMs: timeoutMs })
    using wire = await dialer.dial(upstream, OURSELVES, new AbortController().signal)
    await loginUpstream(wire, upstream, OURSELVES, 'check')
    await wire.end('QUIT\r\n')
    return good(`as ${asWhom(identity)}, ${Math.round(performance.now() - startedAt)} ms`)
  } catch (error) {
    if (error instanceof LoginFailure) {
      const advice = error.reason === 'upstream-refused' ? REFUSED_ADVICE[method] : undefined
      return bad(
        `as ${asWhom(identity)}: ${plain(error.message)}`,
        advice ?? 'Look at the server’s log at this moment.',
      )
    }
    if (!(error instanceof WireError || error instanceof DialError)) throw error
    return bad(`as ${asWhom(identity)}: ${plain(error.message)}`, 'Look at the server’s log at this moment.')
  }
}
