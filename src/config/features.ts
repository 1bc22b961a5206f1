/**
 * What the configuration can say and this version can't do yet. One line each: delete the line when the thing is there.
 *
 * Such settings are checked like all others (`config check` accepts them), but a server does not start with them: half a
 * service that looks whole is worse than none.
 */

import type { Config } from '../config.ts'
import { identitiesOf } from './identities.ts'
import type { PathProblem } from './wording.ts'

interface Feature {
  /** 'PostgreSQL'; goes in front of 'not available in this version'. */
  readonly what: string
  /** Where the configuration asks for it. */
  readonly asked: (config: Config) => readonly (readonly PropertyKey[])[]
}

const identities = (config: Config, method: string) =>
  identitiesOf(config).flatMap(({ identity, path }) => (identity.method === method ? [path] : []))

const UNAVAILABLE: readonly Feature[] = [
  { what: 'PostgreSQL', asked: (config) => ('postgres' in config.store ? [['store', 'postgres']] : []) },
  { what: 'OAuth 2.0 upstream (method: oauth2)', asked: (config) => identities(config, 'oauth2') },
]

/** The settings that this version can't serve; empty when it can serve all. */
export function unavailableFeatures(config: Config): readonly PathProblem[] {
  return UNAVAILABLE.flatMap(({ what, asked }) =>
    asked(config).map((path) => ({
      path,
      atKey: null,
      message: `${what}: not available in this version; take this out of the configuration`,
    })),
  )
}
