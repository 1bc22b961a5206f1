/**
 * What an IMAP server answers before and at its login, as a pure function: one line → what it is (RFC 9051 §7).
 *
 * The reader is an upstream that may be broken or in somebody else's hands, so whatever is not well formed is null, and so is
 * any line that announces a literal: nothing in a login needs one (threats D1).
 */

import { isAtomCode, literalMarker } from './parse.ts'

export type Status = 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH'

/** A response code: `[NAME rest]` (RFC 9051 §7.1, RFC 5530). */
export interface ResponseCode {
  /** In upper case. */
  readonly name: string
  readonly rest: string
}

export type Response =
  /** `+ text` */
  | { readonly kind: 'continuation'; readonly text: string }
  /** `* OK …` (tag null) or `tag NO …`; BYE and PREAUTH come untagged only. */
  | {
      readonly kind: 'status'
      readonly tag: string | null
      readonly status: Status
      readonly code: ResponseCode | null
    }
  | { readonly kind: 'capability'; readonly names: readonly string[] }
  /** Any other untagged response. */
  | { readonly kind: 'data' }

const STATUSES: ReadonlySet<string> = new Set(['OK', 'NO', 'BAD', 'BYE', 'PREAUTH'])
const TAGGED: ReadonlySet<string> = new Set(['OK', 'NO', 'BAD'])

/** One line without its end, or null when it is not a response that a login may meet. */
export function parseResponse(line: string): Response | null {
  if (!isPrintable(line) || literalMarker(line) !== null) return null
  if (line === '+') return { kind: 'continuation', text: '' }
  const [first, word, text] = twoWords(line)
  if (first === '+') return { kind: 'continuation', text: line.slice(2) }
  if (first === '' || word === '') return null
  const status = word.toUpperCase()
  if (first !== '*') {
    if (!TAGGED.has(status)) return null
    return { kind: 'status', tag: first, status: status as Status, code: responseCode(text) }
  }
  if (STATUSES.has(status)) {
    return { kind: 'status', tag: null, status: status as Status, code: responseCode(text) }
  }
  if (status === 'CAPABILITY') {
    const names = capabilityNames(text)
    return names === null ? null : { kind: 'capability', names }
  }
  return { kind: 'data' }
}

/** The names in a capability list (RFC 9051 §7.2.2); null when there are none, or one of them isn't an atom. */
export function capabilityNames(text: string): readonly string[] | null {
  // quirk: some servers write two blanks, or one at the end.
  const names = text.split(' ').filter((name) => name !== '')
  if (names.length === 0) return null
  for (const name of names) {
    for (let i = 0; i < name.length; i++) {
      if (!isAtomCode(name.charCodeAt(i))) return null
    }
  }
  return names
}

/** Whether a capability is in a list, in any case (RFC 9051 §9: capability names are case-insensitive). */
export function offers(capabilities: readonly string[], name: string): boolean {
  return capabilities.some((capability) => capability.toUpperCase() === name)
}

function twoWords(line: string): readonly [string, string, string] {
  const one = line.indexOf(' ')
  if (one < 0) return ['', '', '']
  const two = line.indexOf(' ', one + 1)
  const stop = two < 0 ? line.length : two
  return [line.slice(0, one), line.slice(one + 1, stop), line.slice(stop + 1)]
}

function responseCode(text: string): ResponseCode | null {
  if (!text.startsWith('[')) return null
  const end = text.indexOf(']')
  if (end < 0) return null
  const inside = text.slice(1, end)
  const blank = inside.indexOf(' ')
  return blank < 0
    ? { name: inside.toUpperCase(), rest: '' }
    : { name: inside.slice(0, blank).toUpperCase(), rest: inside.slice(blank + 1) }
}

/** No control characters; eight-bit text is common in servers' prose. */
function isPrintable(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false
  }
  return true
}
