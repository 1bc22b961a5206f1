/** The TLS contexts of an edge: one for each oldest version, one set of certificates, and no session of one used at another. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { connect, TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { openContexts } from '../../src/app/edge-contexts.ts'
import type { TlsContexts } from '../../src/edge/net/tls.ts'
import type { EdgeListener, EdgeSlice } from '../../src/supervisor/messages.ts'
import { createCa } from '../support/certificates.ts'

const ca = await createCa()

async function tlsSlice(): Promise<EdgeSlice['tls']> {
  const { cert, key } = await ca.issue({ names: ['localhost'] })
  const ticketKeys = randomBytes(48).toString('base64')
  return { certificates: [{ name: 'localhost', cert, key }], minVersion: 'TLSv1.2', ticketKeys }
}

const listener = (name: string, tlsMinVersion: EdgeListener['tlsMinVersion']): EdgeListener => ({
  name,
  protocol: 'smtp',
  bind: null,
  port: 1,
  tls: 'implicit',
  proxyFrom: [],
  tlsMinVersion,
  scanner: null,
})

/** A port that shows these contexts. `visit` answers whether the session was resumed, and a session to come back with. */
async function port(t: Test, contexts: TlsContexts | null) {
  // As edges do it: the context of the handshake's beginning is the one whose ticket keys count.
  const server = createServer((raw) => {
    if (contexts === null) return
    const socket = new TLSSocket(raw, { isServer: true, secureContext: contexts.choose(null) })
    socket.on('error', () => {})
    socket.end('x')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return async (session?: Buffer) => {
    const socket = connect({
      port: (server.address() as AddressInfo).port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: ca.cert,
      maxVersion: 'TLSv1.2',
      ...(session && { session }),
    })
    let kept: Buffer | undefined
    let resumed: boolean | null = null
    socket.on('secureConnect', () => {
      resumed = socket.isSessionReused()
    })
    socket.on('session', (given) => {
      kept = given
    })
    socket.resume()
    await once(socket, 'close')
    return { resumed, session: kept }
  }
}

t.test('A3: a session that was begun at a port for old devices is not resumed at another', async (t) => {
  const listeners = [listener('smtps', null), listener('scanners', 'TLSv1'), listener('more scanners', 'TLSv1')]
  const contexts = openContexts(await tlsSlice(), listeners)
  const [strict, old, alike] = listeners.map((each) => contexts.of(each))
  t.equal(old, alike, 'one set for each version')
  t.not(strict, old)
  const [atStrict, atOld] = [await port(t, strict ?? null), await port(t, old ?? null)]
  const begun = await atOld()
  t.equal((await atOld(begun.session)).resumed, true, 'there it is')
  t.equal((await atStrict(begun.session)).resumed, false)
  const strictly = await atStrict()
  t.equal((await atStrict(strictly.session)).resumed, true)
})

t.test('a reload changes all of them, or none', async (t) => {
  const listeners = [listener('smtps', null), listener('scanners', 'TLSv1')]
  const contexts = openContexts(await tlsSlice(), listeners)
  const before = listeners.map((each) => contexts.of(each)?.choose('localhost'))
  const broken = await tlsSlice()
  const [one] = broken.certificates
  const [other] = (await tlsSlice()).certificates
  t.throws(() =>
    contexts.reload({ ...broken, certificates: [{ name: 'x', cert: one?.cert ?? '', key: other?.key ?? '' }] }),
  )
  t.ok(listeners.every((each, i) => contexts.of(each)?.choose('localhost') === before[i]))
  contexts.reload(await tlsSlice())
  t.ok(listeners.every((each, i) => contexts.of(each)?.choose('localhost') !== before[i]))
})

t.test('no certificate, no contexts', async (t) => {
  const contexts = openContexts({ certificates: [], minVersion: 'TLSv1.2', ticketKeys: '' }, [listener('imap', null)])
  t.equal(contexts.of(listener('imap', null)), null)
})
