/**
 * Services about two-step verification: invitations, and taking it away.
 */

import type { Config } from '../../config.ts'
import type { IssuedInvitation, MethodView, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { Methods } from '../../records/two-step.ts'
import type { ServiceDeps } from './shared.ts'

type TwoStepServices = Pick<ServiceHandlers, 'user.invite' | 'user.reset-two-step'>

export function twoStepServices(deps: ServiceDeps): TwoStepServices {
  const { config, users, twoStep, links, notifier } = deps

  async function invite(user: UserRow, mail: boolean, actor: string): Promise<IssuedInvitation> {
    const { token, expiresAt } = await links.invite(user, mail, actor)
    const url = `${portalUrl(config())}/invitation/${token.reveal()}`
    if (mail) await notifier.invite(user, url, expiresAt)
    return { user: user.address, url: mail ? null : url, expiresAt: expiresAt.toISOString(), mailed: mail }
  }

  /** Asked before anything is changed. */
  function demandMeans(mail: boolean): void {
    portalUrl(config())
    if (mail && config().mail === null) {
      throw new ServiceError('not-configured', 'the configuration has no sender for mails: set mail.from')
    }
  }

  return {
    async 'user.invite'({ address, mail }, actor) {
      demandMeans(mail)
      return await invite(await users.show(address), mail, actor)
    },

    async 'user.reset-two-step'({ address, mail }, actor) {
      demandMeans(mail)
      const user = await users.show(address)
      const methodsDeleted = await twoStep.reset(user, actor)
      await notifier.doneForYou(user, 'two-step-reset', null, actor)
      return { ...(await invite(user, mail, actor)), methodsDeleted }
    },
  }
}

/** Without a slash at the end. @throws ServiceError 'not-configured' */
export function portalUrl({ portal }: Config): string {
  if (portal === null) {
    throw new ServiceError('not-configured', 'the configuration has no portal to invite anybody to: set portal.url')
  }
  return portal.url.replace(/\/+$/, '')
}

/** How the services show what a user proves itself with. */
export function methodViews({ apps, passkeys, links }: Methods, config: Config): readonly MethodView[] {
  const view = (kind: 'totp' | 'passkey') => (row: Methods['apps'][number] | Methods['passkeys'][number]) => ({
    kind,
    id: row.id,
    name: row.name,
    createdAt: row.createdAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  })
  return [
    ...apps.map(view('totp')),
    ...passkeys.map(view('passkey')),
    ...links.map(({ id, issuer, linkedAt }) => ({
      kind: 'provider' as const,
      id,
      name: providerName(config, issuer),
      createdAt: linkedAt.toISOString(),
      lastUsedAt: null,
    })),
  ]
}

/** As the button says it; the host of one that left the configuration. */
export function providerName({ signIn }: Config, issuer: string): string {
  return signIn?.oidc.find((one) => one.issuer === issuer)?.name ?? new URL(issuer).host
}
