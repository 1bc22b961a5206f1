/**
 * Getting sessions out: each end is told to its edge, waited for, and counted for whoever asked, or noted when nobody did.
 *
 * An end is sent from a later turn of the event loop than the one that resolved the grant. Whoever carries `admit` hands
 * the grant on in that promise's own continuation, without waiting for anything else; so on one ordered channel the end
 * always comes behind its grant.
 */

import type { SessionsEnded } from '../../contract/services.ts'
import type { Metrics } from '../../metrics.ts'
import type { Edges } from '../edges.ts'
import type { EndCause, Ending } from '../ending.ts'
import { beginEnding, countEnded } from '../ending.ts'
import type { Place, Places, SessionInfo } from './places.ts'

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

export interface Ends {
  /** For the watches that there are; without any, nobody asked. */
  begin(place: Place, cause: EndCause): void
  beginUnasked(place: Place, cause: EndCause): void
  watch(): EndWatch
  /** What was not confirmed by now never will be. */
  close(): void
}

export interface EndsOptions {
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly edges: Edges
  /** Told of each end that no watch counts, a turn of the event loop later and with all others of that turn. */
  readonly onUnasked: (ends: readonly UnaskedEnd[]) => void
  /** How long an edge has to confirm an end. */
  readonly answerWithinMs: number
}

/** Told between two turns of the event loop: an edge in the same process ends them at once. */
const ENDS_A_TURN = 25

export function createEnds(places: Places, options: EndsOptions): Ends {
  const { metrics, now, edges, onUnasked, answerWithinMs } = options
  const watches = new Set<Map<Place, Ending>>()
  let unasked: UnaskedEnd[] = []
  /** Ends that their edges have not been told of yet. */
  const toTell: Place[] = []

  function start(place: Place, cause: EndCause): Ending {
    const ending = beginEnding({ cause, metrics, now, answerWithinMs })
    place.ending = ending
    if (toTell.push(place) === 1) setImmediate(tellEnds)
    return ending
  }

  function tellEnds(): void {
    for (const place of toTell.splice(0, ENDS_A_TURN)) {
      // Taken over by another channel meanwhile: then that one is told.
      if (places.get(place.id) === place && !place.edge.closed) place.edge.ender.end(place.id)
    }
    if (toTell.length > 0) setImmediate(tellEnds)
  }

  function noteUnasked({ info, edge }: Place, ending: Ending): void {
    if (info === null) return
    if (unasked.length === 0) setImmediate(tellUnasked)
    unasked.push({ session: info, edge: edge.name, ending })
  }

  function tellUnasked(): void {
    const ends = unasked
    unasked = []
    if (ends.length > 0) onUnasked(ends)
  }

  return {
    begin(place, cause) {
      const ending = start(place, cause)
      for (const watched of watches) watched.set(place, ending)
      if (watches.size === 0) noteUnasked(place, ending)
    },

    beginUnasked(place, cause) {
      noteUnasked(place, start(place, cause))
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
            matching.map(([{ edge }, ending]) => ({ edge: edge.name, ending })),
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
      for (const place of places.sessions()) place.ending?.answer(false)
      tellUnasked()
    },
  }
}
