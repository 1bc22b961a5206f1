/**
 * People's own devices of ActiveSync (M6). The services of the command line do the work; whose they are is the session's word,
 * so that somebody else's are not found (threats H7).
 */

import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import type { PortalDeps } from './deps.ts'
import type { Presence } from './presence.ts'

type OwnDeviceHandlers = Pick<PortalHandlers, 'device.list' | 'device.block' | 'device.allow' | 'device.forget'>

export function deviceHandlers({ config, services }: PortalDeps, presence: Presence): OwnDeviceHandlers {
  /** What a block takes away its owner can give back, unless letting devices in is for administrators. */
  const mayAllow = () => !config().eas.quarantine

  return {
    async 'device.list'({ session }) {
      const { user } = await presence.demand(session)
      const { devices } = await services['device.list']({ user: user.address }, `user:${user.id}`)
      return { devices, mayAllow: mayAllow() }
    },

    async 'device.block'({ session, id }) {
      // No fresh factor, since taking access away is never made hard; but a password alone must not cut off its owner's phone.
      const { user } = await presence.demand(session)
      return await services['device.block']({ user: user.address, id }, `user:${user.id}`)
    },

    async 'device.allow'({ session, id }) {
      const { user } = await presence.demandFresh(session)
      if (!mayAllow()) throw new ServiceError('forbidden', 'new devices are let in by an administrator')
      return await services['device.allow']({ user: user.address, id }, `user:${user.id}`)
    },

    async 'device.forget'({ session, id }) {
      const { user } = await presence.demandFresh(session)
      await services['device.forget']({ user: user.address, id }, `user:${user.id}`)
      return null
    },
  }
}
