/**
 * The key file: the master keys, 0600, apart from the store and from every backup.
 *
 * Made once, for an empty store. From then on store and file belong together: the store holds a check value per key id,
 * and a file that is missing or is another one is refused, because going on would make every hash and every stored secret
 * unreadable, and what is new unreadable for the right file.
 */

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { KeyMaterial, Keys } from './keys.ts'
import { createKeys, keyCheck, MASTER_KEY_BYTES } from './keys.ts'
import type { Store } from './store/store.ts'

export type KeyErrorCode =
  | 'ERR_KEYS_MISSING'
  /** Others than the owner may read it. */
  | 'ERR_KEYS_MODE'
  /** Not a regular file, somebody else's, not to be read or written, or not what a key file looks like. */
  | 'ERR_KEYS_FILE'
  /** The store was made under other keys. */
  | 'ERR_KEYS_MISMATCH'

/** The keys can't be used; the message says what to do. Exit code 78. */
export class KeyError extends Error {
  readonly code: KeyErrorCode
  constructor(code: KeyErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'KeyError'
    this.code = code
  }
}

/** A file that holds more than this is something else. */
const MAX_FILE_BYTES = 64 * 1024

const schema = z.strictObject({
  format: z.literal(1),
  active: z.string(),
  keys: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
        createdAt: z.iso.datetime(),
        key: z.base64(),
      }),
    )
    .min(1)
    .max(64),
})

/**
 * Reads the key file and proves that it belongs to the store; makes one when the store is empty and there is none.
 *
 * @throws KeyError
 */
export async function openKeys(options: {
  readonly file: string
  readonly store: Store
  readonly now?: () => Date
}): Promise<Keys> {
  const { file, store } = options
  const checks = await store.keyChecks()
  let keys = readKeyFile(file)
  if (!keys) {
    if (checks.size > 0 || !(await isEmpty(store))) {
      throw new KeyError(
        'ERR_KEYS_MISSING',
        `the key file ${file} is not there, and the store was made with one (key ${[...checks.keys()].join(', ') || 'unknown'}): ` +
          'put it back from where you keep it, or set keys.file to where it is; a new one could not read the store',
      )
    }
    keys = makeKeyFile(file, options.now?.() ?? new Date())
  }
  if (checks.size === 0 && !(await isEmpty(store))) {
    throw new KeyError(
      'ERR_KEYS_MISMATCH',
      `the store holds users, but nothing that tells which keys it was made with, so ${file} can't be trusted with it: ` +
        'restore a backup of the store',
    )
  }
  verifyKeys(keys, checks, file)
  for (const key of keys.all) {
    if (!checks.has(key.id)) await store.putKeyCheck(key.id, keyCheck(key))
  }
  return keys
}

/**
 * Proves that every key a store was made with is here and is the same.
 *
 * @param checks `Store.keyChecks`
 * @param file for the message
 * @throws KeyError 'ERR_KEYS_MISMATCH'
 */
export function verifyKeys(keys: Keys, checks: ReadonlyMap<string, string>, file: string): void {
  for (const [id, check] of checks) {
    const key = keys.byId(id)
    if (key && keyCheck(key) === check) continue
    throw new KeyError(
      'ERR_KEYS_MISMATCH',
      key
        ? `key ${id} in ${file} is not the key ${id} that the store was made with: use the key file that belongs to this store`
        : `the store was made with key ${id}, which ${file} does not hold: use the key file that belongs to this store`,
    )
  }
}

async function isEmpty(store: Store): Promise<boolean> {
  return (await store.listUsers({ after: null, limit: 1 })).length === 0 && (await store.keyUse()).size === 0
}

/** The keys of a key file, held against no store; null when there is no such file. @throws KeyError */
export function readKeyFile(file: string): Keys | null {
  let descriptor: number
  try {
    // Non-blocking, so that a pipe in its place can't hold us up before it is looked at.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null
    throw new KeyError('ERR_KEYS_FILE', `can't read the key file ${file}: ${messageOf(error)}`, { cause: error })
  }
  try {
    // What was opened is looked at, not what the name leads to a moment later.
    const found = fstatSync(descriptor)
    if (!found.isFile()) throw new KeyError('ERR_KEYS_FILE', `the key file ${file} is not a regular file`)
    const us = process.geteuid?.() ?? found.uid
    if (found.uid !== us) {
      // Root at a shell, most likely, with the service stopped: whoever took the file from the service would break it.
      throw new KeyError(
        'ERR_KEYS_FILE',
        `the key file ${file} belongs to user ${found.uid}, and this runs as user ${us}; run this as that user (sudo -u '#${found.uid}' …), or where the file is wrong: chown ${us} ${file}`,
      )
    }
    if ((found.mode & 0o077) !== 0) {
      const mode = (found.mode & 0o777).toString(8)
      throw new KeyError('ERR_KEYS_MODE', `the key file ${file} has mode ${mode}; run: chmod 600 ${file}`)
    }
    if (found.size > MAX_FILE_BYTES) throw new KeyError('ERR_KEYS_FILE', `${file} is too long for a key file`)
    return parseKeyFile(readFileSync(descriptor, 'utf8'), file)
  } finally {
    closeSync(descriptor)
  }
}

/** Errors say where, never what: the text is all secret. */
function parseKeyFile(text: string, file: string): Keys {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new KeyError('ERR_KEYS_FILE', `${file} is not a key file: not JSON; put it back from where you keep it`)
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') || 'the top level'
    throw new KeyError(
      'ERR_KEYS_FILE',
      `${file} is not a key file: wrong at ${where}; put it back from where you keep it`,
    )
  }
  const material: KeyMaterial[] = parsed.data.keys.map(({ id, createdAt, key }) => ({
    id,
    createdAt: new Date(createdAt),
    master: Buffer.from(key, 'base64'),
  }))
  const short = material.find(({ master }) => master.length !== MASTER_KEY_BYTES)
  if (short) throw new KeyError('ERR_KEYS_FILE', `key ${short.id} in ${file} does not have 32 bytes`)
  if (
    new Set(material.map(({ id }) => id)).size !== material.length ||
    !material.some(({ id }) => id === parsed.data.active)
  ) {
    throw new KeyError('ERR_KEYS_FILE', `${file}: an id stands there twice, or the active key is not among the keys`)
  }
  const keys = createKeys(parsed.data.active, material)
  for (const { master } of material) master.fill(0)
  return keys
}

/** A file with one new key. It appears whole or not at all. @throws KeyError */
function makeKeyFile(file: string, now: Date): Keys {
  const id = `k${randomBytes(4).toString('hex')}`
  const key = randomBytes(MASTER_KEY_BYTES).toString('base64')
  const content = { format: 1, active: id, keys: [{ id, createdAt: now.toISOString(), key }] }
  const text = `${JSON.stringify(content, null, 2)}\n`
  const partial = `${file}.partial-${randomBytes(6).toString('hex')}`
  try {
    const descriptor = openSync(partial, 'wx', 0o600)
    try {
      writeSync(descriptor, text)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    // A link, since renaming would write over a file that somebody else has made meanwhile.
    linkSync(partial, file)
    const directory = openSync(dirname(file), 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  } catch (error) {
    throw new KeyError('ERR_KEYS_FILE', `can't make the key file ${file}: ${messageOf(error)}`, { cause: error })
  } finally {
    rmSync(partial, { force: true })
  }
  return parseKeyFile(text, file)
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
