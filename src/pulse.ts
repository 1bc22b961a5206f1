/**
 * One wake-up for all in a process that looks at something every so often.
 *
 * A timer each would fire each in a millisecond of its own, and what an idle process costs is how often it is woken up.
 */

interface Beat {
  readonly looks: Set<() => void>
  readonly timer: NodeJS.Timeout
}

/** By interval in milliseconds. */
const beats = new Map<number, Beat>()

/**
 * Calls `look` every `everyMs` until disposed of, together with all others of that interval, so the first time sooner than
 * that. It keeps no process alive, and may not throw.
 */
export function every(everyMs: number, look: () => void): Disposable {
  const beat = beats.get(everyMs) ?? start(everyMs)
  beat.looks.add(look)
  return {
    [Symbol.dispose]() {
      beat.looks.delete(look)
      if (beat.looks.size > 0 || beats.get(everyMs) !== beat) return
      clearInterval(beat.timer)
      beats.delete(everyMs)
    },
  }
}

function start(everyMs: number): Beat {
  const looks = new Set<() => void>()
  const timer = setInterval(() => {
    for (const look of looks) look()
  }, everyMs)
  timer.unref()
  const beat = { looks, timer }
  beats.set(everyMs, beat)
  return beat
}
