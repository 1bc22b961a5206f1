/**
 * A breaker for each upstream host: after some failures in a row it is passed over, until one connection may try again.
 */

import type { Endpoint } from '../../contract/admission.ts'

export interface Breakers {
  /** The hosts in their order, those with an open breaker last. One of those whose time is up is probed in its place. */
  order(hosts: readonly Endpoint[]): readonly Endpoint[]
  /** Returns whether this closed the breaker. */
  succeeded(host: Endpoint): boolean
  /** Returns whether this opened the breaker. */
  failed(host: Endpoint): boolean
}

interface State {
  failures: number
  /** Until then the host is passed over; 0: the breaker is closed. */
  openUntil: number
}

/** Hosts come from the configuration; after so many reloads with other ones the table starts afresh. */
const MAX_HOSTS = 1024

/** @param now monotonic, milliseconds */
export function createBreakers(
  failures: number,
  openMs: number,
  now: () => number = () => performance.now(),
): Breakers {
  const states = new Map<string, State>()
  const keyOf = ({ host, port }: Endpoint) => `${host}:${port}`

  function isOpen(host: Endpoint): boolean {
    const state = states.get(keyOf(host))
    if (!state || state.openUntil === 0) return false
    if (now() < state.openUntil) return true
    // Half open: this caller tries, the others wait for what comes of it.
    state.openUntil = now() + openMs
    return false
  }

  return {
    order(hosts) {
      const open: Endpoint[] = []
      const closed: Endpoint[] = []
      for (const host of hosts) (isOpen(host) ? open : closed).push(host)
      return [...closed, ...open]
    },
    succeeded(host) {
      const state = states.get(keyOf(host))
      if (!state) return false
      states.delete(keyOf(host))
      return state.openUntil > 0
    },
    failed(host) {
      if (states.size >= MAX_HOSTS) states.clear()
      const state = states.get(keyOf(host)) ?? { failures: 0, openUntil: 0 }
      states.set(keyOf(host), state)
      state.failures += 1
      if (state.failures < failures) return false
      const wasClosed = state.openUntil === 0
      state.openUntil = now() + openMs
      return wasClosed
    },
  }
}
