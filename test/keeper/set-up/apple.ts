/**
 * What Apple documents about the payloads that we make (developer.apple.com, Device Management): keys, types, which of them
 * must be there, and the values that are allowed. And a reader for property lists, so that what is checked is the document.
 */

import { XMLParser, XMLValidator } from 'fast-xml-parser'

export type Plain = string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain }

interface KeyRule {
  readonly type: 'string' | 'integer' | 'boolean' | 'array'
  readonly required?: true
  readonly values?: readonly (string | number)[]
  readonly format?: RegExp
}
type Rules = Readonly<Record<string, KeyRule>>

const UUID = /^[0-9A-Za-z]{8}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{12}$/
const optional = (type: KeyRule['type']): KeyRule => ({ type })
const required = (type: KeyRule['type'], more: Partial<KeyRule> = {}): KeyRule => ({ type, required: true, ...more })

const COMMON: Rules = {
  PayloadIdentifier: required('string'),
  PayloadUUID: required('string', { format: UUID }),
  PayloadType: required('string'),
  PayloadVersion: required('integer', { values: [1] }),
  PayloadDescription: optional('string'),
  PayloadDisplayName: optional('string'),
  PayloadOrganization: optional('string'),
}
const AUTHENTICATION = ['EmailAuthNone', 'EmailAuthPassword', 'EmailAuthCRAMMD5', 'EmailAuthNTLM', 'EmailAuthHTTPMD5']

const TOP: Rules = {
  ...COMMON,
  PayloadType: required('string', { values: ['Configuration'] }),
  PayloadContent: required('array'),
  PayloadRemovalDisallowed: optional('boolean'),
}

/** Only the keys that a profile of ours has any use for; another one is a mistake. */
const PAYLOADS: Readonly<Record<string, Rules>> = {
  'com.apple.mail.managed': {
    ...COMMON,
    EmailAccountDescription: optional('string'),
    EmailAccountName: optional('string'),
    EmailAccountType: required('string', { values: ['EmailTypeIMAP', 'EmailTypePOP'] }),
    EmailAddress: optional('string'),
    IncomingMailServerAuthentication: required('string', { values: AUTHENTICATION }),
    IncomingMailServerHostName: required('string'),
    IncomingMailServerPortNumber: optional('integer'),
    IncomingMailServerUseSSL: optional('boolean'),
    IncomingMailServerUsername: optional('string'),
    IncomingPassword: optional('string'),
    OutgoingMailServerAuthentication: required('string', { values: AUTHENTICATION }),
    OutgoingMailServerHostName: required('string'),
    OutgoingMailServerPortNumber: optional('integer'),
    OutgoingMailServerUseSSL: optional('boolean'),
    OutgoingMailServerUsername: optional('string'),
    OutgoingPassword: optional('string'),
    OutgoingPasswordSameAsIncomingPassword: optional('boolean'),
  },
  'com.apple.eas.account': {
    ...COMMON,
    EmailAddress: optional('string'),
    Host: optional('string'),
    SSL: optional('boolean'),
    UserName: optional('string'),
    Password: optional('string'),
  },
}

/** What Apple would object to; empty for a good profile. */
export function objections(profile: Plain): readonly string[] {
  const found = [...against(profile, TOP, 'profile')]
  const content = at(profile, 'PayloadContent')
  if (!Array.isArray(content) || content.length === 0) return [...found, 'profile: no payload']
  const identifiers = [at(profile, 'PayloadIdentifier')]
  const uuids = [at(profile, 'PayloadUUID')]
  for (const payload of content as readonly Plain[]) {
    const type = String(at(payload, 'PayloadType'))
    const rules = PAYLOADS[type]
    if (rules === undefined) found.push(`${type}: not a payload that we make`)
    else found.push(...against(payload, rules, type))
    identifiers.push(at(payload, 'PayloadIdentifier'))
    uuids.push(at(payload, 'PayloadUUID'))
  }
  if (new Set(identifiers).size < identifiers.length) found.push('an identifier stands twice')
  if (new Set(uuids).size < uuids.length) found.push('a UUID stands twice')
  return found
}

function against(value: Plain, rules: Rules, where: string): readonly string[] {
  if (typeof value !== 'object' || Array.isArray(value)) return [`${where}: no dictionary`]
  const missing = Object.entries(rules)
    .filter(([key, rule]) => rule.required && at(value, key) === undefined)
    .map(([key]) => `${where}: ${key} is missing`)
  const wrong = Object.entries(value).flatMap(([key, given]) => {
    const rule = rules[key]
    if (rule === undefined) return [`${where}: ${key} is not documented`]
    const type = Array.isArray(given) ? 'array' : typeof given === 'number' ? 'integer' : typeof given
    if (type !== rule.type) return [`${where}: ${key} is ${type}, not ${rule.type}`]
    if (rule.values && !rule.values.includes(given as string)) return [`${where}: ${key} may not be ${String(given)}`]
    if (rule.format && !rule.format.test(String(given))) return [`${where}: ${key} has a wrong form`]
    return []
  })
  return [...missing, ...wrong]
}

export function at(value: Plain | undefined, key: string): Plain | undefined {
  return typeof value === 'object' && Object.hasOwn(value, key) ? (value as Record<string, Plain>)[key] : undefined
}

const parser = new XMLParser({ preserveOrder: true, parseTagValue: false, trimValues: false, ignoreDeclaration: true })
type Node = Readonly<Record<string, unknown>>

/** Reads a property list. @throws Error for what is none */
export function parsePlist(text: string): Plain {
  const valid = XMLValidator.validate(text)
  if (valid !== true) throw new Error(`not XML: ${valid.err.msg}`)
  const root = (parser.parse(text) as Node[]).find((node) => 'plist' in node)
  const [value] = elements(root?.plist)
  if (value === undefined) throw new Error('an empty property list')
  return valueOfNode(value)
}

const elements = (nodes: unknown): Node[] => ((nodes ?? []) as Node[]).filter((node) => !('#text' in node))
const textOf = (nodes: unknown): string => ((nodes ?? []) as Node[]).map((node) => String(node['#text'] ?? '')).join('')

function valueOfNode(node: Node): Plain {
  const name = Object.keys(node).find((key) => key !== ':@') ?? ''
  const content = node[name]
  switch (name) {
    case 'string':
      return textOf(content)
    case 'integer':
      return Number(textOf(content))
    case 'true':
    case 'false':
      return name === 'true'
    case 'array':
      return elements(content).map(valueOfNode)
    case 'dict': {
      const parts = elements(content)
      const pairs: [string, Plain][] = []
      for (let i = 0; i < parts.length; i += 2) {
        const [key, value] = [parts[i], parts[i + 1]]
        if (key === undefined || !('key' in key) || value === undefined) throw new Error('a dict of keys and values')
        pairs.push([textOf(key.key), valueOfNode(value)])
      }
      return Object.fromEntries(pairs)
    }
    default:
      throw new Error(`<${name}> in a property list`)
  }
}
