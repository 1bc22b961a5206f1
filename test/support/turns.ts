/**
 * The longest turns of this thread's event loop, in a way that a busy machine does not change.
 *
 * A turn is what runs between two waits for events: timers, callbacks, promises, immediates. Of each it is known how much CPU
 * this thread used, and how long it stood waiting for something else (a disk, a lock, a child) inside the turn. Time in which the
 * thread could have run and the machine let others run is in neither.
 */

import { createHook } from 'node:async_hooks'
import { openSync, readSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

/** Milliseconds, each of the turn in which it was longest. */
export interface LongestTurns {
  readonly turns: number
  readonly cpuMs: number
  /** Standing still inside a turn. */
  readonly waitMs: number
}

export interface TurnWatch {
  /** What there was since the last time. */
  take(): LongestTurns
}

/** Of the main thread: nanoseconds on a CPU, nanoseconds ready to run without one, how often it was given one. */
export const SCHEDSTAT = '/proc/self/schedstat'

/** For ever, from now on; call it on the main thread. It keeps no process alive and wakes none up. */
export function watchTurns(): TurnWatch {
  const schedstat = openSync(SCHEDSTAT, 'r')
  const text = Buffer.alloc(96)
  let longest = { turns: 0, cpuMs: 0, waitMs: 0 }

  function schedule() {
    const fields = text.toString('latin1', 0, readSync(schedstat, text, 0, text.length, 0)).split(' ')
    return { readyMs: Number(fields[1]) / 1e6, slices: Number(fields[2]) }
  }

  /** All at one moment: again when the thread was put aside on the way. */
  function look() {
    for (;;) {
      const { readyMs, slices } = schedule()
      const cpu = process.threadCpuUsage()
      // Immediates behind ours belong to the next turn, with the wait between.
      const awakeMs = performance.now() - performance.nodeTiming.idleTime
      if (schedule().slices === slices) return { readyMs, slices, cpuMs: (cpu.user + cpu.system) / 1000, awakeMs }
    }
  }

  let before = look()
  // The first callback after the loop has waited: what went before it was no standing still, but waiting for a CPU, too.
  let begun: ReturnType<typeof look> | null = null
  createHook({
    before() {
      begun ??= look()
    },
    trackPromises: false,
  }).enable()

  function turn(): void {
    const now = look()
    const began = begun ?? now
    // Who never left the CPU did not wait: there a host kept the whole machine waiting.
    const hasLeft = now.slices > began.slices
    const gapMs = now.awakeMs - began.awakeMs - (now.cpuMs - began.cpuMs) - (now.readyMs - began.readyMs)
    longest = {
      turns: longest.turns + 1,
      cpuMs: Math.max(longest.cpuMs, now.cpuMs - before.cpuMs),
      waitMs: Math.max(longest.waitMs, hasLeft ? gapMs : 0),
    }
    before = look()
    // An immediate without a reference runs after the next wait for events, and does not shorten it.
    setImmediate(turn).unref()
    begun = null
  }
  setImmediate(turn).unref()

  return {
    take() {
      const taken = longest
      longest = { turns: 0, cpuMs: 0, waitMs: 0 }
      return taken
    },
  }
}
