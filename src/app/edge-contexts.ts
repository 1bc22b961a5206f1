/**
 * The TLS contexts of an edge: the same certificates for all its ports, and one set of contexts for each oldest version of TLS.
 */

import { createHmac } from 'node:crypto'
import type { SecureVersion } from 'node:tls'
import type { TlsContextsOptions } from '../edge/net/tls.ts'
import { TlsContexts } from '../edge/net/tls.ts'
import type { EdgeListener, EdgeSlice } from '../supervisor/messages.ts'

type Port = Pick<EdgeListener, 'tlsMinVersion'>

export interface EdgeContexts {
  /** null: there is no certificate. */
  of(port: Port): TlsContexts | null
  /** @throws CertificateError; nothing has changed then */
  reload(tls: EdgeSlice['tls']): void
}

/** @throws CertificateError */
export function openContexts(first: EdgeSlice['tls'], ports: readonly Port[]): EdgeContexts {
  const versions = first.certificates.length === 0 ? [] : new Set(ports.map(({ tlsMinVersion }) => tlsMinVersion))
  const held = new Map([...versions].map((version) => [version, new TlsContexts(optionsOf(first, version))]))
  return {
    of: ({ tlsMinVersion }) => held.get(tlsMinVersion) ?? null,
    reload(tls) {
      // The strict ones first: what they take, the others take as well. So all change, or none.
      const inOrder = [...held].sort(([a], [b]) => Number(isOld(a)) - Number(isOld(b)))
      for (const [version, contexts] of inOrder) contexts.reload(optionsOf(tls, version))
    },
  }
}

function isOld(version: SecureVersion | null): boolean {
  return version === 'TLSv1' || version === 'TLSv1.1'
}

function optionsOf(tls: EdgeSlice['tls'], version: SecureVersion | null): TlsContextsOptions {
  const ticketKeys = Buffer.from(tls.ticketKeys, 'base64')
  return {
    pairs: tls.certificates.map(({ name, cert, key }) => ({
      cert,
      key,
      certFile: name,
      keyFile: `the key of ${name}`,
    })),
    minVersion: version ?? tls.minVersion,
    // A session that began with weak ciphers must not be resumed at a port that would not have begun it.
    ticketKeys: version === null ? ticketKeys : createHmac('sha384', ticketKeys).update(version).digest(),
  }
}
