/**
 * Every secret that a test uses is noted in one file, so that the test runner can look for it in everything that was printed.
 */

import { randomBytes, randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'

/** Shorter values would be found by chance. */
const MIN_LENGTH = 6

/** Notes a secret in the file named by SALLYPORT_TEST_SECRETS and returns it. Values shorter than six characters are not noted. */
export function noteSecret(value: string): string {
  const file = process.env.SALLYPORT_TEST_SECRETS
  if (file && value.length >= MIN_LENGTH && !/[\r\n]/.test(value)) appendFileSync(file, `${value}\n`, { mode: 0o600 })
  return value
}

/** A fresh, noted secret in the manner of a password that a person chose: letters, digits and a character that needs quoting. */
export function madeUpPassword(): string {
  return noteSecret(`Pw-${randomBytes(9).toString('base64url')}"${randomInt(10)}`)
}

/** A fresh, noted secret of letters and digits only, for programs whose own quoting is not what is tested. */
export function plainPassword(): string {
  return noteSecret(`Pw${randomBytes(12).toString('hex')}`)
}
