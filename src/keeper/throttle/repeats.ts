/**
 * The same wrong secret again (M5): a badly set phone tries all day and has still made one guess.
 *
 * 32 bits of a keyed digest are kept, in memory only, under a random key that changes daily: what is remembered says nothing
 * about a secret, not even to whoever reads this process's memory a day later.
 */

import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { Secret } from '../../secret.ts'
import type { Entry } from './table.ts'

export interface Repeats {
  /** Whether the secret was wrong before in this entry (a user from an address). It is remembered from now on. */
  isRepeat(entry: Entry, user: string, secret: Secret): boolean
}

const DAY_MS = 24 * 60 * 60_000
/** As many mail accounts as one badly set device has. */
const MAX_SEEN = 16

/** @param now monotonic, milliseconds */
export function createRepeats(now: () => number): Repeats {
  let dayKey: { readonly key: KeyObject; readonly since: number } | null = null

  function digest(user: string, secret: Secret): number {
    const at = now()
    if (dayKey === null || at - dayKey.since > DAY_MS) dayKey = { key: createSecretKey(randomBytes(32)), since: at }
    return createHmac('sha256', dayKey.key).update(user).update('\0').update(secret.reveal()).digest().readUInt32BE(0)
  }

  return {
    isRepeat(entry, user, secret) {
      const mark = digest(user, secret)
      if (entry.seen.includes(mark)) return true
      entry.seen.push(mark)
      if (entry.seen.length > MAX_SEEN) entry.seen.shift()
      return false
    },
  }
}
