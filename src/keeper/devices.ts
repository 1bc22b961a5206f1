/**
 * Devices of ActiveSync: which a user has, and whether one may come in.
 *
 * The answer for a device that has been here comes from memory, so it costs a login nothing, and is believed as a login seen before
 * is: while the bus lives, which tells of every change. Whatever a visit adds (a device that is new, an app password that becomes a
 * device's own) is decided and written in one transaction before the visitor is let in, so it holds for all keepers of a store and
 * outlives this one. Only when and from where a device was last seen is written in batches.
 *
 * A device's id is its own word and no proof: what is decided here keeps order among devices of people who hold a right secret,
 * and stops a lost phone whose app password is still in use elsewhere.
 */

import { LRUCache } from 'lru-cache'
import type { DeviceClaim } from '../contract/admission.ts'
import type { Bus } from '../records/bus.ts'
import type { DeviceFilter, DeviceRow, DeviceSighting } from '../records/store/devices.ts'
import type { Store, StoreTransaction } from '../records/store/store.ts'
import { createWriteBatch } from '../records/write-batch.ts'

export interface DevicePolicy {
  /** A device that is new waits until somebody allows it. */
  readonly quarantine: boolean
  /** An app password works from the first device that it came from, and from no other. */
  readonly bindAppPassword: boolean
  readonly perUser: number
}

export interface DeviceVisit {
  readonly userId: string
  /** null: it came with a primary password. */
  readonly appPasswordId: string | null
  readonly device: DeviceClaim
  readonly agent: string | null
  readonly ip: string
  /** Whether the secret that came with it is known to be right. What is not is judged, and leaves no trace. */
  readonly isProven: boolean
}

export interface Devices extends AsyncDisposable {
  /**
   * Notes a visit; why the device may not come in, or null. Answers at once for a device that has been here lately.
   *
   * @throws StoreError as a rejection
   */
  visit(visit: DeviceVisit): string | null | Promise<string | null>
  /** By id, as the store has them, with when they were seen last. @throws StoreError */
  of(userId: string): Promise<readonly DeviceRow[]>
  /** Those of all users, likewise. @throws StoreError */
  list(filter: DeviceFilter): ReturnType<Store['devices']['list']>
  /** Which devices may not come any more, as far as is known: one that was forgotten may stay. @throws StoreError */
  keptOut(userId: string): Promise<(device: string, appPasswordId: string | null) => boolean>
  /** Changes them in a transaction that no visit comes between, and tells everybody. What `work` throws undoes it. */
  change<T>(userId: string, work: (tx: StoreTransaction, rows: readonly DeviceRow[]) => Promise<T>): Promise<T>
  /** Forgets all that have not been seen for a long time. */
  expire(): Promise<void>
  /** What was read may be out of date. null: of all users. */
  drop(userId: string | null): void
}

export interface DevicesOptions {
  readonly store: Store
  readonly bus: Bus
  readonly policy: () => DevicePolicy
  readonly clock: () => Date
  readonly flushMs: number
  readonly onError: (error: unknown) => void
}

/** Users whose devices are kept in memory: some 300 bytes each. */
const MAX_USERS = 20_000
const FORGET_AFTER_MS = 90 * 24 * 60 * 60_000

type Known = Map<string, DeviceRow>

interface Verdict {
  /** Why it may not come in. */
  readonly why: string | null
  /** What has to be in the store first; null: nothing. */
  readonly change: { readonly row: DeviceRow; readonly isNew: boolean } | null
}

