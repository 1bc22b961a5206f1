/**
 * Deadlines that many connections share.
 *
 * Whatever begins within the same quarter of a second gets one timer and, in bounded groups, one signal, so a flood of
 * connections costs no timer each, and a connection that came about long ago wakes nobody up. A deadline may be that much
 * later, never earlier.
 */

export interface Deadlines {
  /** A signal that aborts when the time is up, counted from now. Shared: remove listeners when they are not needed. */
  next(): AbortSignal
  /**
   * Aborts all that are running, some now and the rest in the next turns of the event loop.
   *
   * @param reason the signals'; without one they say what they say when the time is up
   */
  expireAll(reason?: unknown): void
}

const SLOT_MS = 250
/** Connections on one signal: what ends in one turn of the event loop, some 2 ms. */
const CONNECTIONS_A_TURN = 32

/** What began within one quarter of a second. */
interface Slot {
  readonly until: number
  readonly ms: number
  readonly timer: NodeJS.Timeout
  readonly controllers: AbortController[]
}

/** @param timeMs how long each has, at least; asked for when one begins, so that a reload takes effect */
export function createDeadlines(timeMs: () => number): Deadlines {
  const slots = new Set<Slot>()
  let current: Slot | null = null
  /** How many more connections the newest controller takes. */
  let left = 0

  /** The first ones now, the rest in later turns: a flood that is over leaves others their time. */
  function expire(slot: Slot, reason?: unknown): void {
    slots.delete(slot)
    if (current === slot) current = null
    clearTimeout(slot.timer)
    abortNext(slot.controllers, reason)
  }

  function open(now: number, ms: number): Slot {
    // Short ones (tests have them) are not drawn out by more than they are long.
    const slotMs = Math.min(SLOT_MS, ms / 4)
    const slot: Slot = {
      until: now + slotMs,
      ms,
      timer: setTimeout(() => expire(slot), ms + slotMs),
      controllers: [],
    }
    slot.timer.unref()
    slots.add(slot)
    left = 0
    return slot
  }

  return {
    next() {
      const now = performance.now()
      const ms = timeMs()
      if (current === null || current.ms !== ms || now >= current.until) current = open(now, ms)
      const newest = left > 0 ? current.controllers.at(-1) : undefined
      if (newest !== undefined) {
        left -= 1
        return newest.signal
      }
      const controller = new AbortController()
      current.controllers.push(controller)
      left = CONNECTIONS_A_TURN - 1
      return controller.signal
    },
    expireAll(reason) {
      for (const slot of slots) expire(slot, reason)
    },
  }
}

function abortNext(controllers: AbortController[], reason: unknown): void {
  controllers.shift()?.abort(reason)
  if (controllers.length > 0) setImmediate(abortNext, controllers, reason)
}
