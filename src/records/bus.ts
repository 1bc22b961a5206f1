/**
 * The bus: what changed, told to whoever holds something that may be out of date.
 *
 * Published after the commit. It makes things fast, never right: the epochs in the store alone admit, so a lost message
 * costs a moment, not a login. A listener re-reads the record; an event only says where to look. This one stays inside the
 * process; one that reaches other nodes authenticates its messages (`Key.hmac('bus', …)`) and has a heartbeat.
 */

export type BusEvent =
  /** Enabled, disabled, password, groups, a new app password, a stored secret: read the record again. */
  | { readonly kind: 'user-changed'; readonly userId: string; readonly epoch: number }
  /** Deleted; everything opened with it ends now. One event each, all of one transaction with the same epoch. */
  | {
      readonly kind: 'app-password-revoked'
      readonly userId: string
      readonly appPasswordId: string
      readonly epoch: number
    }
  | { readonly kind: 'user-removed'; readonly userId: string }
  /** A device was blocked, let in or forgotten. */
  | { readonly kind: 'devices-changed'; readonly userId: string }
  /** The configuration, or what is set for everybody or a group: `epoch` is the policy's, raised in the second case. */
  | { readonly kind: 'policy-changed'; readonly epoch: number }
  /** Anything may have changed: trust nothing that was read before. */
  | { readonly kind: 'all-changed' }

export interface Bus {
  /** Tells every listener. Returns at once and never throws: what was published has already happened. */
  publish(event: BusEvent): void
  /** Called in order of publication. Dispose the answer to stop. */
  subscribe(listener: (event: BusEvent) => void): Disposable
  /** Whether messages of the other nodes arrive (heartbeat within the last seconds). False: trust no level 1 hit. */
  alive(): boolean
}

/** A bus inside one process: listeners run before `publish` returns. `onBug` hears what a listener threw. */
export function createLocalBus(onBug: (error: unknown) => void): Bus {
  const listeners = new Set<(event: BusEvent) => void>()
  return {
    publish(event) {
      for (const listener of [...listeners]) {
        try {
          listener(event)
        } catch (error) {
          // The change is committed and the other listeners must hear of it.
          onBug(error)
        }
      }
    },
    subscribe(listener) {
      const entry = (event: BusEvent) => listener(event)
      listeners.add(entry)
      return { [Symbol.dispose]: () => void listeners.delete(entry) }
    },
    alive: () => true,
  }
}
