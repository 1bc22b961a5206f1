/**
 * Logins that were refused although the secret was the user's own, where the protocol has no words to say why (ActiveSync): noted
 * for the owner as notices of the portal, in batches, never on the path of a login.
 *
 * One row for what is refused, why, and in which week, so that a phone that tries for ever fills nothing and a notice that was
 * dismissed comes back when it is still at it a week later.
 */

import type { ProtocolName } from '../contract/admission.ts'
import type { NoticeRow } from './store/people/notices.ts'
import type { Store } from './store/store.ts'
import type { WriteBatch, WriteBatchOptions } from './write-batch.ts'
import { createWriteBatch } from './write-batch.ts'

export const REFUSED_WITH_NOTICE = ['app-password-expired', 'not-on-this-protocol', 'use-app-password'] as const
export type RefusedWithNotice = (typeof REFUSED_WITH_NOTICE)[number]

export interface RefusedLogin {
  readonly userId: string
  readonly reason: RefusedWithNotice
  /** null: the primary password. */
  readonly appPassword: { readonly id: string; readonly name: string } | null
  readonly at: Date
  readonly ip: string
  readonly protocol: ProtocolName
}

export interface RefusedLogins extends AsyncDisposable {
  note(login: RefusedLogin): void
}

export const REFUSED_LOGIN = 'login-refused'
const WEEK_MS = 7 * 24 * 60 * 60_000

export function createRefusedLogins({
  store,
  ...options
}: Pick<WriteBatchOptions<never>, 'flushMs' | 'onError'> & { readonly store: Store }): RefusedLogins {
  const batch: WriteBatch<NoticeRow> = createWriteBatch({
    ...options,
    write: (rows) =>
      store.transaction(async (tx) => {
        // A user who was deleted meanwhile has no notices.
        for (const row of rows.values()) if (await tx.userById(row.userId)) await tx.people.putNotice(row)
      }),
  })
  return {
    note({ userId, reason, appPassword, at, ip, protocol }) {
      const week = Math.floor(at.getTime() / WEEK_MS)
      const id = `refused-${appPassword?.id ?? userId}-${REFUSED_WITH_NOTICE.indexOf(reason)}-${week}`
      const detail = { reason, name: appPassword?.name ?? null, ip, protocol }
      batch.note(id, { id, userId, kind: REFUSED_LOGIN, detail, at })
    },
    [Symbol.asyncDispose]: () => batch[Symbol.asyncDispose](),
  }
}
