/**
 * Services about devices: what has come by ActiveSync, and keeping it out.
 *
 * An administrator's block is not its owner's to undo, whichever way it is asked: allowing it, forgetting it, or blocking it again.
 */

import type { Actor, DeviceView, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { appendAudit } from '../../records/audit.ts'
import type { DevicePlace, DeviceRow } from '../../records/store/devices.ts'
import type { StoreTransaction, UserRow } from '../../records/store/store.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting } from './shared.ts'

type DeviceServices = Pick<ServiceHandlers, 'device.list' | 'device.block' | 'device.allow' | 'device.forget'>
type Event = 'device_blocked' | 'device_allowed' | 'device_forgotten'

/** What of its own words stands in a notice: nothing that could be read as an address to go to. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9 _-]{0,31}$/

export function deviceServices(deps: ServiceDeps): DeviceServices {
  const { devices, users, notifier, clock } = deps

  /** Changes one device, with its entry in the audit trail. @throws ServiceError 'not-found', and whatever `work` throws */
  async function change(
    owner: UserRow,
    id: string,
    by: { readonly actor: Actor; readonly event: Event },
    work: (tx: StoreTransaction, row: DeviceRow) => Promise<DeviceRow>,
  ): Promise<{ readonly before: DeviceRow; readonly row: DeviceRow }> {
    return await devices.change(owner.id, async (tx, rows) => {
      const before = rows.find((each) => each.id === id)
      if (before === undefined) {
        const { address } = owner
        throw new ServiceError('not-found', `${address} has no device ${id}: sallyport device list --user ${address}`)
      }
      const row = await work(tx, before)
      await appendAudit(tx, { ...by, user: owner, at: clock(), detail: { device: id } })
      return { before, row }
    })
  }

  async function setState(tx: StoreTransaction, row: DeviceRow, next: Pick<DeviceRow, 'state' | 'blockedBy'>) {
    await tx.devices.setState(row.userId, row.id, next.state, next.blockedBy)
    return { ...row, ...next }
  }

  /** @throws ServiceError 'forbidden' */
  function demandMayUndo(row: DeviceRow, owner: UserRow, actor: Actor): void {
    if (row.blockedBy !== 'administrator' || !isOwner(owner, actor) || owner.admin) return
    throw new ServiceError('forbidden', 'this device was blocked by an administrator, who alone can let it in again')
  }

  return {
    async 'device.list'(request) {
      const { state = null } = request
      if ('user' in request) {
        const owner = await users.show(request.user)
        const rows = (await devices.of(owner.id)).filter((row) => state === null || row.state === state)
        return { devices: rows.map((row) => deviceView(row, owner.address)), next: null }
      }
      const { limit } = request
      const after = request.after === null ? null : placeAt(request.after)
      // One more than wanted tells whether there is another page.
      const rows = await devices.list({ state, after, limit: limit + 1 })
      const page = fitting(rows.slice(0, limit).map((row) => deviceView(row, row.address)))
      const last = page.length < rows.length ? rows[page.length - 1] : undefined
      return { devices: page, next: last === undefined ? null : placeOf(last) }
    },

    async 'device.block'({ user, id }, actor) {
      const owner = await users.show(user)
      const blocker = isOwner(owner, actor) ? 'owner' : 'administrator'
      const { value, ended } = await ending(deps, { actor, cause: 'device-blocked' }, async () => {
        const value = await change(owner, id, { actor, event: 'device_blocked' }, (tx, row) =>
          setState(tx, row, {
            state: 'blocked',
            // What an administrator has blocked stays an administrator's.
            blockedBy: row.blockedBy === 'administrator' ? 'administrator' : blocker,
          }),
        )
        return { value, user: owner, isMeant: (session) => session.userId === owner.id && session.device === id }
      })
      const { before, row } = value
      if (blocker === 'administrator' && before.blockedBy !== 'administrator') {
        const name = row.type !== null && PLAIN_NAME.test(row.type) ? row.type : null
        await notifier.doneForYou(owner, 'device-blocked', name, actor)
      }
      return { device: deviceView(row, owner.address), ...ended }
    },

    async 'device.allow'({ user, id }, actor) {
      const owner = await users.show(user)
      const { row } = await change(owner, id, { actor, event: 'device_allowed' }, (tx, before) => {
        demandMayUndo(before, owner, actor)
        return setState(tx, before, { state: 'allowed', blockedBy: null })
      })
      return { device: deviceView(row, owner.address) }
    },

    async 'device.forget'({ user, id }, actor) {
      const owner = await users.show(user)
      await change(owner, id, { actor, event: 'device_forgotten' }, async (tx, before) => {
        demandMayUndo(before, owner, actor)
        await tx.devices.delete(owner.id, id)
        return before
      })
      return { id, user: owner.address }
    },
  }
}

/** Where a page of the list of all ends. */
function placeOf({ firstSeen, userId, id }: DevicePlace): string {
  return `${firstSeen.getTime()} ${userId} ${id}`
}

/** @throws ServiceError 'invalid' */
function placeAt(place: string): DevicePlace {
  const [, firstSeen = '', userId = '', id = ''] = /^(\d{1,15}) ([^ ]+) ([^ ]+)$/.exec(place) ?? []
  if (firstSeen === '') throw new ServiceError('invalid', 'after: no page of this list ended there')
  return { firstSeen: new Date(Number(firstSeen)), userId, id }
}

const isOwner = ({ id }: UserRow, actor: Actor) => actor === `user:${id}`

function deviceView(row: DeviceRow, user: string): DeviceView {
  const { id, type, agent, protocolVersion, state, blockedBy, firstSeen, lastSeen, lastIp } = row
  return {
    id,
    user,
    type,
    agent,
    protocolVersion,
    state,
    blockedBy,
    firstSeenAt: firstSeen.toISOString(),
    lastSeenAt: lastSeen.toISOString(),
    lastIp,
  }
}
