/**
 * An app password as a thing in itself: making one, reading one as somebody typed it, its digests, its name. Pure.
 *
 * A value is 16 to 32 letters a–z (75 to 150 bits), always generated, never chosen. It is shown in groups of four; spaces,
 * hyphens and case don't matter when it is typed.
 */

import { randomInt } from 'node:crypto'
import { Secret } from '../secret.ts'
import type { Key } from './keys.ts'

const APP_PASSWORD_MIN_LENGTH = 16
const APP_PASSWORD_MAX_LENGTH = 32
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const VALUE = /^[a-z]{16,32}$/
/** Longer input can't be one, whatever stands between the letters. */
const MAX_TYPED = 256
const MAX_NAME = 64

/** A new value of `length` letters: 4.7 bits each, every letter equally likely. */
export function generateAppPassword(length: number): Secret {
  if (!Number.isInteger(length) || length < APP_PASSWORD_MIN_LENGTH || length > APP_PASSWORD_MAX_LENGTH) {
    throw new RangeError(`an app password has 16 to 32 letters, not ${length}`)
  }
  let value = ''
  // randomInt draws again rather than fold a remainder, so no letter is likelier than another.
  for (let i = 0; i < length; i++) value += LETTERS[randomInt(LETTERS.length)]
  return new Secret(value)
}

/** The value as people read and copy it: groups of four with a space between. */
export function formatAppPassword(value: Secret): Secret {
  return new Secret(value.reveal().replace(/(.{4})(?=.)/g, '$1 '))
}

/**
 * What somebody typed, as the value it may be: blanks (space, tab, no-break space) and hyphens dropped, ASCII capitals
 * lowered. null: it can't be an app password of ours, whoever types it, so no digest need be tried.
 */
export function normaliseAppPassword(typed: Secret): Secret | null {
  if (typed.length > MAX_TYPED) return null
  const letters = typed.reveal().replace(/[ \t\u00a0-]/g, '')
  // Checked before lowering: toLowerCase maps the Kelvin sign to k, and mapping is how two secrets become one.
  if (!/^[A-Za-z]*$/.test(letters)) return null
  const value = letters.toLowerCase()
  return VALUE.test(value) ? new Secret(value) : null
}

/**
 * 16 bits that find the rows a secret may belong to: a wrong guess finds none 65,535 times in 65,536 and costs no argon2.
 * Only for generated values; what a person chose never gets a fast digest.
 *
 * @param user canonical address
 * @param value normalised
 */
export function selectorOf(key: Key, user: string, value: Secret): number {
  return key.hmac('selector', user, value.reveal()).readUInt16BE(0)
}

/** 128 bits, base64url: recognises the value after its row is gone. */
export function tombstoneDigestOf(key: Key, user: string, value: Secret): string {
  return key.hmac('tombstone', user, value.reveal()).subarray(0, 16).toString('base64url')
}

/** Whether it has not run out. Whether its user, protocol and network are right is policy. */
export function isLive(row: { readonly expiresAt: Date | null }, now: Date): boolean {
  return row.expiresAt === null || row.expiresAt > now
}

export type CheckedName =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly why: 'empty' | 'too-long' | 'control' }

/**
 * The name a user gives an app password: trimmed, NFC, 1–64 characters (code points). Controls, line separators, marks that
 * turn the direction of text and lone surrogates are refused: the name stands in lists, logs and mails.
 */
export function checkAppPasswordName(raw: string): CheckedName {
  if (raw.length > MAX_NAME * 8) return { ok: false, why: 'too-long' }
  const name = raw.normalize('NFC').trim()
  if (name === '') return { ok: false, why: 'empty' }
  if ([...name].length > MAX_NAME) return { ok: false, why: 'too-long' }
  if (/[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(name)) {
    return { ok: false, why: 'control' }
  }
  return { ok: true, name }
}
