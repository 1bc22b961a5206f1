/** Logs more than anybody takes, and tells its parent how that went. Run as a child with a channel. */

import { createLog } from '../../src/log.ts'

const log = createLog({ level: 'info', version: 'test', process: 'noisy' })
// As in the product, where it makes a pipe one that can be full.
process.stdout.on('error', () => {})

process.on('message', (order) => {
  if (order === 'noise') {
    let longestMs = 0
    for (let i = 0; i < 30_000; i++) {
      const from = performance.now()
      log.event('info', 'warning', 'x'.repeat(200))
      longestMs = Math.max(longestMs, performance.now() - from)
    }
    const { rss } = process.memoryUsage()
    setTimeout(() => process.send?.({ longestMs, lost: log.lost, waitingMs: log.waitingMs, rssMb: rss / 2 ** 20 }), 300)
  }
  if (order === 'state') process.send?.({ lost: log.lost, waitingMs: log.waitingMs })
  if (order === 'end') {
    const from = performance.now()
    log.event('info', 'warning', 'last words')
    log.flush()
    process.send?.({ flushMs: performance.now() - from }, () => process.exit(0))
  }
})
