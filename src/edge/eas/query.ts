/**
 * The query of an ActiveSync request in both of its forms: read, and written again with another user (pure; MS-ASHTTP §2.2.1.1.1).
 *
 * Plain: `Cmd=Sync&User=ann&DeviceId=…&DeviceType=…`, in any order and case. Base64: a version byte, a command code, and the rest
 * by length and tag. What clients send is often sloppy: another alphabet, no padding, percent signs; what we send is what servers
 * are known to read: plain pairs as they came, or padded standard base64 (Z-Push and SOGo refuse anything else).
 *
 * Whatever two programs could read as two different requests is refused: it would be a way to name somebody else behind us.
 */

export interface EasQuery {
  readonly form: 'plain' | 'base64'
  /** As in MS-ASCMD: 'Sync', 'Ping'. Of a code that we don't know: 'Command99'. */
  readonly command: string
  /**
   * Lower case; an id of raw bytes is in hexadecimal, as the same client writes it in the plain form, and so is one that can't
   * stand in a path. null: none given.
   */
  readonly deviceId: string | null
  readonly deviceType: string | null
  /** '14.1'; null in the plain form, where a header says it. */
  readonly protocolVersion: string | null
  /** As the client gave it, '' when it gave none. Of no meaning to us: who asks is in the credentials. */
  readonly user: string
  /** The same query for another user: everything else as it was sent. */
  withUser(user: string): string
}

export type ParsedQuery =
  | { readonly ok: true; readonly query: EasQuery }
  | { readonly ok: false; readonly why: 'malformed' | 'ambiguous' | 'no-command' | 'too-long' }

const MAX_DEVICE_ID = 64
const MAX_DEVICE_TYPE = 64

/** MS-ASHTTP §2.2.1.1.1.2.1. Code 5 to 8 are long gone and were never sent in base64. */
const COMMANDS: Readonly<Record<number, string>> = {
  0: 'Sync',
  1: 'SendMail',
  2: 'SmartForward',
  3: 'SmartReply',
  4: 'GetAttachment',
  9: 'FolderSync',
  10: 'FolderCreate',
  11: 'FolderDelete',
  12: 'FolderUpdate',
  13: 'MoveItems',
  14: 'GetItemEstimate',
  15: 'MeetingResponse',
  16: 'Search',
  17: 'Settings',
  18: 'Ping',
  19: 'ItemOperations',
  20: 'Provision',
  21: 'ResolveRecipients',
  22: 'ValidateCert',
  23: 'Find',
}
const TAG_USER = 8
const MAX_TAG = 8

const refuse = (why: Exclude<ParsedQuery, { ok: true }>['why']): ParsedQuery => ({ ok: false, why })

/** @param query what stands behind the '?' */
export function parseEasQuery(query: string): ParsedQuery {
  return isPlain(query) ? parsePlain(query) : parseBase64(query)
}

/** Only the plain form has a command's name, and in base64 no '&' can stand. */
function isPlain(query: string): boolean {
  return query.includes('&') || /^[a-z]+=[^=]/i.test(query)
}

interface Pair {
  /** Decoded, in lower case. */
  readonly name: string
  readonly text: string
  readonly value: string
}

function parsePlain(query: string): ParsedQuery {
  const pairs: Pair[] = []
  for (const text of query.split('&')) {
    if (text === '') continue // a stray '&'
    const at = text.indexOf('=')
    const name = at < 0 ? '' : text.slice(0, at)
    // Names as they are in the documents: one in disguise (%55ser) is somebody's trick.
    if (!/^[A-Za-z]{1,32}$/.test(name)) return refuse('malformed')
    const value = decoded(text.slice(at + 1))
    if (value === null) return refuse('malformed')
    const lower = name.toLowerCase()
    if (pairs.some((pair) => pair.name === lower)) return refuse('ambiguous')
    pairs.push({ name: lower, text, value })
  }
  const given = (name: string) => pairs.find((pair) => pair.name === name)?.value ?? null
  const command = given('cmd')
  if (command === null || !/^[A-Za-z]{1,32}$/.test(command)) return refuse('no-command')
  const deviceId = given('deviceid')
  const deviceType = given('devicetype')
  if ((deviceId?.length ?? 0) > MAX_DEVICE_ID || (deviceType?.length ?? 0) > MAX_DEVICE_TYPE) return refuse('too-long')
  return {
    ok: true,
    query: {
      form: 'plain',
      command,
      deviceId: deviceId === null || deviceId === '' ? null : inPaths(deviceId.toLowerCase()),
      deviceType: deviceType === '' ? null : deviceType,
      protocolVersion: null,
      user: given('user') ?? '',
      withUser: (user) =>
        pairs.map(({ name, text }) => (name === 'user' ? `User=${encodeUser(user)}` : oneValue(text))).join('&'),
    },
  }
}

