/**
 * What a person should know: kept as rows when it happened, or seen in the records when the list is shown.
 *
 * One that is dismissed stays away until it has something new to say: what it said is part of its id.
 */

import type { Notice } from '../../contract/portal/methods.ts'
import { REFUSED_LOGIN } from '../../records/refused-logins.ts'
import type { NoticeRow } from '../../records/store/people/notices.ts'
import type { TombstoneRow, UserRow } from '../../records/store/store.ts'
import type { PortalDeps } from './deps.ts'

/** Fewer recovery codes than this are few. */
const FEW_CODES = 3
/** How long after its last try a deleted app password is still of interest, and how often one that goes on trying is told of anew. */
const STILL_TRIES_MS = 7 * 24 * 60 * 60_000

export interface Notices {
  of(user: UserRow): Promise<readonly Notice[]>
  dismiss(user: UserRow, id: string): Promise<void>
}

export function createNotices({ store, clock }: PortalDeps): Notices {
  /** What stands in the records themselves. */
  async function seen(user: UserRow): Promise<readonly Notice[]> {
    const [codes, tombstones] = await Promise.all([
      store.people.recoveryCodesOf(user.id),
      store.listTombstones(user.id),
    ])
    const since = clock().getTime() - STILL_TRIES_MS
    return [
      ...tombstones.flatMap((tombstone) => stillTries(tombstone, since) ?? []),
      ...(codes === null || codes.left >= FEW_CODES
        ? []
        : [
            {
              kind: 'recovery-codes-low',
              id: `codes-${codes.madeAt.getTime()}-${codes.left}`,
              left: codes.left,
            } as const,
          ]),
    ]
  }

  return {
    async of(user) {
      const rows = await store.people.noticesOf(user.id)
      const dismissed = new Set(rows.filter(({ kind }) => kind === 'dismissed').map(({ detail }) => detail.notice))
      const since = clock().getTime() - STILL_TRIES_MS
      const all = [...(await seen(user)), ...latest(rows, since).flatMap((row) => noticeOf(row) ?? [])]
      return all.filter(({ id }) => !dismissed.has(id))
    },

    async dismiss(user, id) {
      const row = (await store.people.noticesOf(user.id)).find((notice) => notice.id === id)
      // One that is written again as long as it is true is kept, or it would be back at once.
      if (row?.kind !== REFUSED_LOGIN) {
        if (await store.people.deleteNotice(id, user.id)) return
        if (!(await seen(user)).some((notice) => notice.id === id)) return
      }
      const detail = { notice: id }
      await store.people.putNotice({ id: `${user.id}-${id}`, userId: user.id, kind: 'dismissed', detail, at: clock() })
    },
  }
}

/** Of refused logins only what is of interest still, and of each the last. @param rows newest first */
function latest(rows: readonly NoticeRow[], since: number): readonly NoticeRow[] {
  const told = new Set<string>()
  return rows.filter(({ id, kind, at }) => {
    if (kind !== REFUSED_LOGIN) return true
    const what = id.slice(0, id.lastIndexOf('-')) // without its week
    if (told.has(what) || at.getTime() < since) return false
    told.add(what)
    return true
  })
}

/** The old phone (M5). Dismissed, it is told of again when it is still at it a week later. */
function stillTries({ appPasswordId, name, deletedAt, lastTried }: TombstoneRow, since: number): Notice | null {
  if (lastTried === null || lastTried.at.getTime() < since) return null
  const week = Math.floor((lastTried.at.getTime() - deletedAt.getTime()) / STILL_TRIES_MS)
  return {
    kind: 'deleted-still-tries',
    id: `tried-${appPasswordId}-${week}`,
    name,
    deletedAt: deletedAt.toISOString(),
    lastTriedAt: lastTried.at.toISOString(),
    ip: lastTried.ip,
    protocol: lastTried.protocol,
    tries: lastTried.tries,
  }
}

function noticeOf({ id, kind, detail, at }: NoticeRow): Notice | null {
  const text = (field: string) => String(detail[field] ?? '')
  switch (kind) {
    case 'done-for-you':
      return {
        kind,
        id,
        what: text('what'),
        name: detail.name === null ? null : text('name'),
        at: at.toISOString(),
      }
    case REFUSED_LOGIN:
      return {
        kind,
        id,
        reason: text('reason'),
        name: detail.name === null ? null : text('name'),
        at: at.toISOString(),
        ip: text('ip'),
        protocol: text('protocol'),
      }
    case 'set-up-used':
      return {
        kind,
        id,
        name: text('name'),
        appPassword: text('appPassword'),
        at: at.toISOString(),
        ip: text('ip'),
      }
    case 'password-was-reset':
      return { kind, id, at: at.toISOString(), appPasswords: Number(detail.appPasswords ?? 0) }
    default:
      return null
  }
}
