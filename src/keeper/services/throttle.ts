/**
 * Services about the throttle: what slows guessing down just now, and forgetting it.
 */

import { isIP } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'
import type { ServiceHandlers, ThrottleView } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { appendAudit } from '../../records/audit.ts'
import { inPieces } from '../../records/in-pieces.ts'
import { nameForLog } from '../log-names.ts'
import type { LaneState } from '../throttle/counted.ts'
import type { ServiceDeps } from './shared.ts'
import { canonical } from './shared.ts'

type ThrottleServices = Pick<ServiceHandlers, 'throttle.list' | 'throttle.clear'>

/** Entries between two turns of the event loop: logins go on while half a million are looked through. */
const A_TURN = 1000
/** Each reads whose name it is: some 5 ms. */
const VIEWS_A_TURN = 100

export function throttleServices({ throttle, rations, names, store, keys, clock }: ServiceDeps): ThrottleServices {
  async function view({ lane, user, block, failures, waitMs, idleMs }: LaneState): Promise<ThrottleView> {
    return {
      lane,
      user: user === null ? null : nameForLog(keys, user, await store.userByAddress(user), names().domains),
      address: block,
      failures,
      waitMs,
      lastFailedAt: new Date(clock().getTime() - idleMs).toISOString(),
    }
  }

  return {
    async 'throttle.list'({ user, address, limit }) {
      const filter = throttle.filter(wanted(user, names), wantedAddress(address))
      let worst: LaneState[] = []
      let [looked, total] = [0, 0]
      for (const state of throttle.list()) {
        if (++looked % A_TURN === 0) await setImmediate()
        if (!filter(state)) continue
        total += 1
        worst.push(state)
        // Kept small on the way, so that a list of all is never sorted at once.
        if (worst.length >= limit + A_TURN) worst = worstOf(worst, limit)
      }
      const lanes: ThrottleView[] = []
      await inPieces(worstOf(worst, limit), VIEWS_A_TURN, async (piece) => {
        lanes.push(...(await Promise.all(piece.map(view))))
      })
      return { lanes, total }
    },

    async 'throttle.clear'({ user, address }, actor) {
      const name = wanted(user, names)
      const ip = wantedAddress(address)
      const cleared = await throttle.clear(name, ip)
      const row = name === null ? null : await store.userByAddress(name)
      // An address has none: they are of names.
      if (name !== null || ip === null) for (const each of rations) each.forget(row?.id ?? null, name)
      await store.transaction((tx) =>
        appendAudit(tx, {
          event: 'throttle_cleared',
          actor,
          user: row && { id: row.id, address: row.address },
          at: clock(),
          detail: { ...(ip === null ? {} : { address: ip }), count: cleared },
        }),
      )
      return { cleared }
    },
  }
}

function wanted(user: string | undefined, names: ServiceDeps['names']): string | null {
  return user === undefined ? null : canonical(user, names())
}

/** As a `Peer` carries it. */
function wantedAddress(address: string | undefined): string | null {
  if (address === undefined) return null
  if (isIP(address) === 0) throw new ServiceError('invalid', `"${address}" is no IP address`)
  return ipaddr.process(address).toString()
}

function worstOf(states: readonly LaneState[], limit: number): LaneState[] {
  return states.toSorted((a, b) => b.waitMs - a.waitMs || b.failures - a.failures).slice(0, limit)
}
