/**
 * Free ports for servers that must be told theirs, and waiting for a server to answer.
 *
 * Test files run beside each other, and seconds pass between the choice of a port and its bind (and again when a server is
 * started anew). So a port that was given stays this process's own until it ends: a UDP socket is bound to the same number,
 * which no server under test uses and which the kernel gives back by itself, however the process ends.
 */

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const HOST = '127.0.0.1'
const LOWEST = 12_000
const [lowest, highest] = ownRange()

/** A TCP port that nobody listens on at this moment, and that no other test is given while this process lives. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(lowest, highest)
    if ((await reserve(port)) && (await canBind(port))) return port
  }
  throw new Error('no free port found')
}

/**
 * Ports below the kernel's ephemeral range (32768 and up on Linux, unless somebody set it), so that an outgoing connection
 * can't take one; above it where there is no room below.
 */
function ownRange(): [lowest: number, highest: number] {
  let from = 32_768
  let to = 60_999
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)
    from = Number(range[0])
    to = Number(range[1])
  } catch {
    // Not Linux, or not readable: its default.
  }
  if (from - LOWEST >= 2000) return [LOWEST, from]
  if (65_535 - to >= 2000) return [to + 1, 65_536]
  return [LOWEST, 32_000]
}

/** Whether no other process holds the port; from now on this one does. */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(false))
    socket.bind({ port, address: HOST, exclusive: true }, () => {
      socket.unref()
      resolve(true)
    })
  })
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Resolves once something accepts connections on `port`. @throws after `timeoutMs`, or as soon as `given.aborted` */
export async function waitForPort(
  port: number,
  options: { host?: string; timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const { host = HOST, timeoutMs = 60_000, signal } = options
  const deadline = Date.now() + timeoutMs
  while (!(await accepts(port, host))) {
    if (signal?.aborted) throw new Error(`nothing will listen on port ${port}: ${String(signal.reason)}`)
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`)
    await delay(20)
  }
}

/** Whether something accepts connections on `port` now. */
export function accepts(port: number, host = HOST): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
