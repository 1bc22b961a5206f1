/**
 * A keeper in a process of its own, as the supervisor starts it: the same flags, real sockets, argon2 at full strength. Besides,
 * it watches the turns of its loop, and does at once what a keeper does every hour.
 */

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadConfig } from '../../src/config.ts'
import { serveGate } from '../../src/contract/gate-server.ts'
import { serveServices } from '../../src/contract/services-channel.ts'
import { openKeeper } from '../../src/keeper/keeper.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Secret } from '../../src/secret.ts'
import type { AcceptedConfig } from '../../src/supervisor/messages.ts'
import type { LongestTurns } from '../support/turns.ts'
import { watchTurns } from '../support/turns.ts'

export interface Start {
  readonly configFile: string
  readonly edgeSecret: string
}

/** What the test can ask of this process, besides what anybody can ask of a keeper. */
export type Wish =
  /** The longest turns since the last time. */
  | { readonly turns: null }
  /** Time passes for deadlines and for dates. */
  | { readonly passMs: number }
  /** The configuration, read anew: by another process, which then tells what it says. */
  | { readonly reload: AcceptedConfig }
  | { readonly scrape: null }
  /** Until the hourly work has begun so many times more; here it is done twice a second. */
  | { readonly rounds: number }
  /** Now, and in no other way: busy for so long, or standing still. */
  | { readonly busyMs: number }
  | { readonly standMs: number }

export interface Wishes {
  readonly id: number
  readonly wish: Wish
}

async function main(start: Start): Promise<void> {
  const { config } = await loadConfig({ path: start.configFile, env: {} })
  let rounds = 0
  const destination = {
    write(line: string) {
      if (line.includes('"audit_mark"')) rounds += 1
    },
  }
  const log = createLog({ level: 'info', version: 'test', process: 'keeper', destination })
  const metrics = createMetrics()
  let passedMs = 0
  const keeper = await openKeeper({
    config,
    log,
    metrics,
    version: 'test',
    now: () => performance.now() + passedMs,
    clock: () => new Date(Date.now() + passedMs),
    throttleDelaysMs: [1],
    lastUseFlushMs: 200,
    housekeepingMs: 500,
  })
  await serveGate({
    path: join(config.runtimeDirectory, 'edge.sock'),
    secret: new Secret(start.edgeSecret),
    house: keeper.gateHouse,
    log,
  })
  await serveServices({ runtimeDirectory: config.runtimeDirectory, handlers: keeper.services, log })
  const turns = watchTurns()

  async function fulfil(wish: Wish): Promise<LongestTurns | null> {
    if ('turns' in wish) return turns.take()
    if ('passMs' in wish) passedMs += wish.passMs
    else if ('reload' in wish) {
      const { file, settings } = wish.reload
      await keeper.reload((await loadConfig({ path: file, settings: new Secret(settings), env: {} })).config)
    } else if ('scrape' in wish) await metrics.snapshot()
    else if ('rounds' in wish) {
      const wanted = rounds + wish.rounds
      while (rounds < wanted) await delay(20)
    } else if ('busyMs' in wish) busy(wish.busyMs)
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wish.standMs)
    return null
  }

  process.on('message', ({ id, wish }: Wishes) => {
    fulfil(wish).then(
      (answer) => process.send?.({ id, answer }),
      (error: unknown) => process.send?.({ id, error: String(error) }),
    )
  })
}

/** Of CPU time: what others take meanwhile does not count. */
function busy(ms: number): void {
  const begun = process.threadCpuUsage()
  for (;;) {
    const { user, system } = process.threadCpuUsage(begun)
    if ((user + system) / 1000 >= ms) return
  }
}

process.once('message', ({ id, start }: { readonly id: number; readonly start: Start }) => {
  main(start).then(
    () => process.send?.({ id, answer: null }),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))
