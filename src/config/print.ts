/**
 * The configuration printed: what is in effect, the JSON Schema for editors, the reference, the commented sample.
 */

import { stringify } from 'yaml'
import type { Config, LoadedConfig } from '../config.ts'
import type { Shape } from './shape.ts'
import { fitting, jsonSchema, member } from './shape.ts'

/** The JSON Schema as a file. */
export function schemaText(): string {
  const { $schema, ...rest } = jsonSchema() as Shape & { readonly $schema?: string }
  const head = { $schema, title: 'sallyport.yaml', description: 'Configuration of sallyport' }
  return `${JSON.stringify({ ...head, ...rest }, null, 2)}\n`
}

/**
 * What is in effect, in the words of the file: what was written, defaults filled in, what follows from other settings made
 * plain. Secrets are in it by the names of their files only.
 */
export function effectiveConfig({ config, written }: Pick<LoadedConfig, 'config' | 'written'>): unknown {
  return { ...(withDefaults(jsonSchema(), written) as object), ...computed(config) }
}

export function effectiveText(loaded: Pick<LoadedConfig, 'config' | 'written'>): string {
  return stringify(effectiveConfig(loaded), { lineWidth: 0 })
}

function computed(config: Config): object {
  return {
    dataDirectory: config.dataDirectory,
    runtimeDirectory: config.runtimeDirectory,
    keys: config.keys,
    ...('sqlite' in config.store ? { store: config.store } : {}),
    routes: config.routes.map(({ domain, users, upstream }) =>
      domain === null ? { users, upstream } : { domain, upstream },
    ),
  }
}

/** Nulls are left out: they say that something is not there. */
function withDefaults(shape: Shape, value: unknown): unknown {
  const [fit] = fitting(shape, value)
  if (Array.isArray(value)) return value.map((item) => (fit?.items ? withDefaults(fit.items, item) : item))
  if (typeof value !== 'object' || value === null) return value
  const keys = new Set([...Object.keys(fit?.properties ?? {}), ...Object.keys(value)])
  const result: Record<string, unknown> = {}
  for (const key of keys) {
    const property =
      fit?.properties?.[key] ?? (typeof fit?.additionalProperties === 'object' ? fit.additionalProperties : {})
    const child = member(value, key) ?? property.default ?? null
    if (child !== null) result[key] = withDefaults(property, child)
  }
  return result
}
