/**
 * `npm run bench`: what sallyport costs beside nginx's mail proxy and Dovecot's login proxy. See docs/performance.md.
 *
 * Everything is on loopback, in processes that this one starts and ends, in a temporary directory that it removes.
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Options } from './bench/options.ts'
import { parseOptions, USAGE, UsageError } from './bench/options.ts'
import { runPlan } from './bench/plan.ts'
import type { Machine } from './bench/report.ts'
import { report } from './bench/report.ts'

function machine(): Machine {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim() ?? '?',
    cores: cpus().length,
    kernel: release(),
    node: process.versions.node,
    openssl: process.versions.openssl,
    load: loadavg()[0] ?? 0,
  }
}

/** Resolves when somebody wants this to end. A second signal ends it at once. */
function interruption(): Promise<null> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130))
        resolve(null)
      })
    }
  })
}

async function main(options: Options): Promise<void> {
  const startedAt = performance.now()
  const say = (line: string): void => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)
    process.stderr.write(`${seconds} s  ${line}\n`)
  }
  const directory = mkdtempSync(join(tmpdir(), 'sp-bench-'))
  chmodSync(directory, 0o711)
  const before = machine()
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  const outcome = await Promise.race([runPlan(options, directory, stack, say), interruption()])
  if (outcome === null) {
    process.stderr.write('interrupted: ending what was started\n')
    await stack.disposeAsync()
    // What was just being started is ended with this process.
    process.exit(130)
  }
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')
  if (options.jsonFile !== null) {
    const all = { at: new Date().toISOString(), command, machine: before, scale: options.scale, ...outcome }
    writeFileSync(options.jsonFile, `${JSON.stringify(all, null, 1)}\n`)
  }
  process.stdout.write(report(outcome, before, options.scale.workers, command))
  say('done')
  if (outcome.samples.some((sample) => Object.keys(sample.errors).length > 0)) process.exitCode = 1
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(USAGE)
  else await main(options)
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    process.exitCode = 2
  } else throw error
}
