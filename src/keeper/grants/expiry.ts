/**
 * Looking again when the next of many things runs out, with one timer for all of them.
 */

/** The wall clock may be set: an expiry is looked at again after a minute at the latest. */
const LOOK_MS = 60_000

export interface ExpiryLook {
  /** Something runs out then: it is looked at by that time. */
  by(at: Date): void
  close(): void
}

/** @param look sees to what has run out by `at`, and answers when the next thing does; null: nothing does */
export function createExpiryLook(clock: () => Date, look: (at: Date) => Date | null): ExpiryLook {
  let timer: NodeJS.Timeout | null = null
  let nextAt = Number.POSITIVE_INFINITY
  let closed = false

  function by(at: Date): void {
    if (closed || at.getTime() >= nextAt) return
    if (timer) clearTimeout(timer)
    nextAt = at.getTime()
    timer = setTimeout(run, Math.min(Math.max(nextAt - clock().getTime(), 0), LOOK_MS))
    timer.unref()
  }

  function run(): void {
    timer = null
    nextAt = Number.POSITIVE_INFINITY
    const next = look(clock())
    if (next !== null) by(next)
  }

  return {
    by,
    close() {
      closed = true
      if (timer) clearTimeout(timer)
    },
  }
}
