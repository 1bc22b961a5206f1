/** Something that happens right behind a look at a portal session, before whoever looked goes on. */

import type { Store } from '../../src/records/store/store.ts'

export interface Moment {
  readonly wrapStore: (store: Store) => Store
  /** Happens once, behind the next look. */
  next: (() => Promise<unknown>) | null
}

export function behindALook(): Moment {
  const moment: Moment = {
    next: null,
    wrapStore: (store) =>
      new Proxy(store, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (name !== 'people') return typeof value === 'function' ? value.bind(target) : value
          return {
            ...target.people,
            async portalSession(digests: readonly string[]) {
              const found = await target.people.portalSession(digests)
              const happens = moment.next
              moment.next = null
              await happens?.()
              return found
            },
          }
        },
      }),
  }
  return moment
}
