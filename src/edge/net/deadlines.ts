/**
 * Deadlines that many connections share.
 *
 * Whatever begins within the same quarter of a second gets one signal and one timer, so a flood of connections costs no
 * timer each, and a connection that came about long ago wakes nobody up. A deadline may be that much later, never earlier.
 */

export interface Deadlines {
  /** A signal that aborts when the time is up, counted from now. Shared: remove listeners when they are not needed. */
  next(): AbortSignal
  /** Aborts all that are running. @param reason the signals'; without one they say what they say when the time is up */
  expireAll(reason?: unknown): void
}

const SLOT_MS = 250

/** @param timeMs how long each has, at least; asked for when one begins, so that a reload takes effect */
export function createDeadlines(timeMs: () => number): Deadlines {
  const slots = new Set<{ controller: AbortController; timer: NodeJS.Timeout }>()
  let current: { signal: AbortSignal; until: number; ms: number } | null = null
  return {
    next() {
      const now = performance.now()
      const ms = timeMs()
      if (current?.ms === ms && now < current.until && !current.signal.aborted) return current.signal
      // Short ones (tests have them) are not drawn out by more than they are long.
      const slotMs = Math.min(SLOT_MS, ms / 4)
      const controller = new AbortController()
      const slot = {
        controller,
        timer: setTimeout(() => {
          slots.delete(slot)
          controller.abort()
        }, ms + slotMs),
      }
      slot.timer.unref()
      slots.add(slot)
      current = { signal: controller.signal, until: now + slotMs, ms }
      return controller.signal
    },
    expireAll(reason) {
      for (const slot of slots) {
        clearTimeout(slot.timer)
        slot.controller.abort(reason)
      }
      slots.clear()
      current = null
    },
  }
}
