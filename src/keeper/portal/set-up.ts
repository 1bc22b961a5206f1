/**
 * Setting up a device in one step (M10): a link that carries nothing, and the profile that using it makes.
 *
 * The app password is made when the link is used and leaves the keeper inside the profile only. It works on what the device
 * is set up for, and nothing else (M9).
 */

import { randomUUID } from 'node:crypto'
import type { ProtocolName } from '../../contract/admission.ts'
import type { SetUpKind } from '../../contract/portal/set-up.ts'
import { SET_UP_KINDS } from '../../contract/portal/set-up.ts'
import type { PortalHandlers } from '../../contract/portal.ts'
import type { PublishedSettings } from '../../contract/published.ts'
import { publishedSettings, setUpKinds } from '../../contract/published.ts'
import { ServiceError } from '../../contract/services.ts'
import { appPasswordName } from '../../records/issue-request.ts'
import type { OneTimeLinkRow } from '../../records/store/people/one-time-links.ts'
import { Secret } from '../../secret.ts'
import { policyFor } from '../policy.ts'
import { profileOf } from '../set-up/profile.ts'
import type { PortalDeps } from './deps.ts'
import type { Presence } from './presence.ts'

type SetUpHandlers = Pick<
  PortalHandlers,
  'set-up.create' | 'set-up.list' | 'set-up.cancel' | 'set-up.show' | 'set-up.consume'
>

const SHOWN_MS = 24 * 60 * 60_000
const PROTOCOLS: Readonly<Record<SetUpKind, readonly ProtocolName[]>> = { imap: ['imap', 'smtp'], eas: ['eas'] }

export function setUpHandlers(deps: PortalDeps, presence: Presence): SetUpHandlers {
  const { config, store, links, services, clock } = deps

  /** @throws ServiceError 'not-configured' when the servers for this kind are not offered */
  function demandSettings(kind: SetUpKind): PublishedSettings {
    const settings = publishedSettings(config())
    if (settings !== null && setUpKinds(settings).includes(kind)) return settings
    throw new ServiceError('not-configured', `clients are told of no servers for a device of kind "${kind}"`)
  }

  return {
    async 'set-up.create'({ session, name: rawName, kind }) {
      const { user, session: own } = await presence.demandFresh(session)
      demandSettings(kind)
      const policy = policyFor(config(), user)
      if (!policy.allowed) throw new ServiceError('forbidden', 'app passwords are not allowed here')
      const missing = PROTOCOLS[kind].filter((protocol) => !policy.protocols.includes(protocol))
      if (missing.length > 0) throw new ServiceError('forbidden', `app passwords may not work on ${missing.join(', ')}`)
      const live = await store.countAppPasswords(user.id, clock())
      if (live >= policy.cap) {
        throw new ServiceError(
          'cap-reached',
          `there are ${live} app passwords and there may be ${policy.cap}: delete one first`,
        )
      }
      const { token, expiresAt } = await links.prepareSetUp(user, appPasswordName(rawName), kind, own.id)
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
      if (!(await links.cancelSetUp(user, id))) throw new ServiceError('not-found', 'there is no such link to cancel')
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
      // Before the link is used up: nothing that is ours to get wrong may cost somebody theirs.
      const shown = await links.show(setUp, 'set-up')
      if (shown === null) return null
      const kind = kindOf(shown.link)
      const settings = demandSettings(kind)
      const sign = await signature()

      const found = await links.use(setUp, 'set-up', client.ip)
      if (found === null) return null
      const { link, user } = found
      const request = { user: user.address, name: link.name ?? '', networks: [], protocols: [...PROTOCOLS[kind]] }
      const issued = await services['app-password.create'](request, `user:${user.id}`).catch(async (error: unknown) => {
        // Too busy, or one app password too many: whoever stands there with the phone tries again.
        await links.giveBack(link)
        throw error
      })
      if (!(await links.noteResult(link, user, issued.id, client.ip))) {
        await takeBack(issued.id, user.id)
        return null
      }
      const detail = { name: issued.name, appPassword: issued.id, ip: client.ip }
      await store.people.putNotice({ id: randomUUID(), userId: user.id, kind: 'set-up-used', detail, at: clock() })
      const account = {
        kind,
        user: user.address,
        displayName: user.name,
        device: issued.name,
        appPasswordId: issued.id,
        password: new Secret(issued.password),
      }
      const profile = profileOf(settings, account, client.language, randomUUID)
      if (profile === null) throw new TypeError(`no profile of kind ${kind}, though its servers are offered`)
      return {
        user: user.address,
        name: issued.name,
        kind,
        appPasswordId: issued.id,
        profile: sign(profile).toString('base64'),
      }
    },
  }

  /** All that gives this user access was taken away while it was made. */
  async function takeBack(appPasswordId: string, userId: string): Promise<void> {
    try {
      await services['app-password.delete']({ id: appPasswordId }, `user:${userId}`)
    } catch (error) {
      // It was there already, and went with the others.
      if (!(error instanceof ServiceError && error.code === 'not-found')) throw error
    }
  }

  /** Loaded where there is something to sign with: its libraries are for nothing else. */
  async function signature(): Promise<(profile: string) => Buffer> {
    const { signing } = config().clientSetup
    if (signing === null) return (profile) => Buffer.from(profile)
    const { signProfile } = await import('../set-up/signing.ts')
    return (profile) => signProfile(profile, signing, clock())
  }
}

function kindOf({ why }: OneTimeLinkRow): SetUpKind {
  return SET_UP_KINDS.find((kind) => kind === why) ?? 'imap'
}
