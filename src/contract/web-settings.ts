/**
 * What web knows of the configuration: what stands on its pages. No path, no way into anything.
 */

import type { Config, LoadedConfig } from '../config.ts'
import { problemText } from '../config.ts'
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
  /** What works and is dangerous, in words for administrators: 'upstreams.main.imap.tls: is none …' (threats A3). */
  readonly warnings: readonly string[]
}

export function webSettingsOf(
  { config, warnings }: Pick<LoadedConfig, 'config' | 'warnings'>,
  version: string,
): WebSettings {
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
    warnings: warnings.map((warning) => problemText({ ...warning, file: null })),
  }
}
