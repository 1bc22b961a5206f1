/**
 * Services about users.
 */

import type { Actor, ServiceHandlers, SessionsEnded, UserView } from '../../contract/services.ts'
import type { UserUpdate } from '../../records/user-fields.ts'
import { Secret } from '../../secret.ts'
import type { SessionInfo } from '../grants/places.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting, MAX_WHOLE_LIST_BYTES } from './shared.ts'
import { methodViews } from './two-step.ts'

type UserServices = Pick<
  ServiceHandlers,
  | 'user.add'
  | 'user.import'
  | 'user.list'
  | 'user.show'
  | 'user.disable'
  | 'user.enable'
  | 'user.update'
  | 'user.set-groups'
  | 'user.delete'
  | 'user.set-password'
>

export function userServices(deps: ServiceDeps): UserServices {
  const { config, users, revocation, twoStep, notifier, log } = deps

  /** Somebody who is disabled loses every session; otherwise those end that the policy of new groups does not allow. */
  async function update(address: string, wanted: UserUpdate, actor: Actor): Promise<UserView & SessionsEnded> {
    const isDisabling = wanted.enabled === false
    const cause = isDisabling ? 'user-disabled' : 'groups-changed'
    const { value: user, ended } = await ending(deps, { actor, cause }, async () => {
      const { user, changed } = await users.update(address, wanted, actor)
      if (changed.includes('enabled')) {
        const [event, text] = user.enabled
          ? (['user_enabled', 'user enabled'] as const)
          : (['user_disabled', 'user disabled'] as const)
        log.event('info', event, text, { user: user.address, detail: `by ${actor}` })
      }
      return {
        value: user,
        user,
        isMeant: isOf(user),
        ...(!isDisabling && { review: () => revocation.review(user.id) }),
      }
    })
    return { ...(await users.view(user)), ...ended }
  }

  return {
    async 'user.add'({ password, ...request }, actor) {
      const secret = password === null ? null : new Secret(password)
      return await users.view(await users.add({ ...request, password: secret }, actor))
    },

    async 'user.import'({ users: entries }, actor) {
      const report = await users.import(entries, actor)
      return { ...report, refused: fitting(report.refused, MAX_WHOLE_LIST_BYTES) }
    },

    async 'user.list'({ search, ...page }) {
      const rows = await users.list(page, search)
      const views = fitting(await users.views(rows))
      const more = views.length < rows.length || rows.length === page.limit
      return { users: views, next: more ? (views.at(-1)?.address ?? null) : null }
    },

    async 'user.show'({ address }) {
      const user = await users.show(address)
      const methods = await twoStep.methodsOf(user.id)
      return {
        ...(await users.view(user)),
        methods: methodViews(methods, config()),
        recoveryCodes: methods.recoveryCodes?.left ?? null,
      }
    },

    'user.update': ({ address, ...wanted }, actor) => update(address, wanted, actor),
    'user.disable': ({ address }, actor) => update(address, { enabled: false }, actor),
    'user.set-groups': ({ address, groups }, actor) => update(address, { groups }, actor),

    async 'user.enable'({ address }, actor) {
      const { sessionsEnded: _, unanswered: __, ...view } = await update(address, { enabled: true }, actor)
      return view
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
      const keep = config().onPasswordReset
      const { value, ended } = await ending(deps, { actor, cause: 'password-reset' }, async () => {
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
        return {
          value: { user, revoked },
          user,
          isMeant: ({ appPassword }) => appPassword !== null && ids.has(appPassword.id),
        }
      })
      const { user, revoked } = value
      const name = revoked.length === 1 ? (revoked[0]?.name ?? null) : null
      if (revoked.length > 0) await notifier.doneForYou(user, 'app-password-deleted', name, actor)
      return { ...(await users.view(user)), ...ended }
    },
  }
}

function isOf(user: { readonly id: string }): (session: SessionInfo) => boolean {
  return ({ userId }) => userId === user.id
}
