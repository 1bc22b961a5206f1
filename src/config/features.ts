/**
 * What the configuration can say and this version can't do yet. One line each: delete the line when the thing is there.
 *
 * Such settings are checked like all others (`config check` accepts them), but a server does not start with them: half a
 * service that looks whole is worse than none.
 */

import type { Config } from '../config.ts'
import type { ConfigProblem } from './problems.ts'
import { keyText } from './problems.ts'

interface Feature {
  /** 'PostgreSQL'; goes in front of 'not available in this version'. */
  readonly what: string
  /** Where the configuration asks for it. */
  readonly asked: (config: Config) => readonly (readonly PropertyKey[])[]
}

const identities = (config: Config, method: string) =>
  Object.entries(config.upstreams).flatMap(([name, { identity }]) =>
    identity.method === method ? [['upstreams', name, 'identity']] : [],
  )

const UNAVAILABLE: readonly Feature[] = [
  { what: 'PostgreSQL', asked: (config) => ('postgres' in config.store ? [['store', 'postgres']] : []) },
  { what: 'OAuth 2.0 upstream (method: oauth2)', asked: (config) => identities(config, 'oauth2') },
]

/** The settings that this version can't serve; empty when it can serve all. */
export function unavailableFeatures(config: Config): readonly ConfigProblem[] {
  return UNAVAILABLE.flatMap(({ what, asked }) =>
    asked(config).map((path) => ({
      file: null,
      line: null,
      key: keyText(path),
      message: `${what}: not available in this version; take this out of the configuration`,
    })),
  )
}
