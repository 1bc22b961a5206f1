/**
 * Opening the store that the configuration names.
 */

import { openSqlite } from './sqlite.ts'
import type { Store } from './store.ts'

export interface OpenStoreOptions {
  /** File of the embedded store; made when it is not there. */
  readonly sqlite: string
}

/**
 * Opens the store and brings its schema to this version.
 *
 * @throws StoreError 'ERR_STORE_LOCKED' when a server has it open, 'ERR_STORE_SCHEMA', 'ERR_STORE_CORRUPT'
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  return await openSqlite({ file: options.sqlite })
}
