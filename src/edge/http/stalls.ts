/**
 * Clients that do not take their answers: cut after a while (threats E1). Nothing else would end them, since an answer may take as
 * long as it likes and a client that waits for one need not say anything.
 */

import type { Socket } from 'node:net'
import { every } from '../../pulse.ts'

export interface StallWatch {
  /** Looks after a connection until it is closed. */
  follow(socket: Socket): void
}

const MAX_LOOK_MS = 15_000

interface Followed {
  /** What the client had taken of all that was written to it when we last looked, and for how long it took no more. */
  taken: number
  stuckMs: number
}

/** @param stalledMs how long something may wait of which the client takes nothing */
export function createStallWatch(stalledMs: number): StallWatch {
  const lookMs = Math.min(MAX_LOOK_MS, Math.ceil(stalledMs / 4))
  const sockets = new Map<Socket, Followed>()
  /** While there is somebody to look after. */
  let looking: Disposable | null = null

  function look(): void {
    for (const [socket, followed] of sockets) {
      const waiting = socket.writableLength
      const taken = socket.bytesWritten - waiting
      followed.stuckMs = waiting > 0 && taken === followed.taken ? followed.stuckMs + lookMs : 0
      followed.taken = taken
      if (followed.stuckMs >= stalledMs) socket.destroy()
    }
  }

  return {
    follow(socket) {
      sockets.set(socket, { taken: 0, stuckMs: 0 })
      looking ??= every(lookMs, look)
      socket.once('close', () => {
        sockets.delete(socket)
        if (sockets.size > 0) return
        looking?.[Symbol.dispose]()
        looking = null
      })
    },
  }
}
