/**
 * What commands reach of the rest of the house, loaded when a command needs it: most command lines never start a server.
 */

import { userInfo } from 'node:os'
import type { Config, LoadedConfig } from '../config.ts'
import type { ServiceAnswer, Services } from '../contract/services.ts'
import { connectServices, localServices } from '../contract/services-channel.ts'
import { IpcError } from '../ipc.ts'
import type { Log } from '../log.ts'
import { createMetrics } from '../metrics.ts'

/** The keeper's services, with a server running or without. */
export interface OpenServices {
  readonly services: Services
  /** Whether a server answered; otherwise the keeper is in this process, under the store's lock. */
  readonly running: boolean
  close(): Promise<void>
}

export interface Backend {
  openServices(config: Config, log: Log): Promise<OpenServices>
  /** What a running server says of itself; null when none runs. Never starts a keeper here. */
  serverHealth(config: Config): Promise<ServiceAnswer<'health'> | null>
  /** Runs the server until it is stopped; answers the exit code. */
  serve(
    loaded: LoadedConfig,
    options: { readonly version: string; readonly reload: () => Promise<LoadedConfig> },
  ): Promise<number>
}

export const backend: Backend = {
  async openServices(config, log) {
    try {
      const connection = await connectServices(config.runtimeDirectory, cliActor())
      return { services: connection, running: true, close: async () => connection.close() }
    } catch (error) {
      if (!(error instanceof IpcError && error.code === 'ERR_IPC_UNREACHABLE')) throw error
    }
    const { openKeeper } = await import('../keeper/keeper.ts')
    const keeper = await openKeeper({ config, log, metrics: createMetrics(), version: '0' })
    return { services: localServices(keeper.services, cliActor()), running: false, close: () => keeper.close() }
  },
  async serverHealth(config) {
    try {
      const connection = await connectServices(config.runtimeDirectory, cliActor())
      try {
        return await connection.call('health', {})
      } finally {
        connection.close()
      }
    } catch (error) {
      if (error instanceof IpcError && error.code === 'ERR_IPC_UNREACHABLE') return null
      throw error
    }
  },
  async serve() {
    throw new Error('not yet')
  },
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
