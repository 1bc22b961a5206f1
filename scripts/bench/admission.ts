/**
 * What one credential check costs: an edge's channel to the keeper with nothing around it.
 *
 * Two processes of the bench stand for the edge and the keeper, joined by the product's own channel over a unix socket, with
 * the product's own keeper and its store behind. Each admission is of a login seen before and is settled at once.
 */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Helper } from './child.ts'
import type { Account } from './jobs.ts'
import { cpuBetween, readCpu } from './process-tree.ts'

export interface Admission {
  readonly count: number
  /** CPU microseconds of one admission and its settlement, by side. */
  readonly edgeUs: number
  readonly keeperUs: number
}

const AFTERMATH_MS = 250

/**
 * Admits `count` times, after as many that are not measured.
 *
 * @param configFile of a server that does not run
 */
export async function measureAdmission(
  configFile: string,
  runtimeDirectory: string,
  accounts: readonly Account[],
  count: number,
): Promise<Admission> {
  const env = { BENCH_EDGE_SECRET: randomBytes(32).toString('base64url') }
  await using stack = new AsyncDisposableStack()
  const keeper = stack.use(await Helper.start('admission-keeper.ts', [configFile], env))
  const edge = stack.use(await Helper.start('admission-edge.ts', [join(runtimeDirectory, 'edge.sock')], env))
  const ask = async (): Promise<void> => {
    const said = await edge.ask({ accounts, count })
    if (!('done' in said)) throw new Error(`admission: ${JSON.stringify(said)}`)
    await delay(AFTERMATH_MS)
  }
  const read = () => [readCpu([edge.pid]), readCpu([keeper.pid])] as const
  await ask()
  const [edgeBefore, keeperBefore] = read()
  await ask()
  const [edgeAfter, keeperAfter] = read()
  return {
    count,
    edgeUs: (cpuBetween(edgeBefore, edgeAfter) / count) * 1e6,
    keeperUs: (cpuBetween(keeperBefore, keeperAfter) / count) * 1e6,
  }
}
