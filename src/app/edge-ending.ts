/**
 * How both kinds of edge bring their sessions to an end.
 */

import type { SessionRegistry } from '../edge/login/sessions.ts'

/** A hundred clients a second come back to the next server, and more only when there are too many for the time. */
const CUT_EVERY_MS = 10

/** Cuts every session, one by one, within the time given. */
export async function cut(sessions: SessionRegistry, withinMs: number): Promise<void> {
  const doomed = sessions.list()
  const spreadMs = Math.min(withinMs, doomed.length * CUT_EVERY_MS)
  const startedAt = performance.now()
  for (const [i, { grantId }] of doomed.entries()) {
    const due = startedAt + (spreadMs * i) / doomed.length
    const waitMs = due - performance.now()
    if (waitMs >= 1) await new Promise((resolve) => setTimeout(resolve, waitMs))
    sessions.end(grantId, 'drained')
  }
}

/** Looks every so often; a drain is no hurry. */
export async function waitUntil(done: () => boolean, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (!done() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
}
