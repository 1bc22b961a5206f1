/**
 * The policy in force: the configuration's, with what was set while the server runs before it.
 *
 * Kept in memory, because every login asks; read anew whenever the bus says that a policy changed, before the sessions are
 * measured against it. Messages get lost, so each live read of a login brings the store's policy epoch along: when that is ahead
 * of what is known here, the settings are read again before anything is judged by them. What is set for a single user is in the
 * user's row and not in here.
 */

import type { Config } from '../config.ts'
import type { Policies, PolicySettings } from '../records/policies.ts'

export interface LivePolicy {
  /** The configuration as it holds now. The same object until something changes. */
  readonly config: Config
  /** The configuration as it was written. */
  readonly written: Config
  readonly settings: PolicySettings
  /** false: a newer policy was heard of and could not be read yet. Nobody may be let in from memory alone. */
  readonly isCurrent: boolean
  reload(config: Config): void
  /** Somebody says that the store's policy epoch is this. Reads nothing. */
  expect(epoch: number): void
  /** Reads what is set now. An answer that is older than what is known changes nothing. @throws StoreError: what was known stays in force */
  refresh(): Promise<void>
  /**
   * For whoever has read the store's policy epoch: reads what is set if it is ahead. Reads of callers at the same time are one,
   * which may have begun before the change: ask `isAt` afterwards.
   *
   * @throws StoreError
   */
  catchUp(epoch: number): Promise<void>
  /** Whether what is known is as new as this epoch of the store's. */
  isAt(epoch: number): boolean
}

export interface LivePolicyOptions {
  readonly config: Config
  readonly policies: Policies
  /** A live read found a change of which no message had told: it is in force now, and what is open is to be measured by it. */
  readonly onMissed: () => void
}

export async function createLivePolicy({ config, policies, onMissed }: LivePolicyOptions): Promise<LivePolicy> {
  let written = config
  let settings = await policies.read()
  let merged = merge(written, settings)
  /** The newest epoch that anybody spoke of. */
  let expected = settings.epoch
  let catchingUp: Promise<void> | null = null

  /** Whether that brought something newer. With several connections to a store the answer to an older read may come later. */
  async function read(): Promise<boolean> {
    const found = await policies.read()
    if (found.epoch <= settings.epoch) return false
    settings = found
    merged = merge(written, settings)
    return true
  }

  async function catchUpOnce(): Promise<void> {
    try {
      if (await read()) onMissed()
    } finally {
      catchingUp = null
    }
  }

  function expect(epoch: number): void {
    if (epoch > expected) expected = epoch
  }

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
    get isCurrent() {
      return settings.epoch >= expected
    },
    isAt: (epoch) => settings.epoch >= epoch,
    reload(next) {
      written = next
      merged = merge(written, settings)
    },
    expect,
    async refresh() {
      await read()
    },
    async catchUp(epoch) {
      if (settings.epoch >= epoch) return
      expect(epoch)
      catchingUp ??= catchUpOnce()
      await catchingUp
    },
  }
}

/** Pure. */
function merge(config: Config, { all, groups }: PolicySettings): Config {
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
