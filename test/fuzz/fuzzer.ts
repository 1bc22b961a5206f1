/** What the fuzzers of all protocols have in common: a stranger who sends in any cut, a server that leaves, and what must hold at the end. */

import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { LoginFailure } from '../../src/contract/failure.ts'
import type { House, ListedGate } from '../edge/login/house.ts'
import { PASSWORD } from '../edge/login/house.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import type { Random } from './random.ts'

export type Fuzzer = (random: Random, rounds: number, t: Test) => Promise<void>

/** How a line may end; the right way more often than others. */
export const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', ''] as const

/** Names are nonsense as well, so the password alone decides. */
export function admitWhoKnowsThePassword(gate: ListedGate): void {
  gate.decide = (_, secret) => {
    if (secret !== PASSWORD) throw new LoginFailure('bad-credentials', 'no')
  }
}

export async function sendInAnyCut(client: ScriptedPeer, text: string, random: Random): Promise<void> {
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.below(random.oneIn(3) ? 7 : 400)
    client.send(bytes.subarray(at, at + size))
    at += size
    if (random.oneIn(3)) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The end of an upstream: at once, or after it has answered for a moment as one that is logged in to. */
export async function leave(peer: ScriptedPeer, random: Random, echo: (peer: ScriptedPeer) => Promise<void>) {
  if (random.oneIn(2)) return peer.end()
  await Promise.race([echo(peer), new Promise((resolve) => setTimeout(resolve, 5))])
  peer.end()
}

/** Plays `rounds` connections, at most `width` at once. All of them must have been served to their end, without a bug. */
export async function play(house: House, rounds: number, width: number, one: () => Promise<void>): Promise<void> {
  let left = rounds
  const lane = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: width }, lane))
  await house.served(rounds)
  assert.equal(house.logs.log.bugs, 0, house.logs.of('bug')[0]?.stack as string)
}
