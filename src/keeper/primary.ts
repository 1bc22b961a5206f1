/**
 * Primary passwords on their way upstream (`primaryPassword: until-enrolled`): which may be sent at all.
 *
 * The upstream judges them, and its directory locks accounts, so what goes there is rationed: what it refused is not sent
 * again for ten minutes, a user gets five refusals in a quarter of an hour, and one upstream a bounded number from
 * everybody. A place is taken before the secret goes out, so guesses made at once don't get past the ration together.
 *
 * A name that no upstream is asked about (unknown, disabled, enrolled) has a ration of the same size in a book of its own, so
 * that nobody tells the two apart by when it is spent, and made-up names push nobody's out.
 */

import type { KeyObject } from 'node:crypto'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Secret } from '../secret.ts'

export type PrimaryVerdict =
  | { readonly verdict: 'send'; readonly attempt: PrimaryAttempt }
  /** The upstream has refused this very secret a short while ago: it is wrong, and the upstream need not hear of it. */
  | { readonly verdict: 'refused-before' }
  /** Nothing is said about the secret. */
  | { readonly verdict: 'spent'; readonly ration: 'user' | 'upstream'; readonly waitMs: number }

/** Exactly one of the three is called; later calls change nothing. */
export interface PrimaryAttempt {
  /** The upstream took it: its place is given back. */
  accepted(): void
  /** The upstream refused it, or may have: the place stays taken until its time is over. */
  refused(): void
  /** It was never judged: its place is given back. */
  unjudged(): void
}

export interface PrimaryPasswords {
  take(userId: string, upstream: string, secret: Secret): PrimaryVerdict
  /** The same for a name that no upstream is asked about, and without a place of the upstream's. */
  pretend(name: string, upstream: string, secret: Secret): PrimaryVerdict
  /** Begins the rations of a user and of a name anew; both null: everybody's. The upstream's own goes on. */
  forget(userId: string | null, name: string | null): void
}

export interface PrimaryPasswordsOptions {
  /** Monotonic, milliseconds. */
  readonly now: () => number
  /** Refusals of one upstream within `upstreamWindowMs`. */
  readonly perUpstream?: number
  readonly upstreamWindowMs?: number
}

/** Refusals of one user within USER_WINDOW_MS. Below the lock-out of the directory. */
const PER_USER = 5
const USER_WINDOW_MS = 15 * 60_000
const PER_UPSTREAM = 120
const UPSTREAM_WINDOW_MS = 60_000
const REFUSED_MEMORY_MS = 10 * 60_000
/** In either book. Only names with a user record get into that of users, so nobody can fill it at will. */
const MAX_USERS = 100_000
const MAX_REFUSED = 200_000

/** Who has asked, and what was refused. */
interface Book {
  readonly refused: LRUCache<string, number>
  readonly rations: LRUCache<string, Ration>
}

interface Ration {
  readonly max: number
  readonly windowMs: number
  /** When each place was taken, oldest first. */
  taken: number[]
}

export function createPrimaryPasswords(options: PrimaryPasswordsOptions): PrimaryPasswords {
  const { now } = options
  const key: KeyObject = createSecretKey(randomBytes(32))
  const newBook = (): Book => ({
    refused: new LRUCache({ max: MAX_REFUSED }),
    rations: new LRUCache({ max: MAX_USERS }),
  })
  const users = newBook()
  const strangers = newBook()
  const upstreams = new Map<string, Ration>()

  function rationOf({ rations }: Book, who: string): Ration {
    const known = rations.get(who)
    if (known) return known
    const ration = { max: PER_USER, windowMs: USER_WINDOW_MS, taken: [] }
    rations.set(who, ration)
    return ration
  }

  function rationOfUpstream(upstream: string): Ration {
    const known = upstreams.get(upstream)
    if (known) return known
    const { perUpstream = PER_UPSTREAM, upstreamWindowMs = UPSTREAM_WINDOW_MS } = options
    const ration = { max: perUpstream, windowMs: upstreamWindowMs, taken: [] }
    upstreams.set(upstream, ration)
    return ration
  }

  /** null: there is a place. Otherwise how long until there is. */
  function spentFor(ration: Ration, at: number): number | null {
    ration.taken = ration.taken.filter((taken) => at - taken < ration.windowMs)
    const oldest = ration.taken[0]
    return ration.taken.length < ration.max || oldest === undefined ? null : oldest + ration.windowMs - at
  }

  function take(book: Book, who: string, upstream: string, secret: Secret): PrimaryVerdict {
    const at = now()
    const mark = createHmac('sha256', key).update(`${who}\0${secret.reveal()}`).digest('base64url')
    const refusedAt = book.refused.get(mark)
    if (refusedAt !== undefined && at - refusedAt < REFUSED_MEMORY_MS) return { verdict: 'refused-before' }

    const own = rationOf(book, who)
    const everybody = rationOfUpstream(upstream)
    for (const [ration, name] of [
      [own, 'user'],
      [everybody, 'upstream'],
    ] as const) {
      const waitMs = spentFor(ration, at)
      if (waitMs !== null) return { verdict: 'spent', ration: name, waitMs }
    }
    const places = book === users ? [own, everybody] : [own]
    for (const { taken } of places) taken.push(at)
    let decided = false

    function giveBack(): void {
      if (decided) return
      decided = true
      for (const { taken } of places) {
        const place = taken.indexOf(at)
        if (place >= 0) taken.splice(place, 1)
      }
    }

    return {
      verdict: 'send',
      attempt: {
        accepted: giveBack,
        unjudged: giveBack,
        refused() {
          if (!decided) book.refused.set(mark, now())
          decided = true
        },
      },
    }
  }

  return {
    take: (userId, upstream, secret) => take(users, userId, upstream, secret),
    pretend: (name, upstream, secret) => take(strangers, name, upstream, secret),
    forget(userId, name) {
      for (const [{ rations }, who] of [
        [users, userId],
        [strangers, name],
      ] as const) {
        if (who !== null) rations.delete(who)
        else if (userId === null && name === null) rations.clear()
      }
    },
  }
}
