/**
 * What every way to lose access has in common: the change, the end of what it opened, the count, and the audit entry with it.
 */

import type { SessionsEnded } from '../../contract/services.ts'
import { appendAudit } from '../../records/audit.ts'
import type { Store } from '../../records/store/store.ts'
import { StoreError } from '../../records/store/store.ts'
import type { AuditLoss } from '../audit-loss.ts'
import type { EndCause } from '../ending.ts'
import type { EndWatch } from '../grants/ends.ts'
import type { SessionInfo } from '../grants/places.ts'
import type { Grants } from '../grants.ts'

export interface EndingDeps {
  readonly grants: Grants
  readonly store: Store
  readonly clock: () => Date
  readonly loss: AuditLoss
}

/** What a change means for sessions, once it is committed. */
export interface Change<T> {
  readonly value: T
  /** Whom the audit entry is about; null: nobody in particular. */
  readonly user: { readonly id: string; readonly address: string } | null
  /** Which of the sessions that end meanwhile count. */
  readonly isMeant: (session: SessionInfo) => boolean
  readonly detail?: { readonly session?: string; readonly appPassword?: string }
  /** How the sessions that are to end are found; left out: all that are meant end. */
  readonly review?: () => Promise<void>
}

/** Makes a change, ends what it opened, and answers when all edges have confirmed it or a second is over. */
export async function ending<T>(
  deps: EndingDeps,
  by: { readonly actor: string; readonly cause: EndCause },
  change: () => Promise<Change<T>>,
): Promise<{ readonly value: T; readonly ended: SessionsEnded }> {
  using watch: EndWatch = deps.grants.watch()
  const { value, user, isMeant, detail, review } = await change()
  const causeOf = (session: SessionInfo) => (isMeant(session) ? by.cause : null)
  if (review) await review()
  else deps.grants.end(causeOf)
  await watch.complete()
  // Those of an edge that has come back meanwhile.
  if (!review) deps.grants.end(causeOf)
  const ended = await watch.result(isMeant)
  await noteEnded(deps, by, user, ended, detail)
  return { value, ended }
}

/** The audit entry about sessions that ended: who, why, how many, and who did not answer. None when there was nothing to end. */
export async function noteEnded(
  { store, clock, loss }: Pick<EndingDeps, 'store' | 'clock' | 'loss'>,
  by: { readonly actor: string; readonly cause: EndCause },
  user: { readonly id: string; readonly address: string } | null,
  { sessionsEnded, unanswered }: SessionsEnded,
  detail: Change<never>['detail'] = {},
): Promise<void> {
  if (sessionsEnded === 0 && unanswered.length === 0 && by.cause !== 'asked') return
  try {
    await store.transaction((tx) =>
      appendAudit(tx, {
        event: 'sessions_ended',
        actor: by.actor,
        user,
        at: clock(),
        detail: {
          ...detail,
          why: by.cause,
          count: sessionsEnded,
          ...(unanswered.length === 0 ? {} : { unanswered: unanswered.join(',') }),
        },
      }),
    )
  } catch (error) {
    // The change is committed with an entry of its own and the sessions are over: only the count is lost.
    if (!(error instanceof StoreError)) throw error
    loss.lost('sessions_ended', error)
  }
}
