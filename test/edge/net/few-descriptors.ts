/**
 * A listener for a process with few file descriptors: says its port, then greets, and tells how much CPU it has used (ms).
 * With the argument 'counted' it takes as many connections as fit; otherwise it counts on 1000.
 */

import { connectionsThatFit } from '../../../src/edge/net/descriptors.ts'
import { createListener } from '../../../src/edge/net/listener.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import { createLog } from '../../../src/log.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { PLAIN } from './plain-listener.ts'

const log = createLog({ level: 'info', version: 'test', process: 'test', destination: process.stdout })
const connections = process.argv[2] === 'counted' ? connectionsThatFit() : 1000
const listener = createListener({
  name: 'few',
  protocol: 'imap',
  ...PLAIN,
  room: createRoom({ connections, perAddress: 1000 }),
  log,
  metrics: createMetrics(),
  async onConnection(wire) {
    wire.write('hello\r\n')
    for (;;) {
      const line = await wire.readLine().catch(() => null)
      if (line === null) break
      const { user, system } = process.cpuUsage()
      wire.write(`${Math.round((user + system) / 1000)}\r\n`)
    }
    await wire.end()
  },
})
console.log(`port ${await listener.start()}`)
