/**
 * How a name appears in the log: an account's as it is, any other as a keyed hash and its domain (threats J2): people type
 * passwords into the field for the name.
 */

import type { Keys } from '../records/keys.ts'
import type { UserRow } from '../records/store/store.ts'

export function nameForLog(keys: Keys, name: string, user: UserRow | null): string {
  if (user !== null) return user.address
  const hash = keys.active.hmac('log-names', name).toString('hex', 0, 6)
  const at = name.lastIndexOf('@')
  return at < 0 ? `unknown:${hash}` : `unknown:${hash}${name.slice(at)}`
}
