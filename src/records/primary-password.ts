/**
 * A primary password as somebody typed it, made ready for the hash: RFC 8265 §4.2 (OpaqueString). Pure.
 */

import { Secret } from '../secret.ts'

/** Longer ones are refused before anything is computed over them. */
export const MAX_PASSWORD_BYTES = 256

/**
 * Blanks of other scripts become spaces, the rest NFC, so that two keyboards type the same password. null when it is empty,
 * holds a control character or a lone surrogate, or has more than 256 bytes.
 */
export function preparePassword(typed: Secret): Secret | null {
  if (typed.length === 0 || typed.length > MAX_PASSWORD_BYTES) return null
  const value = typed
    .reveal()
    .replace(/\p{Zs}/gu, ' ')
    .normalize('NFC')
  if (/[\p{Cc}\p{Cs}]/u.test(value) || Buffer.byteLength(value) > MAX_PASSWORD_BYTES) return null
  return new Secret(value)
}
