/**
 * Keys: everything keyed that this program does, derived from the master keys of the key file.
 *
 * One HKDF-SHA-256 subkey per purpose (RFC 5869), so that what one purpose gives away tells nothing about another. A row
 * carries the id of the key it was made with; several keys are in use while a rotation is under way, so reading tries the
 * row's own key and writing takes the active one. Reading and making the file itself is `key-file.ts`.
 */

import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'

/** Purposes with an HMAC-SHA-256 of their own. */
export const DIGEST_PURPOSES = [
  /** 16 bits of it find the row of an app password. */
  'selector',
  /** 128 bits of it recognise a deleted app password. */
  'tombstone',
  /** Key of a verified login in the cache. */
  'cache',
  /** How an unknown name appears in the log. */
  'log-names',
  /** Authenticates messages between nodes. */
  'bus',
  /** Sessions of the portal, one-time links and tokens of the API are stored as this. */
  'token',
  /** So are recovery codes. */
  'recovery-code',
  /** Names the throttle's counters in Redis. */
  'throttle',
  /** Chains the entries of the audit trail. */
  'audit',
  /** Proves that a store was made under this key. */
  'check',
] as const
export type DigestPurpose = (typeof DIGEST_PURPOSES)[number]

/** Purposes with an AES-256-GCM key of their own (`vault.ts`): what lasts, and what the login cache holds. */
export const SEAL_PURPOSES = ['seal', 'cache-seal'] as const
export type SealPurpose = (typeof SEAL_PURPOSES)[number]

export const MASTER_KEY_BYTES = 32
const KEY_ID = /^[a-z0-9][a-z0-9-]{0,31}$/

/** A master key as the key file holds it. */
export interface KeyMaterial {
  /** 1–32 characters of `[a-z0-9-]`. */
  readonly id: string
  readonly createdAt: Date
  /** 32 random bytes. */
  readonly master: Buffer
}

/** One key of the key file, as its subkeys. Prints as its id and age only. */
export class Key {
  readonly id: string
  readonly createdAt: Date
  readonly #digestKeys: ReadonlyMap<DigestPurpose, KeyObject>
  readonly #sealKeys: ReadonlyMap<SealPurpose, KeyObject>
  readonly #pepper: Buffer

  constructor({ id, createdAt, master }: KeyMaterial) {
    if (!KEY_ID.test(id)) throw new RangeError(`"${id}" can't be a key id`)
    if (master.length !== MASTER_KEY_BYTES) throw new RangeError(`key ${id} has ${master.length} bytes, not 32`)
    const subkey = (purpose: string) => Buffer.from(hkdfSync('sha256', master, '', `sallyport/1/${purpose}`, 32))
    this.id = id
    this.createdAt = createdAt
    // KeyObjects, because a key given as bytes is imported again at every call: 12 µs against 2.
    this.#digestKeys = new Map(DIGEST_PURPOSES.map((purpose) => [purpose, createSecretKey(subkey(purpose))]))
    this.#sealKeys = new Map(SEAL_PURPOSES.map((purpose) => [purpose, createSecretKey(subkey(purpose))]))
    this.#pepper = subkey('pepper')
  }

  /**
   * HMAC-SHA-256 over the parts, joined by NUL: 32 bytes. Only the last part may hold a NUL itself, so that two lists of
   * parts are never the same text.
   */
  hmac(purpose: DigestPurpose, ...parts: readonly string[]): Buffer {
    for (let i = 0; i < parts.length - 1; i++) {
      if (parts[i]?.includes('\0')) throw new RangeError(`part ${i} of a ${purpose} digest holds a NUL`)
    }
    return createHmac('sha256', this.#key(this.#digestKeys, purpose)).update(parts.join('\0'), 'utf8').digest()
  }

  /** The secret of argon2id: without it a stolen table of hashes can't be attacked. 32 bytes; do not write to it. */
  get pepper(): Buffer {
    return this.#pepper
  }

  /** An AES-256 key. For `vault.ts`. */
  cipherKey(purpose: SealPurpose): KeyObject {
    return this.#key(this.#sealKeys, purpose)
  }

  #key<P>(keys: ReadonlyMap<P, KeyObject>, purpose: P): KeyObject {
    const key = keys.get(purpose)
    if (!key) throw new RangeError(`no subkey for ${String(purpose)}`)
    return key
  }
}

/** The keys of one key file. */
export interface Keys {
  /** What new rows are made with. */
  readonly active: Key
  /** All of them, the active one first: candidates for a secret whose row is not known yet. */
  readonly all: readonly Key[]
  /** null: the key file has no such key (a row made under it is unreadable, not a reason to crash). */
  byId(id: string): Key | null
}

/** Keys from material: one of the ids is the active one. */
export function createKeys(activeId: string, material: readonly KeyMaterial[]): Keys {
  const byId = new Map(material.map((one) => [one.id, new Key(one)]))
  if (byId.size !== material.length) throw new RangeError('two keys with the same id')
  const active = byId.get(activeId)
  if (!active) throw new RangeError(`no key "${activeId}" to be the active one`)
  return {
    active,
    all: [active, ...[...byId.values()].filter((key) => key !== active)],
    byId: (id) => byId.get(id) ?? null,
  }
}

/** What the store keeps to recognise a key by: tells nothing about it. */
export function keyCheck(key: Key): string {
  return key.hmac('check', key.id).toString('base64url')
}
