/**
 * People's own app passwords and mail sessions. The services of the command line do the work; here stands whose they are:
 * somebody else's are not found (threats H7).
 */

import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import { issueAppPassword } from '../services/app-passwords.ts'
import { sessionView } from '../services/sessions.ts'
import { fitting } from '../services/shared.ts'
import type { PortalDeps } from './deps.ts'
import type { Presence } from './presence.ts'

type AppPasswordHandlers = Pick<
  PortalHandlers,
  | 'app-password.issue'
  | 'app-password.rename'
  | 'app-password.revoke'
  | 'app-password.revoke-all'
  | 'mail-session.list'
  | 'mail-session.end'
>

export function appPasswordHandlers(deps: PortalDeps, presence: Presence): AppPasswordHandlers {
  const { store, services, appPasswords, grants } = deps
  const actorOf = (userId: string) => `user:${userId}`

  return {
    async 'app-password.issue'({ session, name, protocols, networks, expiresInMs }) {
      const { user, session: own } = await presence.demandFresh(session)
      const request = { user: user.address, name, protocols, networks, expiresInMs }
      return await issueAppPassword(deps, request, actorOf(user.id), own.id)
    },

    async 'app-password.rename'({ session, id, name }) {
      const { user } = await presence.demand(session)
      await appPasswords.rename(id, name, actorOf(user.id), user.id)
      return null
    },

    async 'app-password.revoke'({ session, id }) {
      const { user } = await presence.demandProven(session)
      const row = await store.appPasswordById(id)
      if (row?.userId !== user.id) throw new ServiceError('not-found', 'there is no such app password')
      return await services['app-password.delete']({ id }, actorOf(user.id))
    },

    async 'app-password.revoke-all'({ session }) {
      const { user } = await presence.demand(session)
      return await services['app-password.delete-all']({ user: user.address }, actorOf(user.id))
    },

    async 'mail-session.list'({ session }) {
      const { user } = await presence.demand(session)
      return fitting(grants.of(user.id).map(sessionView))
    },

    async 'mail-session.end'({ session, id }) {
      const { user } = await presence.demand(session)
      return await services['session.end']({ user: user.address, id }, actorOf(user.id))
    },
  }
}
