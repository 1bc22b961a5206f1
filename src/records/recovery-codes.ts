/**
 * Recovery codes: ten at a time, 80 bits each, for the day the phone is gone. Making and reading them. Pure.
 */

import { randomInt } from 'node:crypto'
import { Secret } from '../secret.ts'
import type { Key, Keys } from './keys.ts'

const RECOVERY_CODES = 10
/** Crockford's base32: no letter in it is taken for another one. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const LENGTH = 16
const CODE = /^[0-9a-hjkmnp-tv-z]{16}$/

/** A set of codes as people read them: `abcd-efgh-jkmn-pqrs`. */
export function newRecoveryCodes(): readonly Secret[] {
  return Array.from({ length: RECOVERY_CODES }, () => {
    const letters = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
    return new Secret(letters.replace(/(.{4})(?=.)/g, '$1-'))
  })
}

/** What somebody typed as the code it may be: case, blanks and hyphens don't matter, nor o for 0 and i or l for 1. */
export function normaliseRecoveryCode(typed: string): Secret | null {
  if (!/^[ -~]{1,64}$/.test(typed)) return null
  const code = typed.toLowerCase().replace(/[ -]/g, '').replaceAll('o', '0').replace(/[il]/g, '1')
  return CODE.test(code) ? new Secret(code) : null
}

/** Keyed, 256 bits, bound to the user. Base64url. */
export function recoveryCodeDigest(key: Key, userId: string, code: Secret): string {
  const normal = normaliseRecoveryCode(code.reveal())
  if (normal === null) throw new RangeError('not a recovery code')
  return key.hmac('recovery-code', userId, normal.reveal()).toString('base64url')
}

export function recoveryCodeDigests(keys: Keys, userId: string, code: Secret): readonly string[] {
  return keys.all.map((key) => recoveryCodeDigest(key, userId, code))
}
