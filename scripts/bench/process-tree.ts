/**
 * What a tree of processes has cost so far: CPU seconds and memory, read from /proc (Linux).
 *
 * CPU is counted twice. `utime`, `stime` and their sums over reaped children (/proc/PID/stat) miss nothing but are rounded
 * to 10 ms for each process; the scheduler's run time of each thread (/proc/PID/task/TID/schedstat) is exact to the
 * nanosecond but forgets threads and children that have ended. `cpuBetween` takes the exact one unless the other one shows
 * that something ended in between.
 */

import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

export interface Stat {
  readonly pid: number
  readonly parent: number
  /** Own and reaped children's user and system time, in clock ticks of 10 ms. */
  readonly ticks: number
}

export interface CpuReading {
  readonly processes: number
  readonly tickSeconds: number
  readonly scheduledSeconds: number
}

/** Parses /proc/PID/stat (proc(5)). The name in brackets may itself hold brackets and blanks. */
export function parseStat(text: string): Stat {
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  return {
    pid: Number.parseInt(text, 10),
    parent: field(4),
    ticks: field(14) + field(15) + field(16) + field(17),
  }
}

/** Text of a file of /proc, or null when its process has ended. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function allProcesses(): readonly Stat[] {
  const stats: Stat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = read(`/proc/${name}/stat`)
    if (text !== null) stats.push(parseStat(text))
  }
  return stats
}

/** The process and all its descendants that live. */
export function processTree(root: number): readonly number[] {
  const children = new Map<number, number[]>()
  const living = new Set<number>()
  for (const { pid, parent } of allProcesses()) {
    living.add(pid)
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const tree: number[] = []
  const queue = living.has(root) ? [root] : []
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    tree.push(pid)
    queue.push(...(children.get(pid) ?? []))
  }
  return tree
}

function scheduledNanoseconds(pid: number): number {
  let sum = 0
  let threads: readonly string[] = []
  try {
    threads = readdirSync(`/proc/${pid}/task`)
  } catch {
    return 0
  }
  for (const thread of threads) sum += Number.parseInt(read(`/proc/${pid}/task/${thread}/schedstat`) ?? '0', 10)
  return sum
}

/** CPU of these processes since they began. */
export function readCpu(pids: readonly number[]): CpuReading {
  let ticks = 0
  let nanoseconds = 0
  for (const pid of pids) {
    const text = read(`/proc/${pid}/stat`)
    if (text === null) continue
    ticks += parseStat(text).ticks
    nanoseconds += scheduledNanoseconds(pid)
  }
  return { processes: pids.length, tickSeconds: ticks / TICKS_PER_SECOND, scheduledSeconds: nanoseconds / 1e9 }
}

/** CPU seconds between two readings of one tree. */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  const ticks = after.tickSeconds - before.tickSeconds
  const scheduled = after.scheduledSeconds - before.scheduledSeconds
  // Two roundings of 10 ms each for every process, and 5 % for what the two clocks disagree about.
  const slack = (2 * Math.max(before.processes, after.processes)) / TICKS_PER_SECOND + ticks * 0.05
  return ticks - scheduled > slack ? ticks : scheduled
}

/** Proportional set size in KB: memory shared by several processes is divided among them, so a sum counts it once. */
export function readPssKb(pids: readonly number[]): number {
  let sum = 0
  for (const pid of pids) sum += Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')?.[1] ?? 0)
  return sum
}

/** Command line of a process, arguments separated by blanks; '' when it has ended. */
export function commandLine(pid: number): string {
  return (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim()
}
