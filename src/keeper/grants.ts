/**
 * The table of grants and the sessions that follow them: who is in, and how to get them out.
 *
 * A place is taken (`hold`) before the last look at the store and becomes a grant after it, so a revocation that happens
 * in between finds it. From then on it is settled exactly once, and after 'accepted' ended exactly once; an edge that dies
 * has its places settled and ended for it.
 */

import type { SessionEnder } from '../contract/admission.ts'
import type { Log } from '../log.ts'
import { edgeName } from './edges.ts'
import type { EndCause } from './ending.ts'
import type { EndsOptions, EndWatch } from './grants/ends.ts'
import { createEnds } from './grants/ends.ts'
import { createExpiryLook } from './grants/expiry.ts'
import type { Place, SessionInfo } from './grants/places.ts'
import { Places } from './grants/places.ts'
import type { GrantPort } from './grants/port.ts'
import { createPort } from './grants/port.ts'

export interface Grants {
  /** `edgeId`: as the supervisor calls it; left out: an edge that comes and goes with this process. */
  attach(ender: SessionEnder, edgeId?: string): GrantPort
  /** In no order: there may be tens of thousands. */
  all(): Iterable<SessionInfo>
  of(userId: string): readonly SessionInfo[]
  userIds(): readonly string[]
  /** When this app password of the user's runs out, for sessions taken over; null: never. */
  expire(userId: string, appPasswordId: string, expiresAt: Date | null): void
  /** Says that what is known of a user (null: of all) may be out of date. */
  disturb(userId: string | null): void
  /**
   * Ends every session for which there is a cause, dialling or spliced (of one user, if one is named); answers how many. Those
   * being ended already are left alone.
   */
  end(causeOf: (session: SessionInfo) => EndCause | null, userId?: string): number
  watch(): EndWatch
  readonly size: number
  close(): void
}

export interface GrantsOptions extends EndsOptions {
  readonly log: Log
  readonly clock: () => Date
}

export function createGrants(options: GrantsOptions): Grants {
  const { log, clock, edges } = options
  const places = new Places()
  const ends = createEnds(places, options)
  const expiry = createExpiryLook(clock, endExpired)
  let ports = 0

  function endExpired(at: Date): Date | null {
    let next: Date | null = null
    for (const place of places.sessions()) {
      const { expiresAt, ending } = place
      if (expiresAt === null || ending) continue
      if (expiresAt <= at) ends.beginUnasked(place, 'expired')
      else if (next === null || expiresAt < next) next = expiresAt
    }
    return next
  }

  function infos(of: Iterable<Place>): readonly SessionInfo[] {
    return [...of].flatMap(({ info }) => info ?? [])
  }

  return {
    attach(ender, edgeId) {
      ports += 1
      return createPort({
        places,
        name: edgeId === undefined ? `edge ${ports}` : edgeName(edgeId),
        ender,
        log,
        clock,
        onExpiry: expiry.by,
        arrived: edgeId === undefined ? null : () => edges.arrived(edgeId),
      })
    },

    *all() {
      for (const { info } of places.sessions()) if (info !== null) yield info
    },

    of: (userId) => infos(places.of(userId)),
    userIds: () => places.userIds(),
    get size() {
      return places.size
    },

    expire(userId, appPasswordId, expiresAt) {
      for (const place of places.of(userId)) {
        if (place.appPasswordId === appPasswordId) place.expiresAt = expiresAt
      }
      if (expiresAt !== null) expiry.by(expiresAt)
    },

    disturb(userId) {
      for (const id of userId === null ? places.userIds() : [userId]) {
        for (const place of places.of(id)) place.disturbed = true
      }
    },

    end(causeOf, userId) {
      let count = 0
      for (const place of userId === undefined ? places.sessions() : places.of(userId)) {
        if (place.info === null || place.ending) continue
        const cause = causeOf(place.info)
        if (cause === null) continue
        ends.begin(place, cause)
        count += 1
      }
      return count
    },

    watch: () => ends.watch(),

    close() {
      expiry.close()
      ends.close()
    },
  }
}
