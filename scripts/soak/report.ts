/**
 * The report of a soak: what was done, how long it took, what failed, and what each process held.
 */

import type { Course } from './sampling.ts'

/** Counts of one kind of action, and how long they took. */
export class Tally {
  done = 0
  readonly #ms: number[] = []

  add(ms: number): void {
    this.done += 1
    this.#ms.push(ms)
  }

  /** Milliseconds below which this share of them stayed. */
  quantile(share: number): number {
    const sorted = [...this.#ms].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  }
}

export interface Result {
  readonly minutes: number
  readonly sessions: number
  readonly tallies: ReadonlyMap<string, Tally>
  /** What failed → how often. */
  readonly failures: ReadonlyMap<string, number>
  readonly courses: readonly Course[]
  /** Log lines that must not be: bugs, processes that died, errors. */
  readonly complaints: readonly string[]
}

/** MB an hour in the second half that a process may gain, and still count as flat: what noise comes to. */
const FLAT_MB_AN_HOUR = 6
const FLAT_DESCRIPTORS = 8

/** What makes the soak a failure; none: it went well. */
export function verdict(result: Result): readonly string[] {
  const wrong: string[] = []
  for (const [what, count] of result.failures) wrong.push(`${count} × ${what}`)
  wrong.push(...result.complaints.slice(0, 10))
  for (const { role, mbAnHour, rssMb } of result.courses) {
    if (mbAnHour > FLAT_MB_AN_HOUR && rssMb.late > rssMb.middle) {
      wrong.push(`${role} grew: ${mbAnHour.toFixed(1)} MB an hour in the second half`)
    }
  }
  // Of all together: who logs in meets now this edge, now that one.
  const [early, late] = (['early', 'late'] as const).map((when) =>
    result.courses.reduce((sum, { descriptors }) => sum + descriptors[when], 0),
  )
  if (late !== undefined && early !== undefined && late > early + FLAT_DESCRIPTORS) {
    wrong.push(`more and more descriptors are held: ${early.toFixed(0)}, then ${late.toFixed(0)}`)
  }
  return wrong
}

/** Markdown, for the terminal and docs/reliability.md. */
export function reportText(result: Result): string {
  const lines = [
    `${result.minutes.toFixed(1)} minutes, ${result.sessions} standing sessions`,
    '',
    '| what | times | p50 ms | p99 ms | longest ms |',
    '| --- | --- | --- | --- | --- |',
    ...[...result.tallies]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([what, tally]) =>
          `| ${what} | ${tally.done} | ${[0.5, 0.99, 1].map((share) => tally.quantile(share).toFixed(0)).join(' | ')} |`,
      ),
    '',
    '| process | RSS MB early, middle, late (most) | MB an hour, second half | descriptors early, late (most) | of one core |',
    '| --- | --- | --- | --- | --- |',
    ...result.courses.map(({ role, rssMb, mbAnHour, descriptors, core }) => {
      const { early, middle, late, most } = rssMb
      return (
        `| ${role} | ${early.toFixed(1)}, ${middle.toFixed(1)}, ${late.toFixed(1)} (${most.toFixed(1)}) | ${mbAnHour.toFixed(1)} | ` +
        `${descriptors.early.toFixed(0)}, ${descriptors.late.toFixed(0)} (${descriptors.most}) | ${(core * 100).toFixed(1)} % |`
      )
    }),
    '',
  ]
  const wrong = verdict(result)
  lines.push(
    wrong.length === 0 ? 'Nothing failed; nothing grew.' : `WRONG:\n${wrong.map((each) => `- ${each}`).join('\n')}`,
  )
  return `${lines.join('\n')}\n`
}
