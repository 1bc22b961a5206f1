/**
 * Turns for secrets that can be guessed (primary passwords, second steps): one check at a time in each lane, and only after
 * the lane's delay was served. So guesses made at once get no more answers than guesses made one after the other (threat B3).
 */

import type { CountingLane, Wait } from './lanes.ts'
import type { Entry } from './table.ts'

/** Attempts that may wait behind one check. */
const MAX_WAITING: Readonly<Record<CountingLane, number>> = {
  // So that nobody at one address takes all the places of a user.
  'user-address': 3,
  user: 20,
  factor: 3,
  // An office in the morning.
  address: 100,
  site: Number.POSITIVE_INFINITY,
}

/** The longest delay that is being served in any of the lanes; null: none. */
export function longestWait(entries: readonly Entry[], at: number): Wait | null {
  let wait: Wait | null = null
  for (const { lane, until } of entries) {
    const waitMs = Math.ceil(until - at)
    if (waitMs > (wait?.waitMs ?? 0)) wait = { lane, waitMs }
  }
  return wait
}

export type Turn =
  /** Until `done` is called, nobody else has a turn in these lanes. */
  { readonly ok: true; readonly done: () => void } | { readonly ok: false; readonly wait: Wait }

/**
 * Waits for the checks under way, as long as no delay is being served; one that begins meanwhile ends the waiting.
 *
 * @param now monotonic, milliseconds
 * @param tooManyMs what somebody who finds all places taken is told to wait
 */
export async function takeTurn(entries: readonly Entry[], now: () => number, tooManyMs: number): Promise<Turn> {
  for (;;) {
    const wait = longestWait(entries, now())
    if (wait !== null) return { ok: false, wait }
    const busy = single(entries).find(({ turn }) => turn !== null)
    if (busy === undefined) return { ok: true, done: begin(single(entries)) }
    const waited = await waitIn([busy], () => busy.turn ?? Promise.resolve())
    if (!waited) return { ok: false, wait: { lane: busy.lane, waitMs: tooManyMs } }
  }
}

/** Waits in line in these lanes. False, and at once, when one of the lines is as long as it may be. */
export async function waitIn(entries: readonly Entry[], forWhat: () => Promise<unknown>): Promise<boolean> {
  const lines = single(entries)
  if (lines.some(({ lane, waiting }) => waiting >= MAX_WAITING[lane])) return false
  for (const entry of lines) entry.waiting += 1
  try {
    await forWhat()
  } finally {
    for (const entry of lines) entry.waiting -= 1
  }
  return true
}

/** A /48 is not held up by one check. */
function single(entries: readonly Entry[]): readonly Entry[] {
  return entries.filter(({ lane }) => lane !== 'site')
}

function begin(lanes: readonly Entry[]): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const entry of lanes) entry.turn = promise
  return () => {
    for (const entry of lanes) if (entry.turn === promise) entry.turn = null
    resolve()
  }
}
