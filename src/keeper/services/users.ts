/**
 * Services about users.
 */

import type { ServiceHandlers } from '../../contract/services.ts'
import { Secret } from '../../secret.ts'
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
  | 'user.delete'
  | 'user.set-password'
>

export function userServices({ config, users, grants, log }: ServiceDeps): UserServices {
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
      using ending = grants.watch()
      const { user, changed } = await users.setEnabled(address, false, actor)
      const isTheirs = ({ userId }: { readonly userId: string }) => userId === user.id
      grants.end(isTheirs)
      if (changed) log.event('info', 'user_disabled', 'user disabled', { user: user.address, detail: `by ${actor}` })
      return { ...(await users.view(user)), ...(await ending.result(isTheirs)) }
    },

    async 'user.enable'({ address }, actor) {
      const { user, changed } = await users.setEnabled(address, true, actor)
      if (changed) log.event('info', 'user_enabled', 'user enabled', { user: user.address, detail: `by ${actor}` })
      return await users.view(user)
    },

    async 'user.delete'({ address }, actor) {
      using ending = grants.watch()
      const user = await users.delete(address, actor)
      const isTheirs = ({ userId }: { readonly userId: string }) => userId === user.id
      grants.end(isTheirs)
      return await ending.result(isTheirs)
    },

    async 'user.set-password'({ address, password }, actor) {
      using ending = grants.watch()
      // 'ask' is a question of the portal to the user; an administrator who wants them gone says `delete --all`.
      const keep = config().onPasswordReset === 'revoke' ? 'revoke' : 'keep'
      const { user, revoked } = await users.setPassword(address, new Secret(password), keep, actor)
      const ids = new Set(revoked.map(({ id }) => id))
      for (const { id, name } of revoked) {
        log.event('info', 'app_password_deleted', 'app password deleted with a password reset', {
          user: user.address,
          app_password: id,
          app_password_name: name,
          detail: `by ${actor}`,
        })
      }
      grants.end(({ appPassword }) => appPassword !== null && ids.has(appPassword.id))
      const ended = await ending.result(({ appPassword }) => appPassword !== null && ids.has(appPassword.id))
      return { ...(await users.view(user)), ...ended }
    },
  }
}
