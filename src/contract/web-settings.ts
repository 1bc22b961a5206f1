/**
 * What web knows of the configuration: what stands on its pages. No path, no way into anything.
 */

import type { Config } from '../config.ts'
import type { LogLevel } from '../log.ts'

export interface WebSettings {
  readonly version: string
  readonly logLevel: LogLevel
  readonly domains: readonly string[]
  /** null: there are no pages for users. */
  readonly portal: Config['portal']
}

export function webSettingsOf({ log, domains, portal }: Config, version: string): WebSettings {
  return { version, logLevel: log.level, domains, portal }
}
