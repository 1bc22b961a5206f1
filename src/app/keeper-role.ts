/**
 * The keeper as a running role: opened, and serving edges, web and callers at its sockets.
 */

import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { GateHouse } from '../contract/admission.ts'
import { serveGate } from '../contract/gate-server.ts'
import type { PortalHandlers } from '../contract/portal.ts'
import { servePortal } from '../contract/portal-channel.ts'
import { serveServices } from '../contract/services-channel.ts'
import { openKeeper } from '../keeper/keeper.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Secret } from '../secret.ts'
import type { RoleHealth } from '../supervisor/roles.ts'

export interface KeeperRoleOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly version: string
  /** The process that an operator sends signals to; left out: this one. */
  readonly serverPid?: number
  /** What the keys of edges in other processes are made from; null: the edges are in this process. */
  readonly edgeSecret: Secret | null
  /** Ids of the edges that run already. */
  readonly edges: readonly string[]
  /** Web's key; null: there is none, or it is in this process. */
  readonly webKey: Secret | null
}

export interface RunningKeeper {
  readonly gateHouse: GateHouse
  readonly portal: PortalHandlers
  reload(config: Config): Promise<void>
  expectEdges(edgeIds: readonly string[]): void
  health(): Promise<RoleHealth>
  close(): Promise<void>
}

/** Opens the keeper, then its sockets. @throws what openKeeper throws; IpcError when a socket can't be made */
export async function startKeeper(options: KeeperRoleOptions): Promise<RunningKeeper> {
  const { config, log, metrics, version, serverPid = process.pid, edgeSecret, webKey } = options
  const { runtimeDirectory } = config
  // The store's lock first: whoever holds it is the only keeper, and may take over sockets and key.
  const keeper = await openKeeper({ config, log, metrics, version, serverPid })
  keeper.expectEdges(options.edges)
  const open: { close(): Promise<void> }[] = [keeper]
  const close = async () => {
    for (const part of open.splice(0).reverse()) await part.close()
  }
  try {
    if (edgeSecret !== null) {
      const path = join(runtimeDirectory, 'edge.sock')
      open.push(await serveGate({ path, secret: edgeSecret, house: keeper.gateHouse, log }))
    }
    if (webKey !== null) {
      const path = join(runtimeDirectory, 'web.sock')
      open.push(await servePortal({ path, key: webKey, handlers: keeper.portal, log }))
    }
    open.push(await serveServices({ runtimeDirectory, handlers: keeper.services, log }))
  } catch (error) {
    await close()
    throw error
  }
  return {
    gateHouse: keeper.gateHouse,
    portal: keeper.portal,
    reload: (next) => keeper.reload(next),
    health: () => keeper.health(),
    expectEdges: (edgeIds) => keeper.expectEdges(edgeIds),
    close,
  }
}
