/**
 * What commands print: plain tables and sentences for people, JSON for programs.
 */

import { once } from 'node:events'
import type { Io } from './io.ts'

/** Writes and waits when the reader is slow, so that a long list never piles up in memory. */
export async function write(io: Io, text: string): Promise<void> {
  if (!io.stdout.write(text)) await once(io.stdout, 'drain')
}

export function printJson(io: Io, value: unknown): Promise<void> {
  return write(io, `${JSON.stringify(value, null, 2)}\n`)
}

/** Columns by title; a column is as wide as its longest cell, the last one is not padded. */
export function table<T>(rows: readonly T[], columns: Readonly<Record<string, (row: T) => string>>): string {
  const titles = Object.keys(columns)
  const cells = [titles, ...rows.map((row) => titles.map((title) => plain(columns[title]?.(row) ?? '')))]
  const widths = titles.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  const lines = cells.map((line) =>
    line
      .map((cell, index) => (index === line.length - 1 ? cell : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** What came from elsewhere must not steer the terminal: control and direction characters become `?`. */
export function plain(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, '?')
}

/** '2026-11-21 06:41Z': UTC, and says so; '–' for never. */
export function shortTime(iso: string | null): string {
  return iso === null ? '–' : `${iso.slice(0, 10)} ${iso.slice(11, 16)}Z`
}

/** '1 session', '2 sessions'. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`
}

/** Pages of a listing as one stream of items. */
export async function* allPages<T>(
  page: (after: string | null) => Promise<{ readonly items: readonly T[]; readonly next: string | null }>,
): AsyncGenerator<T> {
  let after: string | null = null
  do {
    const { items, next }: { readonly items: readonly T[]; readonly next: string | null } = await page(after)
    yield* items
    after = next
  } while (after !== null)
}

/** A listing of any length: a JSON array, or a table. */
export async function printListing<T>(
  io: Io,
  json: boolean,
  items: AsyncIterable<T>,
  columns: Readonly<Record<string, (row: T) => string>>,
): Promise<void> {
  if (json) return await printJsonArray(io, items)
  const rows: T[] = []
  for await (const item of items) rows.push(item)
  await write(io, table(rows, columns))
}

/** A JSON array, written as its items arrive. */
export async function printJsonArray(io: Io, items: AsyncIterable<unknown>): Promise<void> {
  let first = true
  await write(io, '[')
  for await (const item of items) {
    await write(io, `${first ? '\n' : ',\n'}  ${JSON.stringify(item)}`)
    first = false
  }
  await write(io, first ? ']\n' : '\n]\n')
}
