/**
 * The first factor of people who type a name and a password: their own of sallyport, or the directory's.
 *
 * Everybody takes the same path: one argon2 run, and with a directory one search and one bind there, whether there is such a
 * user or not and wherever the password belongs. What the directory refused is rationed as with upstreams, so that guessing
 * here locks nobody out there; names that it is not asked about have a ration of the same size, or its end would tell them
 * from the others (invariant 6).
 */

import { randomBytes } from 'node:crypto'
import type { Config } from '../../config.ts'
import { ServiceError } from '../../contract/services.ts'
import type { Log } from '../../log.ts'
import type { UserRow } from '../../records/store/store.ts'
import { Secret } from '../../secret.ts'
import type { PrimaryPasswords } from '../primary.ts'
import type { Directory, LdapConfig } from './ldap.ts'
import type { LocalPasswords } from './local.ts'

export interface FirstFactor {
  /**
   * Which kind of password this is of the user; null: none. `user` null: nobody has that name, and it takes as long.
   *
   * @throws ServiceError 'unavailable' when the directory does not judge, 'throttled' when enough of this name's were refused
   * @throws HasherError when too many passwords are being checked
   */
  verify(user: UserRow | null, name: string, typed: Secret): Promise<'password' | 'directory' | null>
}

export interface FirstFactorOptions {
  readonly config: () => Config
  readonly local: LocalPasswords
  readonly primary: PrimaryPasswords
  readonly log: Log
}

export function createFirstFactor({ config, local, primary, log }: FirstFactorOptions): FirstFactor {
  // By the configuration's own object, so that a reload begins anew.
  const directories = new WeakMap<LdapConfig, Promise<Directory>>()

  async function ask(ldap: LdapConfig, name: string, typed: Secret): Promise<boolean> {
    const known = directories.get(ldap)
    // Loaded at the first use: most keepers have no directory.
    const loading = known ?? import('./ldap.ts').then(({ createDirectory }) => createDirectory(ldap))
    directories.set(ldap, loading)
    return await (await loading).verify(name, typed)
  }

  const nobody = () => `nobody-${randomBytes(8).toString('hex')}`

  /** @param user whose password it may be; null: nobody's in the directory, and the directory hears of neither name nor password */
  async function verifyInDirectory(
    ldap: LdapConfig,
    user: UserRow | null,
    name: string,
    typed: Secret,
  ): Promise<boolean> {
    const ration = user === null ? primary.pretend(name, 'directory', typed) : primary.take(user.id, 'directory', typed)
    if (ration.verdict === 'spent') {
      const minutes = Math.ceil(ration.waitMs / 60_000)
      throw new ServiceError('throttled', `too many wrong passwords: try again in ${minutes} minutes`)
    }
    const attempt = ration.verdict === 'send' ? ration.attempt : null
    const mayAsk = user !== null && attempt !== null
    try {
      const fits = await (mayAsk ? ask(ldap, name, typed) : ask(ldap, nobody(), new Secret(nobody())))
      if (fits) attempt?.accepted()
      else attempt?.refused()
      return fits && mayAsk
    } catch (error) {
      attempt?.unjudged()
      const why = error instanceof Error ? error.message : String(error)
      log.event('warn', 'warning', 'the directory could not be asked', { detail: why })
      throw new ServiceError('unavailable', 'the directory does not answer: try again later', { cause: error })
    }
  }

  return {
    async verify(user, name, typed) {
      const { signIn } = config()
      const isLocal = user !== null && user.passwordHash !== null && signIn?.local !== false
      if (await local.verify(isLocal ? user : null, typed)) return 'password'
      const ldap = signIn?.ldap ?? null
      if (ldap === null) return null
      const fits = await verifyInDirectory(ldap, isLocal ? null : user, name, typed)
      return fits ? 'directory' : null
    },
  }
}
