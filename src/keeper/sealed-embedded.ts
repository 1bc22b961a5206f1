/**
 * Level 2 of the login cache on a single node: a table of the embedded store.
 */

import type { Store } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { SealedLogins } from './cache.ts'

/** A store that fails here fails the login in its next read, where it is told; for the cache it is only a miss. */
async function orNothing<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof StoreError) return null
    throw error
  }
}

export function createEmbeddedLogins(store: Store, clock: () => Date): SealedLogins {
  return {
    get: (key) => orNothing(() => store.cachedLogin(key, clock())),
    async put(key, value, ttlMs) {
      const expiresAt = new Date(clock().getTime() + ttlMs)
      await orNothing(() => store.putCachedLogin({ key, value, expiresAt }))
    },
    async delete(key) {
      await orNothing(() => store.deleteCachedLogin(key))
    },
  }
}
