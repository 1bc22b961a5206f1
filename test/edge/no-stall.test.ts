/**
 * Nothing that a stranger writes keeps the event loop busy (threat E7): every parser gets the texts that expressions with
 * backtracking and loops within loops dislike, as long as they can become, and is done with each within 20 ms of CPU.
 */

import t from 'tap'
import { placeOf } from '../../src/app/https-routing.ts'
import { canonicalDomain, canonicalName } from '../../src/contract/names.ts'
import { presented } from '../../src/edge/eas/credentials.ts'
import { parseEasQuery } from '../../src/edge/eas/query.ts'
import { requestHeaders } from '../../src/edge/http/headers.ts'
import { isRefusal, targetOf } from '../../src/edge/http/request.ts'
import * as imap from '../../src/edge/imap/parse.ts'
import { capabilityNames, parseResponse } from '../../src/edge/imap/responses.ts'
import { isForeign } from '../../src/edge/login/dialogue.ts'
import * as sasl from '../../src/edge/login/sasl.ts'
import { withoutSecret } from '../../src/edge/login/upstream-talk.ts'
import { parseProxyHeader } from '../../src/edge/net/proxy-header.ts'
import * as pop3 from '../../src/edge/pop3/parse.ts'
import * as smtp from '../../src/edge/smtp/parse.ts'
import { printable } from '../../src/log.ts'
import { normaliseAppPassword } from '../../src/records/app-password.ts'
import { Secret } from '../../src/secret.ts'
import { localPath } from '../../src/web/portal/paths.ts'
import { parseAutodiscover } from '../../src/web/set-up/autodiscover.ts'
import { cpuLimitMs, LIMIT_MS } from '../support/turn-limit.ts'
import { RULES } from './login/house.ts'

/** Of so many looks the quickest counts: garbage of others may be collected in one. */
const LOOKS = 5
const LINE = 12 * 1024
const BODY = 64 * 1024

const MASTER = {
  kind: 'password',
  authcid: 'ann*master',
  authzid: '',
  secret: new Secret('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'),
} as const
const octets = (text: string) => Buffer.from(text, 'latin1')
const head = (url: string, ...rawHeaders: string[]) => targetOf({ url, rawHeaders })

