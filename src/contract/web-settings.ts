/**
 * What web knows of the configuration: what stands on its pages. No path, no way into anything.
 */

import type { Config } from '../config.ts'
import type { LogLevel } from '../log.ts'
import type { NameRules } from './names.ts'
import { nameRulesOf } from './names.ts'
import type { PublishedSettings } from './published.ts'
import { publishedSettings } from './published.ts'

export interface WebSettings {
  readonly version: string
  readonly logLevel: LogLevel
  readonly domains: readonly string[]
  /** null: there are no pages for users. */
  readonly portal: Config['portal']
  /** Where mail clients find us; null: under no name that is known. */
  readonly published: PublishedSettings | null
  readonly names: NameRules
  /** What the configuration says for everybody, or for some group: help for whoever is not signed in goes by it (R29). */
  readonly appPasswordsAllowed: boolean
}

export function webSettingsOf(config: Config, version: string): WebSettings {
  const { log, domains, portal, appPasswords, groups } = config
  return {
    version,
    logLevel: log.level,
    domains,
    portal,
    published: publishedSettings(config),
    names: nameRulesOf(config),
    appPasswordsAllowed:
      appPasswords.allowed || Object.values(groups).some((group) => group.appPasswords?.allowed === true),
  }
}
