/**
 * Services about open sessions: who is in, and getting them out.
 */

import type { ServiceHandlers, SessionView } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import type { SessionInfo } from '../grants/places.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting } from './shared.ts'

type SessionServices = Pick<ServiceHandlers, 'session.list' | 'session.end'>

export function sessionServices(deps: ServiceDeps): SessionServices {
  const { grants, users } = deps

  return {
    async 'session.list'({ user, after, limit }) {
      // A name that is nobody's is said so: an empty list would read as if nobody was in.
      const owner = user === undefined ? null : await users.show(user)
      const isMeant = (session: SessionInfo) =>
        (owner === null || session.userId === owner.id) && (after === null || session.id > after)
      // One more than wanted tells whether there is another page.
      const found = lowest(grants.all(), isMeant, limit + 1)
      const page = fitting(found.slice(0, limit).map(sessionView))
      return { sessions: page, next: page.length < found.length ? (page.at(-1)?.id ?? null) : null }
    },

    async 'session.end'({ user, appPassword, id }, actor) {
      if (user === undefined && appPassword === undefined && id === undefined) {
        throw new ServiceError('invalid', 'say which sessions: a user, an app password or a session')
      }
      const owner = user === undefined ? null : await users.show(user)
      const isMeant = (session: SessionInfo) =>
        (owner === null || session.userId === owner.id) &&
        (appPassword === undefined || session.appPassword?.id === appPassword) &&
        (id === undefined || session.id === id)
      const { ended } = await ending(deps, { actor, cause: 'asked' }, async () => ({
        value: null,
        user: owner,
        isMeant,
        detail: {
          ...(id === undefined ? {} : { session: id }),
          ...(appPassword === undefined ? {} : { appPassword }),
        },
      }))
      return ended
    },
  }
}

/** So many of those that are meant, with the lowest ids, in their order: all of them are looked at, and only a page is sorted. */
function lowest(
  sessions: Iterable<SessionInfo>,
  isMeant: (session: SessionInfo) => boolean,
  count: number,
): readonly SessionInfo[] {
  let found: SessionInfo[] = []
  let highest: string | null = null
  for (const session of sessions) {
    if ((highest !== null && session.id > highest) || !isMeant(session)) continue
    found.push(session)
    if (found.length < 2 * count) continue
    found = byId(found).slice(0, count)
    highest = found.at(-1)?.id ?? null
  }
  return byId(found).slice(0, count)
}

function byId(sessions: readonly SessionInfo[]): SessionInfo[] {
  return sessions.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** How the services show a mail session. */
export function sessionView({
  id,
  user,
  protocol,
  appPassword,
  ip,
  startedAt,
  upstream,
  state,
}: SessionInfo): SessionView {
  return { id, user, protocol, appPassword, ip, startedAt: startedAt.toISOString(), upstream, state }
}
