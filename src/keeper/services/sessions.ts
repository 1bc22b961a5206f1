/**
 * Services about open sessions: who is in, and getting them out.
 */

import type { ServiceHandlers, SessionView } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { isUserId } from '../../records/lookup.ts'
import type { SessionInfo } from '../grants.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { canonical, fitting } from './shared.ts'

type SessionServices = Pick<ServiceHandlers, 'session.list' | 'session.end'>

export function sessionServices(deps: ServiceDeps): SessionServices {
  const { grants, names, users } = deps

  async function addressOf(user: string): Promise<string> {
    return isUserId(user) ? (await users.show(user)).address : canonical(user, names())
  }

  return {
    async 'session.list'({ user, after, limit }) {
      const address = user === undefined ? null : await addressOf(user)
      const matching = grants
        .list()
        .filter((session) => (address === null || session.user === address) && (after === null || session.id > after))
      const page = fitting(matching.slice(0, limit).map(sessionView))
      return { sessions: page, next: page.length < matching.length ? (page.at(-1)?.id ?? null) : null }
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
