/**
 * What commands reach of the rest of the house, loaded when a command needs it: most command lines never start a server.
 */

import { userInfo } from 'node:os'
import type { OpenServices, ServeOptions } from '../app.ts'
import type { Config, LoadedConfig } from '../config.ts'
import type { ServiceAnswer } from '../contract/services.ts'
import type { Log } from '../log.ts'

export interface Backend {
  /** The keeper's services: a running server's, or those of a keeper in this process. */
  openServices(config: Config, log: Log): Promise<OpenServices>
  /** What a running server says of itself; null when none runs. Never starts a keeper here. */
  serverHealth(config: Config): Promise<ServiceAnswer<'health'> | null>
  /** Runs the server until it is stopped; answers the exit code. */
  serve(loaded: LoadedConfig, options: ServeOptions): Promise<number>
}

export const backend: Backend = {
  openServices: async (config, log) => (await import('../app.ts')).openServices(config, log, cliActor()),
  serverHealth: async (config) => (await import('../app.ts')).serverHealth(config, cliActor()),
  serve: async (loaded, options) => (await import('../app.ts')).serve(loaded, options),
}

/** Who asks, for the audit trail: 'cli:root'. */
export function cliActor(): string {
  try {
    return `cli:${userInfo().username}`.replace(/[^\x21-\x7e]/g, '?').slice(0, 64)
  } catch {
    // A container may run as a user that has no name.
    return `cli:uid-${process.getuid?.() ?? 'unknown'}`
  }
}
