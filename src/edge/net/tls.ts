/**
 * TLS, as either side: certificate contexts and the choice among them, ticket keys, the handshake.
 *
 * One `TlsContexts` serves all listeners of a process that want the same minimum version; a reload swaps what it holds, so new
 * handshakes get the new certificates and open connections notice nothing.
 */

import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import type { SecureContext, SecureContextOptions, SecureVersion } from 'node:tls'
import { checkServerIdentity, connect, createSecureContext, DEFAULT_CIPHERS, TLSSocket } from 'node:tls'
import type { TlsInfo } from '../../contract/admission.ts'
import type { Resumption } from './resumption.ts'
import { SocketReader } from './source.ts'

/** A certificate (chain) and its key, PEM, with the names of the files that they were read from, for messages. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

/** A pair that can't be used. The message names both files. */
export class CertificateError extends Error {
  readonly code = 'ERR_TLS_CERTIFICATE'
  constructor(message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'CertificateError'
  }
}

// The cheapest of what every client of the last ten years knows comes first (docs/performance.md).
const CIPHERS =
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA'
/** For devices that know nothing newer than TLS 1.0: signatures with SHA-1, and keys sent under the certificate's RSA key. */
const OLD_CIPHERS = `${CIPHERS}:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:AES128-SHA:AES256-SHA:@SECLEVEL=0`
/** Towards upstreams the same come first; what else Node knows is kept for old ones. */
const CLIENT_CIPHERS = `${CIPHERS}:${DEFAULT_CIPHERS}`
const CURVES = 'X25519:P-256:P-384'
/** TLS-level minimum of both sides. RFC 8996 retires everything older; a scanner listener may want it all the same. */
const MIN_VERSION: SecureVersion = 'TLSv1.2'

export interface TlsContextsOptions {
  /** The first is for clients that name no server, or one that nobody has. At least one. */
  readonly pairs: readonly CertificatePair[]
  readonly minVersion?: SecureVersion
  /** 48 bytes, the same in every edge, so that a session can be resumed in any of them (RFC 5077). */
  readonly ticketKeys?: Buffer
}

interface Held {
  readonly context: SecureContext
  /** Lower-case names of the certificate, '*.' in front for wildcards. */
  readonly names: readonly string[]
}

/** The certificates of a process. @throws CertificateError from the constructor and from `reload`, which then changes nothing */
export class TlsContexts {
  #held: readonly Held[]
  #options: TlsContextsOptions

  constructor(options: TlsContextsOptions) {
    this.#options = options
    this.#held = hold(options)
  }

  /** As Node's TLS wants it, one function for all connections. */
  readonly onServerName = (serverName: string, done: (error: null, context: SecureContext) => void): void =>
    done(null, this.choose(serverName))

  /** New certificates or ticket keys for the handshakes to come. */
  reload(options: Partial<TlsContextsOptions>): void {
    const next = { ...this.#options, ...options }
    this.#held = hold(next)
    this.#options = next
  }

  /** For a client that asked for `serverName` (RFC 6066 §3). */
  choose(serverName: string | null): SecureContext {
    const wanted = serverName?.toLowerCase() ?? ''
    const parent = wanted.slice(wanted.indexOf('.') + 1)
    const held =
      this.#held.find(({ names }) => names.includes(wanted)) ??
      // A wildcard stands for one label, the leftmost (RFC 6125 §6.4.3).
      this.#held.find(({ names }) => parent !== wanted && names.includes(`*.${parent}`)) ??
      this.#held[0]
    if (held === undefined) throw new CertificateError('there is no certificate')
    return held.context
  }
}

function hold({ pairs, minVersion = MIN_VERSION, ticketKeys }: TlsContextsOptions): readonly Held[] {
  if (pairs.length === 0) throw new CertificateError('there is no certificate')
  return pairs.map((pair) => ({ context: contextOf(pair, minVersion, ticketKeys), names: namesOf(pair) }))
}

function contextOf(pair: CertificatePair, minVersion: SecureVersion, ticketKeys: Buffer | undefined): SecureContext {
  const options: SecureContextOptions = {
    cert: pair.cert,
    key: pair.key,
    minVersion,
    ciphers: minVersion === 'TLSv1' || minVersion === 'TLSv1.1' ? OLD_CIPHERS : CIPHERS,
    ecdhCurve: CURVES,
    honorCipherOrder: true,
    // No client of ours needs a second handshake on a connection, and nobody audits one (threats A3).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ticketKeys && { ticketKeys }),
  }
  try {
    // OpenSSL has no objection to a pair without one half of it.
    if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)))
      throw new Error('the key is not that of the certificate')
    return createSecureContext(options)
  } catch (cause) {
    throw new CertificateError(
      `${pair.certFile} and ${pair.keyFile} can't be used together: ${(cause as Error).message}`,
      { cause },
    )
  }
}

