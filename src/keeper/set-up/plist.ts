/**
 * Property lists as XML, as Apple's devices read them (pure). The values are the few kinds that profiles have.
 */

import { xmlElement, xmlText } from '../../contract/xml.ts'

export type PlistValue = string | number | boolean | readonly PlistValue[] | PlistDictionary
export interface PlistDictionary {
  /** undefined: not there. */
  readonly [key: string]: PlistValue | undefined
}

export function plist(root: PlistDictionary): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    element(root),
    '</plist>',
    '',
  ].join('\n')
}

function element(value: PlistValue): string {
  switch (typeof value) {
    case 'string':
      return xmlElement('string', value)
    case 'boolean':
      return value ? '<true/>' : '<false/>'
    case 'number':
      if (!Number.isSafeInteger(value)) throw new TypeError(`${value} is no integer`)
      return xmlElement('integer', value)
    default:
      return isList(value) ? block('array', value.map(element)) : block('dict', entries(value))
  }
}

function isList(value: readonly PlistValue[] | PlistDictionary): value is readonly PlistValue[] {
  return Array.isArray(value)
}

function entries(dictionary: PlistDictionary): readonly string[] {
  return Object.entries(dictionary).flatMap(([key, value]) =>
    value === undefined ? [] : [`<key>${xmlText(key)}</key>`, element(value)],
  )
}

function block(name: string, lines: readonly string[]): string {
  return [`<${name}>`, ...lines, `</${name}>`].join('\n')
}
