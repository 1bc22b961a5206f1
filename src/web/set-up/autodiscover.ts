/**
 * Autodiscover as "plain old XML" (MS-OXDSCLI for Outlook, MS-ASCMD §2.2.1.1 for ActiveSync): the question and its answers (pure).
 *
 * What is posted comes from strangers. No DTD is taken, no entity replaced, no element looked at but the two that are asked
 * for, and nothing is fetched (threats G-7).
 */

import { XMLParser } from 'fast-xml-parser'
import type { PublishedPort, PublishedProtocol, PublishedSettings } from '../../contract/published.ts'
import { xmlElement } from '../../contract/xml.ts'

export type AutodiscoverSchema = 'outlook' | 'mobilesync'

export type AutodiscoverQuestion =
  | {
      readonly ok: true
      /** As posted, with blanks around it removed; '' when there is none. */
      readonly address: string
      /** null: one that we don't answer in. */
      readonly schema: AutodiscoverSchema | null
    }
  | { readonly ok: false; readonly why: 'doctype' | 'malformed' }

const SCHEMAS: Readonly<Record<string, AutodiscoverSchema>> = {
  'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a': 'outlook',
  'http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006': 'mobilesync',
}
const OUTLOOK_NAMESPACE = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'
const MOBILESYNC_NAMESPACE = 'http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006'
const NAMESPACE = 'http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006'
/** Autodiscover/Request/AcceptableResponseSchema and a few to spare. */
const MAX_DEPTH = 8

const parser = new XMLParser({
  processEntities: false,
  htmlEntities: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  maxNestedTags: MAX_DEPTH,
})

/**
 * Reads a posted question.
 *
 * @param body as it came, not more than the route lets through
 */
export function parseAutodiscover(body: string): AutodiscoverQuestion {
  // Before any parser sees it, wherever it stands: there is no document type that we would want to know. UTF-16 would hide
  // the word from this look, and is full of NULs.
  if (/<!\s*(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(body)) return { ok: false, why: 'doctype' }
  if (body.includes('\0')) return { ok: false, why: 'malformed' }
  let document: unknown
  try {
    document = parser.parse(body.replace(/^\ufeff/, ''), true)
  } catch {
    return { ok: false, why: 'malformed' } // the parser's words quote what was posted
  }
  const request = member(member(document, 'Autodiscover'), 'Request')
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return { ok: false, why: 'malformed' }
  const address = member(request, 'EMailAddress')
  const schema = member(request, 'AcceptableResponseSchema')
  return {
    ok: true,
    address: typeof address === 'string' ? address.trim() : '',
    schema:
      typeof schema === 'string' && Object.hasOwn(SCHEMAS, schema.trim()) ? (SCHEMAS[schema.trim()] ?? null) : null,
  }
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
}

/**
 * Outlook: mail servers of one domain. `address` is canonical. MS-OXDSCLI §2.2.4.
 *
 * Without a User: its DisplayName is the person's, and Outlook writes it into From over what that person has typed.
 */
export function outlookDocument({ host, ports }: PublishedSettings, address: string): string {
  const servers = (['imap', 'pop3', 'smtp'] as const).flatMap((protocol) =>
    ports[protocol].slice(0, 1).map((port) => outlookServer(protocol, port, host, address)),
  )
  return envelope(
    `<Response xmlns="${OUTLOOK_NAMESPACE}">`,
    '<Account>',
    xmlElement('AccountType', 'email'),
    xmlElement('Action', 'settings'),
    ...servers,
    '</Account>',
    '</Response>',
  )
}

const OUTLOOK_TYPES: Readonly<Record<PublishedProtocol, string>> = { imap: 'IMAP', pop3: 'POP3', smtp: 'SMTP' }

/** SSL is implicit TLS. UsePOPAuth: the same name and password as for the incoming server. Newer versions read Encryption, which knows STARTTLS ('TLS') as well. */
function outlookServer(protocol: PublishedProtocol, { port, tls }: PublishedPort, host: string, address: string) {
  return [
    '<Protocol>',
    xmlElement('Type', OUTLOOK_TYPES[protocol]),
    xmlElement('Server', host),
    xmlElement('Port', port),
    xmlElement('DomainRequired', 'off'),
    xmlElement('LoginName', address),
    xmlElement('SPA', 'off'),
    xmlElement('SSL', tls === 'implicit' ? 'on' : 'off'),
    xmlElement('Encryption', tls === 'implicit' ? 'SSL' : 'TLS'),
    xmlElement('AuthRequired', 'on'),
    ...(protocol === 'smtp' ? [xmlElement('UsePOPAuth', 'on'), xmlElement('SMTPLast', 'off')] : []),
    '</Protocol>',
  ].join('\n')
}

/** Phones: where ActiveSync is. `address` is canonical. No DisplayName (MS-ASCMD §2.2.3.47.1): that is the person's, whom nobody asked for here. */
export function mobileSyncDocument(activeSync: string, address: string): string {
  return envelope(
    `<Response xmlns="${MOBILESYNC_NAMESPACE}">`,
    xmlElement('Culture', 'en:us'),
    '<User>',
    xmlElement('EMailAddress', address),
    '</User>',
    '<Action>',
    '<Settings>',
    '<Server>',
    xmlElement('Type', 'MobileSync'),
    xmlElement('Url', activeSync),
    xmlElement('Name', activeSync),
    '</Server>',
    '</Settings>',
    '</Action>',
    '</Response>',
  )
}

/** MS-OXDSCLI §2.2.6: 500 no such address, 600 a request that makes no sense, 601 nobody here answers in that schema. */
const ERRORS = {
  500: 'The email address can’t be found.',
  600: 'Invalid Request',
  601: 'Provider is not available',
} as const
export type AutodiscoverError = keyof typeof ERRORS

/** @param now shown as a time of day, as Exchange does */
export function errorDocument(code: AutodiscoverError, now: Date): string {
  return envelope(
    '<Response>',
    `<Error Time="${now.toISOString().slice(11, 23)}" Id="0">`,
    xmlElement('ErrorCode', code),
    xmlElement('Message', ERRORS[code]),
    '<DebugData/>',
    '</Error>',
    '</Response>',
  )
}

function envelope(...lines: readonly string[]): string {
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    `<Autodiscover xmlns="${NAMESPACE}">`,
    ...lines,
    '</Autodiscover>',
    '',
  ].join('\n')
}
