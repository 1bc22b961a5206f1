/**
 * The table of grants and the sessions that follow them: who is in, and how to get them out.
 *
 * A place is taken (`hold`) before the last look at the store and becomes a grant after it, so a revocation that happens
 * in between finds it. From then on it is settled exactly once, and after 'accepted' ended exactly once; an edge that dies
 * has its places settled and ended for it.
 *
 * An end is sent from a later turn of the event loop than the one that resolved the grant. Whoever carries `admit` hands
 * the grant on in that promise's own continuation, without waiting for anything else; so on one ordered channel the end
 * always comes behind its grant.
 */

import { randomBytes } from 'node:crypto'
import type { LiveSession, Outcome, ProtocolName, SessionEnd, SessionEnder } from '../contract/admission.ts'
import type { SessionsEnded } from '../contract/services.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Edges } from './edges.ts'
import { edgeName } from './edges.ts'
import type { EndCause, Ending } from './ending.ts'
import { beginEnding, countEnded } from './ending.ts'

/** What is known of a session, from its grant on. */
export interface SessionInfo {
  readonly id: string
  readonly userId: string
  /** The account's address. */
  readonly user: string
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly protocol: ProtocolName
  readonly ip: string
  /** Of ActiveSync; left out: none. */
  readonly device?: string
  readonly startedAt: Date
  /** null: unknown, for a session taken over from an edge. */
  readonly upstream: string | null
  readonly state: 'connecting' | 'open'
}

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

/** A session whose end nobody asked for: its app password ran out, or a change made elsewhere took its access away. */
export interface UnaskedEnd {
  readonly session: SessionInfo
  readonly edge: string
  readonly ending: Ending
}

/** Counts what is ended while it is watched. */
export interface EndWatch extends Disposable {
  /** Waits for edges whose sessions are not known here, at most until the time is over that an edge has for its answer. */
  complete(): Promise<void>
  /**
   * Waits until all ends begun so far that match are confirmed, or the time of each is over; edges whose sessions are not
   * known by the time of `complete` have not answered.
   */
  result(match: (session: SessionInfo) => boolean): Promise<SessionsEnded>
}

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

export interface GrantsOptions {
  readonly log: Log
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
  readonly edges: Edges
  /** Told of each end that no watch counts, a turn of the event loop later and with all others of that turn. */
  readonly onUnasked: (ends: readonly UnaskedEnd[]) => void
  /** How long an edge has to confirm an end. */
  readonly answerWithinMs: number
}

/** The wall clock may be set: an expiry is looked at again after a minute at the latest. */
const EXPIRY_LOOK_MS = 60_000

/** Told between two turns of the event loop: an edge in the same process ends them at once. */
const ENDS_A_TURN = 25

interface Place {
  id: string
  readonly userId: string
  readonly appPasswordId: string | null
  port: Port
  disturbed: boolean
  /** null while only held. */
  info: SessionInfo | null
  expiresAt: Date | null
  onSettled: ((outcome: Outcome) => void) | null
  ending: Ending | null
}

interface Port {
  readonly name: string
  readonly ender: SessionEnder
  readonly places: Set<Place>
  closed: boolean
}

