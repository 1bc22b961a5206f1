/**
 * Services about users.
 */

import type { ServiceHandlers } from '../../contract/services.ts'
import { Secret } from '../../secret.ts'
import type { SessionInfo } from '../grants.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting, MAX_WHOLE_LIST_BYTES } from './shared.ts'

type UserServices = Pick<
  ServiceHandlers,
  | 'user.add'
  | 'user.import'
  | 'user.list'
  | 'user.show'
  | 'user.disable'
  | 'user.enable'
  | 'user.set-groups'
  | 'user.delete'
  | 'user.set-password'
>

export function userServices(deps: ServiceDeps): UserServices {
  const { config, users, revocation, log } = deps

  return {
    async 'user.add'({ address, name, groups, admin, password }, actor) {
      const secret = password === null ? null : new Secret(password)
      return await users.view(await users.add({ address, name, groups, admin, password: secret }, actor))
    },

    async 'user.import'({ users: entries }, actor) {
      const report = await users.import(entries, actor)
      return { ...report, refused: fitting(report.refused, MAX_WHOLE_LIST_BYTES) }
    },

    async 'user.list'({ search, ...page }) {
      const rows = await users.list(page, search)
      const views = fitting(await Promise.all(rows.map((row) => users.view(row))))
      const more = views.length < rows.length || rows.length === page.limit
      return { users: views, next: more ? (views.at(-1)?.address ?? null) : null }
    },

    async 'user.show'({ address }) {
      return await users.view(await users.show(address))
    },

    async 'user.disable'({ address }, actor) {
      const { value: user, ended } = await ending(deps, { actor, cause: 'user-disabled' }, async () => {
        const { user, changed } = await users.setEnabled(address, false, actor)
        if (changed) log.event('info', 'user_disabled', 'user disabled', { user: user.address, detail: `by ${actor}` })
        return { value: user, user, isMeant: isOf(user) }
      })
      return { ...(await users.view(user)), ...ended }
    },

    async 'user.enable'({ address }, actor) {
      const { user, changed } = await users.setEnabled(address, true, actor)
      if (changed) log.event('info', 'user_enabled', 'user enabled', { user: user.address, detail: `by ${actor}` })
      return await users.view(user)
    },

    async 'user.set-groups'({ address, groups }, actor) {
      const { value: user, ended } = await ending(deps, { actor, cause: 'groups-changed' }, async () => {
        const { user } = await users.setGroups(address, groups, actor)
        return { value: user, user, isMeant: isOf(user), review: () => revocation.review(user.id) }
      })
      return { ...(await users.view(user)), ...ended }
    },

    async 'user.delete'({ address }, actor) {
      const { ended } = await ending(deps, { actor, cause: 'user-deleted' }, async () => {
        const user = await users.delete(address, actor)
        return { value: null, user, isMeant: isOf(user) }
      })
      return ended
    },

    async 'user.set-password'({ address, password }, actor) {
      // 'ask' is a question of the portal to the user; an administrator who wants them gone says `delete --all`.
      const keep = config().onPasswordReset === 'revoke' ? 'revoke' : 'keep'
      const { value: user, ended } = await ending(deps, { actor, cause: 'password-reset' }, async () => {
        const { user, revoked } = await users.setPassword(address, new Secret(password), keep, actor)
        for (const { id, name } of revoked) {
          log.event('info', 'app_password_deleted', 'app password deleted with a password reset', {
            user: user.address,
            app_password: id,
            app_password_name: name,
            detail: `by ${actor}`,
          })
        }
        const ids = new Set(revoked.map(({ id }) => id))
        return { value: user, user, isMeant: ({ appPassword }) => appPassword !== null && ids.has(appPassword.id) }
      })
      return { ...(await users.view(user)), ...ended }
    },
  }
}

function isOf(user: { readonly id: string }): (session: SessionInfo) => boolean {
  return ({ userId }) => userId === user.id
}
