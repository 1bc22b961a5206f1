/**
 * What a keeper does with ten thousand notes and full tables, in a process of its own under a keeper's flags, without the rest of it.
 */

import { createDevices } from '../../src/keeper/devices.ts'
import { createKnownGood } from '../../src/keeper/throttle/known-good.ts'
import { createThrottle } from '../../src/keeper/throttle.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { createLastUseBatch, createTombstoneTriesBatch } from '../../src/records/last-use.ts'
import { createRefusedLogins } from '../../src/records/refused-logins.ts'
import { openStore } from '../../src/records/store/open.ts'
import { Secret } from '../../src/secret.ts'
import { watchTurns } from '../support/turns.ts'

export interface TablesStart {
  readonly file: string
  readonly userIds: readonly string[]
  readonly appPasswordIds: readonly string[]
  readonly digests: readonly string[]
}

const THROTTLE_ENTRIES = 100_000
const [ip, protocol] = ['192.0.2.1', 'imap'] as const

async function main({ file, userIds, appPasswordIds, digests }: TablesStart) {
  const store = await openStore({ sqlite: file })
  const onError = (error: unknown) => {
    throw error
  }
  const options = { store, flushMs: 60_000, onError }
  const lastUse = createLastUseBatch(options)
  const tries = createTombstoneTriesBatch(options)
  const devices = createDevices({
    ...options,
    bus: createLocalBus(onError),
    policy: () => ({ quarantine: false, bindAppPassword: false, perUser: 20 }),
    clock: () => new Date(),
  })
  let passedMs = 0
  const throttle = createThrottle({
    delaysMs: [1],
    trustedNetworks: [],
    knownGood: createKnownGood(),
    metrics: createMetrics(),
    now: () => performance.now() + passedMs,
  })
  let names = 0
  const secret = new Secret('abcd efgh jkmn pqrs')
  const at = new Date()

  /** Of names that nobody has, from addresses that nobody came from; ten in a turn. */
  async function guesses(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const n = names++
      const from = `2001:db8:${(n >> 16).toString(16)}:${(n & 0xffff).toString(16)}::1`
      await throttle.charge(`nobody${n}@a.test`, from, secret).failed(secret)
      if (i % 10 === 0) await new Promise(setImmediate)
    }
  }

  const turns = watchTurns()
  return {
    turns: () => turns.take(),
    'note last uses'() {
      for (const id of appPasswordIds) lastUse.note(id, { at, protocol, ip, agent: 'x' })
    },
    'write last uses': () => lastUse.flush(),
    'note tries'() {
      for (const [n, userId] of userIds.entries())
        tries.note({ userId, digest: digests[n] ?? '', at, ip, protocol, tries: 1 })
    },
    'write tries': () => tries.flush(),
    async 'note visits'() {
      for (const [n, userId] of userIds.entries()) {
        const device = { id: `device${n}`, type: null, protocolVersion: null }
        await devices.visit({ userId, appPasswordId: null, device, agent: null, ip, isProven: true })
      }
    },
    'write visits': () => devices.expire(),
    async refusals() {
      await using refused = createRefusedLogins(options)
      const reason = 'app-password-expired'
      for (const userId of userIds) refused.note({ userId, reason, appPassword: null, at, ip, protocol })
      await new Promise(setImmediate)
    },
    async 'fill the throttle'() {
      while (throttle.entries < 3 * THROTTLE_ENTRIES) await guesses(1000)
      // What filling them left behind is not to be collected while the next thing is measured; and that turn is over, too.
      gc?.()
      await new Promise(setImmediate)
    },
    guesses: () => guesses(2000),
    'an hour passes'() {
      passedMs += 60 * 60_000
    },
    'clear the throttle': () => throttle.clear(null, null),
  }
}
export type TableWork = keyof Awaited<ReturnType<typeof main>>

process.once('message', async ({ id, start }: { readonly id: number; readonly start: TablesStart }) => {
  const works = await main(start)
  process.on('message', async ({ id, work }: { readonly id: number; readonly work: TableWork }) => {
    try {
      process.send?.({ id, answer: (await works[work]()) ?? null })
    } catch (error) {
      process.send?.({ id, error: String(error) })
    }
  })
  process.send?.({ id, answer: null })
})
process.on('disconnect', () => process.exit(0))
