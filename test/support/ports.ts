/**
 * Free ports for servers that must be told theirs, and waiting for a server to answer.
 *
 * Ports come from below the kernel's ephemeral range (32768 and up on Linux), so that an outgoing connection of another
 * test cannot take one between the choice and the bind.
 */

import { randomInt } from 'node:crypto'
import { createConnection, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const LOWEST = 12_000
const HIGHEST = 32_000
const given = new Set<number>()

/** A TCP port that nobody listens on at this moment, never the same twice in one process. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(LOWEST, HIGHEST)
    if (given.has(port) || !(await canBind(port, host))) continue
    given.add(port)
    return port
  }
  throw new Error('no free port found')
}

function canBind(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Resolves once something accepts connections on `port`. @throws after `timeoutMs`, or as soon as `given.aborted` */
export async function waitForPort(
  port: number,
  options: { host?: string; timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const { host = '127.0.0.1', timeoutMs = 15_000, signal } = options
  const deadline = Date.now() + timeoutMs
  while (!(await accepts(port, host))) {
    if (signal?.aborted) throw new Error(`nothing will listen on port ${port}: ${String(signal.reason)}`)
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`)
    await delay(20)
  }
}

/** Whether something accepts connections on `port` now. */
export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
