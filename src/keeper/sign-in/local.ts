/**
 * Primary passwords of local users, for the portal alone: one argon2 run for everybody, known or not.
 */

import type { PasswordHasher } from '../../records/hash.ts'
import type { Keys } from '../../records/keys.ts'
import { preparePassword } from '../../records/primary-password.ts'
import type { UserRow } from '../../records/store/store.ts'
import { Secret } from '../../secret.ts'

export interface LocalPasswords {
  /** Whether this is the user's password. Takes the same time for a user without one and for nobody (null). */
  verify(user: UserRow | null, typed: Secret): Promise<boolean>
}

/** @throws HasherError 'ERR_HASHER_BUSY' from `verify`: temporary, nothing was judged */
export function createLocalPasswords(hasher: PasswordHasher, keys: Keys): LocalPasswords {
  /** What is hashed against for somebody who has no password. Made at the first use, with the parameters of the day. */
  let nobody: Promise<string> | null = null

  return {
    async verify(user, typed) {
      nobody ??= hasher.hash(new Secret('nobody has this password'), keys.active)
      const stand = await nobody.catch((error: unknown) => {
        nobody = null
        throw error
      })
      const key = user?.passwordKeyId ? keys.byId(user.passwordKeyId) : null
      const password = preparePassword(typed)
      const isOurs = user !== null && user.passwordHash !== null && key !== null && password !== null
      const phc = isOurs ? user.passwordHash : stand
      const fits = await hasher.verify(phc, password ?? new Secret('x'), isOurs ? key : keys.active)
      return isOurs && fits
    },
  }
}
