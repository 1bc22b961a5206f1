/**
 * What a row keeps of a secret: its hash, and which key it is peppered with.
 */

import { ServiceError } from '../contract/services.ts'
import type { Secret } from '../secret.ts'
import type { PasswordHasher } from './hash.ts'
import { HasherError } from './hash.ts'
import type { Key } from './keys.ts'
import { preparePassword } from './primary-password.ts'

/** NIST SP 800-63B §3.1.1.2, with a second factor beside it. */
const MIN_PASSWORD = 8

export interface KeptHash {
  readonly hash: string
  readonly keyId: string
}

/** @throws ServiceError 'unavailable': pool and queue are full */
export async function keptHash(hasher: PasswordHasher, secret: Secret, key: Key): Promise<KeptHash> {
  try {
    return { hash: await hasher.hash(secret, key), keyId: key.id }
  } catch (error) {
    if (!(error instanceof HasherError) || error.code !== 'ERR_HASHER_BUSY') throw error
    throw new ServiceError('unavailable', 'too many passwords are being checked just now; try again', { cause: error })
  }
}

/**
 * The same of a new primary password as somebody typed it.
 *
 * @throws ServiceError 'invalid': it may not be one; 'unavailable'
 */
export async function keptPassword(hasher: PasswordHasher, typed: Secret, key: Key): Promise<KeptHash> {
  const password = preparePassword(typed)
  if (!password || password.length < MIN_PASSWORD) {
    throw new ServiceError('invalid', `a password has ${MIN_PASSWORD} to 256 characters, and no control characters`)
  }
  return await keptHash(hasher, password, key)
}
