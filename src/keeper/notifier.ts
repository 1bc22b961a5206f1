/**
 * Telling people what somebody else did to their account: a notice in the portal that stays until it is dismissed.
 */

import { randomUUID } from 'node:crypto'
import type { Actor } from '../contract/services.ts'
import type { Store, UserRow } from '../records/store/store.ts'

/** What can be done for somebody; the portal has words for each. */
export type DoneForYou = 'app-password-created' | 'app-password-deleted' | 'two-step-reset'

export interface Notifier {
  /** Nothing when the person did it. `name`: of what it was done to. */
  doneForYou(user: UserRow, what: DoneForYou, name: string | null, actor: Actor): Promise<void>
}

export interface NotifierOptions {
  readonly store: Store
  readonly clock: () => Date
}

export function createNotifier({ store, clock }: NotifierOptions): Notifier {
  return {
    async doneForYou(user, what, name, actor) {
      if (actor === `user:${user.id}`) return
      const detail = { what, name }
      await store.people.putNotice({ id: randomUUID(), userId: user.id, kind: 'done-for-you', detail, at: clock() })
    },
  }
}
