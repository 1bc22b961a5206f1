/**
 * The keeper's side of the admission measurement: the product's keeper at its own socket, in a process of its own.
 * Started with the configuration's path in argv and the edges' secret in the environment.
 */

import { startKeeper } from '../../src/app/keeper-role.ts'
import { loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Secret } from '../../src/secret.ts'

const { config } = await loadConfig({ path: process.argv[2] ?? null })
const log = createLog({ level: 'error', version: 'bench', process: 'keeper' })
await startKeeper({
  config,
  log,
  metrics: createMetrics(),
  version: 'bench',
  edgeSecret: new Secret(process.env.BENCH_EDGE_SECRET ?? ''),
  edges: [],
  webKey: null,
})
process.send?.({ ready: true })
process.once('disconnect', () => process.exit())
process.on('SIGINT', () => undefined)
