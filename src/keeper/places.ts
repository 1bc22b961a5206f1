/**
 * Places: from which address blocks a user has logged in well, and with which app password.
 *
 * In memory only, bounded, and set by accepted logins alone, so a stranger can't put anything in. Who comes from a known
 * place may be told a little more (`typed-primary.ts`).
 */

import { LRUCache } from 'lru-cache'
import { addressBlocks } from './networks.ts'

export interface Places {
  /** An accepted login. */
  note(userId: string, ip: string, appPasswordId: string): void
  knows(userId: string, ip: string): boolean
  /** Gone with the app password. */
  forget(userId: string, appPasswordId: string): void
  /** null: all users. */
  forgetUser(userId: string | null): void
}

const PER_USER = 20
const MAX_USERS = 50_000

export function createPlaces(options: { readonly perUser?: number; readonly maxUsers?: number } = {}): Places {
  const { perUser = PER_USER, maxUsers = MAX_USERS } = options
  /** Block → the app password that was last used well from there; the one unused for longest first. */
  const users = new LRUCache<string, Map<string, string>>({ max: maxUsers })
  return {
    note(userId, ip, appPasswordId) {
      const { host } = addressBlocks(ip)
      const places = users.get(userId) ?? new Map<string, string>()
      if (places.size === 0) users.set(userId, places)
      places.delete(host)
      places.set(host, appPasswordId)
      for (const oldest of places.keys()) {
        if (places.size <= perUser) break
        places.delete(oldest)
      }
    },
    knows: (userId, ip) => users.get(userId)?.has(addressBlocks(ip).host) ?? false,
    forget(userId, appPasswordId) {
      const places = users.peek(userId)
      for (const [host, id] of places ?? []) if (id === appPasswordId) places?.delete(host)
    },
    forgetUser(userId) {
      if (userId === null) users.clear()
      else users.delete(userId)
    },
  }
}
