/**
 * POP3 before login, as pure functions: lines → values, a client's commands and a server's replies (RFC 1939 §3, RFC 2449 §8).
 *
 * Text is latin1, one character an octet. The server on the other side may be broken or in somebody else's hands, so whatever
 * is not well formed is null (threats D1).
 */

/** Longest command line but for AUTH's, which may carry a SASL response. */
export const MAX_LINE_CHARS = 8 * 1024
/** RFC 1939 §3: keywords are three or four characters; extensions use longer ones. */
const MAX_KEYWORD_CHARS = 32

export interface CommandLine {
  /** In upper case. */
  readonly name: string
  /**
   * Everything behind the first blank, blanks and all, because a password may have some (RFC 1939 §7, PASS); null when there
   * is no blank.
   */
  readonly rest: string | null
}

/** Splits a line into keyword and argument; null when it does not start with a keyword. */
export function parseCommandLine(line: string): CommandLine | null {
  const blank = line.indexOf(' ')
  const keyword = blank < 0 ? line : line.slice(0, blank)
  if (!isKeyword(keyword)) return null
  return { name: keyword.toUpperCase(), rest: blank < 0 ? null : line.slice(blank + 1) }
}

/** AUTH's mechanism (in upper case) and initial response (RFC 5034 §4); null when the argument is anything else. */
export function parseAuth(
  rest: string,
): { readonly mechanism: string; readonly initialResponse: string | null } | null {
  const given = parseCommandLine(rest)
  // quirk: a blank at the end, with nothing behind it.
  return given && { mechanism: given.name, initialResponse: given.rest === '' ? null : given.rest }
}

/** A server's reply: its first line (RFC 1939 §3), or what asks for more of a SASL exchange (RFC 5034 §4). */
export type Reply =
  | {
      readonly kind: '+OK' | '-ERR'
      /** Response code in upper case: `SYS/TEMP` (RFC 2449 §8). */
      readonly code: string | null
    }
  | { readonly kind: 'continuation' }

/** One line without its end, or null when it is not a reply. */
export function parseReply(line: string): Reply | null {
  if (!isPrintable(line)) return null
  const blank = line.indexOf(' ')
  const status = blank < 0 ? line : line.slice(0, blank)
  if (status === '+') return { kind: 'continuation' }
  if (status !== '+OK' && status !== '-ERR') return null
  return { kind: status, code: blank < 0 ? null : responseCode(line.slice(blank + 1)) }
}

/** What a server can do: keyword → arguments, all in upper case (RFC 2449 §3). */
export type Capabilities = ReadonlyMap<string, readonly string[]>

/** The lines between CAPA's reply and the dot; null when one of them is no capability. */
export function parseCapabilities(lines: readonly string[]): Capabilities | null {
  const found = new Map<string, readonly string[]>()
  for (const line of lines) {
    const [keyword = '', ...args] = line.split(' ').filter((word) => word !== '')
    if (!isPrintable(line) || !isKeyword(keyword)) return null
    found.set(
      keyword.toUpperCase(),
      args.map((arg) => arg.toUpperCase()),
    )
  }
  return found
}

function responseCode(text: string): string | null {
  const end = text.indexOf(']')
  return text.startsWith('[') && end > 1 ? text.slice(1, end).toUpperCase() : null
}

/** Printable ASCII without blanks. */
function isKeyword(text: string): boolean {
  if (text === '' || text.length > MAX_KEYWORD_CHARS) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}

/** No control characters; eight-bit text is common in servers' prose. */
function isPrintable(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false
  }
  return true
}
