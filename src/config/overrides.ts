/**
 * Settings from the environment: SALLYPORT_REDIS__URL sets redis.url. Two underscores go one level down.
 *
 * Names are matched to keys without regard to case, since the environment has none. A name that fits no key is an error,
 * as an unknown key of the file is.
 */

import { parseConfigValue } from './document.ts'
import type { ConfigProblem } from './problems.ts'
import { ConfigError, keyText, nearest } from './problems.ts'
import type { Shape } from './shape.ts'
import { keysOf, member, shapesAt } from './shape.ts'

const PREFIX = 'SALLYPORT_'
/** Names with our prefix that mean something else: where the configuration is, and what the test runner tells its tests. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  'SALLYPORT_CONFIG',
  'SALLYPORT_REQUIRE_SERVICES',
  'SALLYPORT_TEST_SECRETS',
  'SALLYPORT_TEST_LOGS',
])

export interface Overridden {
  readonly value: unknown
  /** Key path (as `keyText` writes it) → the variable that set it. */
  readonly origins: ReadonlyMap<string, string>
  /** Names that fit no key, and values that can't be read. */
  readonly problems: readonly ConfigProblem[]
}

/** The document with the environment's settings laid over it; the document itself is not changed. */
export function applyOverrides(value: unknown, env: NodeJS.ProcessEnv, shape: () => Shape): Overridden {
  const origins = new Map<string, string>()
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && !NOT_SETTINGS.has(name))
  if (names.length === 0) return { value, origins, problems: [] }
  const root = shape()
  const result = structuredClone(value)
  const problems: ConfigProblem[] = []
  for (const name of names.sort()) {
    try {
      const path = pathOf(name, root, result)
      set(result, path, readValue(name, env[name] ?? '', shapesAt(root, path, result)), name)
      origins.set(keyText(path), name)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      problems.push(...error.problems)
    }
  }
  return { value: result, origins, problems }
}

function refuse(name: string, message: string): ConfigError {
  return new ConfigError([{ file: 'environment', line: null, key: name, message }])
}

/** The key path that a variable means. */
function pathOf(name: string, root: Shape, document: unknown): readonly PropertyKey[] {
  const path: PropertyKey[] = []
  let at = document
  for (const part of name.slice(PREFIX.length).split('__')) {
    const shapes = shapesAt(root, path, document)
    const key = keyOf(part, shapes, at)
    if (key === null) {
      const known = keysOf(shapes)
      const near = nearest(part.replaceAll('_', ''), known)
      const prefix = name.slice(0, name.length - partsFrom(name, path.length).length)
      throw refuse(
        name,
        near === null
          ? `fits no key${known.length === 0 ? '' : `; known here: ${known.join(', ')}`}`
          : `fits no key; did you mean ${prefix}${near.toUpperCase()} (${keyText([...path, near])})?`,
      )
    }
    path.push(key)
    at = member(at, key)
  }
  return path
}

/** What stands in a variable's name from level `level` on. */
function partsFrom(name: string, level: number): string {
  return name.slice(PREFIX.length).split('__').slice(level).join('__')
}

function keyOf(part: string, shapes: readonly Shape[], at: unknown): PropertyKey | null {
  const wanted = part.toLowerCase()
  if (wanted === '') return null
  const known = keysOf(shapes).find((key) => key.toLowerCase() === wanted)
  if (known !== undefined) return known
  if (/^\d{1,3}$/.test(part) && shapes.some((shape) => shape.items)) {
    const length = Array.isArray(at) ? at.length : 0
    return Number(part) <= length ? Number(part) : null
  }
  // Sections with names of the administrator's choice (upstreams, groups): an existing one, or a new one in lower case.
  if (!shapes.some((shape) => typeof shape.additionalProperties === 'object')) return null
  const named = wanted.replaceAll('_', '-')
  const existing = typeof at === 'object' && at !== null ? Object.keys(at) : []
  return existing.find((key) => key.toLowerCase().replaceAll('_', '-') === named) ?? named
}

/** Text stays text where only text may stand; everything else is read as YAML. */
function readValue(name: string, text: string, shapes: readonly Shape[]): unknown {
  if (shapes.length > 0 && shapes.every((shape) => shape.type === 'string')) return text
  const value = parseConfigValue(text, name)
  const types = new Set(shapes.map((shape) => shape.type))
  if (types.size === 1 && types.has('array') && !Array.isArray(value))
    throw refuse(name, 'must be a list: write it as [a, b]')
  if (
    types.size === 1 &&
    types.has('object') &&
    (typeof value !== 'object' || value === null || Array.isArray(value))
  ) {
    throw refuse(name, 'is a section: write it as {key: value}, or name one of its keys after two underscores')
  }
  return value
}

function set(document: unknown, path: readonly PropertyKey[], value: unknown, name: string): void {
  let at = document as Record<PropertyKey, unknown>
  for (const [index, part] of path.slice(0, -1).entries()) {
    const next = member(at, part)
    if (next === undefined || next === null) at[part] = typeof path[index + 1] === 'number' ? [] : {}
    else if (typeof next !== 'object')
      throw refuse(name, `goes below ${keyText(path.slice(0, index + 1))}, which is no section`)
    at = at[part] as Record<PropertyKey, unknown>
  }
  at[path.at(-1) ?? ''] = value
}
