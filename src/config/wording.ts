/**
 * What the declaration objects to, in words: zod's issues become problems with place, key and advice.
 */

import type { z } from 'zod'
import { keyText, nearest, shownKey } from './problems.ts'
import type { Shape } from './shape.ts'
import { alternatives, keysOf, memberAt, shapesAt } from './shape.ts'
import { list } from './units.ts'

/** A problem whose place is still a path. `atKey`: the name of a key of the section at `path` is what is wrong. */
export interface PathProblem {
  readonly path: readonly PropertyKey[]
  readonly atKey: string | null
  readonly message: string
  /** The operating system does not let this user read a file. */
  readonly denied?: boolean
}

type Issue = z.core.$ZodIssue

/** One problem per thing to repair. `value` is the document that was checked. */
export function wordIssue(issue: Issue, root: () => Shape, value: unknown): readonly PathProblem[] {
  const { path } = issue
  const plain = (message: string): readonly PathProblem[] => [{ path, atKey: null, message }]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path,
        atKey: key,
        message: unknownKey(key, keysOf(shapesAt(root(), path, value))),
      }))
    case 'invalid_key': {
      // The name of an entry (an upstream, a group): the path ends in it.
      const key = String(path.at(-1) ?? '')
      return [{ path: path.slice(0, -1), atKey: key, message: issue.issues[0]?.message ?? 'is no valid name' }]
    }
    default: {
      if (memberAt(value, path) !== undefined || issue.code === 'custom') return plain(issue.message)
      const key = misspelt(root(), path, value)
      if (key === null) return plain(missing(root(), path, value))
      return [{ path: path.slice(0, -1), atKey: key, message: unknownKey(key, [String(path.at(-1))]) }]
    }
  }
}

function missing(root: Shape, path: readonly PropertyKey[], value: unknown): string {
  const key = String(path.at(-1))
  const sections = shapesAt(root, path.slice(0, -1), value)
  const declared = sections.map((each) => each.properties?.[key]).filter((each) => each !== undefined)
  const meant = declared.length > 0 ? declared : shapesAt(root, path, value).slice(0, 1)
  const [described] = meant
  if (described === undefined) return 'is missing'
  const choices = meant
    .flatMap(alternatives)
    .flatMap((each) => each.enum ?? (each.const === undefined ? [] : [each.const]))
  const example = described.examples?.[0]
  const hint =
    choices.length > 0
      ? `: ${list([...new Set(choices.map(String))])}`
      : `${described.description ? `: ${described.description}` : ''}${example === undefined ? '' : `; for example ${JSON.stringify(example)}`}`
  return `is missing${hint}`
}

/** The key that is written where `path` is missing and means it; null: none is. */
function misspelt(root: Shape, path: readonly PropertyKey[], value: unknown): string | null {
  const sections = shapesAt(root, path.slice(0, -1), value)
  const section = memberAt(value, path.slice(0, -1))
  // In a section of one kind its other keys are looked at anyway; where the key says which kind, nobody does without it.
  if (sections.length < 2 || typeof section !== 'object' || section === null) return null
  const unknown = Object.keys(section).filter((key) => !keysOf(sections).includes(key) && shownKey(key) === key)
  return unknown.find((key) => nearest(key, [String(path.at(-1))]) !== null) ?? null
}

function unknownKey(key: string, known: readonly string[]): string {
  if (shownKey(key) !== key) return key.includes(':') ? 'is not a key: write a blank after its colon' : 'is not a key'
  const secretFile = `${key}File`
  if (known.includes(secretFile)) {
    return `is not a key: write the value to a file of its own (chmod 0600) and name it with ${secretFile}`
  }
  const near = nearest(key, known)
  if (near !== null) return `is not a key; did you mean ${near}?`
  return known.length === 0 ? 'is not a key' : `is not a key; known here: ${known.join(', ')}`
}

/** The dotted key of a problem. */
export function problemKey({ path, atKey }: PathProblem): string {
  return keyText(atKey === null ? path : [...path, atKey])
}
