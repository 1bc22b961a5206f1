/**
 * What an edge keeps on its heap of what is over, by measurement.
 */

import type { Test } from 'tap'
import type { LoneEdge } from './lone-edge.ts'
import { until } from './server.ts'

const ROUNDS = 4
/** Of what is done in a round. */
export const AT_ONCE = 20

/**
 * Does something many times, collects all garbage, and fails when more is left than before.
 *
 * @param times how often in each round
 * @param mostBytes left of each
 */
export async function keepsNothing(
  t: Test,
  edge: LoneEdge,
  name: string,
  one: () => Promise<void>,
  { times, mostBytes }: { readonly times: number; readonly mostBytes: number },
): Promise<void> {
  const round = async () => {
    for (let i = 0; i < times; i += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, one))
    await until(async () => (await edge.ask('sessions', null, 5000)).length === 0, 'every session is over')
  }
  await round()
  let before = await edge.heapKiB()
  const kept: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    await round()
    const after = await edge.heapKiB()
    kept.push(((after - before) * 1024) / times)
    before = after
  }
  t.comment(`${name}: ${before.toFixed(0)} KiB; bytes each, by round: ${kept.map(Math.round).join(', ')}`)
  const mean = kept.reduce((sum, each) => sum + each) / ROUNDS
  t.ok(mean < mostBytes, `${name} keeps ${mean.toFixed(0)} bytes each`)
}
