/**
 * CSV (RFC 4180), a line at a time: quoted fields may hold commas, doubled quotes and line ends. Pure.
 */

export interface Line {
  /** 1-based. */
  readonly number: number
  readonly text: string
}

export type CsvRecord =
  | { readonly ok: true; readonly line: number; readonly fields: readonly string[] }
  /** `line` is where the record began. */
  | { readonly ok: false; readonly line: number; readonly why: string }

/** Longest record; a quote that is never closed must not swallow the file. */
const MAX_RECORD = 8192

/** Records with the number of their first line. Blank lines between records are skipped. */
export async function* readCsv(lines: AsyncIterable<Line>): AsyncGenerator<CsvRecord> {
  let begun: Line | null = null
  for await (const line of lines) {
    if (begun === null && line.text.trim() === '') continue
    const record: Line = begun === null ? line : { number: begun.number, text: `${begun.text}\n${line.text}` }
    const fields = splitRecord(record.text)
    if (fields === 'open' && record.text.length <= MAX_RECORD) {
      begun = record
      continue
    }
    begun = null
    yield Array.isArray(fields)
      ? { ok: true, line: record.number, fields }
      : { ok: false, line: record.number, why: fields === 'open' ? NOT_CLOSED : 'has a quote in the middle of a field' }
  }
  if (begun !== null) yield { ok: false, line: begun.number, why: NOT_CLOSED }
}

const NOT_CLOSED = 'has a quoted field that is not closed'

/** The fields of a record; 'open' when a quoted field goes on in the next line; 'bad' for a quote where none may be. */
export function splitRecord(text: string): string[] | 'open' | 'bad' {
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (text[at] === '"') {
      let value = ''
      for (at += 1; ; at += 1) {
        if (at >= text.length) return 'open'
        if (text[at] !== '"') value += text[at]
        else if (text[at + 1] === '"') {
          value += '"'
          at += 1
        } else break
      }
      at += 1
      if (at < text.length && text[at] !== ',') return 'bad'
      fields.push(value)
    } else {
      const comma = text.indexOf(',', at)
      const value = text.slice(at, comma < 0 ? text.length : comma)
      if (value.includes('"')) return 'bad'
      fields.push(value)
      at = comma < 0 ? text.length : comma
    }
    if (at >= text.length) return fields
    at += 1
  }
}
