/**
 * SMTP before a message, as pure functions: a client's command lines and an upstream's replies → values (RFC 5321 §4).
 *
 * Text is latin1, one character an octet. Everything walks forward one character at a time, or over a line that is bounded.
 */

import { printable } from '../../log.ts'

/** RFC 5321 §4.5.3.1.4 asks for 512 octets; extensions add to that, AUTH far more (RFC 4954 §4). */
export const MAX_COMMAND_CHARS = 2048
/** As many as the log keeps. */
const MAX_AGENT_CHARS = 128
/** More than any server announces. */
const MAX_KEYWORDS = 40
const MAX_KEYWORD_CHARS = 500

export type CommandLine =
  /** `verb` in upper case; `rest` without the blanks around it. */
  { readonly ok: true; readonly verb: string; readonly rest: string } | { readonly ok: false; readonly why: string }

/** A command's verb and its arguments. Control characters, bare CR among them, are in no command (threats A7). */
export function parseCommandLine(line: string): CommandLine {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f)
      return { ok: false, why: 'Control characters are not allowed.' }
  }
  const blank = line.search(/[ \t]/)
  const verb = blank < 0 ? line : line.slice(0, blank)
  if (verb === '') return { ok: false, why: 'This is not a command.' }
  return { ok: true, verb: verb.toUpperCase(), rest: blank < 0 ? '' : line.slice(blank).trim() }
}

/** What stands behind AUTH (RFC 4954 §4); null when it is anything but a mechanism and perhaps one initial response. */
export function parseAuth(
  rest: string,
): { readonly mechanism: string; readonly initialResponse: string | null } | null {
  const [mechanism = '', initialResponse, ...more] = rest.split(/[ \t]+/)
  if (!/^[A-Za-z0-9_-]{1,20}$/.test(mechanism) || more.length > 0) return null
  return { mechanism: mechanism.toUpperCase(), initialResponse: initialResponse ?? null }
}

/** The name that a client gives itself, for the log only (threats F4); null when it gave none. */
export function agentOf(rest: string): string | null {
  const text = printable(Buffer.from(rest, 'latin1').toString('utf8'), MAX_AGENT_CHARS - 1)
  return text === '' ? null : text
}

/** One line of a reply (RFC 5321 §4.2). */
export interface ReplyLine {
  readonly code: number
  readonly isLast: boolean
  readonly text: string
}

/** One line without its end, or null when it is no line of a reply. Eight-bit text is common in servers' prose. */
export function parseReplyLine(line: string): ReplyLine | null {
  const match = /^([2-5][0-9]{2})(?:([ -])(.*))?$/.exec(line)
  if (match === null) return null
  const [, code, mark = ' ', text = ''] = match
  for (let i = 0; i < text.length; i++) {
    const each = text.charCodeAt(i)
    if ((each < 0x20 && each !== 0x09) || each === 0x7f) return null
  }
  return { code: Number(code), isLast: mark === ' ', text }
}

/** The keywords of an answer to EHLO, each with its parameters, without the first line (RFC 5321 §4.1.1.1). */
export function keywordsOf(texts: readonly string[]): readonly string[] {
  // What is not well formed is left out: nobody could make use of it.
  return texts
    .slice(1)
    .filter(
      (text) => text.length <= MAX_KEYWORD_CHARS && /^[A-Za-z0-9][A-Za-z0-9-]*(?:[ =][\x21-\x7e]+)*[ ]*$/.test(text),
    )
    .slice(0, MAX_KEYWORDS)
    .map((text) => text.trimEnd())
}

/** The parameters of a keyword, in upper case; null when it is not announced. */
export function parametersOf(keywords: readonly string[], keyword: string): readonly string[] | null {
  let found: string[] | null = null
  for (const line of keywords) {
    // quirk: `AUTH=PLAIN` is how servers said it for clients of before 1999.
    const [name = '', ...words] = line.toUpperCase().split(/[ =]/)
    if (name === keyword) found = [...(found ?? []), ...words]
  }
  return found
}

/** A value as xtext (RFC 3461 §4): printable, and without the characters that end it. */
export function xtext(value: string): string {
  let text = ''
  for (const octet of Buffer.from(value, 'utf8')) {
    const isPlain = octet >= 0x21 && octet <= 0x7e && octet !== 0x2b && octet !== 0x3d
    text += isPlain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return text
}
