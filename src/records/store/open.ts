/**
 * Opening the store that the configuration names.
 */

import type { Store } from './store.ts'

export interface OpenStoreOptions {
  /** File of the embedded store; made when it is not there. */
  readonly sqlite: string
}

/** @throws StoreError 'ERR_STORE_LOCKED' when a server has it open, 'ERR_STORE_SCHEMA', 'ERR_STORE_CORRUPT' */
export function openStore(_options: OpenStoreOptions): Promise<Store> {
  throw new Error('todo')
}
