/**
 * The room that one edge has for connections, through whatever port they come: in all, by address, and who goes first when
 * it is full (threats E2).
 */

import { randomInt } from 'node:crypto'
import { isIPv6 } from 'node:net'

export interface RoomLimits {
  /** Open connections. */
  readonly connections: number
  /** Of them from one address: a v4 address, or the /64 of a v6 one. */
  readonly perAddress: number
  /** When `connections` are open, one that has not logged in for so long makes room for a new one. Default 5 s. */
  readonly makeRoomAfterMs?: number
}

/** Why there is no room for a connection: by its name in `RoomLimits`, the limit that it meets. */
export type NoRoom = 'connections' | 'perAddress'

/** A connection that was let in. */
export interface Guest {
  /** From now on it is a session, and never goes for a newcomer. Whether it was none before. */
  loggedIn(): boolean
  /** It is over; said once. What it was. */
  leave(): 'login' | 'session'
}

export interface Room {
  /** Counts a connection for its address block. false: it has as many as it may have. */
  claim(block: string): boolean
  giveBack(block: string): void
  /**
   * Lets somebody in; null: it is full, and nobody can be asked to go.
   *
   * @param evict ends the connection for a newcomer's sake; it leaves later, as every other
   */
  enter(evict: () => void): Guest | null
  readonly size: number
  readonly limits: RoomLimits
}

/** Time to log in undisturbed when the house is full: several times what a login takes. */
const MAKE_ROOM_AFTER_MS = 5000

interface Newcomer {
  readonly since: number
  readonly evict: () => void
  /** Its place among those who can be asked to go; -1: it is not there. */
  place: number
}

/**
 * @param limits read at each use, so that a reload takes effect
 * @param now monotonic, milliseconds
 */
export function createRoom(limits: RoomLimits, now: () => number = () => performance.now()): Room {
  const perAddress = new Map<string, number>()
  /** Those that have not logged in and had no time for it yet, the oldest first. */
  const fresh = new Set<Newcomer>()
  /** Those that have sat there for long without logging in, in no order: one is taken, or leaves, without looking at the others. */
  const idle: Newcomer[] = []
  /** Asked to go for a newcomer, and not gone yet: their places are taken already. */
  const leaving = new Set<Newcomer>()
  let inside = 0

  /**
   * Somebody who sits there without logging in goes first, taken at random, so that nobody can arrange whose turn it is.
   * Sessions never go for newcomers, and a login under way is left alone for some seconds.
   */
  function makeRoom(): boolean {
    const before = now() - (limits.makeRoomAfterMs ?? MAKE_ROOM_AFTER_MS)
    for (const newcomer of fresh) {
      if (newcomer.since > before) break
      fresh.delete(newcomer)
      newcomer.place = idle.push(newcomer) - 1
    }
    const victim = idle.length === 0 ? undefined : idle[randomInt(idle.length)]
    if (victim === undefined) return false
    remove(victim)
    leaving.add(victim)
    victim.evict()
    return true
  }

  /** Whether it was among those that have not logged in. */
  function remove(newcomer: Newcomer): boolean {
    if (newcomer.place < 0) return fresh.delete(newcomer)
    const last = idle.pop()
    if (last !== undefined && last !== newcomer) {
      idle[newcomer.place] = last
      last.place = newcomer.place
    }
    newcomer.place = -1
    return true
  }

  return {
    limits,

    get size() {
      return inside
    },

    claim(block) {
      const count = perAddress.get(block) ?? 0
      if (count >= limits.perAddress) return false
      perAddress.set(block, count + 1)
      return true
    },

    giveBack(block) {
      const count = (perAddress.get(block) ?? 1) - 1
      if (count > 0) perAddress.set(block, count)
      else perAddress.delete(block)
    },

    enter(evict) {
      if (inside - leaving.size >= limits.connections && !makeRoom()) return null
      const newcomer: Newcomer = { since: now(), evict, place: -1 }
      fresh.add(newcomer)
      inside += 1
      return {
        loggedIn: () => remove(newcomer),
        leave() {
          inside -= 1
          const wasLeaving = leaving.delete(newcomer)
          return remove(newcomer) || wasLeaving ? 'login' : 'session'
        },
      }
    },
  }
}

/** The unit that address limits count: a v4 address, or the /64 of a v6 one, which is what one customer has. */
export function addressBlock(ip: string): string {
  if (!isIPv6(ip)) return ip
  const [head = '', tail] = ip.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups =
    tail === undefined ? before : [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return `${groups.slice(0, 4).join(':')}::/64`
}
