/**
 * A breaker for each host of one upstream: after some failures in a row it is passed over, until one connection may try again.
 */

import type { Endpoint } from '../../contract/admission.ts'

export interface Breakers {
  /** The hosts in their order, those with an open breaker last. One whose time is up stands in its place again. */
  order(hosts: readonly Endpoint[]): readonly Endpoint[]
  /** A connection to this host begins. If its time was up (half open), the others wait for what comes of it. */
  trying(host: Endpoint): void
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

  return {
    order(hosts) {
      const isOpen = (host: Endpoint) => now() < (states.get(keyOf(host))?.openUntil ?? 0)
      return [...hosts.filter((host) => !isOpen(host)), ...hosts.filter(isOpen)]
    },
    trying(host) {
      const state = states.get(keyOf(host))
      if (state && state.openUntil > 0 && now() >= state.openUntil) state.openUntil = now() + openMs
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
