/**
 * IMAP before login, as pure functions: a client's command lines and literals → values (RFC 9051 §9, RFC 7888).
 *
 * A command is one line, or several with literals between them; the dialogue fetches the pieces, and here is said what they
 * mean. Text is latin1, one character an octet. Everything walks forward one character at a time: nothing here can be made
 * to take longer than its input is long. What an upstream answers is parsed in `responses.ts`.
 */

import { printable } from '../../log.ts'

/** RFC 9051 sets no length; nobody's tags come near this (threats A14). */
const MAX_TAG_CHARS = 64
/** Longest command line but for AUTHENTICATE's, which may carry a SASL response. */
export const MAX_LINE_CHARS = 8 * 1024
/** Largest literal that is asked for with '+' (threats A5). */
export const MAX_LITERAL_BYTES = 8 * 1024
/** LITERAL-: largest literal that a client may send unasked (RFC 7888 §5). */
export const MAX_UNASKED_LITERAL_BYTES = 4096
const MAX_COMMAND_CHARS = 32
/** RFC 2971 §3.3: at most 30 pairs. */
const MAX_ID_PAIRS = 30

/** The head of a command: what stands before its arguments. */
export type CommandLine =
  | {
      readonly ok: true
      readonly tag: string
      /** In upper case. */
      readonly name: string
      /** What follows the blank behind the name; '' when nothing does. */
      readonly rest: string
    }
  /** `tag` is null when the line has none that could be repeated in an answer. */
  | { readonly ok: false; readonly tag: string | null }

/** A literal announced at the end of a line: `{n}` or `{n+}`. */
export interface LiteralMarker {
  /** Octets; Infinity when the number has more digits than anything allowed could have. */
  readonly bytes: number
  /** Whether the client waits for '+' before it sends the octets. */
  readonly synchronising: boolean
  /** The line without the marker. */
  readonly before: string
}

/** The arguments of a command: text, literal, text, literal … text. The texts have no markers in them any more. */
export type Pieces = readonly (string | Buffer)[]

/** One argument: an atom, or the octets of a quoted string or a literal. NIL is the atom. */
export type Argument =
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'string'; readonly octets: Buffer }

/** Splits a line into tag, command name and the rest. A bad tag or a missing command is `ok: false`. */
export function parseCommandLine(line: string): CommandLine {
  const end = spanOf(line, 0, isTagCode)
  if (end === 0 || end > MAX_TAG_CHARS) return { ok: false, tag: null }
  if (end === line.length) return { ok: false, tag: null }
  if (line[end] !== ' ') return { ok: false, tag: null }
  const tag = line.slice(0, end)
  const start = end + 1
  const stop = spanOf(line, start, isAtomCode)
  if (stop === start || stop - start > MAX_COMMAND_CHARS) return { ok: false, tag }
  if (stop < line.length && line[stop] !== ' ') return { ok: false, tag }
  return { ok: true, tag, name: line.slice(start, stop).toUpperCase(), rest: line.slice(stop + 1) }
}

/**
 * The literal that a line announces, null when it announces none.
 *
 * Only plain decimal digits make a marker: `{}`, `{-1}`, `{+5}`, `{4G}` and `{ 5}` are none, and so are not allowed where
 * they stand, since `{` can't be part of an atom. Whether the marker makes sense where it stands is not asked here: octets
 * that follow a line must be taken for octets even when the line before them is wrong (threats A5).
 */
export function literalMarker(line: string): LiteralMarker | null {
  if (!line.endsWith('}')) return null
  const synchronising = line.at(-2) !== '+'
  const end = line.length - (synchronising ? 1 : 2)
  let start = end
  while (start > 0 && isDigit(line.charCodeAt(start - 1))) start--
  if (start === end || line[start - 1] !== '{') return null
  const digits = line.slice(start, end)
  const bytes = digits.length > 12 ? Number.POSITIVE_INFINITY : Number(digits)
  return { bytes, synchronising, before: line.slice(0, start - 1) }
}

/**
 * The two arguments of LOGIN (RFC 9051 §6.2.3), each an atom, a quoted string or a literal; null when they are not two
 * such. NUL, CR and LF in them are null, too.
 */
export function parseLogin(pieces: Pieces): { readonly user: Buffer; readonly password: Buffer } | null {
  const [user, password, ...more] = parseArguments(pieces) ?? []
  if (user === undefined || password === undefined || more.length > 0) return null
  if (user === '(' || user === ')' || password === '(' || password === ')') return null
  return { user: octetsOf(user), password: octetsOf(password) }
}

/** AUTHENTICATE's mechanism (in upper case) and initial response (RFC 4959); null when the arguments are anything else. */
export function parseAuthenticate(
  rest: string,
): { readonly mechanism: string; readonly initialResponse: string | null } | null {
  const end = spanOf(rest, 0, isAtomCode)
  if (end === 0 || end > MAX_COMMAND_CHARS) return null
  const mechanism = rest.slice(0, end).toUpperCase()
  if (end === rest.length) return { mechanism, initialResponse: null }
  if (rest[end] !== ' ') return null
  return { mechanism, initialResponse: rest.slice(end + 1) }
}

/**
 * ID's argument: NIL or a list of field-value pairs (RFC 2971 §3.1). Field names in lower case, values as octets, pairs with
 * the value NIL left out; null when it is none of that. A field given twice keeps its first value.
 */
