/**
 * Services about app passwords: issuing them under the policy, and deleting them with everything they opened.
 */

import type {
  Actor,
  IssuedAppPassword,
  RevokedAppPasswords,
  ServiceHandlers,
  ServiceParams,
} from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import type { RevokedAppPassword } from '../../records/app-passwords.ts'
import { appPasswordView } from '../../records/app-passwords.ts'
import { inPieces } from '../../records/in-pieces.ts'
import { policyFor } from '../policy.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting, MAX_WHOLE_LIST_BYTES } from './shared.ts'

type AppPasswordServices = Pick<
  ServiceHandlers,
  | 'app-password.create'
  | 'app-password.list'
  | 'app-password.show'
  | 'app-password.update'
  | 'app-password.delete'
  | 'app-password.delete-all'
  | 'app-password.delete-unused'
>

type IssueDeps = Pick<ServiceDeps, 'config' | 'users' | 'appPasswords' | 'notifier' | 'log'>

/** Lines of the log written between two turns of the event loop. */
const A_TURN = 200
/** Each gets a notice, which is a write of its own. */
const OWNERS_A_TURN = 5

export function appPasswordServices(deps: ServiceDeps): AppPasswordServices {
  const { config, appPasswords, notifier, revocation, store, log } = deps

  /** Deletes by `revoke` and waits until the sessions that this ended are gone. */
  async function revoking(
    actor: string,
    revoke: () => Promise<readonly RevokedAppPassword[]>,
  ): Promise<RevokedAppPasswords> {
    const { value, ended } = await ending(deps, { actor, cause: 'app-password-deleted' }, async () => {
      const deleted = await revoke()
      const ids = new Set(deleted.map(({ id }) => id))
      const [only] = deleted
      return {
        value: deleted,
        user: whose(deleted),
        isMeant: ({ appPassword }) => appPassword !== null && ids.has(appPassword.id),
        ...(deleted.length === 1 && only ? { detail: { appPassword: only.id } } : {}),
      }
    })
    await inPieces(value, A_TURN, (deleted) => {
      for (const { id, name, address } of deleted) {
        log.event('info', 'app_password_deleted', 'app password deleted', {
          user: address,
          app_password: id,
          app_password_name: name,
          detail: `by ${actor}`,
        })
      }
    })
    await tellOwners(value, actor)
    const views = value.map(({ id, name, address }) => ({ id, user: address, name }))
    return { deleted: fitting(views, MAX_WHOLE_LIST_BYTES), ...ended }
  }

  /** One notice for each owner, however many there were. */
  async function tellOwners(deleted: readonly RevokedAppPassword[], actor: string): Promise<void> {
    const byOwner = [...Map.groupBy(deleted, (each) => each.userId)]
    await inPieces(byOwner, OWNERS_A_TURN, async (owners) => {
      for (const [userId, own] of owners) {
        const owner = actor === `user:${userId}` ? null : await store.userById(userId)
        const name = own.length === 1 ? (own[0]?.name ?? null) : null
        if (owner) await notifier.doneForYou(owner, 'app-password-deleted', name, actor)
      }
    })
  }

  return {
    'app-password.create': (request, actor) => issueAppPassword(deps, request, actor),

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

    async 'app-password.show'({ id }) {
      const { user, row } = await appPasswords.show(id)
      return appPasswordView(row, user.address)
    },

    async 'app-password.update'({ id, ...request }, actor) {
      const { value, ended } = await ending(deps, { actor, cause: 'app-password-narrowed' }, async () => {
        const { user, row } = await appPasswords.update(id, request, (owner) => policyFor(config(), owner), actor)
        return {
          value: appPasswordView(row, user.address),
          user,
          isMeant: ({ appPassword }) => appPassword?.id === id,
          detail: { appPassword: id },
          review: () => revocation.review(user.id),
        }
      })
      return { ...value, ...ended }
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

/**
 * Issues one under the owner's policy.
 *
 * @param session the portal session that asks, if one does: 'signed-out' when it was ended meanwhile
 */
export async function issueAppPassword(
  { config, users, appPasswords, notifier, log }: IssueDeps,
  { user: address, ...request }: ServiceParams<'app-password.create'>,
  actor: Actor,
  session?: string,
): Promise<IssuedAppPassword> {
  const owner = await users.show(address)
  const policy = policyFor(config(), owner)
  if (!policy.allowed) throw new ServiceError('forbidden', `${owner.address} may not have app passwords (policy)`)
  const { user, row, password } = await appPasswords.issue({ address, ...request, session }, policy, actor)
  log.event('info', 'app_password_created', 'app password created', {
    user: user.address,
    app_password: row.id,
    app_password_name: row.name,
    detail: `by ${actor}`,
  })
  await notifier.doneForYou(user, 'app-password-created', row.name, actor)
  return {
    id: row.id,
    user: user.address,
    name: row.name,
    password: password.reveal(), // the only place where it ever leaves the keeper (R16)
    protocols: row.protocols,
    createdAt: row.createdAt.toISOString(),
  }
}

/** The one owner of all of them; null: several, or none. */
function whose(revoked: readonly RevokedAppPassword[]): { readonly id: string; readonly address: string } | null {
  const [first] = revoked
  if (!first || revoked.some(({ userId }) => userId !== first.userId)) return null
  return { id: first.userId, address: first.address }
}
