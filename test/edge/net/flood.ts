/**
 * A thread that opens connections to a port, a hundred at once, so that what they cost the server is measured alone.
 *
 * It posts a message when all are over but for those that `stay`; with `isSilent`, when all are open: those read nothing, and close
 * nothing.
 */

import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { parentPort } from 'node:worker_threads'

export interface Flood {
  readonly port: number
  readonly count: number
  readonly stay: number
  readonly isSilent?: boolean
}

const AT_ONCE = 100

parentPort?.on('message', ({ port, count, stay, isSilent = false }: Flood) => {
  const open = new Set<Socket>()
  let left = count
  let opened = 0
  let isOver = false

  function next(): void {
    while (left > 0 && (isSilent || open.size < AT_ONCE)) {
      left -= 1
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: isSilent }).on('error', () => {})
      open.add(socket)
      if (isSilent) {
        socket.on('connect', () => {
          opened += 1
          if (opened === count) parentPort?.postMessage('over')
        })
        continue
      }
      socket.resume().on('close', () => {
        open.delete(socket)
        next()
      })
    }
    if (isSilent || isOver || left > 0 || open.size > stay) return
    isOver = true
    for (const socket of open) socket.destroy()
    parentPort?.postMessage('over')
  }
  next()
})
