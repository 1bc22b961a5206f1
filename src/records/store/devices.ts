/**
 * Devices as rows: which have come for a user by ActiveSync, when, and whether they may.
 */

import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { DeviceState } from '../../contract/services/devices.ts'
import { deleteInPieces } from './delete-in-pieces.ts'
import type { Queries } from './sql-prepared.ts'
import type { Db } from './sql-transaction.ts'

/** A device among those of all users, by when it came. */
export type DevicePlace = Pick<DeviceRow, 'firstSeen' | 'userId' | 'id'>

export interface DeviceFilter {
  /** null: in any state. */
  readonly state: DeviceState | null
  /** Those behind this one; null: from the first on. */
  readonly after: DevicePlace | null
  readonly limit: number
}

export type DeviceBlocker = 'owner' | 'administrator'

export interface DeviceRow {
  readonly userId: string
  /** As the device gives it, in lower case. */
  readonly id: string
  readonly type: string | null
  readonly agent: string | null
  readonly protocolVersion: string | null
  readonly state: DeviceState
  /** null: it is not blocked. */
  readonly blockedBy: DeviceBlocker | null
  /** Ids of the app passwords that came first from this device: those are its own. */
  readonly appPasswords: readonly string[]
  readonly firstSeen: Date
  readonly lastSeen: Date
  readonly lastIp: string
}

/** What a visit changes of a device that is known. */
export type DeviceSighting = Pick<
  DeviceRow,
  'userId' | 'id' | 'type' | 'agent' | 'protocolVersion' | 'lastSeen' | 'lastIp'
>

export interface DevicesTable {
  user_id: string
  id: string
  type: string | null
  agent: string | null
  protocol_version: string | null
  state: string
  blocked_by: string | null
  /** A JSON array. */
  app_passwords: string
  first_seen: number
  last_seen: number
  last_ip: string
}

export interface DeviceRows {
  /** By id. */
  of(userId: string): Promise<readonly DeviceRow[]>
  /** Of all users, each with its user's address: those that came first stand first. */
  list(filter: DeviceFilter): Promise<readonly (DeviceRow & { readonly address: string })[]>
  /** Makes everybody else who locks this user wait for the end of the transaction. false: the user is gone. */
  lock(userId: string): Promise<boolean>
  /** A new one. */
  insert(row: DeviceRow): Promise<void>
  /** When and how they were seen. Nothing else of them changes, and those that are gone stay gone. */
  sight(sightings: readonly DeviceSighting[]): Promise<void>
  setState(userId: string, id: string, state: DeviceState, blockedBy: DeviceBlocker | null): Promise<void>
  /** The app passwords that are its own. */
  setAppPasswords(userId: string, id: string, appPasswordIds: readonly string[]): Promise<void>
  /** false: there is none. */
  delete(userId: string, id: string): Promise<boolean>
  /** Forgets those that were last seen before, but for the blocked ones. */
  deleteUnseenSince(before: Date): Promise<number>
}

export function sqlDevices(db: () => Db, queries: Queries): DeviceRows {
  async function update(userId: string, id: string, columns: Partial<DevicesTable>): Promise<void> {
    await db().updateTable('devices').set(columns).where('user_id', '=', userId).where('id', '=', id).execute()
  }

  return {
    async of(userId) {
      const rows = await db().selectFrom('devices').selectAll().where('user_id', '=', userId).orderBy('id').execute()
      return rows.map(deviceRow)
    },

    async list({ state, after, limit }) {
      // Also for the first page a place behind which to begin, so that the index is searched and not scanned.
      const { firstSeen, userId, id } = after ?? { firstSeen: new Date(0), userId: '', id: '' }
      const place = sql`(${firstSeen.getTime()}, ${userId}, ${id})`
      const rows = await db()
        .selectFrom('devices')
        .innerJoin('users', 'users.id', 'devices.user_id')
        .selectAll('devices')
        .select('users.address')
        .where(sql<boolean>`(devices.first_seen, devices.user_id, devices.id) > ${place}`)
        .$if(state !== null, (query) => query.where('devices.state', '=', state ?? ''))
        .orderBy('devices.first_seen')
        .orderBy('devices.user_id')
        .orderBy('devices.id')
        .limit(limit)
        .execute()
      return rows.map((row) => ({ ...deviceRow(row), address: row.address }))
    },

    async lock(userId) {
      const { numUpdatedRows } = await db()
        .updateTable('users')
        .set(({ ref }) => ({ enabled: ref('enabled') }))
        .where('id', '=', userId)
        .executeTakeFirst()
      return numUpdatedRows > 0n
    },

    async insert(row) {
      await db().insertInto('devices').values(columnsOf(row)).execute()
    },

    async sight(sightings) {
      for (const { userId, id, type, agent, protocolVersion, lastSeen, lastIp } of sightings) {
        const seen = [type, agent, protocolVersion, lastSeen.getTime(), lastIp]
        await db().executeQuery(queries.sightDevice(...seen, userId, id))
      }
    },

    async setState(userId, id, state, blockedBy) {
      await update(userId, id, { state, blocked_by: blockedBy })
    },

    async setAppPasswords(userId, id, appPasswordIds) {
      await update(userId, id, { app_passwords: JSON.stringify(appPasswordIds) })
    },

    async delete(userId, id) {
      const { numDeletedRows } = await db()
        .deleteFrom('devices')
        .where('user_id', '=', userId)
        .where('id', '=', id)
        .executeTakeFirst()
      return numDeletedRows > 0n
    },

    async deleteUnseenSince(before) {
      const unseen = sql`last_seen < ${before.getTime()} and state <> 'blocked'`
      return await deleteInPieces(db(), 'devices', ['user_id', 'id'], unseen)
    },
  }
}

function deviceRow(row: Selectable<DevicesTable>): DeviceRow {
  return {
    userId: row.user_id,
    id: row.id,
    type: row.type,
    agent: row.agent,
    protocolVersion: row.protocol_version,
    state: row.state as DeviceState,
    blockedBy: row.blocked_by as DeviceBlocker | null,
    appPasswords: JSON.parse(row.app_passwords) as string[],
    firstSeen: new Date(row.first_seen),
    lastSeen: new Date(row.last_seen),
    lastIp: row.last_ip,
  }
}

function columnsOf(row: DeviceRow): DevicesTable {
  return {
    user_id: row.userId,
    id: row.id,
    type: row.type,
    agent: row.agent,
    protocol_version: row.protocolVersion,
    state: row.state,
    blocked_by: row.blockedBy,
    app_passwords: JSON.stringify(row.appPasswords),
    first_seen: row.firstSeen.getTime(),
    last_seen: row.lastSeen.getTime(),
    last_ip: row.lastIp,
  }
}
