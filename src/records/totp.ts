/**
 * Time-based one-time passwords (RFC 6238): seeds, their addresses for QR codes, and which time step a code belongs to.
 * Pure; that a step is accepted once is the store's business.
 */

import * as OTPAuth from 'otpauth'
import { Secret } from '../secret.ts'

/** What every authenticator app can do: SHA-1, six digits, thirty seconds. */
const SETTINGS = { algorithm: 'SHA1', digits: 6, period: 30 } as const
/** RFC 6238 §5.2: one step either way, for clocks that differ and people that are slow. */
const WINDOW = 1
/** RFC 4226 §4: 160 bits. */
const SEED_BYTES = 20
const CODE = /^\d{6}$/

/** A new seed in base32. */
export function newTotpSeed(): Secret {
  return new Secret(new OTPAuth.Secret({ size: SEED_BYTES }).base32)
}

/** `otpauth://totp/…`: what the QR code says. `issuer` and `account` are what the app shows. */
export function totpAddress(seed: Secret, issuer: string, account: string): string {
  const secret = OTPAuth.Secret.fromBase32(seed.reveal())
  return new OTPAuth.TOTP({ ...SETTINGS, issuer, label: account, secret }).toString()
}

/** The time step that a code, as somebody typed it, belongs to; null: none near `at`. */
export function totpStep(seed: Secret, typed: string, at: Date): number | null {
  const token = typed.replace(/[\s-]/g, '')
  if (!CODE.test(token)) return null
  const timestamp = at.getTime()
  const secret = OTPAuth.Secret.fromBase32(seed.reveal())
  const delta = OTPAuth.TOTP.validate({ ...SETTINGS, token, secret, timestamp, window: WINDOW })
  return delta === null ? null : OTPAuth.TOTP.counter({ period: SETTINGS.period, timestamp }) + delta
}
