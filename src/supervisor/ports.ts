/**
 * The ports of the edges, before the edges bind them: whether each can be had, and port 0 made a number once, so that several
 * edges can share it.
 *
 * SO_REUSEPORT lets every process of this user into a port, another server of ours as well, and half of the clients would
 * land there. So a port is first bound without it: whoever has it already is in the way then.
 *
 * A port 0 is held by a listening socket until every edge has bound it. Nobody knows the number before that, so nobody's
 * connection waits at the wrong socket.
 */

import { once } from 'node:events'
import type { Server } from 'node:net'
import { createServer } from 'node:net'
import type { EdgePort } from './messages.ts'

export interface ResolvedPorts<P extends EdgePort> extends AsyncDisposable {
  readonly listeners: readonly P[]
}

/** What of a listener is bound. `bind` null: all addresses. */
export type Binding = Pick<EdgePort, 'name' | 'bind' | 'port'>

/** A port that can't be had. The code is the system's; the message says whose listener it is and what to do. */
export class PortError extends Error {
  readonly code: string
  constructor(code: string, message: string, options: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'PortError'
    this.code = code
  }
}

/**
 * The listeners with their ports chosen. Dispose of the result when the edges have bound them.
 *
 * @throws PortError for the first that can't be had
 */
export async function resolvePorts<P extends EdgePort>(listeners: readonly P[]): Promise<ResolvedPorts<P>> {
  const holders: Server[] = []
  const release = async () => {
    await Promise.all(holders.map(closed))
  }
  try {
    const resolved: P[] = []
    for (const listener of listeners) {
      const isFree = listener.port === 0
      const { server, port } = await bind(listener, isFree)
      if (isFree) holders.push(server)
      else await closed(server)
      resolved.push({ ...listener, port })
    }
    return { listeners: resolved, [Symbol.asyncDispose]: release }
  } catch (error) {
    await release()
    throw error
  }
}

async function bind(listener: Binding, reusePort: boolean): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.destroy())
  server.listen({ port: listener.port, host: listener.bind ?? undefined, reusePort, exclusive: true })
  try {
    await once(server, 'listening')
  } catch (error) {
    throw portError(error, listener)
  }
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return { server, port: address.port }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()))
}

/** The error of a failed bind in words; what is no such error comes back as it is. */
export function portError(error: unknown, { name, bind, port }: Binding): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken by another program or another sallyport; ss -ltnp 'sport = :${port}' shows which`,
    EACCES: `port ${port} is for privileged programs: use the systemd unit, which gives CAP_NET_BIND_SERVICE, or a port above 1023`,
    EADDRNOTAVAIL: `no interface of this machine has the address ${bind}: correct bind, or leave it out to listen on all of them`,
  }
  const said = words[error.code]
  return said === undefined ? error : new PortError(error.code, `listener ${name}: ${said}`, { cause: error })
}