export function createGrants(options: GrantsOptions): Grants {
  const { log, metrics, now, clock, edges, onUnasked, answerWithinMs } = options
  const byUser = new Map<string, Set<Place>>()
  const byId = new Map<string, Place>()
  const watches = new Set<Map<Place, Ending>>()
  let unasked: UnaskedEnd[] = []
  /** Ends that their edges have not been told of yet. */
  const toTell: Place[] = []
  let ports = 0
  let expiryTimer: NodeJS.Timeout | null = null
  let expiryAt = Number.POSITIVE_INFINITY
  let closed = false

  function add(place: Place): void {
    place.port.places.add(place)
    const places = byUser.get(place.userId)
    if (places) places.add(place)
    else byUser.set(place.userId, new Set([place]))
    if (place.id !== '') byId.set(place.id, place)
  }

  function remove(place: Place): void {
    place.port.places.delete(place)
    const places = byUser.get(place.userId)
    places?.delete(place)
    if (places?.size === 0) byUser.delete(place.userId)
    if (place.id !== '') byId.delete(place.id)
  }

  /** The session is over; `confirmed` false when nobody can say so for sure. */
  function finish(place: Place, confirmed: boolean): void {
    remove(place)
    place.ending?.answer(confirmed)
  }

  function settled(place: Place, outcome: Outcome): void {
    const { onSettled } = place
    place.onSettled = null
    onSettled?.(outcome)
  }

  function beginEnd(place: Place, cause: EndCause): Ending {
    const ending = beginEnding({ cause, metrics, now, answerWithinMs })
    place.ending = ending
    if (toTell.push(place) === 1) setImmediate(tellEnds)
    return ending
  }

  function tellEnds(): void {
    for (const place of toTell.splice(0, ENDS_A_TURN)) {
      // Taken over by another channel meanwhile: then that one is told.
      if (byId.get(place.id) === place && !place.port.closed) place.port.ender.end(place.id)
    }
    if (toTell.length > 0) setImmediate(tellEnds)
  }

  function noteUnasked({ info, port }: Place, ending: Ending): void {
    if (info === null) return
    if (unasked.length === 0) setImmediate(tellUnasked)
    unasked.push({ session: info, edge: port.name, ending })
  }

  function tellUnasked(): void {
    const ends = unasked
    unasked = []
    if (ends.length > 0) onUnasked(ends)
  }

  function lookAtExpiry(): void {
    expiryTimer = null
    expiryAt = Number.POSITIVE_INFINITY
    const at = clock().getTime()
    let next = Number.POSITIVE_INFINITY
    for (const place of byId.values()) {
      if (place.expiresAt === null || place.ending) continue
      if (place.expiresAt.getTime() <= at) noteUnasked(place, beginEnd(place, 'expired'))
      else next = Math.min(next, place.expiresAt.getTime())
    }
    if (next < Number.POSITIVE_INFINITY) lookAgain(next)
  }

  function lookAgain(at: number): void {
    if (closed || at >= expiryAt) return
    if (expiryTimer) clearTimeout(expiryTimer)
    expiryAt = at
    const waitMs = Math.min(Math.max(at - clock().getTime(), 0), EXPIRY_LOOK_MS)
    expiryTimer = setTimeout(lookAtExpiry, waitMs)
    expiryTimer.unref()
  }

  function ownPlace(port: Port, grantId: string, what: string): Place | null {
    const place = byId.get(grantId)
    if (place?.port === port) return place
    // Frames of a channel that was given up may still be on their way.
    if (!port.closed) log.bug(new Error(`${what} for a grant that this edge does not hold`), `${port.name}: ${what}`)
    return null
  }

  function attach(ender: SessionEnder, edgeId?: string): GrantPort {
    ports += 1
    const name = edgeId === undefined ? `edge ${ports}` : edgeName(edgeId)
    const port: Port = { name, ender, places: new Set(), closed: false }
    let presence: Disposable | null = null

    return {
      hold({ userId, appPasswordId }) {
        const place: Place = {
          id: '',
          userId,
          appPasswordId,
          port,
          disturbed: false,
          info: null,
          expiresAt: null,
          onSettled: null,
          ending: null,
        }
        add(place)
        return {
          get disturbed() {
            return place.disturbed
          },
          reset() {
            place.disturbed = false
          },
          get others() {
            return (byUser.get(userId)?.size ?? 1) - 1
          },
          grant({ expiresAt, onSettled, ...details }) {
            place.id = randomBytes(16).toString('base64url')
            place.info = { ...details, id: place.id, userId, startedAt: clock(), state: 'connecting' }
            place.expiresAt = expiresAt
            place.onSettled = onSettled
            byId.set(place.id, place)
            if (port.closed) {
              // The edge went while we looked: the answer reaches nobody.
              settled(place, 'client-gone')
              finish(place, false)
            } else if (expiresAt !== null) lookAgain(expiresAt.getTime())
            return place.id
          },
          [Symbol.dispose]() {
            if (place.info === null) remove(place)
          },
        }
      },

      settle(grantId, outcome) {
        const place = ownPlace(port, grantId, 'settle')
        if (!place?.info) return
        if (place.info.state !== 'connecting') {
          log.bug(new Error('a grant was settled twice'), `${port.name}: settle`)
          return
        }
        if (outcome === 'accepted') place.info = { ...place.info, state: 'open' }
        else finish(place, true)
        settled(place, outcome)
      },

      ended(grantId, _end) {
        const place = ownPlace(port, grantId, 'ended')
        if (!place?.info) return
        if (place.info.state !== 'open') {
          log.bug(new Error('a session ended that was never accepted'), `${port.name}: ended`)
          settled(place, 'failed')
        }
        finish(place, true)
      },

      isBack() {
        if (edgeId !== undefined) presence ??= edges.arrived(edgeId)
      },

      adopt(session) {
        const known = byId.get(session.grantId)
        if (known?.port === port) return
        if (known) {
          // Its old channel has not been given up yet.
          known.port.places.delete(known)
          known.port = port
          port.places.add(known)
          if (session.settled && known.info?.state === 'connecting') {
            // The edge had said so on the channel that broke, and only an accepted session lives on.
            known.info = { ...known.info, state: 'open' }
            settled(known, 'accepted')
          }
          if (known.ending) setImmediate(() => ender.end(known.id))
          return
        }
        const { grantId, userId, logName, appPassword, protocol, device, ip, startedAt, settled: isSettled } = session
        add({
          id: grantId,
          userId,
          appPasswordId: appPassword?.id ?? null,
          port,
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

      ending: () => [...port.places].flatMap(({ id, ending }) => (ending ? [id] : [])),

      close() {
        if (port.closed) return
        port.closed = true
        presence?.[Symbol.dispose]()
        for (const place of [...port.places]) {
          if (place.info === null) continue // its admit is still running and disposes of it
          settled(place, 'client-gone')
          // The process may live on without its channel, so nobody has confirmed anything.
          finish(place, false)
        }
      },
    }
  }

  const infos = (places: Iterable<Place>) => [...places].flatMap(({ info }) => info ?? [])

  return {
    attach,
    *all() {
      for (const { info } of byId.values()) if (info !== null) yield info
    },
    of: (userId) => infos(byUser.get(userId) ?? []),
    userIds: () => [...byUser.keys()],
    get size() {
      return byId.size
    },

    expire(userId, appPasswordId, expiresAt) {
      for (const place of byUser.get(userId) ?? []) {
        if (place.appPasswordId === appPasswordId) place.expiresAt = expiresAt
      }
      if (expiresAt !== null) lookAgain(expiresAt.getTime())
    },

    disturb(userId) {
      const sets = userId === null ? [...byUser.values()] : [byUser.get(userId) ?? new Set<Place>()]
      for (const places of sets) for (const place of places) place.disturbed = true
    },

    end(causeOf, userId) {
      let count = 0
      for (const place of userId === undefined ? byId.values() : (byUser.get(userId) ?? [])) {
        if (place.info === null || place.ending) continue
        const cause = causeOf(place.info)
        if (cause === null) continue
        const ending = beginEnd(place, cause)
        for (const watched of watches) watched.set(place, ending)
        if (watches.size === 0) noteUnasked(place, ending)
        count += 1
      }
      return count
    },

    watch() {
      const endings = new Map<Place, Ending>()
      watches.add(endings)
      const until = now() + answerWithinMs
      return {
        complete: () => edges.complete(until - now()),
        async result(match) {
          await edges.complete(until - now())
          const missing = edges.missing()
          const matching = [...endings].filter(([{ info }]) => info !== null && match(info))
          for (const [, ending] of matching) ending.isCounted = true
          const { sessionsEnded, unanswered } = await countEnded(
            matching.map(([{ port }, ending]) => ({ edge: port.name, ending })),
          )
          return { sessionsEnded, unanswered: [...new Set([...unanswered, ...missing])].sort() }
        },
        [Symbol.dispose]() {
          watches.delete(endings)
          const isWatched = (place: Place) => [...watches].some((watched) => watched.has(place))
          for (const [place, ending] of endings) if (!ending.isCounted && !isWatched(place)) noteUnasked(place, ending)
        },
      }
    },

    close() {
      closed = true
      if (expiryTimer) clearTimeout(expiryTimer)
      for (const place of byId.values()) place.ending?.answer(false)
      tellUnasked()
    },
  }
}
