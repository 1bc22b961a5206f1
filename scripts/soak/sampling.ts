/**
 * What each process of a server has in its hands, read from /proc (Linux), and what a series of that says.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { commandLine, processTree, readCpu } from '../bench/process-tree.ts'

export interface ProcessSample {
  /** Seconds since the soak began. */
  readonly at: number
  readonly role: string
  readonly pid: number
  readonly rssMb: number
  readonly descriptors: number
  /** CPU seconds so far. */
  readonly cpu: number
}

/** One sample of each process of the server with this pid. */
export function sampleServer(root: number, at: number): readonly ProcessSample[] {
  const edges: number[] = []
  return processTree(root).flatMap((pid) => {
    const role = roleOf(commandLine(pid), pid === root)
    if (role === null) return []
    if (role === 'edge') edges.push(pid)
    const name = role === 'edge' ? `edge ${edges.length}` : role
    const { tickSeconds, scheduledSeconds } = readCpu([pid])
    const sample = { at, role: name, pid, rssMb: rssMb(pid), descriptors: descriptors(pid) }
    return [{ ...sample, cpu: Math.max(tickSeconds, scheduledSeconds) }]
  })
}

function roleOf(command: string, isRoot: boolean): string | null {
  if (isRoot) return 'supervisor'
  return / internal-role (\w+)/.exec(command)?.[1] ?? null
}

function rssMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

function descriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

export interface Course {
  readonly role: string
  readonly pids: number
  readonly rssMb: { readonly early: number; readonly middle: number; readonly late: number; readonly most: number }
  /** Of a straight line through the second half. */
  readonly mbAnHour: number
  readonly descriptors: { readonly early: number; readonly late: number; readonly most: number }
  /** Share of one core over the whole time. */
  readonly core: number
}

/** The course of each role. `early` is what stands after a tenth of the time: before that it warms up. */
export function courses(samples: readonly ProcessSample[]): readonly Course[] {
  return [...Map.groupBy(samples, ({ role }) => role)].map(([role, own]) => {
    const tenth = Math.max(1, Math.floor(own.length / 10))
    const mean = (part: readonly ProcessSample[], of: (sample: ProcessSample) => number) =>
      part.reduce((sum, sample) => sum + of(sample), 0) / Math.max(1, part.length)
    const rss = ({ rssMb }: ProcessSample) => rssMb
    const open = ({ descriptors }: ProcessSample) => descriptors
    const early = own.slice(tenth, 2 * tenth)
    const middle = own.slice(Math.floor(own.length / 2) - tenth, Math.floor(own.length / 2))
    const late = own.slice(-tenth)
    const [first, last] = [own[0], own.at(-1)]
    const seconds = (last?.at ?? 0) - (first?.at ?? 0)
    return {
      role,
      pids: new Set(own.map(({ pid }) => pid)).size,
      rssMb: { early: mean(early, rss), middle: mean(middle, rss), late: mean(late, rss), most: most(own, rss) },
      mbAnHour: slope(own.slice(Math.floor(own.length / 2))) * 3600,
      descriptors: { early: mean(early, open), late: mean(late, open), most: most(own, open) },
      core: seconds > 0 ? ((last?.cpu ?? 0) - (first?.cpu ?? 0)) / seconds : 0,
    }
  })
}

function most(samples: readonly ProcessSample[], of: (sample: ProcessSample) => number): number {
  return samples.reduce((sum, sample) => Math.max(sum, of(sample)), 0)
}

/** Least squares: MB a second. */
function slope(samples: readonly ProcessSample[]): number {
  const n = samples.length
  const meanAt = samples.reduce((sum, { at }) => sum + at, 0) / n
  const meanMb = samples.reduce((sum, { rssMb }) => sum + rssMb, 0) / n
  let above = 0
  let below = 0
  for (const { at, rssMb } of samples) {
    above += (at - meanAt) * (rssMb - meanMb)
    below += (at - meanAt) ** 2
  }
  return below === 0 ? 0 : above / below
}