function namesOf(pair: CertificatePair): readonly string[] {
  const { subjectAltName, subject } = new X509Certificate(pair.cert)
  const names = [...(subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map((match) => (match[1] ?? '').toLowerCase())
  const commonName = /^CN=(.+)$/m.exec(subject ?? '')?.[1]
  return names.length > 0 || commonName === undefined ? names : [commonName.toLowerCase()]
}

/** Our side is the server's. */
export interface ServerTls {
  readonly side: 'server'
  readonly contexts: TlsContexts
  /**
   * What is spoken behind it (RFC 7301): 'imap'. A client that says it speaks something else is refused, because it has been
   * sent to the wrong port, perhaps by somebody who wants that (threats A10). Clients that say nothing are welcome.
   */
  readonly applicationProtocol?: string
  /** Default 15 s. */
  readonly handshakeMs?: number
}

/** Our side is the client's. */
export interface ClientTls {
  readonly side: 'client'
  /** What the certificate must be for: a host name or an address. */
  readonly serverName: string
  /** Whom to trust, and from which version of TLS on: `trusting(ca)`. */
  readonly context: SecureContext
  /** Sessions with this server, under this name and these authorities. */
  readonly resumption?: Resumption
  /** Default 15 s. */
  readonly handshakeMs?: number
}

/** A context that trusts these authorities (PEM) alone; null: those that Node trusts. Costly: make one for many connections. */
export function trusting(ca: string | null): SecureContext {
  return createSecureContext({
    minVersion: MIN_VERSION,
    ciphers: CLIENT_CIPHERS,
    ecdhCurve: CURVES,
    ...(ca !== null && { ca }),
  })
}

const HANDSHAKE_MS = 15_000
const ignore = (): void => {}

/** One function for all connections. */
function destroyWith(this: TLSSocket, error: Error): void {
  this.destroy(error)
}

/** What `tls.connect` needs to trust nobody but the server that is meant. */
export function clientOptions({ serverName, context }: ClientTls, session: Buffer | null) {
  return {
    secureContext: context,
    ...(session && { session }),
    // RFC 6066 §3: no addresses in SNI.
    ...(isIP(serverName) === 0 && { servername: serverName }),
    checkServerIdentity: (_: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(serverName, certificate),
    rejectUnauthorized: true,
    allowHalfOpen: true,
  } as const
}

/** The callback of each application protocol: there are four, whatever the number of connections. */
const callbacks = new Map<string, (offer: { readonly protocols: string[] }) => string | undefined>()

function onlyThis(applicationProtocol: string) {
  const known = callbacks.get(applicationProtocol)
  if (known) return known
  const callback = ({ protocols }: { readonly protocols: string[] }) =>
    protocols.find((offered) => offered === applicationProtocol)
  callbacks.set(applicationProtocol, callback)
  return callback
}

function tlsInfoOf(socket: TLSSocket): TlsInfo {
  const serverName = (socket as { servername?: unknown }).servername
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().name,
    serverName: typeof serverName === 'string' && serverName !== '' ? serverName : null,
  }
}

/** A socket under TLS, paused, with its reader. */
export interface Secured {
  readonly socket: TLSSocket
  readonly reader: SocketReader
  readonly info: TlsInfo
}

/**
 * Puts TLS on a connected socket that nobody listens to; what it has read already goes into the handshake.
 *
 * @throws Error with OpenSSL's or Node's words; the socket is destroyed then
 */
export function handshake(plain: Socket, side: ServerTls | ClientTls, deadline: AbortSignal): Promise<Secured> {
  return new Promise((resolve, reject) => {
    const reader = new SocketReader()
    const resumption = side.side === 'client' ? side.resumption : undefined
    const offered = resumption?.session ?? null
    // Errors of the raw socket reach us through the TLS socket; here they only must not be nobody's.
    plain.on('error', ignore)
    const socket =
      side.side === 'server'
        ? new TLSSocket(plain, {
            isServer: true,
            secureContext: side.contexts.choose(null),
            SNICallback: side.contexts.onServerName,
            ...(side.applicationProtocol !== undefined && { ALPNCallback: onlyThis(side.applicationProtocol) }),
            ...({ allowHalfOpen: true } as object),
          })
        : connect({ socket: plain, ...clientOptions(side, offered) })
    // On the server's side, outside of a tls.Server, Node tells of errors by this name only and leaves the socket open, during
    // the handshake and for the whole life of the connection: a broken record, a reset.
    if (side.side === 'server') socket.on('_tlsError', destroyWith)
    let reason: Error | null = null
    const fail = (error: Error) => {
      stopWaiting()
      resumption?.forget()
      socket.on('error', ignore)
      socket.destroy()
      plain.destroy()
      reject(error)
    }
    const timer = setTimeout(() => fail(new Error('the handshake took too long')), side.handshakeMs ?? HANDSHAKE_MS)
    const onAbort = () => fail(new Error('the time was up'))
    const onError = (error: Error) => {
      reason ??= error
      fail(error)
    }
    // A FIN alone does not close: the socket may stay half open.
    const onClose = () => fail(reason ?? new Error('the peer hung up during the handshake'))
    const done = side.side === 'server' ? 'secure' : 'secureConnect'
    const onDone = () => {
      stopWaiting()
      resumption?.use(socket, offered)
      socket.pause()
      reader.attach(socket, false)
      // We are inside OpenSSL's SSL_read here, and so would be whatever waits for us: whoever makes Node free the connection
      // there (a plain socket that is destroyed, then a write) brings the process down.
      setImmediate(() => resolve({ socket, reader, info: tlsInfoOf(socket) }))
    }
    const stopWaiting = () => {
      clearTimeout(timer)
      deadline.removeEventListener('abort', onAbort)
      socket.off('error', onError)
      socket.off('_tlsError', onError)
      socket.off('end', onClose)
      socket.off('close', onClose)
      socket.off(done, onDone)
    }
    socket.on('error', onError)
    socket.on('_tlsError', onError)
    socket.on('end', onClose)
    socket.on('close', onClose)
    socket.once(done, onDone)
    if (deadline.aborted) onAbort()
    else deadline.addEventListener('abort', onAbort, { once: true })
  })
}
