/**
 * The key file: the master keys, 0600, apart from the store and from every backup.
 *
 * Made once, for an empty store. From then on store and file belong together: the store holds a check value per key id,
 * and a file that is missing or is another one is refused, because going on would make every hash and every stored secret
 * unreadable and new rows unreadable for the right file.
 */

import type { Keys } from './keys.ts'
import type { Store } from './store/store.ts'

export type KeyErrorCode =
  | 'ERR_KEYS_MISSING'
  /** Others than the owner may read it. */
  | 'ERR_KEYS_MODE'
  /** Not a regular file, somebody else's, or not what a key file looks like. */
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

/**
 * Reads the key file and proves that it belongs to the store; makes one when the store is empty and there is none.
 *
 * @throws KeyError
 */
export function openKeys(_options: {
  readonly file: string
  readonly store: Store
  readonly now?: () => Date
}): Promise<Keys> {
  throw new Error('todo')
}
