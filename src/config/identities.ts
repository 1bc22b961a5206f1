/**
 * The identities of upstreams, each with the key that names it: an upstream's own, and the one that its ActiveSync may have
 * beside it (pure).
 */

import type { Config, IdentityConfig } from '../config.ts'

export interface PlacedIdentity {
  /** Name of the upstream. */
  readonly upstream: string
  /** Where it stands in the configuration. */
  readonly path: readonly string[]
  readonly identity: IdentityConfig
}

/** All of them, in the order of the configuration. */
export function identitiesOf({ upstreams }: Pick<Config, 'upstreams'>): readonly PlacedIdentity[] {
  return Object.entries(upstreams).flatMap(([upstream, { identity, eas }]) => {
    const path = ['upstreams', upstream]
    const own = { upstream, path: [...path, 'identity'], identity }
    return eas === null || eas.identity === null
      ? [own]
      : [own, { upstream, path: [...path, 'eas', 'identity'], identity: eas.identity }]
  })
}
