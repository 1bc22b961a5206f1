/** Pairs of connected sockets and small listeners for the tests of this folder. */

import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { Test } from 'tap'
import type { CertificatePair } from '../../../src/edge/net/tls.ts'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import type { CertificateAuthority, PemPair } from '../../support/certificates.ts'
import { createCa } from '../../support/certificates.ts'

export const never = new AbortController().signal

export async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Two ends of one connection: `near` is paused and has no listeners, `far` is the test's. */
export async function socketPair(t: Test): Promise<{ near: Socket; far: Socket }> {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) =>
    accepted.resolve(socket),
  )
  const port = await listen(server)
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  far.on('error', () => {})
  const near = await accepted.promise
  server.close()
  t.teardown(() => {
    near.destroy()
    far.destroy()
  })
  return { near, far }
}

export const asPair = ({ cert, key }: PemPair): CertificatePair => ({
  cert,
  key,
  certFile: 'cert.pem',
  keyFile: 'key.pem',
})

/** An authority, and contexts with one certificate of it for localhost. */
export async function localTls(): Promise<{ authority: CertificateAuthority; leaf: PemPair; contexts: TlsContexts }> {
  const authority = await createCa()
  const leaf = await authority.issue({ names: ['localhost', '127.0.0.1'] })
  return { authority, leaf, contexts: new TlsContexts({ pairs: [asPair(leaf)] }) }
}

/** Everything a socket sends until it ends or breaks. */
export async function allOf(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve))
  return text
}
