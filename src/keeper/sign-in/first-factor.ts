/**
 * The first factor of people who type a name and a password: their own of sallyport, or the directory's.
 */

import type { Config } from '../../config.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { Secret } from '../../secret.ts'
import type { LocalPasswords } from './local.ts'

export interface FirstFactor {
  /**
   * Which kind of password this is of the user; null: none. `user` null: nobody has that name, and it takes as long.
   *
   * @throws HasherError when too many passwords are being checked
   */
  verify(user: UserRow | null, name: string, typed: Secret): Promise<'password' | 'directory' | null>
}

export interface FirstFactorOptions {
  readonly config: () => Config
  readonly local: LocalPasswords
}

export function createFirstFactor({ config, local }: FirstFactorOptions): FirstFactor {
  return {
    async verify(user, _name, typed) {
      const isLocal = config().signIn?.local !== false
      return (await local.verify(isLocal ? user : null, typed)) ? 'password' : null
    },
  }
}