/** Each with the length of the longest text that it can be given. */
const parsers: Readonly<Record<string, readonly [number, (text: string) => unknown]>> = {
  'imap command': [LINE, (text) => imap.parseCommandLine(`a ${text}`)],
  'imap tag': [LINE, (text) => imap.parseCommandLine(text)],
  'imap literal marker': [LINE, (text) => imap.literalMarker(`${text}}`)],
  'imap LOGIN': [LINE, (text) => imap.parseLogin([text])],
  'imap LOGIN, quoted': [LINE, (text) => imap.parseLogin([`"${text}" x`])],
  'imap AUTHENTICATE': [LINE, (text) => imap.parseAuthenticate(text)],
  'imap ID': [LINE, (text) => imap.parseId([`(${text})`])],
  'imap agent': [LINE, (text) => imap.agentOf(new Map([['name', octets(text)]]))],
  'imap response': [LINE, (text) => [parseResponse(text), parseResponse(`* OK [${text}] x`), capabilityNames(text)]],
  'pop3 command': [LINE, (text) => [pop3.parseCommandLine(text), pop3.parseAuth(text), pop3.parseReply(`+OK ${text}`)]],
  'pop3 capabilities': [BODY, (text) => pop3.parseCapabilities(text.match(/.{1,500}/gs) ?? [])],
  'smtp command': [LINE, (text) => [smtp.parseCommandLine(text), smtp.parseAuth(text), smtp.agentOf(text)]],
  'smtp reply': [LINE, (text) => [smtp.parseReplyLine(`250 ${text}`), smtp.keywordsOf([text, text]), smtp.xtext(text)]],
  'smtp parameters': [LINE, (text) => smtp.parametersOf([`AUTH ${text}`], 'AUTH')],
  'SASL PLAIN': [LINE, (text) => sasl.decodePlain(octets(text))],
  'SASL XOAUTH2': [LINE, (text) => sasl.decodeXoauth2(octets(`user=${text}`))],
  'SASL OAUTHBEARER': [LINE, (text) => sasl.decodeOauthBearer(octets(`n,a=${text}`))],
  base64: [LINE, (text) => sasl.decodeInitialResponse(text)],
  'another language': [LINE, (text) => isForeign(text)],
  'what an upstream echoes': [8 * 1024, (text) => withoutSecret(text, MASTER)],
  'PROXY header': [
    8 * 1024,
    (text) => [parseProxyHeader(octets(text)), parseProxyHeader(octets(`PROXY TCP4 ${text}`))],
  ],
  name: [LINE, (text) => [canonicalName(text, RULES), canonicalName(`${text}@${text}`, RULES), canonicalDomain(text)]],
  'app password': [LINE, (text) => normaliseAppPassword(new Secret(text))],
  'HTTP target': [
    16 * 1024,
    (text) => {
      const target = head(`/${text}`, 'Host', 'x')
      return [head('/', 'Host', text), isRefusal(target) || placeOf(target, { serves: ['eas'], easHost: null })]
    },
  ],
  'HTTP headers': [16 * 1024, (text) => requestHeaders(['Connection', text, text, text], new Set())],
  'HTTP Basic': [
    16 * 1024,
    (text) => [presented(['Authorization', text], RULES), presented(['Authorization', `Basic ${text}`], RULES)],
  ],
  'ActiveSync query': [8 * 1024, (text) => [parseEasQuery(text), parseEasQuery(`Cmd=Sync&${text}`)]],
  next: [16 * 1024, (text) => [localPath(text), localPath(`/${text}`)]],
  'log text': [BODY, (text) => printable(text, BODY)],
  autodiscover: [BODY, (text) => parseAutodiscover(text)],
}

const pieces: readonly string[] = [
  ...[
    'a',
    'A',
    '0',
    ' ',
    '\t',
    '=',
    '+',
    '-',
    '.',
    '/',
    '%',
    '%2f',
    '&',
    '&a=',
    ';',
    ':',
    ',',
    '@',
    '*',
    '\\',
    '\\"',
    '"',
    "'",
  ],
  ...[
    '(',
    ')',
    '()',
    '{',
    '{1}',
    '{+',
    '[',
    ']',
    '<',
    '<a>',
    '</',
    '<!--',
    '<![CDATA[',
    '&amp;',
    '?',
    '#',
    '//',
    '../',
    '\x01',
    '\0',
  ],
  ...[
    '\x7f',
    '\u00ff',
    'a.',
    'a-',
    '-a',
    ' a',
    'a ',
    '1 ',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'Basic ',
    'PROXY ',
    'a=b\x01',
  ],
]

for (const [name, [length, parse]] of Object.entries(parsers)) {
  t.test(`E7: ${name}`, async (t) => {
    for (const piece of pieces) {
      const full = piece.repeat(Math.ceil(length / piece.length)).slice(0, length)
      // A last character that makes everything before it be looked at again.
      for (const text of [full, `${full.slice(1)}!`, `${full.slice(1)}\n`]) {
        let quickest = Number.POSITIVE_INFINITY
        for (let look = 0; look < LOOKS && quickest > LIMIT_MS; look++) {
          const begun = process.threadCpuUsage()
          parse(text)
          const { user, system } = process.threadCpuUsage(begun)
          quickest = Math.min(quickest, (user + system) / 1000)
        }
        const limitMs = cpuLimitMs(quickest)
        if (quickest > limitMs)
          t.fail(`${JSON.stringify(text.slice(0, 20))}…: ${quickest.toFixed(1)} ms of CPU (of ${limitMs.toFixed(0)})`)
      }
    }
    t.pass(`${pieces.length * 3} texts of ${length} characters`)
  })
}
