/**
 * Reads the TAP of a whole run and says what people want to know: each file when it is done, each failure in full, and the
 * counts of single assertions.
 */

import type { Writable } from 'node:stream'
import type { Result } from 'tap-parser'
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
  /** Where the TAP goes. */
  readonly input: Writable
  /** Resolves at the end of the TAP. */
  readonly done: Promise<void>
}

export function createTapReport(say: (line: string) => void): TapReport {
  const counts: TapCounts = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  /** What has been counted since the last file was over. Files run side by side, so it is kept per file. */
  const files = new Map<string, TapCounts & { failures: string[] }>()
  const of = (file: string): TapCounts & { failures: string[] } => {
    const known = files.get(file) ?? { passed: 0, failed: 0, skipped: 0, failures: [] }
    files.set(file, known)
    return known
  }

  const parser = new Parser()
  const done = new Promise<void>((resolve) => {
    parser.on('complete', () => resolve())
  })

  const fail = (file: string, name: string, detail: unknown): void => {
    counts.failed += 1
    of(file).failed += 1
    failures.push(name)
    say(`FAIL ${name}`)
    for (const line of describe(detail)) say(`     ${line}`)
  }

  // Every single assertion, however deep. Its full name begins with the file's.
  parser.on('result', (result: Result) => {
    const file = result.fullname.split(' > ')[0] ?? ''
    if (result.skip) {
      counts.skipped += 1
      of(file).skipped += 1
      say(`skip ${result.fullname}${typeof result.skip === 'string' ? `: ${result.skip}` : ''}`)
    } else if (result.ok || result.todo) {
      counts.passed += 1
      of(file).passed += 1
    } else if (result.fullname !== file) fail(file, result.fullname, result.diag)
    // The file itself as a single assertion: it broke before it had any, and the line for the file says so.
  })
  // One assertion for each file, when it is over. A file that broke without a failed assertion of its own is one failure.
  parser.on('assert', (result: Result) => {
    const file = of(result.name)
    if (!result.ok && file.failed === 0) fail(result.name, result.name, result.diag)
    const parts = [`${file.passed} passed`]
    if (file.failed > 0) parts.push(`${file.failed} failed`)
    if (file.skipped > 0) parts.push(`${file.skipped} skipped`)
    const seconds = typeof result.time === 'number' ? ` (${(result.time / 1000).toFixed(1)} s)` : ''
    say(`${file.failed > 0 ? 'FAIL' : 'ok  '} ${result.name}: ${parts.join(', ')}${seconds}`)
  })
  parser.on('bailout', (reason: string) => fail('', `bail out: ${reason}`, undefined))

  return { counts, failures, input: parser as unknown as Writable, done }
}

/** The parts of a diagnostic that help: where, what was expected, what came. At most 30 lines. */
function describe(detail: unknown): string[] {
  if (detail === undefined || detail === null) return []
  if (typeof detail !== 'object') return String(detail).split('\n').slice(0, 30)
  const lines: string[] = []
  const fields = detail as Readonly<Record<string, unknown>>
  const at = fields.at as { fileName?: string; lineNumber?: number } | undefined
  if (at?.fileName) lines.push(`at ${at.fileName}:${at.lineNumber ?? '?'}`)
  for (const key of [
    'message',
    'error',
    'diff',
    'found',
    'wanted',
    'pattern',
    'stack',
    'exitCode',
    'signal',
    'timeout',
  ]) {
    const value = fields[key]
    if (value === undefined || value === null) continue
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const [first = '', ...rest] = text.trimEnd().split('\n')
    lines.push(`${key}: ${first}`, ...rest.map((line) => `  ${line}`))
  }
  return lines.slice(0, 30)
}
