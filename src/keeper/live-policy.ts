/**
 * The policy in force: the configuration's, with what was set while the server runs before it.
 *
 * Kept in memory, because every login asks; read anew whenever the bus says that a policy changed, before the sessions are
 * measured against it. What is set for a single user is in the user's row and not in here.
 */

import type { Config } from '../config.ts'
import type { Policies, PolicySettings } from '../records/policies.ts'

export interface LivePolicy {
  /** The configuration as it holds now. The same object until something changes. */
  readonly config: Config
  /** The configuration as it was written. */
  readonly written: Config
  readonly settings: PolicySettings
  reload(config: Config): void
  /** @throws StoreError: what was known stays in force */
  refresh(): Promise<void>
}

export async function createLivePolicy(config: Config, policies: Policies): Promise<LivePolicy> {
  let written = config
  let settings = await policies.read()
  let merged = merge(written, settings)
  return {
    get config() {
      return merged
    },
    get written() {
      return written
    },
    get settings() {
      return settings
    },
    reload(next) {
      written = next
      merged = merge(written, settings)
    },
    async refresh() {
      settings = await policies.read()
      merged = merge(written, settings)
    },
  }
}

/** Pure. */
export function merge(config: Config, { all, groups }: PolicySettings): Config {
  const set = [...groups].map(([name, allowed]) => {
    const declared = Object.hasOwn(config.groups, name) ? config.groups[name] : undefined
    return [name, { ...declared, appPasswords: { ...declared?.appPasswords, allowed } }] as const
  })
  return {
    ...config,
    appPasswords: { ...config.appPasswords, allowed: all ?? config.appPasswords.allowed },
    groups: Object.fromEntries([...Object.entries(config.groups), ...set]),
  }
}
