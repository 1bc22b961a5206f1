/**
 * Port 0 becomes a number once, here, so that several edges can share it.
 *
 * The port is held by a listening socket with SO_REUSEPORT until every edge has bound it. Nobody knows the number before
 * that, so nobody's connection waits at the wrong socket.
 */

import { once } from 'node:events'
import type { Server } from 'node:net'
import { createServer } from 'node:net'
import type { EdgePort } from './messages.ts'

export interface ResolvedPorts<P extends EdgePort> extends AsyncDisposable {
  readonly listeners: readonly P[]
}

/** The listeners with their ports chosen. Dispose of the result when the edges have bound them. */
export async function resolvePorts<P extends EdgePort>(listeners: readonly P[]): Promise<ResolvedPorts<P>> {
  const holders: Server[] = []
  const release = async () => {
    await Promise.all(holders.map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))))
  }
  try {
    const resolved: P[] = []
    for (const listener of listeners) {
      if (listener.port !== 0) {
        resolved.push(listener)
        continue
      }
      const server = createServer((socket) => socket.destroy())
      server.listen({ port: 0, host: listener.bind ?? undefined, reusePort: true })
      holders.push(server)
      await once(server, 'listening')
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
      resolved.push({ ...listener, port: address.port })
    }
    return { listeners: resolved, [Symbol.asyncDispose]: release }
  } catch (error) {
    await release()
    throw error
  }
}
