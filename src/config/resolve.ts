/**
 * Puts what files hold in place of their names.
 *
 * By the key's name: `certFile` and `keyFile` stay paths (made absolute, and they must be readable); `caFile` and `chainFile`
 * become `ca` and `chain`, the PEM text; every other `…File` is a secret and becomes a `Secret` under the key without `File`.
 */

import { resolve } from 'node:path'
import { Secret } from '../secret.ts'
import { checkReadable, isWorldReadable, readCaFile, readSecretFile } from './files.ts'
import type { PathProblem } from './wording.ts'

type PathKey = 'certFile' | 'keyFile'
type NewKey<K> = K extends PathKey ? K : K extends `${infer Base}File` ? Base : K
type NewValue<K, T> = K extends PathKey
  ? T
  : K extends 'caFile' | 'chainFile'
    ? string | Extract<T, null>
    : K extends `${string}File`
      ? Secret | Extract<T, null>
      : Resolved<T>

/** A type of settings with the files read. */
export type Resolved<T> = T extends Secret | URL
  ? T
  : T extends readonly (infer E)[]
    ? readonly Resolved<E>[]
    : T extends object
      ? { readonly [K in keyof T as NewKey<K>]: NewValue<K, T[K]> }
      : T

const CERTIFICATES: ReadonlySet<string> = new Set(['caFile', 'chainFile'])
/** A service account's key and a key in PEM are documents; every other secret is one line. */
const DOCUMENTS: ReadonlySet<string> = new Set(['clientSecretFile', 'privateKeyFile'])

export interface ResolvedFiles<T> {
  readonly value: Resolved<T>
  readonly problems: readonly PathProblem[]
  readonly warnings: readonly PathProblem[]
}

/** Reads all files that `value` names; relative ones are looked for in `directory`. */
export async function resolveFiles<T>(value: T, directory: string): Promise<ResolvedFiles<T>> {
  const problems: PathProblem[] = []
  const warnings: PathProblem[] = []

  async function walk(node: unknown, path: readonly PropertyKey[]): Promise<unknown> {
    if (Array.isArray(node)) {
      const items: unknown[] = []
      for (const [index, item] of node.entries()) items.push(await walk(item, [...path, index]))
      return items
    }
    if (typeof node !== 'object' || node === null || node instanceof Secret || node instanceof URL) return node
    const result: Record<string, unknown> = {}
    for (const [key, child] of Object.entries(node)) {
      const at = [...path, key]
      if (key.endsWith('File') && (typeof child === 'string' || child === null)) {
        const [newKey, content] = await file(key, child, at)
        result[newKey] = content
      } else result[key] = await walk(child, at)
    }
    return result
  }

  async function file(key: string, name: string | null, path: readonly PropertyKey[]): Promise<[string, unknown]> {
    const isPath = key === 'certFile' || key === 'keyFile'
    const newKey = isPath ? key : key.slice(0, -'File'.length)
    if (name === null) return [newKey, null]
    const absolute = resolve(directory, name)
    if (isPath) {
      const found = await checkReadable(absolute)
      if (!found.ok) problems.push({ path, atKey: null, message: found.message, denied: found.denied })
      else if (key === 'keyFile' && (await isWorldReadable(absolute))) {
        const message = `names ${absolute}, a private key that everybody may read: chmod 0600 ${absolute}`
        warnings.push({ path, atKey: null, message })
      }
      return [newKey, absolute]
    }
    const read = CERTIFICATES.has(key)
      ? await readCaFile(absolute)
      : await readSecretFile(absolute, !DOCUMENTS.has(key))
    if (read.ok) {
      if (read.remark !== undefined) warnings.push({ path, atKey: null, message: read.remark })
      return [newKey, read.value]
    }
    problems.push({ path, atKey: null, message: read.message, denied: read.denied })
    return [newKey, null]
  }

  return { value: (await walk(value, [])) as Resolved<T>, problems, warnings }
}