export function createDevices({ store, bus, policy, clock, flushMs, onError }: DevicesOptions): Devices {
  const users = new LRUCache<string, Known>({ max: MAX_USERS })
  /** Counts what was dropped: what was read before is not to be kept. */
  let drops = 0
  const sightings = createWriteBatch<DeviceSighting>({
    write: (rows) => store.transaction((tx) => tx.devices.sight([...rows.values()])),
    flushMs,
    onError,
  })

  const remembered = (userId: string): Known | undefined => (bus.alive() ? users.get(userId) : undefined)

  function remember(userId: string, rows: readonly DeviceRow[], before: number): Known {
    const known: Known = new Map(rows.map((row) => [row.id, row]))
    if (drops === before) users.set(userId, known)
    return known
  }

  async function load(userId: string): Promise<Known> {
    const before = drops
    return remembered(userId) ?? remember(userId, await store.devices.of(userId), before)
  }

  function judge(known: Known, { userId, appPasswordId, device, agent, ip }: DeviceVisit): Verdict {
    const { quarantine, bindAppPassword, perUser } = policy()
    const refused = (why: string): Verdict => ({ why, change: null })
    const row = known.get(device.id)
    const owner = appPasswordId === null ? null : ownerOf(known, appPasswordId)
    if (row === undefined && known.size >= perUser) {
      return refused(`the user has ${known.size} devices, of at most ${perUser}`)
    }
    if (bindAppPassword && owner !== null && owner.id !== device.id) {
      return refused(`the app password belongs to the device ${owner.id}`)
    }
    const state = row?.state ?? (quarantine ? 'waiting' : 'allowed')
    const why =
      state === 'blocked'
        ? `the device ${device.id} is blocked`
        : state === 'waiting'
          ? `the device ${device.id} waits to be allowed`
          : null
    const isOwn = appPasswordId === null || owner !== null
    if (row !== undefined && isOwn) return { why, change: null }
    const now = clock()
    const { type, protocolVersion } = device
    const fresh: DeviceRow = {
      userId,
      id: device.id,
      type,
      agent,
      protocolVersion,
      state,
      blockedBy: null,
      appPasswords: [],
      firstSeen: now,
      lastSeen: now,
      lastIp: ip,
    }
    const base = row ?? fresh
    const appPasswords = isOwn ? base.appPasswords : [...base.appPasswords, appPasswordId]
    return { why, change: { row: { ...base, appPasswords }, isNew: row === undefined } }
  }

  function sight(known: Known, row: DeviceRow, { device, agent, ip }: DeviceVisit): void {
    const seen: DeviceRow = {
      ...row,
      type: device.type ?? row.type,
      agent: agent ?? row.agent,
      protocolVersion: device.protocolVersion ?? row.protocolVersion,
      lastSeen: clock(),
      lastIp: ip,
    }
    known.set(row.id, seen)
    sightings.note(`${row.userId} ${row.id}`, seen)
  }

  function arrive(known: Known, visit: DeviceVisit): string | null | Promise<string | null> {
    const { why, change } = judge(known, visit)
    if (!visit.isProven) return why
    if (change !== null) return enter(visit)
    const row = known.get(visit.device.id)
    if (row !== undefined) sight(known, row, visit)
    return why
  }

  /** Judged again where nobody comes in between, so of two at once one is the last of `perUser`, or the first of its app password. */
  async function enter(visit: DeviceVisit): Promise<string | null> {
    const { userId } = visit
    const before = drops
    const { why, rows } = await store.transaction(async (tx) => {
      if (!(await tx.devices.lock(userId))) return { why: 'the user is gone', rows: [] }
      const rows = await tx.devices.of(userId)
      const verdict = judge(new Map(rows.map((row) => [row.id, row])), visit)
      if (verdict.change === null) return { why: verdict.why, rows }
      const { row, isNew } = verdict.change
      const live = new Set((await tx.appPasswordsOf(userId)).map(({ id }) => id))
      const next = { ...row, appPasswords: row.appPasswords.filter((id) => live.has(id)) }
      if (isNew) await tx.devices.insert(next)
      else await tx.devices.setAppPasswords(userId, next.id, next.appPasswords)
      return { why: verdict.why, rows: [...rows.filter(({ id }) => id !== next.id), next] }
    })
    const known = remember(userId, rows, before)
    const row = known.get(visit.device.id)
    if (row !== undefined) sight(known, row, visit)
    return why
  }

  function drop(userId: string | null): void {
    drops += 1
    if (userId === null) users.clear()
    else users.delete(userId)
  }

  return {
    visit(visit) {
      const known = remembered(visit.userId)
      return known === undefined ? load(visit.userId).then((loaded) => arrive(loaded, visit)) : arrive(known, visit)
    },

    async of(userId) {
      await sightings.flush()
      return await store.devices.of(userId)
    },

    async list(filter) {
      await sightings.flush()
      return await store.devices.list(filter)
    },

    async keptOut(userId) {
      const known = await load(userId)
      const { bindAppPassword } = policy()
      return (device, appPasswordId) => {
        const row = known.get(device)
        if (row === undefined) return false
        const owner = bindAppPassword && appPasswordId !== null ? ownerOf(known, appPasswordId) : null
        return row.state !== 'allowed' || (owner !== null && owner.id !== device)
      }
    },

    async change(userId, work) {
      await sightings.flush()
      const value = await store.transaction(async (tx) => {
        await tx.devices.lock(userId)
        return await work(tx, await tx.devices.of(userId))
      })
      drop(userId)
      bus.publish({ kind: 'devices-changed', userId })
      return value
    },

    async expire() {
      await sightings.flush()
      const deleted = await store.devices.deleteUnseenSince(new Date(clock().getTime() - FORGET_AFTER_MS))
      if (deleted > 0) drop(null)
    },

    drop,

    [Symbol.asyncDispose]: () => sightings[Symbol.asyncDispose](),
  }
}

/** The device that an app password came from first. */
function ownerOf(known: Known, appPasswordId: string): DeviceRow | null {
  for (const row of known.values()) if (row.appPasswords.includes(appPasswordId)) return row
  return null
}
