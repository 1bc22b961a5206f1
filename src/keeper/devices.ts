/**
 * Devices of ActiveSync: which a user has, and whether one may come in.
 *
 * The answer for a device that has been here comes from memory, so it costs a login nothing; what was seen is written in batches.
 * A device's id is its own word and no proof: what is decided here keeps order among devices of people who hold a right secret,
 * and stops a lost phone whose app password is still in use elsewhere.
 */

import { LRUCache } from 'lru-cache'
import type { DeviceClaim } from '../contract/admission.ts'
import type { DeviceRow, DeviceState } from '../records/store/devices.ts'
import type { Store } from '../records/store/store.ts'
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
   * Notes a visit; why the device may not come in, or null. Answers at once for a user who has been here lately.
   *
   * @throws StoreError as a rejection
   */
  visit(visit: DeviceVisit): string | null | Promise<string | null>
  /** By id, with what is not written yet. @throws StoreError */
  of(userId: string): Promise<readonly DeviceRow[]>
  /** null: there is no such device. @throws StoreError */
  set(userId: string, id: string, state: Extract<DeviceState, 'allowed' | 'blocked'>): Promise<DeviceRow | null>
  /** It is as if it had never come. false: there is no such device. @throws StoreError */
  forget(userId: string, id: string): Promise<boolean>
  /** Forgets all that have not been seen for a long time. */
  expire(): Promise<void>
  /** What was read may be out of date. null: of all users. */
  drop(userId: string | null): void
}

export interface DevicesOptions {
  readonly store: Store
  readonly policy: () => DevicePolicy
  readonly clock: () => Date
  readonly flushMs: number
  readonly onError: (error: unknown) => void
}

/** Users whose devices are kept in memory: some 300 bytes each. */
const MAX_USERS = 20_000
/** First app passwords that are remembered of one device. */
const MAX_OWN = 16
const FORGET_AFTER_MS = 90 * 24 * 60 * 60_000

type Known = Map<string, DeviceRow>

export function createDevices({ store, policy, clock, flushMs, onError }: DevicesOptions): Devices {
  const users = new LRUCache<string, Known>({ max: MAX_USERS })
  const loading = new Map<string, Promise<Known>>()
  const batch = createWriteBatch<DeviceRow>({
    write: (rows) => store.transaction((tx) => tx.devices.put([...rows.values()])),
    flushMs,
    onError,
  })

  async function load(userId: string): Promise<Known> {
    const known = users.get(userId)
    if (known !== undefined) return known
    const before = loading.get(userId)
    if (before !== undefined) return before
    const reading = read(userId)
    loading.set(userId, reading)
    try {
      return await reading
    } finally {
      loading.delete(userId)
    }
  }

  async function read(userId: string): Promise<Known> {
    await batch.flush() // or what was noted before the user left memory would be missing
    const known: Known = new Map((await store.devices.of(userId)).map((row) => [row.id, row]))
    users.set(userId, known)
    return known
  }

  function keep(known: Known, row: DeviceRow): void {
    known.set(row.id, row)
    batch.note(`${row.userId} ${row.id}`, row)
  }

  function visitKnown(known: Known, visit: DeviceVisit): string | null {
    const { userId, appPasswordId, device, agent, ip, isProven } = visit
    const { quarantine, bindAppPassword, perUser } = policy()
    const row = known.get(device.id)
    const owner = appPasswordId === null ? null : ownerOf(known, appPasswordId)
    if (row === undefined && known.size >= perUser) return `the user has ${known.size} devices, of at most ${perUser}`
    if (bindAppPassword && owner !== null && owner.id !== device.id) {
      return `the app password belongs to the device ${owner.id}`
    }
    const now = clock()
    const own = row?.appPasswords ?? []
    const next: DeviceRow = {
      userId,
      id: device.id,
      type: device.type ?? row?.type ?? null,
      agent: agent ?? row?.agent ?? null,
      protocolVersion: device.protocolVersion ?? row?.protocolVersion ?? null,
      state: row?.state ?? (quarantine ? 'waiting' : 'allowed'),
      appPasswords: owner === null && appPasswordId !== null ? [...own, appPasswordId].slice(-MAX_OWN) : own,
      firstSeen: row?.firstSeen ?? now,
      lastSeen: now,
      lastIp: ip,
    }
    if (isProven) keep(known, next)
    if (next.state === 'blocked') return `the device ${device.id} is blocked`
    return next.state === 'waiting' ? `the device ${device.id} waits to be allowed` : null
  }

  return {
    visit(visit) {
      const known = users.get(visit.userId)
      return known === undefined
        ? load(visit.userId).then((loaded) => visitKnown(loaded, visit))
        : visitKnown(known, visit)
    },

    async of(userId) {
      return [...(await load(userId)).values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    },

    async set(userId, id, state) {
      const known = await load(userId)
      const row = known.get(id)
      if (row === undefined) return null
      const next = { ...row, state }
      keep(known, next)
      await batch.flush()
      return next
    },

    async forget(userId, id) {
      const known = await load(userId)
      await batch.flush()
      const gone = await store.devices.delete(userId, id)
      return known.delete(id) || gone
    },

    async expire() {
      await batch.flush()
      const deleted = await store.devices.deleteUnseenSince(new Date(clock().getTime() - FORGET_AFTER_MS))
      if (deleted > 0) users.clear()
    },

    drop(userId) {
      if (userId === null) users.clear()
      else users.delete(userId)
    },

    [Symbol.asyncDispose]: () => batch[Symbol.asyncDispose](),
  }
}

/** The device that an app password came from first. */
function ownerOf(known: Known, appPasswordId: string): DeviceRow | null {
  for (const row of known.values()) if (row.appPasswords.includes(appPasswordId)) return row
  return null
}
