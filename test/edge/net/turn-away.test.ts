import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import t from 'tap'
import { createListener } from '../../../src/edge/net/listener.ts'
import type { Room, RoomLimits } from '../../../src/edge/net/room.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import { createLog } from '../../../src/log.ts'
import { createMetrics } from '../../../src/metrics.ts'
import type { Flood } from './flood.ts'
import { PLAIN } from './plain-listener.ts'

const WORDS = '* BYE [UNAVAILABLE] Too many connections from your address, please try again later.\r\n'
const SEATS = 50
/** Times what a connection costs that is turned away without a word: a second packet is sent, and nothing else is done. */
const MOST = 1.75

/** A listener that greets and waits for a login. */
async function opened(t: Test, limits: RoomLimits, speaks: boolean): Promise<{ port: number; room: Room }> {
  const room = createRoom(limits)
  const listener = createListener({
    name: 'imap:test',
    protocol: 'imap',
    ...PLAIN,
    room,
    log: createLog({ level: 'error', version: 'test', process: 'test', destination: process.stderr }),
    metrics: createMetrics(),
    ...(speaks && { lastWords: () => WORDS }),
    async onConnection(wire) {
      wire.write('* OK ready\r\n')
      await wire.readLine().catch(() => null)
      await wire.end()
    },
  })
  t.teardown(async () => {
    await listener.stop()
    listener.destroyAll()
  })
  return { port: await listener.start(), room }
}

const KINDS: readonly { readonly what: string; readonly stay: number; readonly limits: RoomLimits }[] = [
  { what: 'turned away at the door', stay: 0, limits: { connections: 1000, perAddress: 0 } },
  {
    what: 'sent away for newcomers',
    stay: SEATS,
    limits: { connections: SEATS, perAddress: 10_000, makeRoomAfterMs: 0 },
  },
]

t.test('E2: those who neither read nor close hold nothing', async (t) => {
  const worker = new Worker(new URL('flood.ts', import.meta.url))
  t.teardown(() => worker.terminate())
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  for (const { what, stay, limits } of KINDS) {
    const { port, room } = await opened(t, limits, true)
    const before = sockets()
    worker.postMessage({ port, count: 500, stay, isSilent: true } satisfies Flood)
    await once(worker, 'message')
    for (let tries = 0; tries < 500 && (sockets() - before !== stay || room.size !== stay); tries++) await sleep(10)
    t.equal(sockets() - before, stay, what)
    t.equal(room.size, stay, what)
    t.equal(process.getActiveResourcesInfo().includes('Timeout'), false, 'no timer is left')
  }
})

t.test('E2: a flood costs little more with last words than without', async (t) => {
  const worker = new Worker(new URL('flood.ts', import.meta.url))
  t.teardown(() => worker.terminate())
  const COUNT = 600
  /** Microseconds of CPU for each connection. */
  const cost = async (flood: Flood): Promise<number> => {
    const before = process.threadCpuUsage()
    worker.postMessage(flood)
    await once(worker, 'message')
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / flood.count
  }
  for (const { what, stay, limits } of KINDS) {
    const [mute, speaking] = [await opened(t, limits, false), await opened(t, limits, true)]
    let without = Number.POSITIVE_INFINITY
    let withWords = Number.POSITIVE_INFINITY
    // What else runs on the machine makes either dearer and neither cheaper.
    for (let round = 0; round === 0 || (round < 10 && withWords > MOST * without); round++) {
      without = Math.min(without, await cost({ port: mute.port, count: COUNT, stay }))
      withWords = Math.min(withWords, await cost({ port: speaking.port, count: COUNT, stay }))
    }
    const figures = `${what}: ${without.toFixed(1)} µs each without, ${withWords.toFixed(1)} µs with`
    t.comment(figures)
    t.ok(withWords <= MOST * without, figures)
  }
})
