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
    const limitMs = cpuLimitMs(cpuMs)
    const text = `${name}: ${cpuMs.toFixed(1)} ms of CPU (of ${limitMs.toFixed(0)}), ${waitMs.toFixed(1)} ms of standing still`
    t.ok(cpuMs < limitMs && (job.cpuOnly || waitMs < LIMIT_MS), text)
  }
}

/** What may be used of a CPU where so much was used: more on a slow machine, which is looked at only where it matters. */
export function cpuLimitMs(cpuMs: number): number {
  return cpuMs < LIMIT_MS ? LIMIT_MS : LIMIT_MS * slowness()
}

/** What `fixedWork` takes on the machine that the limit is meant for, at rest. */
const FIXED_WORK_MS = 8

/** How many times slower a CPU is now: an old one, or one whose other half is busy with something else. 1 at least. */
function slowness(): number {
  const times = Array.from({ length: 9 }, () => {
    const begun = process.threadCpuUsage()
    fixedWork()
    const { user, system } = process.threadCpuUsage(begun)
    return (user + system) / 1000
  })
  return Math.max(1, median(times) / FIXED_WORK_MS)
}

/** Of the kind that a keeper does. */
function fixedWork(): number {
  const users = new Map(Array.from({ length: 30_000 }, (_, n) => [`user${n}@example.org`, { n }]))
  let sum = 0
  for (const [name, { n }] of users) {
    sum += name.length + n
    users.delete(name)
  }
  return sum
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
