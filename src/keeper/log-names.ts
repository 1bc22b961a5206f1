/**
 * How a name appears in the log: an account's as it is, any other as a keyed hash and, if it is one of ours, its domain (threats
 * J2): people type passwords into the field for the name, and some passwords have an @ in them.
 */

import type { Keys } from '../records/keys.ts'
import type { UserRow } from '../records/store/store.ts'

/** @param domains those that are served */
export function nameForLog(keys: Keys, name: string, user: UserRow | null, domains: readonly string[]): string {
  if (user !== null) return user.address
  const hash = keys.active.hmac('log-names', name).toString('hex', 0, 6)
  const domain = name.slice(name.lastIndexOf('@') + 1)
  return domains.includes(domain) ? `unknown:${hash}@${domain}` : `unknown:${hash}`
}
