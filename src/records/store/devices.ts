/**
 * Devices as rows: which have come for a user by ActiveSync, when, and whether they may.
 */

import type { Selectable } from 'kysely'
import type { Db } from './sql-transaction.ts'

/** 'waiting': seen, and not allowed yet (quarantine). */
export type DeviceState = 'allowed' | 'blocked' | 'waiting'

export interface DeviceRow {
  readonly userId: string
  /** As the device gives it, in lower case. */
  readonly id: string
  readonly type: string | null
  readonly agent: string | null
  readonly protocolVersion: string | null
  readonly state: DeviceState
  /** Ids of the app passwords that came first from this device: those are its own. */
  readonly appPasswords: readonly string[]
  readonly firstSeen: Date
  readonly lastSeen: Date
  readonly lastIp: string
}

export interface DevicesTable {
  user_id: string
  id: string
  type: string | null
  agent: string | null
  protocol_version: string | null
  state: string
  /** A JSON array. */
  app_passwords: string
  first_seen: number
  last_seen: number
  last_ip: string
}

export interface DeviceRows {
  /** By id. */
  of(userId: string): Promise<readonly DeviceRow[]>
  /** New ones, and what is new of others. Those of users who are gone are skipped. */
  put(rows: readonly DeviceRow[]): Promise<void>
  /** false: there is none. */
  delete(userId: string, id: string): Promise<boolean>
  /** Forgets those that were last seen before, but for the blocked ones. */
  deleteUnseenSince(before: Date): Promise<number>
}

export function sqlDevices(db: () => Db): DeviceRows {
  return {
    async of(userId) {
      const rows = await db().selectFrom('devices').selectAll().where('user_id', '=', userId).orderBy('id').execute()
      return rows.map(deviceRow)
    },

    async put(rows) {
      for (const row of rows) {
        const user = await db().selectFrom('users').select('id').where('id', '=', row.userId).executeTakeFirst()
        if (user === undefined) continue
        const { user_id, id, first_seen, ...content } = columnsOf(row)
        await db()
          .insertInto('devices')
          .values({ user_id, id, first_seen, ...content })
          .onConflict((conflict) => conflict.columns(['user_id', 'id']).doUpdateSet(content))
          .execute()
      }
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
      const { numDeletedRows } = await db()
        .deleteFrom('devices')
        .where('last_seen', '<', before.getTime())
        .where('state', '!=', 'blocked')
        .executeTakeFirst()
      return Number(numDeletedRows)
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
    app_passwords: JSON.stringify(row.appPasswords),
    first_seen: row.firstSeen.getTime(),
    last_seen: row.lastSeen.getTime(),
    last_ip: row.lastIp,
  }
}
