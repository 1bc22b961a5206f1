/**
 * Services about app passwords: issuing them under the policy, and deleting them with everything they opened.
 */

import type { RevokedAppPasswords, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import type { RevokedAppPassword } from '../../records/app-passwords.ts'
import { appPasswordView } from '../../records/app-passwords.ts'
import { policyFor } from '../policy.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting, MAX_WHOLE_LIST_BYTES } from './shared.ts'

type AppPasswordServices = Pick<
  ServiceHandlers,
  | 'app-password.create'
  | 'app-password.list'
  | 'app-password.delete'
  | 'app-password.delete-all'
  | 'app-password.delete-unused'
>

export function appPasswordServices({ config, users, appPasswords, grants, log }: ServiceDeps): AppPasswordServices {
  /** Deletes by `revoke` and waits until the sessions that this ended are gone. */
  async function revoking(
    actor: string,
    revoke: () => Promise<readonly RevokedAppPassword[]>,
  ): Promise<RevokedAppPasswords> {
    using ending = grants.watch()
    const deleted = await revoke()
    const ids = new Set(deleted.map(({ id }) => id))
    const isGone = ({ appPassword }: { readonly appPassword: { readonly id: string } | null }) =>
      appPassword !== null && ids.has(appPassword.id)
    grants.end(isGone)
    for (const { id, name, address } of deleted) {
      log.event('info', 'app_password_deleted', 'app password deleted', {
        user: address,
        app_password: id,
        app_password_name: name,
        detail: `by ${actor}`,
      })
    }
    const views = deleted.map(({ id, name, address }) => ({ id, user: address, name }))
    return { deleted: fitting(views, MAX_WHOLE_LIST_BYTES), ...(await ending.result(isGone)) }
  }

  return {
    async 'app-password.create'({ user: address, name, protocols, networks, expiresInMs }, actor) {
      const owner = await users.show(address)
      const policy = policyFor(config(), owner.groups)
      if (!policy.allowed) throw new ServiceError('forbidden', `${owner.address} may not have app passwords (policy)`)
      const { user, row, password } = await appPasswords.issue(
        { address, name, protocols, networks, expiresInMs },
        policy,
        actor,
      )
      log.event('info', 'app_password_created', 'app password created', {
        user: user.address,
        app_password: row.id,
        app_password_name: row.name,
        detail: `by ${actor}`,
      })
      return {
        id: row.id,
        user: user.address,
        name: row.name,
        password: password.reveal(), // the only place where it ever leaves the keeper (R16)
        protocols: row.protocols,
        createdAt: row.createdAt.toISOString(),
      }
    },

    async 'app-password.list'({ user: address }) {
      const { user, rows } = await appPasswords.list(address)
      const views = rows.map((row) => appPasswordView(row, user.address))
      const fit = fitting(views, MAX_WHOLE_LIST_BYTES)
      if (fit.length < views.length) {
        log.event('warn', 'warning', 'a list of app passwords was cut to the newest ones, to fit one answer', {
          user: user.address,
        })
      }
      return fit
    },

    async 'app-password.delete'({ id }, actor) {
      return await revoking(actor, async () => [await appPasswords.revoke(id, actor)])
    },

    async 'app-password.delete-all'({ user }, actor) {
      return await revoking(actor, () => appPasswords.revokeAll(user, actor))
    },

    async 'app-password.delete-unused'({ unusedForMs }, actor) {
      return await revoking(actor, () => appPasswords.revokeUnused(unusedForMs, actor))
    },
  }
}