/** Percent signs and '+' as forms have them; null for what is no UTF-8 or holds a control character. */
function decoded(text: string): string | null {
  try {
    const value = decodeURIComponent(text.replaceAll('+', ' '))
    return /[\u0000-\u001f\u007f]/.test(value) ? null : value
  } catch {
    return null
  }
}

/** A literal '@' is what all clients send, and what servers split logs by. */
function encodeUser(user: string): string {
  return encodeURIComponent(user).replaceAll('%40', '@')
}

/** Some servers take a semicolon for an ampersand: a value would name another user to them, and not to us. */
function oneValue(text: string): string {
  return text.replaceAll(';', '%3B')
}

interface Parameter {
  readonly tag: number
  readonly value: Buffer
}

function parseBase64(query: string): ParsedQuery {
  const bytes = base64Bytes(query)
  if (bytes === null) return refuse('malformed')
  const reader = new Reader(bytes)
  const version = reader.byte()
  const code = reader.byte()
  const locale = reader.take(2)
  const deviceId = reader.field()
  const policyKey = reader.field()
  const deviceType = reader.field()
  if (version === null || code === null || locale === null || deviceId === null) return refuse('malformed')
  if (policyKey === null || (policyKey.length !== 0 && policyKey.length !== 4) || deviceType === null) {
    return refuse('malformed')
  }
  if (deviceId.length > MAX_DEVICE_ID || deviceType.length > MAX_DEVICE_TYPE) return refuse('too-long')
  const parameters: Parameter[] = []
  while (!reader.atEnd) {
    const tag = reader.byte()
    const value = reader.field()
    if (tag === null || tag > MAX_TAG || value === null) return refuse('malformed')
    if (tag === TAG_USER && parameters.some((parameter) => parameter.tag === TAG_USER)) return refuse('ambiguous')
    parameters.push({ tag, value })
  }
  const head = bytes.subarray(0, 4)
  return {
    ok: true,
    query: {
      form: 'base64',
      command: COMMANDS[code] ?? `Command${code}`,
      deviceId: deviceId.length === 0 ? null : deviceName(deviceId),
      deviceType: deviceType.length === 0 ? null : printable(deviceType),
      protocolVersion: `${Math.floor(version / 10)}.${version % 10}`,
      user: parameters.find(({ tag }) => tag === TAG_USER)?.value.toString('utf8') ?? '',
      withUser(user) {
        const name = Buffer.from(user)
        const fields = [deviceId, policyKey, deviceType].flatMap((field) => [Buffer.of(field.length), field])
        const rest = parameters.flatMap(({ tag, value }) => {
          const next = tag === TAG_USER ? name : value
          return [Buffer.of(tag, next.length), next]
        })
        return Buffer.concat([head, ...fields, ...rest]).toString('base64')
      },
    },
  }
}

/** In either alphabet, padded or not, with '+' read as a blank by somebody on the way, or with percent signs. */
function base64Bytes(query: string): Buffer | null {
  let text = query
  try {
    text = decodeURIComponent(query)
  } catch {
    return null
  }
  text = text.replaceAll(' ', '+').replaceAll('-', '+').replaceAll('_', '/')
  if (!/^[A-Za-z0-9+/]{8,2000}={0,2}$/.test(text)) return null
  return Buffer.from(text, 'base64')
}

/** An id that is text stays text; raw bytes become what the same client writes where it must write text. */
function deviceName(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  return /^[\x21-\x7e]+$/.test(text) ? inPaths(text.toLowerCase()) : bytes.toString('hex')
}

/**
 * An id that can stand in an address of the portal and of the API, so that whoever has to keep a device out can name it there:
 * one that would be a trick in a path (http/request.ts) is written like raw bytes.
 */
function inPaths(id: string): string {
  return /[/\\%;]|^\.\.?$/.test(id) ? Buffer.from(id).toString('hex') : id
}

function printable(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[^\x20-\x7e]/g, '?')
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  byte(): number | null {
    return this.#bytes[this.#at++] ?? null
  }

  take(count: number): Buffer | null {
    if (this.#at + count > this.#bytes.length) return null
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  /** A length in one byte, then as many. */
  field(): Buffer | null {
    const length = this.byte()
    return length === null ? null : this.take(length)
  }
}
