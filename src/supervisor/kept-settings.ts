/**
 * What a server keeps until its next start, whatever its configuration says meanwhile: where its files and its Redis are, and how
 * many edges share what there is of connections (pure).
 *
 * A child that dies is started again with the configuration of the last reload. If that named another place, a keeper would open an
 * empty store, where everybody's password is wrong, and the edges would ask for it where it is not.
 */

import type { LoadedConfig } from '../config.ts'
import { Secret } from '../secret.ts'

const KEPT = ['workers', 'dataDirectory', 'runtimeDirectory', 'store', 'redis', 'keys'] as const

export interface Kept {
  readonly loaded: LoadedConfig
  /** What `loaded` has as it was, and was to be otherwise. */
  readonly keys: readonly (typeof KEPT)[number][]
}

/** A new configuration, as far as a server that was started with another one can take it over. */
export function keepSettings(wanted: LoadedConfig, started: LoadedConfig): Kept {
  const { workers, dataDirectory, runtimeDirectory, store, redis, keys: keyFile } = started.config
  const keys = KEPT.filter((key) => JSON.stringify(wanted.config[key]) !== JSON.stringify(started.config[key]))
  if (keys.length === 0) return { loaded: wanted, keys }
  const kept = { workers, dataDirectory, runtimeDirectory, store, redis, keys: keyFile }
  const asWritten = settingsOf(started)
  const settings = {
    ...settingsOf(wanted),
    ...kept,
    // Their passwords are in their URLs, or in files.
    store: 'sqlite' in store ? store : asWritten.store,
    redis: asWritten.redis,
  }
  return {
    loaded: { ...wanted, config: { ...wanted.config, ...kept }, settings: new Secret(JSON.stringify(settings)) },
    keys,
  }
}

function settingsOf({ settings }: LoadedConfig): Readonly<Record<string, unknown>> {
  return JSON.parse(settings.reveal()) as Record<string, unknown>
}
