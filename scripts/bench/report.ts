/**
 * The outcome as tables, the same on a terminal and in a page: Markdown with aligned columns.
 */

import type { Outcome } from './plan.ts'
import type { TestName } from './sample.ts'
import { isClean, Samples, TESTS, UNITS } from './sample.ts'
import type { SubjectName } from './subjects/subject.ts'
import { targetRows } from './targets.ts'

const SUBJECTS: readonly SubjectName[] = ['sallyport', 'nginx', 'nginx~tuned', 'dovecot']

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly node: string
  readonly openssl: string
  /** Load average of the minute before. */
  readonly load: number
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

export function report(outcome: Outcome, machine: Machine, workers: readonly number[], command: string): string {
  const samples = new Samples(outcome.samples)
  const present = SUBJECTS.filter((name) => outcome.versions[name] !== undefined)
  const versions = present.filter((name) => name !== 'nginx~tuned').map((name) => `${name} ${outcome.versions[name]}`)
  const parts = [
    `\`${command}\` on ${new Date().toISOString().slice(0, 10)}: ${machine.cores} cores (${machine.cpu}), Linux ${machine.kernel}, ` +
      `Node ${machine.node} with OpenSSL ${machine.openssl}; ${versions.map((each) => `${each}; `).join('')}load average before ${machine.load.toFixed(2)}.`,
    figures(samples, present, workers),
    walls(samples, present, workers),
    breakdown(samples, workers),
    targets(outcome, samples, workers),
    ...notes(outcome),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function rowsOf(
  samples: Samples,
  tests: readonly TestName[],
  workers: readonly number[],
  row: (test: TestName, count: number) => readonly string[],
): (readonly string[])[] {
  return tests.flatMap((test) =>
    workers
      .filter((count) => SUBJECTS.some((name) => samples.of(test, name, count).length > 0))
      .map((count) => row(test, count)),
  )
}

function figures(samples: Samples, present: readonly SubjectName[], workers: readonly number[]): string {
  const rows = rowsOf(samples, TESTS, workers, (test, count) => [
    `${test} (${UNITS[test]})`,
    String(count),
    ...present.map((name) => figureCell(samples, test, name, count)),
  ])
  if (rows.length === 0) return ''
  return `### CPU seconds and memory, all processes of each\n\nMedian of the rounds, lowest and highest in brackets; after the plus sign nginx's auth_http responder.\n\n${table(['test', 'workers', ...present], rows)}`
}

function figureCell(samples: Samples, test: TestName, name: SubjectName, workers: number): string {
  const figure = samples.figure(test, name, workers)
  if (figure === null) return '–'
  const all = samples.of(test, name, workers).map((sample) => sample.figure)
  const helper = samples.value(test, name, workers, (sample) => sample.helper) ?? 0
  const spread = all.length > 1 ? ` (${short(Math.min(...all))}–${short(Math.max(...all))})` : ''
  return `${short(figure)}${helper > 0 ? ` + ${short(helper)}` : ''}${spread}`
}

const short = (value: number): string => (Math.abs(value) < 10 ? value.toFixed(3) : value.toFixed(1))

function walls(samples: Samples, present: readonly SubjectName[], workers: readonly number[]): string {
  const rows = rowsOf(samples, TESTS, workers, (test, count) => [
    test,
    String(count),
    ...present.map((name) => wallCell(samples, test, name, count)),
  ])
  if (rows.length === 0) return ''
  return `### Time, indicative only\n\nGenerator, backend and proxy share the cores, 16 logins at once. Logins: sessions a second, p50 / p99 ms of a login; fetches and big messages: MB/s; small messages: messages a second, 8 clients at once; idle: share of one core, MB before the first session.\n\n${table(['test', 'workers', ...present], rows)}`
}

function wallCell(samples: Samples, test: TestName, name: SubjectName, workers: number): string {
  const value = (of: Parameters<Samples['value']>[3]): number => samples.value(test, name, workers, of) ?? Number.NaN
  if (samples.of(test, name, workers).length === 0) return '–'
  if (test.startsWith('fetch') || test.startsWith('send 20 MB'))
    return `${value(({ done, wall }) => (done * 20) / wall.seconds).toFixed(0)}`
  if (test.startsWith('send')) return `${value(({ done, wall }) => done / wall.seconds).toFixed(0)}/s`
  if (test.startsWith('idle')) {
    return `${(value(({ idleCore }) => idleCore ?? 0) * 100).toFixed(2)} %, ${value(({ startMb }) => startMb ?? 0).toFixed(0)} MB`
  }
  const rate = value(({ done, wall }) => done / wall.seconds)
  const resumed = test.endsWith('resumed')
    ? `; ${(value(({ resumedShare }) => resumedShare) * 100).toFixed(0)} % resumed`
    : ''
  return `${rate.toFixed(0)}/s; ${value(({ wall }) => wall.p50Ms).toFixed(1)} / ${value(({ wall }) => wall.p99Ms).toFixed(1)}${resumed}`
}

function breakdown(samples: Samples, workers: readonly number[]): string {
  const roles = [
    ...new Set(samples.all.filter((each) => each.subject === 'sallyport').flatMap((each) => Object.keys(each.roles))),
  ]
  const rows = TESTS.flatMap((test) =>
    workers
      .filter((count) => samples.of(test, 'sallyport', count).length > 0)
      .map((count) => [
        `${test} (${UNITS[test]})`,
        String(count),
        ...roles.map((role) =>
          short(samples.value(test, 'sallyport', count, (sample) => sample.roles[role] ?? 0) ?? 0),
        ),
      ]),
  )
  return rows.length === 0 ? '' : `### Where ours goes\n\n${table(['test', 'workers', ...roles], rows)}`
}

function targets(outcome: Outcome, samples: Samples, workers: readonly number[]): string {
  if (outcome.versions.sallyport === undefined && outcome.admission === null) return ''
  const rows = targetRows(samples, workers, outcome.admission)
    .filter((row) => row.verdict !== 'not measured')
    .map((row) => [row.row, row.goal, row.ours, row.peer, row.value, row.target, row.verdict])
  return rows.length === 0
    ? ''
    : `### Against the targets\n\n${table(['#', 'goal', 'ours', 'peer', 'ratio', 'target', 'verdict'], rows)}`
}

function notes(outcome: Outcome): string[] {
  const void_ = outcome.samples
    .filter((sample) => !isClean(sample))
    .map((sample) => {
      const errors = Object.entries(sample.errors).map(([text, times]) => `${times} × ${text}`)
      return `- no figure from round ${sample.round} of ${sample.test}, ${sample.subject}, ${sample.workers} w: ${errors.join(', ') || 'nothing done'}`
    })
  const skipped = outcome.skipped.map((text) => `- left out: ${text}`)
  return [...skipped, ...void_].length === 0 ? [] : [[...skipped, ...void_].join('\n')]
}
