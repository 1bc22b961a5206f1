/**
 * Reads the TAP of one test file and says what people want to know: each failure in full, and the counts of single assertions.
 */

import type { FinalResults, Result } from 'tap-parser'
import { Parser } from 'tap-parser'

export interface TapCounts {
  passed: number
  failed: number
  skipped: number
}

export interface TapReport {
  readonly counts: TapCounts
  /** Full names of what failed. */
  readonly failures: readonly string[]
  write(chunk: Buffer): void
  /** The file has ended; a status other than 0 without a failed assertion, or no assertion at all, is one failure. */
  end(how: string | null): Promise<void>
}

/** A report on the test file `name`; `say` gets a line for each thing that did not pass. */
export function createTapReport(name: string, say: (line: string) => void): TapReport {
  const counts: TapCounts = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  let printed = false
  const parser = new Parser()
  const complete = new Promise<FinalResults>((resolve) => parser.on('complete', resolve))

  const fail = (what: string, detail: unknown): void => {
    counts.failed += 1
    failures.push(what)
    say(`FAIL ${what}`)
    for (const line of describe(detail)) say(`     ${line}`)
  }

  // Every single assertion, however deep.
  parser.on('result', (result: Result) => {
    const full = `${name} > ${result.fullname}`
    if (result.skip) {
      counts.skipped += 1
      say(`skip ${full}${typeof result.skip === 'string' ? `: ${result.skip}` : ''}`)
    } else if (result.ok || result.todo) counts.passed += 1
    else fail(full, result.diag)
  })
  parser.on('bailout', (reason: string) => fail(`${name} bailed out`, reason))
  parser.on('plan', (plan: { readonly end: number; readonly comment?: string }) => {
    // For a file that printed nothing the parser makes up an empty plan.
    if (plan.end > 0 || !printed) return
    counts.skipped += 1
    say(`skip ${name}${plan.comment ? `: ${plan.comment}` : ''}`)
  })

  return {
    counts,
    failures,
    write(chunk) {
      printed = true
      parser.write(chunk)
    },
    async end(how) {
      parser.end()
      const results = await complete
      if (counts.failed > 0) return
      if (how !== null) fail(`${name} ended with ${how}`, null)
      else if (counts.passed + counts.skipped === 0) fail(`${name} tested nothing`, null)
      else if (!results.ok) fail(`${name}: fewer or more assertions than planned`, null)
    },
  }
}

const FIELDS = ['message', 'error', 'diff', 'found', 'wanted', 'pattern', 'stack', 'exitCode', 'signal', 'timeout']
const MAX_LINES = 30

/** The parts of a diagnostic that help: where, what was expected, what came. */
function describe(detail: unknown): string[] {
  if (detail === undefined || detail === null) return []
  if (typeof detail !== 'object') return String(detail).split('\n').slice(0, MAX_LINES)
  const lines: string[] = []
  const fields = detail as Readonly<Record<string, unknown>>
  const at = fields.at as { fileName?: string; lineNumber?: number } | undefined
  if (at?.fileName) lines.push(`at ${at.fileName}:${at.lineNumber ?? '?'}`)
  for (const key of FIELDS) {
    const value = fields[key]
    if (value === undefined || value === null) continue
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const [first = '', ...rest] = text.trimEnd().split('\n')
    lines.push(`${key}: ${first}`, ...rest.map((line) => `  ${line}`))
  }
  return lines.slice(0, MAX_LINES)
}
