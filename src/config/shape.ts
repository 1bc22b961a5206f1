/**
 * The declaration as JSON Schema, and finding one's way in it: which keys may stand at a path, and of what kind a value is.
 */

import { z } from 'zod'
import { settings } from './schema.ts'

/** The part of JSON Schema 2020-12 that the declaration produces, and our own word `unit`. */
export interface Shape {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Shape | boolean
  readonly propertyNames?: Shape
  readonly items?: Shape
  readonly oneOf?: readonly Shape[]
  readonly anyOf?: readonly Shape[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly description?: string
  readonly unit?: 'duration' | 'size'
  readonly minimum?: number
  readonly maximum?: number
}

/** The JSON Schema of the file as an administrator writes it. */
export function jsonSchema(): Shape {
  return z.toJSONSchema(settings, { io: 'input', override: ({ jsonSchema: shape }) => tidy(shape) }) as Shape
}

/** Our `example` becomes the standard's `examples`, which zod takes for values after parsing and leaves out. */
function tidy(shape: Record<string, unknown>): void {
  if (shape.example === undefined) return
  shape.examples = [shape.example]
  delete shape.example
}

/** What a value means: said of the whole, or of its only form. */
export function meaning(shape: Shape): string {
  return shape.description ?? alternatives(shape)[0]?.description ?? ''
}

/** A shape without its alternatives: each of oneOf and anyOf, 'null' left out. */
export function alternatives(shape: Shape): readonly Shape[] {
  const choices = shape.oneOf ?? shape.anyOf
  if (choices === undefined) return shape.type === 'null' ? [] : [shape]
  return choices.flatMap(alternatives)
}

/** The alternatives that a value can mean: those whose fixed keys (protocol, method) it has; all when it fits none. */
export function fitting(shape: Shape, value: unknown): readonly Shape[] {
  const all = alternatives(shape)
  const fit = all.filter((choice) =>
    Object.entries(choice.properties ?? {}).every(
      ([key, property]) => property.const === undefined || property.const === member(value, key),
    ),
  )
  return fit.length > 0 ? fit : all
}

/** `value[key]` of whatever value is. */
export function member(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<PropertyKey, unknown>)[key]
    : undefined
}

/** The value at a path, undefined when there is none. */
export function memberAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(member, value)
}

/** The shapes that may stand at `path` of the document `value`; empty when nothing may. */
export function shapesAt(root: Shape, path: readonly PropertyKey[], value: unknown): readonly Shape[] {
  let shapes = fitting(root, value)
  let at = value
  for (const part of path) {
    at = member(at, part)
    const here = at
    shapes = shapes.flatMap((shape) => {
      const next =
        typeof part === 'number'
          ? shape.items
          : shape.properties && Object.hasOwn(shape.properties, part)
            ? shape.properties[String(part)]
            : shape.additionalProperties
      return typeof next === 'object' ? fitting(next, here) : []
    })
  }
  return shapes
}

/** Names of the keys that may stand in a section. */
export function keysOf(shapes: readonly Shape[]): readonly string[] {
  return [...new Set(shapes.flatMap((shape) => Object.keys(shape.properties ?? {})))]
}
