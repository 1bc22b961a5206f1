/**
 * Known-good logins: which app password a user has logged in well with, and from which address block (threat B4).
 *
 * Such a login stands in none of the lanes that strangers fill: it goes in at its usual speed while others guess. It is
 * recognised by a digest of user, secret and block, so only who holds the secret, there, is taken for it. In memory only,
 * bounded, set by accepted logins alone, and gone with the app password.
 */

import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { normaliseAppPassword } from '../../records/app-password.ts'
import type { Secret } from '../../secret.ts'
import { addressBlocks } from '../networks.ts'

/** The owner of a login that was accepted. */
export interface LoginOwner {
  readonly userId: string
  readonly appPasswordId: string
}

export interface KnownGood {
  /** What a login is remembered by; null: no app password looks like that. 128 bits, keyed by this process alone. */
  mark(user: string, ip: string, typed: Secret): string | null
  has(mark: string): boolean
  /** An accepted login. */
  note(mark: string, ip: string, owner: LoginOwner): void
  /** Whether the user has logged in well from this block, with whatever app password. */
  knows(userId: string, ip: string): boolean
  /** Gone with the app password. */
  forget(userId: string, appPasswordId: string): void
  /** null: all users. */
  forgetUser(userId: string | null): void
}

export interface KnownGoodOptions {
  readonly perUser?: number
  readonly maxUsers?: number
}

const PER_USER = 20
const MAX_USERS = 50_000

interface Place {
  readonly block: string
  readonly appPasswordId: string
}

export function createKnownGood({ perUser = PER_USER, maxUsers = MAX_USERS }: KnownGoodOptions = {}): KnownGood {
  const key: KeyObject = createSecretKey(randomBytes(32))
  /** Mark → place, of one user; the one unused for longest first. */
  type Places = Map<string, Place>
  const marks = new Set<string>()
  const users = new LRUCache<string, Places>({
    max: maxUsers,
    dispose(places) {
      for (const mark of places.keys()) marks.delete(mark)
    },
  })

  function drop(places: Places, mark: string): void {
    places.delete(mark)
    marks.delete(mark)
  }

  return {
    mark(user, ip, typed) {
      const value = normaliseAppPassword(typed)
      if (value === null) return null
      const { host } = addressBlocks(ip)
      return createHmac('sha256', key).update(`${user}\0${host}\0${value.reveal()}`).digest('base64url').slice(0, 22)
    },
    has: (mark) => marks.has(mark),
    note(mark, ip, { userId, appPasswordId }) {
      const places: Places = users.get(userId) ?? new Map()
      if (places.size === 0) users.set(userId, places)
      // Taken out first, so that the map's order is the order of use.
      places.delete(mark)
      places.set(mark, { block: addressBlocks(ip).host, appPasswordId })
      marks.add(mark)
      for (const oldest of places.keys()) {
        if (places.size <= perUser) break
        drop(places, oldest)
      }
    },
    knows(userId, ip) {
      const { host } = addressBlocks(ip)
      for (const { block } of users.get(userId)?.values() ?? []) if (block === host) return true
      return false
    },
    forget(userId, appPasswordId) {
      const places = users.peek(userId)
      for (const [mark, place] of places ?? []) {
        if (places && place.appPasswordId === appPasswordId) drop(places, mark)
      }
    },
    forgetUser(userId) {
      if (userId === null) users.clear()
      else users.delete(userId)
    },
  }
}
