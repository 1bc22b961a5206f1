/**
 * `sallyport user import`: a file of any length, read line by line and sent in pieces.
 */

import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { LANGUAGES } from '../contract/languages.ts'
import type { ServiceRequest } from '../contract/services.ts'
import { MAX_FRAME_BYTES } from '../ipc.ts'
import type { Context } from './context.ts'
import type { Line } from './csv.ts'
import { readCsv } from './csv.ts'
import { CliError, EXIT } from './failure.ts'
import { counted } from './output.ts'

/** What `user.import` takes in one call, and what fits one message to a running server with what stands around it. */
const PIECE = 200
const PIECE_BYTES = MAX_FRAME_BYTES - 1024
/** As many as a user can be in. */
const MAX_GROUPS = 32

type ImportUser = ServiceRequest<'user.import'>['users'][number]
interface Refused {
  readonly line: number
  readonly address: string
  readonly why: string
}
/** One entry of the file, or why it is none. */
export type Entry = { readonly ok: true; readonly user: ImportUser } | { readonly ok: false; readonly refused: Refused }

export async function importUsers(context: Context, file: string): Promise<number> {
  const input = file === '-' ? context.io.stdin : await openFile(resolve(context.io.cwd, file))
  const refused: Refused[] = []
  let added = 0
  let unchanged = 0
  await context.withServices(async (services) => {
    let piece: ImportUser[] = []
    let pieceBytes = 0
    const send = async () => {
      if (piece.length === 0) return
      const report = await services.call('user.import', { users: piece })
      added += report.added
      unchanged += report.unchanged
      refused.push(...report.refused)
      piece = []
      pieceBytes = 0
      context.note(
        `${added + unchanged + refused.length} lines: ${added} added, ${unchanged} unchanged, ${refused.length} refused`,
      )
    }
    for await (const entry of entriesOf(input)) {
      if (!entry.ok) {
        refused.push(entry.refused)
        continue
      }
      const bytes = Buffer.byteLength(JSON.stringify(entry.user)) + 1
      if (piece.length >= PIECE || pieceBytes + bytes > PIECE_BYTES) await send()
      piece.push(entry.user)
      pieceBytes += bytes
    }
    await send()
  })
  refused.sort((a, b) => a.line - b.line)
  for (const { line, address, why } of refused)
    context.warn(`line ${line}${address === '' ? '' : ` (${address})`}: ${why}`)
  await context.print(
    { added, unchanged, refused },
    `${counted(added, 'user')} added, ${unchanged} unchanged, ${refused.length} refused\n`,
  )
  return refused.length > 0 ? EXIT.failed : EXIT.ok
}

async function openFile(path: string): Promise<Readable> {
  const stream = createReadStream(path)
  try {
    await once(stream, 'open')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const why = code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'may not be read' : `can't be read (${code})`
    throw new CliError(code === 'EACCES' ? 'not-permitted' : 'failed', `${path} ${why}`, { cause: error })
  }
  return stream
}

/** The entries of a file: JSON lines when its first character is a brace, else CSV. */
export async function* entriesOf(input: Readable): AsyncGenerator<Entry> {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  const numbered = numberedLines(lines)
  const first = await numbered.next()
  if (first.done) return
  const all = again(first.value, numbered)
  yield* first.value.text.trimStart().startsWith('{') ? jsonEntries(all) : csvEntries(all)
}

async function* numberedLines(lines: AsyncIterable<string>): AsyncGenerator<Line> {
  let number = 0
  for await (const text of lines) {
    number += 1
    // A byte order mark is what spreadsheets put in front of UTF-8.
    yield { number, text: number === 1 ? text.replace(/^\ufeff/, '') : text }
  }
}

async function* again<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

const jsonUser = z.strictObject({
  address: z.string(),
  name: z.string().nullish(),
  groups: z.array(z.string()).nullish(),
  language: z.string().nullish(),
})

async function* jsonEntries(lines: AsyncIterable<Line>): AsyncGenerator<Entry> {
  for await (const { number: line, text } of lines) {
    if (text.trim() === '') continue
    const parsed = jsonUser.safeParse(parseJson(text))
    if (parsed.success) yield entry(line, parsed.data)
    else yield refuse(line, '', 'is not {"address":…,"name":…,"groups":[…],"language":…} in JSON')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const COLUMNS = ['address', 'name', 'groups', 'language']

async function* csvEntries(lines: AsyncIterable<Line>): AsyncGenerator<Entry> {
  let header: readonly string[] | null = null
  for await (const record of readCsv(lines)) {
    if (!record.ok) {
      yield refuse(record.line, '', record.why)
      continue
    }
    const { line, fields } = record
    if (header === null) {
      header = fields.map((field) => field.trim().toLowerCase())
      const unknown = header.find((name) => !COLUMNS.includes(name))
      if (!header.includes('address') || unknown !== undefined) {
        throw new CliError(
          'failed',
          `line ${line}: the first line must name the columns: address, and if wanted name, groups and language`,
        )
      }
      continue
    }
    if (fields.length !== header.length) {
      yield refuse(line, '', `has ${counted(fields.length, 'field')}, and the first line names ${header.length}`)
      continue
    }
    const field = (name: string) => fields[header?.indexOf(name) ?? -1]?.trim() ?? ''
    const groups = field('groups').split(/\s+/).filter(Boolean)
    yield entry(line, { address: field('address'), name: field('name'), groups, language: field('language') })
  }
}

/** The service refuses the same, for a whole piece: what is too long for it is refused here, for its own line. */
function entry(line: number, fields: z.infer<typeof jsonUser>): Entry {
  const { address } = fields
  const name = fields.name || null
  const groups = fields.groups ?? []
  const language = LANGUAGES.find((code) => code === fields.language?.toLowerCase()) ?? null
  if (address === '') return refuse(line, '', 'has no address')
  if (address.length > 1024) return refuse(line, '', 'has an address that is too long')
  if (name !== null && name.length > 128) return refuse(line, address, 'has a name of more than 128 characters')
  if (groups.some((group) => group === '' || group.length > 256))
    return refuse(line, address, 'has a group without a name, or with too long a one')
  if (groups.length > MAX_GROUPS) return refuse(line, address, `is in more than ${MAX_GROUPS} groups`)
  if (language === null && fields.language)
    return refuse(line, address, `has a language that is none of ${LANGUAGES.join(', ')}`)
  return { ok: true, user: { line, address, name, groups, language } }
}

function refuse(line: number, address: string, why: string): Entry {
  return { ok: false, refused: { line, address, why } }
}
