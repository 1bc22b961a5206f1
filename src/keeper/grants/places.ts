/**
 * The places of all edges: what is held for an attempt, and the sessions that come of it, by id and by user.
 */

import type { Outcome, ProtocolName, SessionEnder } from '../../contract/admission.ts'
import type { Ending } from '../ending.ts'

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

export interface Place {
  /** '' while only held. */
  id: string
  readonly userId: string
  readonly appPasswordId: string | null
  edge: EdgePlaces
  disturbed: boolean
  /** null while only held. */
  info: SessionInfo | null
  expiresAt: Date | null
  onSettled: ((outcome: Outcome) => void) | null
  ending: Ending | null
}

/** One channel to an edge, and what stands on it. */
export interface EdgePlaces {
  readonly name: string
  readonly ender: SessionEnder
  readonly places: Set<Place>
  closed: boolean
}

export class Places {
  readonly #byId = new Map<string, Place>()
  readonly #byUser = new Map<string, Set<Place>>()

  /** Sessions, from their grants on. */
  get size(): number {
    return this.#byId.size
  }

  add(place: Place): void {
    place.edge.places.add(place)
    const places = this.#byUser.get(place.userId)
    if (places) places.add(place)
    else this.#byUser.set(place.userId, new Set([place]))
    if (place.id !== '') this.#byId.set(place.id, place)
  }

  /** A place that was only held has a grant now. */
  name(place: Place, id: string): void {
    place.id = id
    this.#byId.set(id, place)
  }

  remove(place: Place): void {
    place.edge.places.delete(place)
    const places = this.#byUser.get(place.userId)
    places?.delete(place)
    if (places?.size === 0) this.#byUser.delete(place.userId)
    if (place.id !== '') this.#byId.delete(place.id)
  }

  get(id: string): Place | undefined {
    return this.#byId.get(id)
  }

  /** In no order. */
  sessions(): Iterable<Place> {
    return this.#byId.values()
  }

  /** Held ones, too. */
  of(userId: string): ReadonlySet<Place> {
    return this.#byUser.get(userId) ?? NONE
  }

  userIds(): readonly string[] {
    return [...this.#byUser.keys()]
  }
}

const NONE: ReadonlySet<Place> = new Set()

/** Tells what came of a grant, once. */
export function settled(place: Place, outcome: Outcome): void {
  const { onSettled } = place
  place.onSettled = null
  onSettled?.(outcome)
}
