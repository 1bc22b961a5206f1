/**
 * What a change in the records or the configuration ends: at once, on whatever edge it is.
 *
 * The bus says where to look, the record says what is true. A deleted app password and a deleted user end their sessions
 * without another read; after any other change each session of the user is measured against the record, the policy and the
 * routes again (`why-not.ts`), and those that would not be admitted now are ended.
 */

import { setImmediate } from 'node:timers/promises'
import type { GateHouse } from '../contract/admission.ts'
import type { Log } from '../log.ts'
import type { Bus } from '../records/bus.ts'
import type { Store } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { Devices } from './devices.ts'
import type { Admit } from './gate.ts'
import type { Grants } from './grants.ts'
import type { LivePolicy } from './live-policy.ts'
import type { KnownGood } from './throttle/known-good.ts'
import type { Verifier } from './verifier.ts'
import type { StayConfig } from './why-not.ts'
import { whyNot } from './why-not.ts'

export interface RevocationOptions {
  readonly config: () => StayConfig
  /** Read anew before everybody is measured. */
  readonly policy: Pick<LivePolicy, 'catchUp' | 'expect' | 'refresh'>
  readonly store: Store
  readonly bus: Bus
  readonly grants: Grants
  readonly devices: Devices
  readonly verifier: Verifier
  readonly knownGood: KnownGood
  readonly log: Log
  readonly clock: () => Date
}

export interface Revocation extends Disposable {
  /** Another policy holds: begins to measure everybody again. */
  policyChanged(): void
  /** Measures every session of a user (null: of everybody) again and ends those that would not be admitted now. */
  review(userId: string | null): Promise<void>
}

const RETRY_MS = 500
/** Users measured in one turn of the event loop: some milliseconds. */
const USERS_A_TURN = 50

export function createRevocation(options: RevocationOptions): Revocation {
  const { config, policy, store, bus, grants, devices, verifier, knownGood, log, clock } = options
  /** Users whose sessions could not be measured because the store was away. */
  const owed = new Set<string>()
  /** The policy itself could not be read. */
  let owesAll = false
  let retry: NodeJS.Timeout | null = null
  let closed = false

  /** Sessions of devices that are kept out now; of one that was forgotten they go on. */
  async function reviewDevices(userId: string): Promise<void> {
    if (grants.of(userId).every(({ device }) => device === undefined)) return
    const isKeptOut = await devices.keptOut(userId)
    grants.end(
      ({ device, appPassword }) =>
        device !== undefined && isKeptOut(device, appPassword?.id ?? null) ? 'device-blocked' : null,
      userId,
    )
  }

  async function reviewUser(userId: string): Promise<void> {
    // One read per app password, however many sessions it has; '' stands for the primary password.
    const ids = new Set(grants.of(userId).map(({ appPassword }) => appPassword?.id ?? ''))
    for (const id of ids) {
      const live = await store.liveCheck(userId, id)
      if (live !== null) await policy.catchUp(live.policyEpoch)
      if (live?.appPassword) grants.expire(userId, id, live.appPassword.expiresAt)
      grants.end(
        (session) => ((session.appPassword?.id ?? '') === id ? whyNot(config(), session, live, clock()) : null),
        userId,
      )
    }
    await reviewDevices(userId)
  }

  async function refreshed(): Promise<void> {
    try {
      // Whoever was measured against the policy of before and has no grant yet is measured again by the gate.
      await policy.refresh()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      owesAll = true
      later()
    }
  }

  async function review(userId: string | null): Promise<void> {
    if (userId === null) await refreshed()
    let turn = 0
    for (const id of userId === null ? grants.userIds() : [userId]) {
      if (++turn % USERS_A_TURN === 0) await setImmediate() // logins have their turn
      try {
        await reviewUser(id)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        owed.add(id)
        later()
      }
    }
  }

  function later(): void {
    if (retry !== null || closed) return
    retry = setTimeout(() => {
      retry = null
      const users = [...owed]
      owed.clear()
      if (owesAll) {
        owesAll = false
        start(null)
      } else for (const userId of users) start(userId)
    }, RETRY_MS)
    retry.unref()
  }

  function start(userId: string | null): void {
    review(userId).catch((error: unknown) => log.bug(error, 'reviewing sessions after a change'))
  }

  function policyChanged(): void {
    grants.disturb(null)
    start(null)
  }

  const subscription = bus.subscribe((event) => {
    switch (event.kind) {
      case 'app-password-revoked':
        verifier.forget(event.userId)
        grants.disturb(event.userId)
        knownGood.forget(event.userId, event.appPasswordId)
        grants.end(
          ({ appPassword }) => (appPassword?.id === event.appPasswordId ? 'app-password-deleted' : null),
          event.userId,
        )
        return
      case 'user-removed':
        verifier.forget(event.userId)
        grants.disturb(event.userId)
        knownGood.forgetUser(event.userId)
        grants.end(() => 'user-deleted', event.userId)
        return
      case 'user-changed':
        verifier.forget(event.userId, event.epoch)
        grants.disturb(event.userId)
        start(event.userId)
        return
      case 'devices-changed':
        devices.drop(event.userId)
        grants.disturb(event.userId)
        start(event.userId)
        return
      case 'policy-changed':
        // What is remembered of logins says nothing about the policy, so all of it stays.
        policy.expect(event.epoch)
        devices.drop(null)
        policyChanged()
        return
      case 'all-changed':
        devices.drop(null)
        verifier.forget(null)
        grants.disturb(null)
        start(null)
    }
  })

  return {
    policyChanged,
    review,
    [Symbol.dispose]() {
      closed = true
      subscription[Symbol.dispose]()
      if (retry !== null) clearTimeout(retry)
    },
  }
}

/** The gate as edges see it: one port each, with its own part of the table of grants. */
export function createGateHouse(options: {
  readonly admit: Admit
  readonly grants: Grants
  readonly revocation: Revocation
}): GateHouse {
  const { admit, grants, revocation } = options
  return {
    attach(ender, edgeId) {
      const port = grants.attach(ender, edgeId)
      return {
        admit: (attempt) => admit(attempt, port),
        settle: port.settle,
        ended: port.ended,
        close: port.close,
        async resume(sessions) {
          for (const session of sessions) port.adopt(session)
          for (const userId of new Set(sessions.map((session) => session.userId))) await revocation.review(userId)
          port.isBack()
          return port.ending()
        },
      }
    },
  }
}
