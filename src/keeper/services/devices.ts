/**
 * Services about devices: what has come by ActiveSync, and keeping it out.
 */

import type { DeviceView, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { appendAudit } from '../../records/audit.ts'
import type { DeviceRow } from '../../records/store/devices.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'

type DeviceServices = Pick<ServiceHandlers, 'device.list' | 'device.block' | 'device.allow' | 'device.forget'>

export function deviceServices(deps: ServiceDeps): DeviceServices {
  const { devices, users, store, grants, clock } = deps

  async function note(
    event: 'device_blocked' | 'device_allowed' | 'device_forgotten',
    actor: string,
    user: { readonly id: string; readonly address: string },
    device: string,
  ): Promise<void> {
    await store.transaction((tx) => appendAudit(tx, { event, actor, user, at: clock(), detail: { device } }))
  }

  const unknown = (user: string, id: string) =>
    new ServiceError('not-found', `${user} has no device ${id}: sallyport device list --user ${user}`)

  return {
    async 'device.list'({ user }) {
      const owner = await users.show(user)
      return { devices: (await devices.of(owner.id)).map((row) => deviceView(row, owner.address)) }
    },

    async 'device.block'({ user, id }, actor) {
      const owner = await users.show(user)
      const { value, ended } = await ending(deps, { actor, cause: 'device-blocked' }, async () => {
        const row = await devices.set(owner.id, id, 'blocked')
        if (row === null) throw unknown(owner.address, id)
        // A login that has just been let in looks again.
        grants.disturb(owner.id)
        await note('device_blocked', actor, owner, id)
        return {
          value: row,
          user: owner,
          isMeant: (session) => session.userId === owner.id && session.device === id,
        }
      })
      return { device: deviceView(value, owner.address), ...ended }
    },

    async 'device.allow'({ user, id }, actor) {
      const owner = await users.show(user)
      const row = await devices.set(owner.id, id, 'allowed')
      if (row === null) throw unknown(owner.address, id)
      await note('device_allowed', actor, owner, id)
      return { device: deviceView(row, owner.address) }
    },

    async 'device.forget'({ user, id }, actor) {
      const owner = await users.show(user)
      if (!(await devices.forget(owner.id, id))) throw unknown(owner.address, id)
      await note('device_forgotten', actor, owner, id)
      return { id, user: owner.address }
    },
  }
}

function deviceView(row: DeviceRow, user: string): DeviceView {
  const { id, type, agent, protocolVersion, state, firstSeen, lastSeen, lastIp } = row
  return {
    id,
    user,
    type,
    agent,
    protocolVersion,
    state,
    firstSeenAt: firstSeen.toISOString(),
    lastSeenAt: lastSeen.toISOString(),
    lastIp,
  }
}
