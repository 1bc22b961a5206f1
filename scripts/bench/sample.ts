/**
 * What one measurement says, and how several rounds of it become one figure.
 */

import type { SubjectName } from './subjects/subject.ts'

/**
 * What was done. 'send each': messages of 10 KB with a connection and a login each; 'send kept': on connections that stay. 'new': an app password that never logged in before; else
 * logins seen before, where there is a difference.
 */
export const TESTS = [
  'login plain',
  'login TLS',
  'login TLS resumed',
  'login plain, new',
  'login TLS, new',
  'fetch plain',
  'fetch TLS',
  'send each plain',
  'send each TLS',
  'send kept plain',
  'send kept TLS',
  'send 20 MB plain',
  'send 20 MB TLS',
  'idle plain',
  'idle TLS',
] as const
export type TestName = (typeof TESTS)[number]

/** The figure of a test is CPU seconds for this much, or KB for one idle session. */
export const UNITS: Readonly<Record<TestName, string>> = {
  'login plain': 's/1000',
  'login TLS': 's/1000',
  'login TLS resumed': 's/1000',
  'login plain, new': 's/1000',
  'login TLS, new': 's/1000',
  'fetch plain': 's/GB',
  'fetch TLS': 's/GB',
  'send each plain': 's/1000',
  'send each TLS': 's/1000',
  'send kept plain': 's/1000',
  'send kept TLS': 's/1000',
  'send 20 MB plain': 's/GB',
  'send 20 MB TLS': 's/GB',
  'idle plain': 'KB each',
  'idle TLS': 'KB each',
}

export interface Sample {
  readonly test: TestName
  readonly subject: SubjectName
  readonly workers: number
  readonly round: number
  /** Of all the subject's processes: CPU seconds per unit, or KB per session. */
  readonly figure: number
  /** The same for a helper that is no part of it (nginx's responder); 0 without one. */
  readonly helper: number
  /** Where it went: figure by role of the process. */
  readonly roles: Readonly<Record<string, number>>
  readonly done: number
  readonly errors: Readonly<Record<string, number>>
  /** Indicative only: other processes share the cores. */
  readonly wall: {
    readonly seconds: number
    readonly p50Ms: number
    readonly p99Ms: number
  }
  /** Share of the handshakes that resumed a session. */
  readonly resumedShare: number
  /** Share of one core while idle; null for tests that are not. */
  readonly idleCore: number | null
  /** MB of all processes before the first idle session; null for other tests. */
  readonly startMb: number | null
  /** Password checks by the path they took, where the subject counts them. */
  readonly verifications: Readonly<Record<string, number>> | null
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** A sample whose every session went as it should. A test with a single error has no figure. */
export const isClean = (sample: Sample): boolean => Object.keys(sample.errors).length === 0 && sample.done > 0

/** Samples of all rounds, asked for by what they are of. */
export class Samples {
  readonly all: readonly Sample[]

  constructor(all: readonly Sample[]) {
    this.all = all
  }

  of(test: TestName, subject: SubjectName, workers: number): readonly Sample[] {
    return this.all.filter(
      (each) => each.test === test && each.subject === subject && each.workers === workers && isClean(each),
    )
  }

  /** Median of the rounds; null when nothing was measured. */
  value(test: TestName, subject: SubjectName, workers: number, of: (sample: Sample) => number): number | null {
    const samples = this.of(test, subject, workers)
    return samples.length === 0 ? null : median(samples.map(of))
  }

  /** The figure, the helper's not counted. */
  figure(test: TestName, subject: SubjectName, workers: number): number | null {
    return this.value(test, subject, workers, (sample) => sample.figure)
  }

  /** The figure with the helper's. */
  whole(test: TestName, subject: SubjectName, workers: number): number | null {
    return this.value(test, subject, workers, (sample) => sample.figure + sample.helper)
  }
}
