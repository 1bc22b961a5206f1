/**
 * Checks across settings: what the declaration of single keys can't see.
 */

import type { Config } from '../config.ts'
import type { Settings } from './schema.ts'
import type { PathProblem } from './wording.ts'

export interface Checked {
  readonly problems: readonly PathProblem[]
  readonly warnings: readonly PathProblem[]
}

export function checkConfig(_config: Config, _settings: Settings): Checked {
  return { problems: [], warnings: [] }
}
