/**
 * Signals as something to wait for, one after the other.
 */

export type ServerSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP'
const SIGNALS: readonly ServerSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP']
/** More than this many that nobody has looked at say nothing new. */
const MAX_WAITING = 8

export interface Signals extends Disposable {
  /** The next signal that nobody has been given yet. With several waiting, the last to ask is given it. */
  next(): Promise<ServerSignal>
}

/** Catches the signals until disposed of. */
export function createSignals(): Signals {
  const arrived: ServerSignal[] = []
  let waiting: ((signal: ServerSignal) => void) | null = null
  const caught = (signal: ServerSignal) => {
    if (waiting) {
      const resolve = waiting
      waiting = null
      resolve(signal)
    } else if (arrived.length < MAX_WAITING) arrived.push(signal)
  }
  for (const signal of SIGNALS) process.on(signal, caught)
  return {
    next() {
      const signal = arrived.shift()
      if (signal !== undefined) return Promise.resolve(signal)
      return new Promise((resolve) => {
        waiting = resolve
      })
    },
    [Symbol.dispose]() {
      for (const signal of SIGNALS) process.off(signal, caught)
    },
  }
}
