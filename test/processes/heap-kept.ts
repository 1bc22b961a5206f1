/**
 * What an edge keeps on its heap of what is over, by measurement.
 */

import type { Test } from 'tap'
import type { LoneEdge } from './lone-edge.ts'
import { until } from './server.ts'

/** So many when the answer is clear, and so many when it is not: what the heap keeps for a while is not there in the long run. */
const ROUNDS = { clear: 2, doubtful: 4 } as const
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
  const mean = () => kept.reduce((sum, each) => sum + each, 0) / kept.length
  while (kept.length < ROUNDS.clear || (kept.length < ROUNDS.doubtful && mean() > mostBytes / 2)) {
    await round()
    const after = await edge.heapKiB()
    kept.push(((after - before) * 1024) / times)
    before = after
  }
  t.comment(`${name}: ${before.toFixed(0)} KiB; bytes each, by round: ${kept.map(Math.round).join(', ')}`)
  t.ok(mean() < mostBytes, `${name} keeps ${mean().toFixed(0)} bytes each`)
}
