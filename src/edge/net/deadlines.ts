/**
 * Deadlines that many connections share.
 *
 * Whatever begins within the same quarter of a second gets one signal and one timer, so a flood of connections costs no
 * timer each, and a connection that came about long ago wakes nobody up. A deadline may be that much later, never earlier.
 */

export interface Deadlines {
  /** A signal that aborts when the time is up, counted from now. Shared: remove listeners when they are not needed. */
  next(): AbortSignal
  /** Aborts all that are running. */
  expireAll(): void
}

const SLOT_MS = 250

/** @param ms how long each has, at least */
export function createDeadlines(ms: number): Deadlines {
  // Short ones (tests have them) are not drawn out by more than they are long.
  const slotMs = Math.min(SLOT_MS, ms / 4)
  const slots = new Set<{ controller: AbortController; timer: NodeJS.Timeout }>()
  let current: { signal: AbortSignal; until: number } | null = null
  return {
    next() {
      const now = performance.now()
      if (current && now < current.until && !current.signal.aborted) return current.signal
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
      current = { signal: controller.signal, until: now + slotMs }
      return controller.signal
    },
    expireAll() {
      for (const slot of slots) {
        clearTimeout(slot.timer)
        slot.controller.abort()
      }
      slots.clear()
      current = null
    },
  }
}
