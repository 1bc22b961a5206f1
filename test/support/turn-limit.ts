/**
 * Jobs against the rule that nothing stands in an event loop. Each is done several times: the median of its longest turns counts, and
 * of standing still the least, since on a machine that is short of time a loop now and then waits for a thread of its own process
 * that was put aside.
 */

import type { Test } from 'tap'
import type { LongestTurns } from './turns.ts'

/** What a login or a byte may have to wait for others (threat E7). */
export const LIMIT_MS = 20
const TIMES = 3
/** Before it is said that something always stands still. */
const MORE_TIMES = 5

export interface Job {
  readonly work: (n: number) => Promise<unknown>
  /** Before each time, and not measured. */
  readonly prepare?: (n: number) => Promise<unknown>
  /** Default 3; 1 for what can't be done twice. */
  readonly times?: number
  /** Standing still is not judged, nor looked at again: for what is long or done once, where one such moment would decide. */
  readonly cpuOnly?: boolean
}

/** @param take what there was in the loop that is watched since the last time */
export async function longestTurn(
  take: () => Promise<LongestTurns>,
  { work, prepare, times = TIMES, cpuOnly = false }: Job,
) {
  const [cpuMs, waitMs]: [number[], number[]] = [[], []]
  const isDoubtful = () => !cpuOnly && Math.min(...waitMs) >= LIMIT_MS
  for (let n = 0; n < times || (isDoubtful() && n < times + MORE_TIMES); n++) {
    await prepare?.(n)
    await take()
    await work(n)
    const turns = await take()
    cpuMs.push(turns.cpuMs)
    waitMs.push(turns.waitMs)
  }
  return { cpuMs: median(cpuMs), waitMs: Math.min(...waitMs) }
}

/** Says of each job, by name, how long its longest turn is, and fails where that is too long. */
export async function within(
  t: Test,
  take: () => Promise<LongestTurns>,
  jobs: Readonly<Record<string, Job>>,
): Promise<void> {
  for (const [name, job] of Object.entries(jobs)) {
    const { cpuMs, waitMs } = await longestTurn(take, job)
    const text = `${name}: ${cpuMs.toFixed(1)} ms of CPU, ${waitMs.toFixed(1)} ms of standing still`
    t.ok(cpuMs < LIMIT_MS && (job.cpuOnly || waitMs < LIMIT_MS), text)
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
