/**
 * The configuration file as text: YAML 1.2 in, plain values and the line of every key out.
 *
 * Duplicate keys, unknown tags, several documents and alias bombs are refused. The parser's own messages quote the text
 * they stumble over, so only its error codes are used here.
 */

import type { Document, YAMLError } from 'yaml'
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { ConfigProblem } from './problems.ts'
import { ConfigError } from './problems.ts'

/** Nobody's configuration is this long; a file that is was given by mistake. */
export const MAX_FILE_BYTES = 1024 * 1024
/** How many nodes the aliases of a file may expand to, per alias (the package's own guard against exponential growth). */
const MAX_ALIAS_COUNT = 100
/** Faults of syntax that are reported. */
const MAX_FAULTS = 5

export interface ConfigDocument {
  readonly file: string
  /** Plain objects, arrays, strings, numbers, booleans and nulls; null for an empty file. */
  readonly value: unknown
  /** 1-based line of the value at a path; of the nearest thing around it when there is none. null for an empty file. */
  lineOf(path: readonly PropertyKey[]): number | null
  /** 1-based line of a key in the section at `path`. */
  lineOfKey(path: readonly PropertyKey[], key: string): number | null
}

/** @throws ConfigError with every fault of the text */
export function parseConfigDocument(text: string, file: string): ConfigDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    stringKeys: true,
    merge: false,
    // Its warnings go to standard error and quote the text.
    logLevel: 'error',
  })
  const problems = firstFaults([...document.errors, ...document.warnings], file, lines)
  if (problems.length > 0) throw new ConfigError(problems)
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIAS_COUNT })
  } catch (error) {
    // The package throws a plain ReferenceError for an alias without anchor and for too many of them.
    if (!(error instanceof ReferenceError)) throw error
    throw new ConfigError([
      {
        file,
        line: null,
        key: '',
        message: 'uses aliases (*name) that lead nowhere or grow too big: write the values out',
      },
    ])
  }
  const lineAt = (offset: number | undefined) => (offset === undefined ? null : lines.linePos(offset).line)
  return {
    file,
    value,
    lineOf: (path) => lineAt(offsetOf(document, path)),
    lineOfKey: (path, key) => lineAt(offsetOf(document, [...path, key], true)),
  }
}

/** One YAML value from an environment variable: a list, a section, a number. Throws ConfigError with line null. */
export function parseConfigValue(text: string, name: string): unknown {
  try {
    return parseConfigDocument(text, 'environment').value
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError([
      { file: 'environment', line: null, key: name, message: 'is not a value in YAML or JSON: write a list as [a, b]' },
    ])
  }
}

/** Where the value (or its key) at a path begins; the nearest key around it when there is no such value. */
function offsetOf(document: Document, path: readonly PropertyKey[], wantKey = false): number | undefined {
  let node: unknown = document.contents
  let offset = isNode(node) ? node.range?.[0] : undefined
  for (const [index, part] of path.entries()) {
    if (isSeq(node)) {
      node = node.items[Number(part)]
    } else if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
      )
      if (pair === undefined) return offset
      // The key is where an administrator looks, even when the value begins on the next line.
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
      if (wantKey && index === path.length - 1) return offset
      continue
    } else return offset
    if (isNode(node)) offset = node.range?.[0] ?? offset
  }
  return offset
}

/** What follows a fault of syntax is mostly its echo: one problem per line, and a few lines only. */
function firstFaults(errors: readonly YAMLError[], file: string, lines: LineCounter): readonly ConfigProblem[] {
  const problems = new Map<number, ConfigProblem>()
  for (const error of errors) {
    const { line } = lines.linePos(error.pos[0])
    if (problems.has(line) || problems.size >= MAX_FAULTS) continue
    problems.set(line, { file, line, key: '', message: wording(error) })
  }
  return [...problems.values()]
}

function wording(error: YAMLError): string {
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return 'the same key stands twice in one section: keep one of them'
    case 'NON_STRING_KEY':
      return 'a key must be a plain word: a quote or a bracket may be missing'
    case 'TAB_AS_INDENT':
      return 'a tab is used to indent: YAML wants blanks'
    case 'BAD_INDENT':
      return 'the indentation does not fit the lines above, or a bracket or quote above is missing'
    case 'MULTILINE_IMPLICIT_KEY':
    case 'BLOCK_IN_FLOW':
      return 'this is no YAML here: a colon, a quote or a bracket may be missing above'
    case 'MISSING_CHAR':
      return 'a closing quote, a bracket or a comma is missing'
    case 'MULTIPLE_DOCS':
      return 'the file holds several documents (---): it must be one'
    case 'BAD_ALIAS':
      return 'a value beginning with * or & must stand in quotes'
    case 'TAG_RESOLVE_FAILED':
      return 'a value beginning with ! must stand in quotes'
    case 'BAD_DQ_ESCAPE':
      return 'a backslash in double quotes begins an escape: use single quotes'
    case 'UNEXPECTED_TOKEN':
    case 'BAD_SCALAR_START':
      return 'something is not expected here: a value with special characters must stand in quotes'
    default:
      return 'this is no valid YAML'
  }
}
