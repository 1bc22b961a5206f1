/**
 * What the figures should be: ratios to peers measured in the same run, and a few absolute figures.
 *
 * A ratio counts as met with 15 % to spare for noise, which is shown: 'met (noise)'.
 */

import type { Admission } from './admission.ts'
import type { Sample, Samples, TestName } from './sample.ts'
import { median } from './sample.ts'
import type { SubjectName } from './subjects/subject.ts'

export type Verdict = 'met' | 'met (noise)' | 'not met' | 'not measured'

export interface TargetRow {
  readonly row: string
  readonly goal: string
  readonly ours: string
  readonly peer: string
  readonly value: string
  readonly target: string
  readonly verdict: Verdict
}

const NOISE = 1.15

interface RatioTarget {
  readonly row: string
  readonly test: TestName
  readonly against: SubjectName
  /** 'all': whatever was measured; a number: this many workers only; 'most': the run's largest number. */
  readonly workers: number | 'most'
  readonly atMost: number
}

const RATIOS: readonly RatioTarget[] = [
  { row: '1', test: 'fetch plain', against: 'nginx', workers: 'most', atMost: 0.75 },
  { row: '1', test: 'fetch plain', against: 'nginx~tuned', workers: 'most', atMost: 1 },
  { row: '2', test: 'fetch TLS', against: 'nginx', workers: 'most', atMost: 0.75 },
  { row: '2', test: 'fetch TLS', against: 'dovecot', workers: 'most', atMost: 0.15 },
  { row: '4', test: 'login TLS', against: 'nginx', workers: 1, atMost: 1.4 },
  { row: '4', test: 'login TLS', against: 'nginx', workers: 2, atMost: 1.7 },
  { row: '5', test: 'login TLS', against: 'dovecot', workers: 1, atMost: 1.2 },
  { row: '5', test: 'login TLS resumed', against: 'dovecot', workers: 1, atMost: 1.1 },
  { row: '6', test: 'login plain', against: 'dovecot', workers: 1, atMost: 1 },
  { row: '6', test: 'login plain', against: 'nginx', workers: 1, atMost: 1.7 },
  { row: '8', test: 'idle plain', against: 'nginx', workers: 'most', atMost: 1.1 },
  { row: '8', test: 'idle plain', against: 'dovecot', workers: 'most', atMost: 0.4 },
  { row: '9', test: 'idle TLS', against: 'dovecot', workers: 'most', atMost: 0.85 },
  { row: '9', test: 'idle TLS', against: 'nginx', workers: 'most', atMost: 2.2 },
  { row: '13', test: 'send kept plain', against: 'dovecot', workers: 'most', atMost: 1.3 },
  { row: '13', test: 'send kept TLS', against: 'dovecot', workers: 'most', atMost: 1.3 },
]
const IDLE_CORE = 0.001
const ADMISSION_US = 100

export function targetRows(samples: Samples, workers: readonly number[], admission: Admission | null): TargetRow[] {
  const most = Math.max(...workers)
  return [
    ...RATIOS.map((target) => ratioRow(samples, target, most)),
    idleRow(samples, most),
    admissionRow(admission),
    ...newLoginRows(samples, workers),
  ]
}

function verdictOf(value: number, atMost: number): Verdict {
  if (value <= atMost) return 'met'
  return value <= atMost * NOISE ? 'met (noise)' : 'not met'
}

function ratioRow(samples: Samples, target: RatioTarget, most: number): TargetRow {
  const workers = target.workers === 'most' ? most : target.workers
  const ours = samples.whole(target.test, 'sallyport', workers)
  const theirs = samples.whole(target.test, target.against, workers)
  const ratio = ours === null || theirs === null ? null : ours / theirs
  const helped = target.against === 'nginx' && target.test.startsWith('login') ? ' + responder' : ''
  return {
    row: target.row,
    goal: `${target.test} vs ${target.against}${helped}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    ours: show(ours),
    peer: show(theirs),
    value: ratio === null ? '–' : ratio.toFixed(2),
    target: `≤ ${target.atMost}`,
    verdict: ratio === null ? 'not measured' : verdictOf(ratio, target.atMost),
  }
}

function idleRow(samples: Samples, workers: number): TargetRow {
  const shares = (['idle plain', 'idle TLS'] as const).flatMap(
    (test) => samples.value(test, 'sallyport', workers, (sample) => sample.idleCore ?? 0) ?? [],
  )
  const share = shares.length === 0 ? null : Math.max(...shares)
  return {
    row: '10',
    goal: 'CPU while all sessions are idle, share of one core',
    ours: share === null ? '–' : `${(share * 100).toFixed(2)} %`,
    peer: '–',
    value: '–',
    target: `≤ ${IDLE_CORE * 100} %`,
    verdict: share === null ? 'not measured' : verdictOf(share, IDLE_CORE),
  }
}

function admissionRow(admission: Admission | null): TargetRow {
  const us = admission && admission.edgeUs + admission.keeperUs
  return {
    row: '12',
    goal: 'credential check seen before, edge + keeper',
    ours: us === null ? '–' : `${us.toFixed(0)} µs`,
    peer: '–',
    value: '–',
    target: `≤ ${ADMISSION_US} µs`,
    verdict: us === null ? 'not measured' : verdictOf(us, ADMISSION_US),
  }
}

/** Exactly one argon2 run for a login never seen before, none for one seen before. */
function newLoginRows(samples: Samples, workers: readonly number[]): TargetRow[] {
  const runsPerLogin = (tests: readonly TestName[]): number | null => {
    const runs = workers.flatMap((count) =>
      tests.flatMap((test) => samples.of(test, 'sallyport', count).flatMap((sample) => argon2Runs(sample) ?? [])),
    )
    // The one furthest from the others is the one to show.
    return runs.length === 0
      ? null
      : runs.reduce((a, b) => (Math.abs(b - median(runs)) > Math.abs(a - median(runs)) ? b : a))
  }
  const row = (goal: string, runs: number | null, wanted: number): TargetRow => ({
    row: '12b',
    goal,
    ours: runs === null ? '–' : String(Number(runs.toFixed(3))),
    peer: '–',
    value: '–',
    target: String(wanted),
    verdict: runs === null ? 'not measured' : runs === wanted ? 'met' : 'not met',
  })
  return [
    row('argon2 runs of a login never seen before', runsPerLogin(['login plain, new', 'login TLS, new']), 1),
    row('argon2 runs of a login seen before', runsPerLogin(['login plain', 'login TLS', 'login TLS resumed']), 0),
  ]
}

function argon2Runs(sample: Sample): number | null {
  const runs = sample.verifications?.argon2
  // A counter that nothing was counted on does not appear at all.
  return sample.verifications === null ? null : (runs ?? 0) / sample.done
}

function show(value: number | null): string {
  return value === null ? '–' : value < 10 ? value.toFixed(3) : value.toFixed(1)
}