export function parseId(pieces: Pieces): ReadonlyMap<string, Buffer> | null {
  const tokens = parseArguments(pieces)
  if (tokens === null) return null
  const fields = new Map<string, Buffer>()
  const [first, ...others] = tokens
  if (others.length === 0) return first !== undefined && isNil(first) ? fields : null
  const pairs = others.slice(0, -1)
  if (first !== '(' || others.at(-1) !== ')' || pairs.length % 2 !== 0 || pairs.length > 2 * MAX_ID_PAIRS) return null
  for (let i = 0; i < pairs.length; i += 2) {
    const [field, value] = [pairs[i], pairs[i + 1]]
    if (typeof field !== 'object' || typeof value !== 'object' || field.kind !== 'string') return null
    if (value.kind !== 'string' && !isNil(value)) return null
    const name = field.octets.toString('latin1').toLowerCase()
    if (value.kind === 'string' && !fields.has(name)) fields.set(name, value.octets)
  }
  return fields
}

/** RFC 2971 §3.3: the fields that say what program this is, in the order of the log line. */
const AGENT_FIELDS = ['name', 'version', 'os'] as const
const MAX_AGENT_CHARS = 128

/** What a client calls itself in ID, for logs and the user's list of devices: printable, cut; null when it says nothing. */
export function agentOf(fields: ReadonlyMap<string, Buffer>): string | null {
  const words = AGENT_FIELDS.map((field) => fields.get(field)?.toString('utf8').trim() ?? '').filter(
    (word) => word !== '',
  )
  const text = printable(words.join(' '), MAX_AGENT_CHARS - 1)
  return text === '' ? null : text
}

/**
 * Arguments with blanks between them; lists appear as their parentheses and do not nest. null when the grammar is broken.
 *
 * Two things are looser than the grammar, because what people call a working client relies on servers that are: any number
 * of blanks, and in atoms `%`, `*` and `\`, which scripts leave unquoted in passwords and in `DOMAIN\user`.
 */
function parseArguments(pieces: Pieces): (Argument | '(' | ')')[] | null {
  const tokens: (Argument | '(' | ')')[] = []
  let isOpen = false
  /** What the octet before allows: an argument may only start behind a blank, an opening parenthesis or at the start. */
  let mayStart = true
  for (const piece of pieces) {
    if (typeof piece !== 'string') {
      if (!mayStart || hasLineOrNul(piece)) return null
      tokens.push({ kind: 'string', octets: piece })
      mayStart = false
      continue
    }
    let at = 0
    while (at < piece.length) {
      const character = piece[at]
      if (character === ' ') {
        mayStart = true
        at++
        continue
      }
      if (character === ')') {
        if (!isOpen) return null
        isOpen = false
        tokens.push(')')
        mayStart = false
        at++
        continue
      }
      if (!mayStart) return null
      if (character === '(') {
        if (isOpen) return null
        isOpen = true
        tokens.push('(')
        at++
        continue
      }
      if (character === '"') {
        const quoted = quotedString(piece, at)
        if (quoted === null) return null
        tokens.push({ kind: 'string', octets: quoted.octets })
        at = quoted.end
      } else {
        const end = spanOf(piece, at, isLooseCode)
        if (end === at) return null
        tokens.push({ kind: 'atom', text: piece.slice(at, end) })
        at = end
      }
      mayStart = false
    }
  }
  return isOpen ? null : tokens
}

/** A quoted string that starts at `start`; only `\"` and `\\` are escapes (RFC 9051 §9). Eight-bit octets pass. */
function quotedString(text: string, start: number): { readonly octets: Buffer; readonly end: number } | null {
  let value = ''
  for (let at = start + 1; at < text.length; at++) {
    let character = text[at]
    if (character === '"') return { octets: Buffer.from(value, 'latin1'), end: at + 1 }
    if (character === '\\') {
      at++
      character = text[at]
      if (character !== '"' && character !== '\\') return null
    }
    if (character === '\r' || character === '\n' || character === '\0') return null
    value += character
  }
  return null
}

const octetsOf = (argument: Argument): Buffer =>
  argument.kind === 'string' ? argument.octets : Buffer.from(argument.text, 'latin1')

const isNil = (token: Argument | '(' | ')'): boolean =>
  typeof token === 'object' && token.kind === 'atom' && token.text.toUpperCase() === 'NIL'

function hasLineOrNul(octets: Buffer): boolean {
  return octets.includes(0) || octets.includes(0x0a) || octets.includes(0x0d)
}

/** Index of the first character from `start` on that `test` refuses. */
function spanOf(text: string, start: number, test: (code: number) => boolean): number {
  let at = start
  while (at < text.length && test(text.charCodeAt(at))) at++
  return at
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** `( ) { % * " \ ]`: RFC 9051 §9, atom-specials, with CTL and SP left to the range check below. */
const ATOM_SPECIALS: ReadonlySet<number> = new Set([...'(){%*"\\]'].map((character) => character.charCodeAt(0)))
const RIGHT_BRACKET = 0x5d
const PLUS = 0x2b

/** ATOM-CHAR of RFC 9051 §9. */
export function isAtomCode(code: number): boolean {
  return code > 0x20 && code < 0x7f && !ATOM_SPECIALS.has(code)
}

/** ASTRING-CHAR: an atom's characters and `]`. */
function isAstringCode(code: number): boolean {
  return isAtomCode(code) || code === RIGHT_BRACKET
}

/** What we take in an atom that is an argument. */
function isLooseCode(code: number): boolean {
  return isAstringCode(code) || LOOSE.has(code)
}
const LOOSE: ReadonlySet<number> = new Set([...'%*\\'].map((character) => character.charCodeAt(0)))

/** tag: any ASTRING-CHAR except `+`. */
function isTagCode(code: number): boolean {
  return isAstringCode(code) && code !== PLUS
}
