/**
 * IMAP as nobody should write it: lines and whole conversations, weighted towards what parsers stumble over.
 */

import { ENDS } from './fuzzer.ts'
import type { Random } from './random.ts'

const TAGS = ['a', '1', 'A0001', '*', '+', '', 'a+', ']', 'x'.repeat(64), 'x'.repeat(65), '{3}', '"', 'GET', 'é']
const NAMES = `LOGIN LOGIN LOGIN AUTHENTICATE AUTHENTICATE ID STARTTLS NOOP CAPABILITY LOGOUT SELECT ENABLE APPEND XYZZY
  login Authenticate constructor __proto__`.split(/\s+/)
const ATOMS = ['ann', 'ann@example.org', 'NIL', 'PLAIN', 'plain', 'LOGIN', 'XOAUTH2', '=', '*', 'x%y', 'a\\b', '']
const SEPARATORS = [' ', ' ', ' ', ' ', '  ', '', '\t', '\r', '\0', '\x01', '(', ')', '{', '}', '"']
const MARKERS = [
  '{0}',
  '{3}',
  '{3+}',
  '{0+}',
  '{8192}',
  '{8193}',
  '{4096+}',
  '{4097+}',
  '{99999999999999999999+}',
  '{-1}',
  '{}',
  '{+}',
  '{1 }',
  '~{3}',
]

export function word(random: Random): string {
  switch (random.below(8)) {
    case 0:
      return random.pick(MARKERS)
    case 1:
      return `"${random.text(4, () => random.pick([...ATOMS, '\\"', '\\\\', '\\', '"', ' ', '\xe9', '(']))}${random.oneIn(5) ? '' : '"'}`
    case 2:
      return random.bytes(8).toString('latin1')
    case 3:
      return random.bytes(20).toString('base64')
    case 4:
      return Buffer.from(`\0ann\0${random.text(3, () => random.pick(['pw', '\0', '\xff']))}`, 'latin1').toString(
        'base64',
      )
    default:
      return random.pick(ATOMS)
  }
}

/** One line of a client, with or without its end. */
export function commandText(random: Random): string {
  if (random.oneIn(12)) return random.bytes(40).toString('latin1') + random.pick(ENDS)
  if (random.oneIn(60)) return `${'x'.repeat(random.below(20_000))}\r\n`
  const words = random.text(4, () => random.pick(SEPARATORS) + word(random))
  const list = random.oneIn(6) ? ` (${random.text(5, () => `${word(random)} `)}${random.oneIn(3) ? '' : ')'}` : ''
  return `${random.pick(TAGS)} ${random.pick(NAMES)}${words}${list}${random.pick(ENDS)}`
}

const STATUS = ['OK', 'NO', 'BAD', 'BYE', 'PREAUTH', 'ok', 'CAPABILITY', '3 EXISTS', 'ID ("a" "b")', '']
const CODES = [
  '[CAPABILITY IMAP4rev1 IDLE]',
  '[AUTHENTICATIONFAILED]',
  '[LIMIT]',
  '[',
  '[]',
  '[ALERT',
  'IMAP4rev1 AUTH=PLAIN',
  '{3}',
  '\0',
]

/** One answer of a server; `tag` is the one it should use. */
export function responseText(random: Random, tag: string): string {
  if (random.oneIn(15)) return random.bytes(60).toString('latin1') + random.pick(ENDS)
  const first = random.pick([tag, tag, tag, tag, '*', '*', '+', 'x', ''])
  return `${first} ${random.pick(STATUS)} ${random.text(2, () => `${random.pick(CODES)} `)}text${random.pick(ENDS)}`
}
