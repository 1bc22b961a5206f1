/**
 * Builds what the command line asks for: a running server, or the keeper's services with or without one.
 *
 * The bodies of the roles are beside this file: keeper-role, edge-role, https-role and web-role in app/, app/child.ts for
 * processes of their own, app/in-process.ts for all of them in one.
 */

import type { Config, LoadedConfig } from './config.ts'
import type { ServiceAnswer, Services } from './contract/services.ts'
import { connectServices, localServices } from './contract/services-channel.ts'
import { IpcError } from './ipc.ts'
import type { Log } from './log.ts'

export interface OpenServices {
  readonly services: Services
  /** Whether a server answered; otherwise the keeper is in this process, under the store's lock. */
  readonly running: boolean
  close(): Promise<void>
}

/**
 * The keeper's services: a running server's over its control socket, or else those of a keeper opened here.
 *
 * @param actor who asks, for the audit trail: 1 to 64 printable ASCII characters
 * @throws IpcError 'ERR_IPC_PERMISSION' when the socket belongs to somebody else; StoreError 'ERR_STORE_LOCKED' when a
 *   server runs that can't be reached; and whatever opening a keeper throws
 */
export async function openServices(config: Config, log: Log, actor: string): Promise<OpenServices> {
  const connection = await reach(config, actor)
  if (connection !== null) {
    return { services: connection, running: true, close: async () => connection.close() }
  }
  process.umask(0o077)
  const [{ openKeeper }, { createMetrics }] = await Promise.all([import('./keeper/keeper.ts'), import('./metrics.ts')])
  const keeper = await openKeeper({ config, log, metrics: createMetrics(), version: 'offline' }).catch(
    async (error: unknown) => {
      const { StoreError } = await import('./records/store/store.ts')
      if (!(error instanceof StoreError) || error.code !== 'ERR_STORE_LOCKED') throw error
      const where = `its sockets are not in ${config.runtimeDirectory}: give this command its runtimeDirectory, or its $RUNTIME_DIRECTORY`
      throw new StoreError(error.code, `${error.message}; if one is, ${where}`, { cause: error })
    },
  )
  return { services: localServices(keeper.services, actor), running: false, close: () => keeper.close() }
}

/** What a running server says of itself; null when none runs. */
export async function serverHealth(config: Config, actor: string): Promise<ServiceAnswer<'health'> | null> {
  const connection = await reach(config, actor)
  try {
    return (await connection?.call('health', {})) ?? null
  } finally {
    connection?.close()
  }
}

async function reach(config: Config, actor: string) {
  try {
    return await connectServices(config.runtimeDirectory, actor)
  } catch (error) {
    if (error instanceof IpcError && error.code === 'ERR_IPC_UNREACHABLE') return null
    throw error
  }
}

export interface ServeOptions {
  readonly version: string
  /** Finds and checks the configuration anew. */
  readonly reload: () => Promise<LoadedConfig>
}

/** Runs a server until it is told to stop. @returns the exit code */
export async function serve(loaded: LoadedConfig, { version, reload }: ServeOptions): Promise<number> {
  const [{ runServer }, { inProcessRoles }] = await Promise.all([
    import('./supervisor.ts'),
    // In a server with processes of their own the supervisor loads none of the roles.
    loaded.config.workers === 0 ? import('./app/in-process.ts') : { inProcessRoles: noRoles },
  ])
  return runServer({ loaded, reload, version, roles: inProcessRoles() })
}

function noRoles(): ReturnType<typeof import('./app/in-process.ts').inProcessRoles> {
  const never = async () => {
    throw new Error('roles have processes of their own')
  }
  return { keeper: never, edge: never, https: never, web: never }
}
