/**
 * One-time links: accepting an invitation, and setting up a device in one step (M10).
 */

import { randomUUID } from 'node:crypto'
import type { SetUpKind } from '../../contract/portal/set-up.ts'
import { SET_UP_KINDS } from '../../contract/portal/set-up.ts'
import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import { appPasswordName } from '../../records/issue-request.ts'
import type { OneTimeLinkRow } from '../../records/store/people.ts'
import { policyFor } from '../policy.ts'
import type { PortalDeps } from './deps.ts'
import type { Presence } from './presence.ts'
import { factorNow } from './presence.ts'
import type { SigningIn } from './signing-in.ts'

type LinkHandlers = Pick<
  PortalHandlers,
  | 'invitation.show'
  | 'invitation.accept'
  | 'set-up.create'
  | 'set-up.list'
  | 'set-up.cancel'
  | 'set-up.show'
  | 'set-up.consume'
>

const SHOWN_MS = 24 * 60 * 60_000

export interface LinkParts {
  readonly presence: Presence
  readonly signingIn: SigningIn
}

export function linkHandlers(deps: PortalDeps, { presence, signingIn }: LinkParts): LinkHandlers {
  const { config, store, links, services, clock } = deps

  return {
    async 'invitation.show'({ invitation }) {
      const found = await links.show(invitation, 'invitation')
      if (found === null) return null
      const { link, user } = found
      return {
        user: user.address,
        name: user.name,
        expiresAt: link.expiresAt.toISOString(),
        why: link.why === 'reset' ? 'reset' : 'new-user',
      }
    },

    async 'invitation.accept'({ client, invitation }) {
      const found = await links.use(invitation, 'invitation', client.ip)
      if (found === null) {
        return signingIn.refuse({ next: 'refused', why: 'flow-over' }, null, client, 'invitation')
      }
      const accepted = await signingIn.accept(found.user, [factorNow('invitation', clock())], 'enrolling', client)
      return accepted.next === 'signed-in' ? { next: accepted.next, session: accepted.session } : accepted
    },

    async 'set-up.create'({ session, name: rawName, kind }) {
      const { user } = await presence.demandFresh(session)
      const policy = policyFor(config(), user)
      if (!policy.allowed) throw new ServiceError('forbidden', 'app passwords are not allowed here')
      const live = await store.countAppPasswords(user.id, clock())
      if (live >= policy.cap) {
        throw new ServiceError(
          'cap-reached',
          `there are ${live} app passwords and there may be ${policy.cap}: delete one first`,
        )
      }
      const { token, expiresAt } = await links.prepareSetUp(user, appPasswordName(rawName), kind, `user:${user.id}`)
      return { token: token.reveal(), expiresAt: expiresAt.toISOString() }
    },

    async 'set-up.list'({ session }) {
      const { user } = await presence.demand(session)
      const rows = await links.setUpsOf(user.id, new Date(clock().getTime() - SHOWN_MS))
      return rows.map(({ id, name, createdAt, usedAt, usedIp, appPasswordId }) => ({
        id,
        name: name ?? '',
        createdAt: createdAt.toISOString(),
        usedAt: usedAt?.toISOString() ?? null,
        usedIp,
        appPassword: appPasswordId,
      }))
    },

    async 'set-up.cancel'({ session, id }) {
      const { user } = await presence.demand(session)
      if (!(await links.cancelSetUp(user.id, id)))
        throw new ServiceError('not-found', 'there is no such link to cancel')
      return null
    },

    async 'set-up.show'({ setUp }) {
      const found = await links.show(setUp, 'set-up')
      if (found === null) return null
      const { link, user } = found
      return {
        user: user.address,
        name: link.name ?? '',
        kind: kindOf(link),
        expiresAt: link.expiresAt.toISOString(),
      }
    },

    async 'set-up.consume'({ client, setUp }) {
      const found = await links.use(setUp, 'set-up', client.ip)
      if (found === null) return null
      const { link, user } = found
      const request = { user: user.address, name: link.name ?? '', networks: [] }
      const issued = await services['app-password.create'](request, `user:${user.id}`)
      await links.noteResult(link, user, issued.id, client.ip)
      const detail = { name: issued.name, appPassword: issued.id, ip: client.ip }
      await store.people.putNotice({ id: randomUUID(), userId: user.id, kind: 'set-up-used', detail, at: clock() })
      return {
        user: user.address,
        displayName: user.name,
        name: issued.name,
        kind: kindOf(link),
        appPasswordId: issued.id,
        password: issued.password,
      }
    },
  }
}

function kindOf({ why }: OneTimeLinkRow): SetUpKind {
  return SET_UP_KINDS.find((kind) => kind === why) ?? 'imap'
}
