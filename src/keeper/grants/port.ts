/**
 * One edge's places: what it may do with the grants that it was given, and how it takes over those of before.
 */

import { randomBytes } from 'node:crypto'
import type { LiveSession, Outcome, SessionEnd, SessionEnder } from '../../contract/admission.ts'
import type { Log } from '../../log.ts'
import type { EdgePlaces, Place, Places, SessionInfo } from './places.ts'
import { settled } from './places.ts'

export interface HoldRequest {
  readonly userId: string
  readonly appPasswordId: string | null
}

export interface GrantDetails extends Omit<SessionInfo, 'id' | 'state' | 'userId' | 'startedAt'> {
  /** The session ends then at the latest; null: never. */
  readonly expiresAt: Date | null
  /** Called once. Not called for a grant whose edge was lost and which another channel took over. */
  readonly onSettled: (outcome: Outcome) => void
}

/** A place in the table before the grant. Dispose it, or it counts for ever; disposing after `grant` does nothing. */
export interface Hold extends Disposable {
  /** Something about this user changed since `reset` (or since the hold): what was read may be out of date. */
  readonly disturbed: boolean
  reset(): void
  /** Grants and sessions of this user, without this place. */
  readonly others: number
  /** Turns the place into a grant and answers its id. Must be the last thing before the grant goes out. */
  grant(details: GrantDetails): string
}

/** One edge's places. */
export interface GrantPort {
  hold(request: HoldRequest): Hold
  settle(grantId: string, outcome: Outcome): void
  ended(grantId: string, end: SessionEnd): void
  /** It has told all its sessions. */
  isBack(): void
  /** Takes over a session that began on another channel, or before this process did. */
  adopt(session: LiveSession): void
  /** The grants of this edge whose sessions are to end. */
  ending(): readonly string[]
  close(): void
}

export interface PortOptions {
  readonly places: Places
  /** As logs and answers call the edge. */
  readonly name: string
  readonly ender: SessionEnder
  readonly log: Log
  readonly clock: () => Date
  /** A session of this edge ends then at the latest. */
  readonly onExpiry: (at: Date) => void
  /** All its sessions are known from here on; disposed when the edge goes. null: nobody waits for it. */
  readonly arrived: (() => Disposable) | null
}

export function createPort({ places, name, ender, log, clock, onExpiry, arrived }: PortOptions): GrantPort {
  const edge: EdgePlaces = { name, ender, places: new Set(), closed: false }
  let presence: Disposable | null = null

  function ownPlace(grantId: string, what: string): Place | null {
    const place = places.get(grantId)
    if (place?.edge === edge) return place
    // Frames of a channel that was given up may still be on their way.
    if (!edge.closed) log.bug(new Error(`${what} for a grant that this edge does not hold`), `${edge.name}: ${what}`)
    return null
  }

  /** The session is over; `confirmed` false when nobody can say so for sure. */
  function finish(place: Place, confirmed: boolean): void {
    places.remove(place)
    place.ending?.answer(confirmed)
  }

  return {
    hold({ userId, appPasswordId }) {
      const place: Place = {
        id: '',
        userId,
        appPasswordId,
        edge,
        disturbed: false,
        info: null,
        expiresAt: null,
        onSettled: null,
        ending: null,
      }
      places.add(place)
      return {
        get disturbed() {
          return place.disturbed
        },
        reset() {
          place.disturbed = false
        },
        get others() {
          return Math.max(places.of(userId).size - 1, 0)
        },
        grant({ expiresAt, onSettled, ...details }) {
          const id = randomBytes(16).toString('base64url')
          place.info = { ...details, id, userId, startedAt: clock(), state: 'connecting' }
          place.expiresAt = expiresAt
          place.onSettled = onSettled
          places.name(place, id)
          if (edge.closed) {
            // The edge went while we looked: the answer reaches nobody.
            settled(place, 'client-gone')
            finish(place, false)
          } else if (expiresAt !== null) onExpiry(expiresAt)
          return id
        },
        [Symbol.dispose]() {
          if (place.info === null) places.remove(place)
        },
      }
    },

    settle(grantId, outcome) {
      const place = ownPlace(grantId, 'settle')
      if (!place?.info) return
      if (place.info.state !== 'connecting') {
        log.bug(new Error('a grant was settled twice'), `${edge.name}: settle`)
        return
      }
      if (outcome === 'accepted') place.info = { ...place.info, state: 'open' }
      else finish(place, true)
      settled(place, outcome)
    },

    ended(grantId, _end) {
      const place = ownPlace(grantId, 'ended')
      if (!place?.info) return
      if (place.info.state !== 'open') {
        log.bug(new Error('a session ended that was never accepted'), `${edge.name}: ended`)
        settled(place, 'failed')
      }
      finish(place, true)
    },

    isBack() {
      presence ??= arrived?.() ?? null
    },

    adopt(session) {
      const known = places.get(session.grantId)
      if (known?.edge === edge) return
      if (known) {
        // Its old channel has not been given up yet.
        known.edge.places.delete(known)
        known.edge = edge
        edge.places.add(known)
        if (session.settled && known.info?.state === 'connecting') {
          // The edge had said so on the channel that broke, and only an accepted session lives on.
          known.info = { ...known.info, state: 'open' }
          settled(known, 'accepted')
        }
        if (known.ending) setImmediate(() => ender.end(known.id))
        return
      }
      const { grantId, userId, logName, appPassword, protocol, device, ip, startedAt, settled: isSettled } = session
      places.add({
        id: grantId,
        userId,
        appPasswordId: appPassword?.id ?? null,
        edge,
        disturbed: false,
        info: {
          id: grantId,
          userId,
          user: logName,
          appPassword,
          protocol,
          ip,
          ...(device !== undefined && { device }),
          startedAt: new Date(startedAt),
          upstream: null,
          state: isSettled ? 'open' : 'connecting',
        },
        expiresAt: null,
        onSettled: null,
        ending: null,
      })
    },

    ending: () => [...edge.places].flatMap(({ id, ending }) => (ending ? [id] : [])),

    close() {
      if (edge.closed) return
      edge.closed = true
      presence?.[Symbol.dispose]()
      for (const place of [...edge.places]) {
        if (place.info === null) continue // its admit is still running and disposes of it
        settled(place, 'client-gone')
        // The process may live on without its channel, so nobody has confirmed anything.
        finish(place, false)
      }
    },
  }
}
