/**
 * An edge of either kind in a process of its own: a gate at the other end of a channel, and the supervisor's questions.
 */

import { getHeapSnapshot } from 'node:v8'
import type { Gate, SessionEnder } from '../contract/admission.ts'
import type { GateConnection } from '../contract/gate-channel.ts'
import { connectGate } from '../contract/gate-channel.ts'
import type { SessionRegistry } from '../edge/login/sessions.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { DrainOptions, EdgeIdentity, EdgeSlice } from '../supervisor/messages.ts'
import type { Role } from './child.ts'

/** An edge that runs, whatever it speaks. */
export interface RunningEdge {
  readonly sessions: SessionRegistry
  /** @throws CertificateError; the old slice is kept then */
  reload(slice: EdgeSlice): void
  /** Resolves when the last session is over or cut. */
  drain(options: DrainOptions): Promise<void>
  /** Closes listeners and connections at once. */
  close(): Promise<void>
}

/** Makes the gate, which ends sessions through `ender` and knows them by `sessions`. */
export type GateMaker = (ender: SessionEnder, sessions: SessionRegistry) => Gate

export async function edgeOverChannel(
  { edgeId, gate: { path, key }, testHooks }: EdgeIdentity,
  log: Log,
  metrics: Metrics,
  start: (gate: GateMaker) => Promise<RunningEdge>,
): Promise<Role> {
  const link: { gate: GateConnection | null } = { gate: null }
  const edge = await start((ender, sessions) => {
    link.gate = connectGate({
      path,
      key: new Secret(key),
      edgeId,
      ender,
      liveSessions: () => sessions.list(),
      log,
    })
    return link.gate
  })

  return {
    async answer(name, params) {
      switch (name) {
        case 'metrics':
          return metrics.snapshot()
        case 'reload':
          edge.reload(params as EdgeSlice)
          return null
        case 'drain':
          await edge.drain(params as DrainOptions)
          return null
        case 'heap-snapshot':
          if (testHooks) return heapSnapshot()
          break
        case 'sessions':
          if (testHooks) return edge.sessions.list()
          break
        default:
      }
      throw new Error(`an edge has no answer to ${name}`)
    },
    async stop() {
      await edge.close()
      link.gate?.close()
    },
  }
}

/** What is alive after a full collection, as V8 writes it. */
async function heapSnapshot(): Promise<string> {
  const { gc } = globalThis as { gc?: () => void }
  if (gc === undefined) throw new Error('needs --expose-gc')
  // What one collection lets go of may have been all that held something else, through a finalizer or a later turn.
  for (let i = 0; i < 3; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const parts: Buffer[] = []
  for await (const part of getHeapSnapshot()) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
