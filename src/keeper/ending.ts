/**
 * The end of a session while it is under way: asked for, and not yet confirmed by its edge.
 */

import { setImmediate } from 'node:timers/promises'
import type { SessionsEnded } from '../contract/services.ts'
import type { Metrics } from '../metrics.ts'

/** Why sessions ended, for the audit trail. */
export type EndCause =
  | 'app-password-deleted'
  | 'app-password-narrowed'
  | 'password-reset'
  | 'user-disabled'
  | 'device-blocked'
  | 'user-deleted'
  | 'groups-changed'
  /** A primary password is nothing to mail clients from the first second step on. */
  | 'two-step-enrolled'
  /** App passwords were forbidden: to all, to a group, to the user. */
  | 'policy'
  /** A reload: forbidden there, or the domain's route or the upstream taken out. */
  | 'configuration'
  | 'expired'
  | 'asked'

export interface Ending {
  readonly cause: EndCause
  /** true: the edge said that the session is over. false: it did not in time, or nobody can say any more. */
  readonly confirmed: Promise<boolean>
  /** Whether a command's answer counts it. Whatever none counts has an audit entry of its own. */
  isCounted: boolean
  /** The first answer counts. */
  answer(confirmed: boolean): void
}

/** Begins to wait for an edge's answer; without one the end counts as unconfirmed after `answerWithinMs`. */
export function beginEnding(options: {
  readonly cause: EndCause
  readonly metrics: Metrics
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly answerWithinMs: number
}): Ending {
  const { cause, metrics, now, answerWithinMs } = options
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const since = now()
  const timer = setTimeout(() => resolve(false), answerWithinMs)
  return {
    cause,
    isCounted: false,
    confirmed: promise,
    answer(confirmed) {
      clearTimeout(timer)
      // Also when it comes late: how long it took is what the metric is for.
      if (confirmed) metrics.revocation.observe((now() - since) / 1000)
      resolve(confirmed)
    },
  }
}

/** Ends that are over already are counted this many in one turn of the event loop. */
const COUNTED_A_TURN = 1000

/**
 * Waits for all of them: how many sessions are over, and which edges left one open. Each has its time from its own beginning: among
 * thousands of sessions some are found later than others.
 */
export async function countEnded(
  endings: readonly { readonly edge: string; readonly ending: Ending }[],
): Promise<SessionsEnded> {
  let sessionsEnded = 0
  const unanswered = new Set<string>()
  for (const [n, { edge, ending }] of endings.entries()) {
    if (n > 0 && n % COUNTED_A_TURN === 0) await setImmediate()
    if (await ending.confirmed) sessionsEnded += 1
    else unanswered.add(edge)
  }
  return { sessionsEnded, unanswered: [...unanswered].sort() }
}
